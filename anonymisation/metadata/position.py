"""A position in the form of the records: EWKT of a 3D point in WGS84 (EPSG 4326)."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from anonymisation.imaging.exif.place import ALTITUDES

NO_ALTITUDE: Final = "NaN"
"""The value for an unknown altitude, as the vendor writes it: a position is useful without its altitude, too."""

# Plain digits: float() also accepts underscores and digits of other scripts, which readers of EWKT do not know.
# Each digit can match in one way only: otherwise a long text takes a time that grows with the square of its length.
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def point_text(longitude: str | None, latitude: str | None, altitude: str | None) -> str | None:
    """`srid=4326;POINT Z( <longitude> <latitude> <altitude> )` from numbers as text, degrees and metres.

    The digits stay as they are. Returns None where longitude or latitude is missing or out of range. An altitude that
    is missing, not a number or out of range is written as NaN.
    """
    if longitude is None or latitude is None or not (_is_longitude(longitude) and _is_latitude(latitude)):
        return None
    height = altitude if altitude is not None and _is_altitude(altitude) else NO_ALTITUDE
    return f"srid=4326;POINT Z( {longitude} {latitude} {height} )"


def warn_of_unusable(texts: Mapping[str, str | None], *, source: str) -> None:
    """Log which of the vendor's numbers are there and cannot be used; empty ones and NaN are how it says "unknown".

    `texts`: longitude, latitude and altitude by the names of their elements, in this order.
    """
    checks = zip(texts.items(), (_is_longitude, _is_latitude, _is_altitude), strict=True)
    unusable = [name for (name, text), fits in checks if text and not is_nan(text) and not fits(text)]
    if unusable:
        message = "%s: %s in the vendor's tags cannot be used, and counts as missing"
        logging.getLogger(__name__).warning(message, source, " and ".join(unusable))


def read_point(text: str | None) -> tuple[float, float, float | None] | None:
    """Longitude, latitude and altitude of the record's own text, as `point_text` writes it; None for None."""
    if text is None:
        return None
    longitude, latitude, altitude = map(float, text.partition("(")[2].rstrip(" )").split())
    return longitude, latitude, None if math.isnan(altitude) else altitude


def is_nan(text: str) -> bool:
    """Whether the text is how the vendor writes an unknown number."""
    return text.casefold() == "nan"


def number_of(text: str) -> float | None:
    """The finite number that `text` is, or None."""
    return float(text) if _within(text, math.inf) else None


def digits(number: float | None) -> str | None:
    """The shortest digits that convert back to `number`, without an exponent: some readers of EWKT know none."""
    return None if number is None else f"{Decimal(repr(float(number))):f}"


def _is_longitude(text: str) -> bool:
    return _within(text, 180)


def _is_latitude(text: str) -> bool:
    return _within(text, 90)


def _is_altitude(text: str) -> bool:
    number = number_of(text)
    return number is not None and ALTITUDES[0] <= number <= ALTITUDES[1]


def _within(text: str, limit: float) -> bool:
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text)) and abs(float(text)) <= limit
