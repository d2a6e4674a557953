"""Single standard tags that the 2022 form of records reads as they stand: camera, time of exposure, speed, altitude.

Tag numbers and meanings: CIPA DC-008 (EXIF 2.32), sections 4.6.4, 4.6.5 and 4.6.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from anonymisation.imaging.exif.moments import ORIGINAL, date_text, parse_day, parse_moment
from anonymisation.imaging.exif.place import ALTITUDES
from anonymisation.imaging.exif.tiff import Directory, Tiff
from anonymisation.imaging.exif.values import letters, real

_MODEL: Final = 0x0110
_SPEED_REFERENCE, _SPEED, _ALTITUDE = 12, 13, 6
# Divisors that give metres per second. Recorders write metres per second under K, which stands for km/h elsewhere.
_METRES_PER_SECOND: Final = {"k": 1.0, "m": 2.237, "n": 1.944}


@dataclass(frozen=True, slots=True)
class CameraTags:
    """The values; each is None where its tag is absent or cannot be used.

    `exposed` is DateTimeOriginal to the second, without zone, and only where the tag gives a time of day. `speed` is in
    metres per second. `altitude` is GPSAltitude as it stands, in metres: GPSAltitudeRef does not matter.
    """

    model: str | None = None
    exposed: datetime | None = None
    speed: float | None = None
    altitude: float | None = None


NO_CAMERA: Final = CameraTags()


def read_camera(tiff: Tiff) -> CameraTags:
    """Read the tags. The readers of dates and places report the values that are there and cannot be used."""
    altitude = _number(tiff.gps, _ALTITUDE)
    plausible = altitude is not None and ALTITUDES[0] <= altitude <= ALTITUDES[1]
    return CameraTags(_model(tiff), _exposed(tiff), _speed(tiff.gps), altitude if plausible else None)


def _model(tiff: Tiff) -> str | None:
    entry = tiff.main.get(_MODEL)
    if entry is None or entry.raw is None:
        return None
    raw = entry.raw.split(b"\0", 1)[0]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(filter(str.isprintable, text)).strip() or None


def _exposed(tiff: Tiff) -> datetime | None:
    entry = tiff.exif.get(ORIGINAL.date) or tiff.main.get(ORIGINAL.date)
    if entry is None:
        return None
    try:
        text = date_text(entry)
        moment = parse_moment(text)
    except ValueError:
        return None
    return None if moment is None or _is_day(text) else moment.replace(microsecond=0, tzinfo=None)


def _is_day(text: str) -> bool:
    """Whether the text of a date says nothing about the time of day."""
    try:
        return parse_day(text.rstrip(" :")) is not None
    except ValueError:
        return False


def _speed(gps: Directory) -> float | None:
    """Metres per second; None for a speed below 0 or of an unknown unit."""
    unit = letters(gps[_SPEED_REFERENCE])[:1] if _SPEED_REFERENCE in gps else ""
    divisor = _METRES_PER_SECOND.get(unit or "k")  # K is the standard's default
    speed = _number(gps, _SPEED)
    return None if divisor is None or speed is None or speed < 0 else speed / divisor


def _number(gps: Directory, tag: int) -> float | None:
    try:
        return real(gps[tag]) if tag in gps else None
    except ValueError:
        return None
