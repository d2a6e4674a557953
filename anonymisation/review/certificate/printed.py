"""The certificate as a page for print: HTML without scripts, in which every value is escaped."""

from __future__ import annotations

from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from anonymisation.core.text import one_line
from anonymisation.review.certificate.document import in_words

MOST_FOLDERS: Final = 200  # rows of a table; the JSON file has all of them


def printed_page(values: dict[str, Any]) -> str:
    """The page of a certificate (see `document.certificate_of`)."""
    environment = Environment(
        loader=PackageLoader("anonymisation.review.certificate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["line"] = one_line
    environment.filters["percent"] = lambda share: f"{100 * share:.3g} %"
    template = environment.get_template("certificate.html.j2")
    return template.render(certificate=values, statements=in_words(values), most=MOST_FOLDERS)
