"""Pages for print: HTML without scripts, in which every value is escaped."""

from __future__ import annotations

from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from anonymisation import __version__
from anonymisation.core.text import one_line

PROGRAM: Final = f"image-anonymisation {__version__}"
"""The program's name and version, as printed pages have it."""


def printed(package: str, template: str, **values: Any) -> str:
    """The page that a template in the `templates` folder of a package gives.

    Its filter `line` puts a text on one line; `percent` writes a share as a percentage.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["line"] = one_line
    environment.filters["percent"] = lambda share: f"{100 * share:.3g} %"
    return environment.get_template(template).render(**values)
