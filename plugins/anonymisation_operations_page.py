"""Airflow plugin with the operations page: an entry in the navigation, and a tab on every run.

Every Airflow process loads this file. The modules of the page are imported at its first request.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

PREFIX: Final = "/anonymisation"
TITLE: Final = "Masking"  # Airflow's navigation has no room for a longer title


@cache
def _application() -> Any:
    from anonymisation_airflow.operations.web.application import create_app

    return create_app()


async def operations_page(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI application of the page."""
    await _application()(scope, receive, send)


def _address(path: str) -> str:
    """Return the address of a path of the page. Airflow may be served below a path of its server."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + PREFIX + path


_ICONS: Final = {"icon": _address("/static/icon.svg"), "icon_dark_mode": _address("/static/icon-dark.svg")}


class AnonymisationOperationsPage(AirflowPlugin):
    """The page, its navigation entry and its tab."""

    name = "anonymisation_operations_page"
    fastapi_apps: ClassVar[list[Any]] = [  # type: ignore[misc]  # AirflowPlugin has no ClassVar
        {"app": operations_page, "url_prefix": PREFIX, "name": "Anonymisation: operations page"}
    ]
    external_views: ClassVar[list[Any]] = [  # type: ignore[misc]  # AirflowPlugin has no ClassVar
        {
            "name": TITLE,
            **_ICONS,
            "href": _address("/"),
            "destination": "nav",
            "url_route": "operations",
            "nav_top_level": True,
        },
        {
            "name": TITLE,
            **_ICONS,
            "href": _address("/runs/{RUN_ID}?dag={DAG_ID}"),
            "destination": "dag_run",
            "url_route": "anonymisation",
        },
    ]
