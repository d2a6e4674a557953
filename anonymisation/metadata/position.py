"""A position in the form of the records: EWKT of a 3D point in WGS84 (EPSG 4326)."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

NO_ALTITUDE: Final = "NaN"
"""The value for an unknown altitude, as the vendor writes it: a position is useful without its altitude, too."""

# Plain digits: float() also accepts underscores and digits of other scripts, which readers of EWKT do not know.
# Each digit can match in one way only: otherwise a long text takes a time that grows with the square of its length.
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def point_text(longitude: str | None, latitude: str | None, altitude: str | None) -> str | None:
    """`srid=4326;POINT Z( <longitude> <latitude> <altitude> )` from numbers as text, degrees and metres.

    The digits stay as they are. Returns None where longitude or latitude is missing or out of range. An altitude that
    is missing or not a number is written as NaN.
    """
    if longitude is None or latitude is None or not (_within(longitude, 180) and _within(latitude, 90)):
        return None
    height = altitude if altitude is not None and _within(altitude, math.inf) else NO_ALTITUDE
    return f"srid=4326;POINT Z( {longitude} {latitude} {height} )"


def read_point(text: str | None) -> tuple[float, float, float | None] | None:
    """Longitude, latitude and altitude of the record's own text, as `point_text` writes it; None for None."""
    if text is None:
        return None
    longitude, latitude, altitude = map(float, text.partition("(")[2].rstrip(" )").split())
    return longitude, latitude, None if math.isnan(altitude) else altitude


def number_of(text: str) -> float | None:
    """The finite number that `text` is, or None."""
    return float(text) if _within(text, math.inf) else None


def digits(number: float | None) -> str | None:
    """The shortest digits that convert back to `number`, without an exponent: some readers of EWKT know none."""
    return None if number is None else f"{Decimal(repr(float(number))):f}"


def _within(text: str, limit: float) -> bool:
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text)) and abs(float(text)) <= limit
