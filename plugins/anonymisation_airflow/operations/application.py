"""The FastAPI application of the page: every route asks who is there, and every answer carries the same headers."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from markupsafe import escape
from starlette.exceptions import HTTPException

from anonymisation_airflow.operations import pages_nights, pages_pictures, pages_review
from anonymisation_airflow.operations.access import reading, register_permission
from anonymisation_airflow.operations.headers import SecureHeaders


def create_app() -> FastAPI:
    """The application, to be mounted by Airflow's API server; without the pages that describe an API."""
    app = FastAPI(title="Anonymisation", dependencies=[reading], openapi_url=None, docs_url=None, redoc_url=None)
    register_permission()
    for module in (pages_nights, pages_review, pages_pictures):
        app.include_router(module.router)
    app.add_middleware(SecureHeaders)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    return app


def _refused(_: Request, error: Exception) -> HTMLResponse:
    if not isinstance(error, HTTPException):
        raise error
    return _plain(error.status_code, str(error.detail))


def _not_understood(_: Request, __: Exception) -> HTMLResponse:
    # What was sent is not sent back.
    return _plain(422, "The request cannot be understood")


def _plain(status: int, text: str) -> HTMLResponse:
    title = f"{status} {HTTPStatus(status).phrase}"
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><main><h1>{title}</h1><p>{escape(text)}</p></main></body></html>",
        status,
    )
