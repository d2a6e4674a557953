"""A position in the form of the records: EWKT of a 3D point in WGS84 (EPSG 4326)."""

from __future__ import annotations

import math
import re
from typing import Final

NO_ALTITUDE: Final = "NaN"
"""Stands for an unknown altitude, as in the vendor's own values: a position is worth keeping without one."""

# Plain digits: float() would also take underscores and the digits of other scripts, which no reader of EWKT knows.
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def point_text(longitude: str | None, latitude: str | None, altitude: str | None) -> str | None:
    """`srid=4326;POINT Z( <longitude> <latitude> <altitude> )` from numbers as text, degrees and metres.

    The digits stay as they are. None where longitude or latitude is missing or no degree on earth; an altitude that
    is missing or no number is written NaN.
    """
    if longitude is None or latitude is None or not (_within(longitude, 180) and _within(latitude, 90)):
        return None
    height = altitude if altitude is not None and _within(altitude, math.inf) else NO_ALTITUDE
    return f"srid=4326;POINT Z( {longitude} {latitude} {height} )"


def _within(text: str, limit: float) -> bool:
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text)) and abs(float(text)) <= limit
