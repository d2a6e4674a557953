"""The FastAPI application of the page. Every route checks access, and every answer has the same headers."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from markupsafe import escape
from starlette.exceptions import HTTPException

from anonymisation.core.errors import UnavailableError
from anonymisation.core.text import hide_credentials
from anonymisation_airflow.operations.pages import certificates, comparisons, judging, nights, pictures, regions, review
from anonymisation_airflow.operations.web.access import reading, register_permission
from anonymisation_airflow.operations.web.headers import SecureHeaders
from anonymisation_airflow.operations.web.rendering import airflow_root


def create_app() -> FastAPI:
    """Return the application that Airflow's API server mounts. It has no pages that describe an API."""
    app = FastAPI(title="Anonymisation", dependencies=[reading], openapi_url=None, docs_url=None, redoc_url=None)
    register_permission()
    for module in (nights, review, certificates, judging, comparisons, regions, pictures):
        app.include_router(module.router)
    app.add_middleware(SecureHeaders)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(UnavailableError, _unavailable)
    return app


def _refused(request: Request, error: Exception) -> HTMLResponse:
    if not isinstance(error, HTTPException):
        raise error
    return _plain(request, error.status_code, str(error.detail))


def _not_understood(request: Request, _: Exception) -> HTMLResponse:
    # The answer never repeats the input.
    return _plain(request, 422, "The request cannot be understood")


def _unavailable(request: Request, error: Exception) -> HTMLResponse:
    """A file of the state folder cannot be read or written, or is being written by others."""
    logging.getLogger(__name__).error("%s", error)
    return _plain(request, 503, hide_credentials(str(error)))


def _way_on(request: Request, status: int, base: str) -> str:
    """A link to where the person can go on: sign in, look at the picture again, or begin at the nights."""
    if status == HTTPStatus.UNAUTHORIZED:
        next_page = quote(str(request.url), safe="")
        return f'<a href="{escape(airflow_root())}auth/login/?next={next_page}">Sign in</a>'
    picture = re.match(r"/folders/[0-9a-f]{16}/pictures/[0-9a-f]{16}", request.scope.get("path", "").removeprefix(base))
    if status == HTTPStatus.CONFLICT and picture is not None:
        return f'<a href="{base}{picture[0]}">Back to the picture</a>'
    return f'<a href="{base}/">To the nights</a>'


def _plain(request: Request, status: int, text: str) -> HTMLResponse:
    title = f"{status} {HTTPStatus(status).phrase}"
    base = escape(request.scope.get("root_path", "").rstrip("/"))
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="stylesheet" href="{base}/static/app.css"></head>'
        f'<body><main><h1>{title}</h1><p class="warning">{escape(text)}</p>'
        f"<p>{_way_on(request, status, base)}</p></main></body></html>",
        status,
    )
