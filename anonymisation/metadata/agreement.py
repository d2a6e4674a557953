"""The times and the place that the EXIF of a masked picture may state: those of its record.

Without the vendor's tag 40055, the record is made from the standard tags, and both agree. With it, the record has its
place and time from there. The standard tags of such a picture are published with the record's values, or left out
where the record has none.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from anonymisation.imaging.exif.moments import NO_TIMES, Times
from anonymisation.imaging.exif.place import Place
from anonymisation.metadata.position import read_point
from anonymisation.metadata.timestamps import Timestamp

_NEAR_DEGREES: Final = 0.001  # about 100 m: receivers and rounding differ by less
_NEAR_TIME: Final = timedelta(seconds=2)
_SAME_DIRECTION: Final = 0.5  # degrees


def recorded_times(taken: Timestamp, times: Times, *, source: str) -> Times:
    """`times` with the record's time as that of exposure; none at all where the record's time is that of the file."""
    if taken.from_file or times.taken is None:
        return NO_TIMES
    moment = _with_zone(taken)
    if abs(moment.replace(tzinfo=None) - times.taken.replace(tzinfo=None)) > _NEAR_TIME:
        _log(source, "time")
    return replace(times, taken=moment, original=moment)


def recorded_place(record: Mapping[str, Any], place: Place, *, source: str) -> Place:
    """`place` with the record's position, altitude and heading, each only where both have one."""
    return Place(*_position(record, place, source), *_heading(record, place))


def _position(record: Mapping[str, Any], place: Place, source: str) -> tuple[float | None, float | None, float | None]:
    if place.latitude is None or place.longitude is None:
        return None, None, None
    point = read_point(record["exif_gpsposisjon"])
    if point is None:
        _log(source, "position")
        return None, None, None
    longitude, latitude, altitude = point
    east = math.remainder(longitude - place.longitude, 360) * math.cos(math.radians(latitude))
    if math.hypot(east, latitude - place.latitude) > _NEAR_DEGREES:
        _log(source, "position")
    return latitude, longitude, altitude if place.altitude is not None else None


def _heading(record: Mapping[str, Any], place: Place) -> tuple[float | None, str | None]:
    if place.heading is None or record["exif_heading"] is None:
        return None, None
    heading = float(record["exif_heading"])
    same = abs(math.remainder(heading - place.heading, 360)) <= _SAME_DIRECTION
    return heading, place.heading_reference if same else None


def _with_zone(taken: Timestamp) -> datetime:
    try:
        return datetime.fromisoformat(taken.text)
    except ValueError:
        return taken.moment


def _log(source: str, what: str) -> None:
    message = "%s: the %s of its standard EXIF tags is not that of tag 40055, and only the latter is published"
    logging.getLogger(__name__).warning(message, source, what)
