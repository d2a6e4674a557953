"""Renders HTML from templates: escapes values, and formats numbers and times for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.configuration import conf
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from anonymisation.core import text
from anonymisation.review.certificate.bounds import at_most
from anonymisation.review.index import LABELS, edition
from anonymisation_airflow.operations.web.access import form_token, originals_allowed, reviews_allowed
from anonymisation_airflow.operations.web.site import Site

OPERATIONS: Final = Path(__file__).parents[1]  # the folder with static/ and templates/
PREFIX: Final = "/anonymisation"
_NOTHING: Final = "–"
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")

STATES: Final[Mapping[str, tuple[str, str]]] = {
    "success": ("good", "done"),
    "done": ("good", "done"),
    "failed": ("bad", "failed"),
    "running": ("busy", "running"),
    "queued": ("calm", "queued"),
    "waiting": ("calm", "waiting"),
    "idle": ("calm", "nothing to do"),
    "stopped": ("bad", "not finished"),
}
"""State → (CSS class, name on the page)."""


def page(request: Request, site: Site, user: BaseUser, template: str, **values: Any) -> HTMLResponse:
    """Render a template. Every template gets the user and the user's permissions."""
    context = {
        **values,
        "user": user,
        "may_review": reviews_allowed(user),
        "may_see_originals": originals_allowed(user),
        "token": form_token(user),
        "base": f"{request.scope.get('root_path', '').rstrip('/')}",
        "ui": airflow_root(),
        "site": site,
        "labels": LABELS,
    }
    return HTMLResponse(text.encodable(_environment.get_template(template).render(context)))


def airflow_root() -> str:
    """Return the path of Airflow's own pages, with a slash at the end."""
    from urllib.parse import urlsplit

    return urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/") + "/"


def count(number: int | None) -> str:
    """Format a whole number with narrow spaces between thousands."""
    return _NOTHING if number is None else f"{number:,}".replace(",", "\u202f")


def size(number: float) -> str:
    """Format a number of bytes in the unit that keeps the number short."""
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    return _NOTHING


def duration(seconds: float | None) -> str:
    """Format a time span (see `core.text`)."""
    return _NOTHING if seconds is None else text.duration(seconds)


def pace(number: float | None) -> str:
    """Format a number of pictures per second."""
    if number is None:
        return _NOTHING
    return f"{number:.0f}/s" if number >= 10 else f"{number:.1f}/s" if number >= 1 else f"{number:.2f}/s"


def states(state: str) -> tuple[str, str]:
    """Return the CSS class of a state and its name on the page."""
    return STATES.get(state, ("calm", state.replace("_", " ")))


@pass_context
def moment(context: Context, when: datetime | str | None) -> str:
    """Format day and time in the deployment's time zone, with the name of the zone."""
    if not when:
        return _NOTHING
    at = datetime.fromisoformat(when) if isinstance(when, str) else when
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return f"{at.astimezone(context['site'].zone):%Y-%m-%d %H:%M %Z}"


@pass_context
def link(context: Context, path: str, **query: Any) -> str:
    """Return an address of this page with the query's parameters that are not empty."""
    kept = {key: value for key, value in query.items() if value not in ("", None, 0, 0.0)}
    return f"{context['base']}{path}" + (f"?{urlencode(kept)}" if kept else "")


_environment = Environment(
    loader=FileSystemLoader(OPERATIONS / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(count=count, size=size, duration=duration, pace=pace, moment=moment, at_most=at_most)
_environment.globals.update(link=link, states=states, edition=edition)
