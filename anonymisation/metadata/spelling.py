"""Numbers of the vendor's XML in the spelling of the 2022 form."""

from __future__ import annotations

import re
from typing import Final

from anonymisation.metadata.position import digits, number_of
from anonymisation.metadata.xml_tree import XmlElement

_COMMA: Final = re.compile(r"\s*([+-]?[0-9]+),([0-9]+(?:[eE][+-]?[0-9]+)?)\s*")


def with_dot(text: str) -> str:
    """A number with a decimal comma (`14,34`), written with a dot; any other text as it is."""
    match = _COMMA.fullmatch(text)
    return text if match is None else f"{match[1]}.{match[2]}"


def with_dots(element: XmlElement) -> XmlElement:
    """The element with a dot in every number that its texts are, at every depth."""
    content = tuple(with_dot(item) if isinstance(item, str) else with_dots(item) for item in element.content)
    return XmlElement(element.name, element.attributes, content)


def finite(text: str | None) -> float | None:
    """The finite number that `text` is; None for NaN, for other text and for None."""
    return None if text is None else number_of(text)


def two_decimals(number: float | None) -> str | None:
    """A speed: always two decimals, such as `22.47` and `0.00`."""
    return None if number is None else f"{number:.2f}"


def up_to_two_decimals(number: float | None) -> str | None:
    """A metre: at most two decimals and at least one, such as `14.34`, `34.2`, `10.0`; halves as Python rounds."""
    return None if number is None else digits(round(number, 2))


def difference(minuend: float | None, subtrahend: float | None) -> str | None:
    """The shortest digits of the difference; without a decimal where both numbers are whole."""
    if minuend is None or subtrahend is None:
        return None
    if minuend.is_integer() and subtrahend.is_integer():
        return str(int(minuend) - int(subtrahend))
    return digits(minuend - subtrahend)
