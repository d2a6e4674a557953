"""Reads EXIF: the vendor's tags, time, position and orientation. For the published EXIF, see `allow_list`.

Tag numbers and meanings: CIPA DC-008 (EXIF 2.32), sections 4.6.4 to 4.6.6; XPTitle: Microsoft's "Photo metadata
policies". The vendor keeps its two XML documents under unassigned numbers of the main directory.
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from anonymisation.imaging.exif.allow_list import (
    TAG_IMAGE_PROPERTIES,
    TAG_REFLINK_INFO,
    TAG_XP_TITLE,
    decode_xp,
    published_exif,
)
from anonymisation.imaging.exif.provenance import EXIF_MARK, Provenance, exif_tiff, read_provenance
from anonymisation.imaging.exif.tiff import Directory, Entry, Tiff, orientation_of

__all__ = [
    "TAG_IMAGE_PROPERTIES",
    "TAG_REFLINK_INFO",
    "TAG_XP_TITLE",
    "ExifTags",
    "Provenance",
    "published_exif",
    "read_exif",
    "read_provenance",
]

# Tags of date, fraction and offset; the first valid date is the time of exposure.
_TIMES: Final = (
    (0x9003, 0x9291, 0x9011),  # DateTimeOriginal
    (0x9004, 0x9292, 0x9012),  # DateTimeDigitized
    (0x0132, 0x9290, 0x9010),  # DateTime
)
_DATE: Final = re.compile(r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)")
_ALTITUDES: Final = (-11_000.0, 100_000.0)  # from the deepest sea to the edge of space, metres


@dataclass(frozen=True, slots=True)
class ExifTags:
    """The EXIF values that records use; a value is None when it is absent or invalid."""

    present: bool
    """Whether the picture has readable EXIF."""
    image_properties: bytes | None = None
    """Tag 40055, raw bytes: XML in UTF-8, mostly with a byte order mark."""
    reflink_info: bytes | None = None
    """Tag 40056, raw bytes, likewise."""
    xp_title: str | None = None
    """Tag 40091, from UTF-16-LE, without byte order mark and trailing NULs."""
    orientation: int = 1
    """EXIF orientation, 1 to 8; 1 when absent or invalid."""
    taken: datetime | None = None
    """DateTimeOriginal, else DateTimeDigitized, else DateTime; with a time zone only if an offset tag gives one."""
    latitude: float | None = None
    """Degrees, WGS 84, north positive."""
    longitude: float | None = None
    """Degrees, WGS 84, east positive. The position 0, 0 counts as None: receivers without a fix write it."""
    altitude: float | None = None
    """Metres above sea level."""
    heading: float | None = None
    """Direction of view in degrees, 0 to below 360."""

    def __post_init__(self) -> None:
        if self.orientation not in range(1, 9):
            raise ValueError(f"orientation: expected 1 to 8, got {self.orientation}")


def read_exif(data: bytes, *, source: str = "a picture") -> ExifTags:
    """Read the EXIF of a JPEG file given as bytes; `source` names it in the log.

    Broken EXIF never raises: a warning is logged, and `present` is False.
    """
    tiff = exif_tiff(data)
    if tiff is None:
        if EXIF_MARK in data[: 1 << 16]:
            logging.getLogger(__name__).warning("%s: its EXIF cannot be read; it is treated as absent", source)
        return ExifTags(present=False)
    latitude, longitude = _position(tiff.gps)
    return ExifTags(
        present=True,
        image_properties=_raw(tiff.main.get(TAG_IMAGE_PROPERTIES)),
        reflink_info=_raw(tiff.main.get(TAG_REFLINK_INFO)),
        xp_title=decode_xp(_raw(tiff.main.get(TAG_XP_TITLE))),
        orientation=orientation_of(tiff.main),
        taken=_taken(tiff),
        latitude=latitude,
        longitude=longitude,
        altitude=_altitude(tiff.gps),
        heading=_heading(tiff.gps),
    )


def _raw(entry: Entry | None) -> bytes | None:
    return entry.raw if entry else None


def _text(directory: Directory, tag: int) -> str:
    entry = directory.get(tag)
    return (entry.text or "") if entry else ""


def _taken(tiff: Tiff) -> datetime | None:
    def text(tag: int) -> str:  # some writers put the dates into the wrong directory
        return _text(tiff.exif if tag in tiff.exif else tiff.main, tag)

    for date, fraction, offset in _TIMES:
        moment = _moment(text(date), text(fraction), text(offset))
        if moment is not None:
            return moment
    return None


def _moment(date: str, fraction: str, offset: str) -> datetime | None:
    match = _DATE.fullmatch(date)
    if match is None:
        return None
    digits = fraction if fraction.isascii() and fraction.isdigit() else ""
    try:
        year, month, day, hour, minute, second = (int(group) for group in match.groups())
        return datetime(year, month, day, hour, minute, second, int(digits[:6].ljust(6, "0")), tzinfo=_zone(offset))
    except ValueError:  # 0000:00:00 of an unset clock, and the like
        return None


def _zone(offset: str) -> timezone | None:
    match = _OFFSET.fullmatch(offset)
    if match is None:
        return None
    shift = timedelta(hours=int(match[2]), minutes=int(match[3]))
    if shift >= timedelta(hours=24):
        return None
    return timezone(-shift if match[1] == "-" else shift) if shift else UTC


def _position(gps: Directory) -> tuple[float | None, float | None]:
    latitude = _degrees(gps, 1, 2, "NS", 90)
    longitude = _degrees(gps, 3, 4, "EW", 180)
    if latitude is None or longitude is None or latitude == longitude == 0:
        return None, None
    return latitude, longitude


def _degrees(gps: Directory, reference: int, tag: int, letters: str, limit: float) -> float | None:
    side = _text(gps, reference)[:1].upper()
    parts = _quotients(gps, tag)
    if not side or side not in letters or not 1 <= len(parts) <= 3 or any(part < 0 for part in parts):
        return None
    value = sum(part / 60.0**power for power, part in enumerate(parts))
    if value > limit:
        return None
    return -value if side == letters[1] else value


def _quotients(gps: Directory, tag: int) -> tuple[float, ...]:
    ratios = gps[tag].ratios if tag in gps else ()
    return () if any(below == 0 for _, below in ratios) else tuple(above / below for above, below in ratios)


def _altitude(gps: Directory) -> float | None:
    metres = _quotients(gps, 6)
    if len(metres) != 1:
        return None
    reference = _raw(gps.get(5)) or b"\0"
    value = -metres[0] if reference[:1] in {b"\1", b"1"} else metres[0]
    return value if _ALTITUDES[0] <= value <= _ALTITUDES[1] else None


def _heading(gps: Directory) -> float | None:
    degrees = _quotients(gps, 17)
    return math.fmod(degrees[0], 360) if len(degrees) == 1 and 0 <= degrees[0] <= 360 else None
