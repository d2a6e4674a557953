"""Pages for print: HTML without scripts, in which every value is escaped."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from anonymisation import __version__
from anonymisation.core.text import one_line

PROGRAM: Final = f"image-anonymisation {__version__}"
"""The program's name and version, as printed pages have it."""


def printed(package: str, template: str, **values: Any) -> str:
    """The page that a template in the `templates` folder of a package gives.

    Its filter `line` puts a text on one line; `percent` writes a share as a percentage, `moment` a time as people do.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["line"] = one_line
    environment.filters["moment"] = _moment
    environment.filters["percent"] = lambda share: f"{100 * share:.3g} %"
    return environment.get_template(template).render(**values)


def _moment(at: str) -> str:
    """Day and time in UTC; what is no time of ISO 8601 stays as it is."""
    try:
        return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return one_line(at)
