"""The certificate as a page for print: HTML without scripts, in which every value is escaped."""

from __future__ import annotations

from typing import Any, Final

from anonymisation.review.certificate.bounds import at_least, at_most
from anonymisation.review.certificate.document import in_words
from anonymisation.review.printing import printed

MOST_FOLDERS: Final = 200  # rows of a table; the JSON file has all of them


def printed_page(values: dict[str, Any]) -> str:
    """The page of a certificate (see `document.certificate_of`)."""
    return printed(
        "anonymisation.review.certificate",
        "certificate.html.j2",
        certificate=values,
        statements=in_words(values),
        most=MOST_FOLDERS,
        at_most=at_most,
        at_least=at_least,
    )
