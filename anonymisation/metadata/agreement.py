"""The times and the place that the EXIF of a masked picture states: those of its record.

Without the vendor's tag 40055, the record is made from the standard tags, and both agree. With it, the record has its
place and time from there. The standard tags of such a picture are then written from the record, whatever they were.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from anonymisation.imaging.exif.moments import NO_TIMES, Times
from anonymisation.imaging.exif.place import Place, compass_degrees
from anonymisation.metadata.position import number_of, read_point
from anonymisation.metadata.timestamps import Timestamp

TAG: Final = "tag 40055"
_NEAR_DEGREES: Final = 0.001  # about 100 m: receivers and rounding differ by less
_NEAR_TIME: Final = timedelta(seconds=2)
_SAME_DIRECTION: Final = 0.5  # degrees


def recorded_times(taken: Timestamp, times: Times, *, source: str, tags: str = TAG) -> Times:
    """`times` with the record's time as that of exposure; none at all where the record's time is that of the file.

    `tags` names what the record is made from, for the warning where the standard tags differ.
    """
    if taken.from_file:
        return NO_TIMES
    if taken.standard:
        return times
    moment = _with_zone(taken)
    if times.taken is not None and abs(taken.moment - times.taken.replace(tzinfo=None)) > _NEAR_TIME:
        _log(source, "time", tags)
    return replace(times, taken=moment, original=moment)


def recorded_place(record: Mapping[str, Any], place: Place, *, source: str, tags: str = TAG) -> Place:
    """The record's position, altitude and heading; of `place`, only the north that the same heading refers to."""
    point = read_point(record["exif_gpsposisjon"])
    if place.latitude is not None and (point is None or _is_far(point[0], point[1], place)):
        _log(source, "position", tags)
    longitude, latitude, altitude = point or (None, None, None)
    heading = _direction(record["exif_heading"])
    same = heading is not None and place.heading is not None and _turn(heading, place.heading) <= _SAME_DIRECTION
    return Place(latitude, longitude, altitude, heading, place.heading_reference if same else None)


def _direction(text: str | None) -> float | None:
    """The direction from 0 to below 360 that a record states; the 2022 form keeps the vendor's NaN."""
    degrees = None if text is None else number_of(text)
    try:
        return None if degrees is None else compass_degrees(degrees)
    except ValueError:
        return None


def _is_far(longitude: float, latitude: float, place: Place) -> bool:
    """Whether a position is not that of `place`, which has one."""
    north = latitude - (place.latitude or 0)
    east = _turn(longitude, place.longitude or 0) * math.cos(math.radians(latitude))
    return math.hypot(east, north) > _NEAR_DEGREES


def _turn(one: float, other: float) -> float:
    """The smaller angle between two directions, in degrees."""
    return abs(math.remainder(one - other, 360))


def _with_zone(taken: Timestamp) -> datetime:
    try:
        return datetime.fromisoformat(taken.text)
    except ValueError:
        return taken.moment


def _log(source: str, what: str, tags: str) -> None:
    message = "%s: the %s of its standard EXIF tags is not that of %s; the latter is recorded and published"
    logging.getLogger(__name__).warning(message, source, what, tags)
