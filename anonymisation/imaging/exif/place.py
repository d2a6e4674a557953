"""Position, altitude and heading in the GPS directory: read from any form that cameras use, written in the standard's.

Tag numbers and meanings: CIPA DC-008 (EXIF 2.32), section 4.6.6.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from anonymisation.imaging.exif.tiff import ASCII, BYTE, RATIONAL, Directory, Entry
from anonymisation.imaging.exif.values import TagProblem, decimal_ratio, is_blank, letters, real, reals, whole

ALTITUDES: Final = (-11_000.0, 100_000.0)
"""From the deepest sea to the edge of space, metres."""
_BELOW: Final = frozenset((1, 3))
_REFERENCES: Final = frozenset((0, 1, 2, 3))  # 2 and 3 since EXIF 3.0, for another datum than 0 and 1

# What is published is rounded to these, so values are rounded to them when they are read: a heading of 359.9999999 is 0
# in the record, too.
_SECOND_PLACES: Final = 6  # of an arc second: 30 micrometres on the ground
_NOISE: Final = 1e-12  # degrees: a double has no more digits at 180
_HEADING_PLACES: Final = 6
_ALTITUDE_PLACES: Final = 4  # 0.1 mm, so that 100 km fit into a RATIONAL


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture was taken; a value is None when it is absent or unusable. Latitude and longitude come together.

    Degrees in WGS 84, north and east positive; metres above sea level; heading in degrees, 0 to below 360, relative to
    true ("T") or magnetic ("M") north or to a north that is not named (None).
    """

    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None
    heading: float | None = None
    heading_reference: str | None = None


NO_PLACE: Final = Place()


@dataclass(frozen=True, slots=True)
class _Axis:
    """The tags of latitude or longitude; `words` are the names of its positive and of its negative side."""

    name: str
    reference: int
    number: int
    words: tuple[str, str]
    limit: float


_LATITUDE: Final = _Axis("GPSLatitude", 1, 2, ("north", "south"), 90)
_LONGITUDE: Final = _Axis("GPSLongitude", 3, 4, ("east", "west"), 180)
_ALTITUDE_REFERENCE, _ALTITUDE, _HEADING_REFERENCE, _HEADING = 5, 6, 16, 17

_DATUM: Final = 18
WGS_84: Final = r"(?i:WGS[ _-]?(?:19)?84|(?:ETRS|EUREF)[ _-]?89|JGD[ _-]?20\d\d|(?:NAD|GRS)[ _-]?8[03]|ITRF[ _-]?\d\d)"
"""GPSMapDatum where positions are those of WGS 84, to a metre or two."""
_OTHER_DATUMS: Final = re.compile(
    r"TOKYO|ED[ _-]?50|EUROPEAN|NAD[ _-]?27|OSGB|NGO[ _-]?1948|RT[ _-]?90|GCJ|BD[ _-]?09|PULKOVO|SK[ _-]?42",
    re.IGNORECASE,
)  # off by 100 m and more

PLACE_TAGS: Final = frozenset((1, 2, 3, 4, 5, 6, 16, 17))
"""The tags that `read_place` reads and `place_entries` writes."""


def read_place(gps: Directory, problems: list[TagProblem]) -> Place:
    """Read position, altitude and heading; what is there and unusable is left out and added to `problems`.

    The position 0, 0 counts as none: receivers without a fix write it.
    """
    latitude, longitude = _position(gps, problems)
    heading, reference = _heading(gps, problems)
    return Place(latitude, longitude, _altitude(gps, problems), heading, reference)


def with_heading(place: Place, gps: Directory, heading: float | None) -> Place:
    """`place` with a heading that is known from elsewhere; only where the GPS directory gives none, be it unusable."""
    return place if _HEADING in gps else replace(place, heading=heading, heading_reference=None)


def place_entries(place: Place) -> dict[int, Entry]:
    """The tags of `place` in the standard's types. An altitude is written with a position only, as in the record."""
    entries: dict[int, Entry] = {}
    if place.latitude is not None and place.longitude is not None:
        for axis, degrees in ((_LATITUDE, place.latitude), (_LONGITUDE, place.longitude)):
            side = axis.words[degrees < 0][0].upper()
            entries |= {axis.reference: _text(side), axis.number: Entry(RATIONAL, _sexagesimal(abs(degrees)))}
        if place.altitude is not None:
            entries[_ALTITUDE_REFERENCE] = Entry(BYTE, bytes((place.altitude < 0,)))  # 0 and 1: every reader knows them
            entries[_ALTITUDE] = Entry(RATIONAL, (decimal_ratio(abs(place.altitude), _ALTITUDE_PLACES),))
    if place.heading is not None:
        above, below = decimal_ratio(place.heading, _HEADING_PLACES)
        entries[_HEADING] = Entry(RATIONAL, ((above % (360 * below), below),))
        if place.heading_reference is not None:
            entries[_HEADING_REFERENCE] = _text(place.heading_reference)
    return entries


def compass_degrees(degrees: float) -> float:
    """The direction from 0 to below 360, to a millionth; a signed angle from -360 counts from north to the west.

    Raises:
        ValueError: the angle is below -360 or above 360, which stands for "unknown" more often than for a direction.
    """
    if not -360 <= degrees <= 360:
        raise ValueError(f"{degrees:g} is out of range, expected degrees from 0 to 360")
    turned = round(degrees % 360, _HEADING_PLACES)
    return 0.0 if turned == 360 else turned


def _position(gps: Directory, problems: list[TagProblem]) -> tuple[float | None, float | None]:
    before = len(problems)
    latitude, longitude = (_degrees(gps, axis, problems) for axis in (_LATITUDE, _LONGITUDE))
    if latitude is None or longitude is None:
        for axis, degrees, other in ((_LATITUDE, latitude, _LONGITUDE), (_LONGITUDE, longitude, _LATITUDE)):
            if degrees is not None and len(problems) == before:
                problems.append(TagProblem(axis.name, f"has no {other.name}; the position is left out"))
        return None, None
    if not _is_wgs_84(gps, problems):
        return None, None
    if latitude == longitude == 0:
        reason = "and GPSLongitude are 0, as receivers without a fix write them; the position is left out"
        problems.append(TagProblem(_LATITUDE.name, reason))
        return None, None
    return latitude, longitude


def _is_wgs_84(gps: Directory, problems: list[TagProblem]) -> bool:
    """Whether a position may be taken as one of WGS 84; an unknown datum may, too."""
    if _DATUM not in gps or is_blank(gps[_DATUM]) or re.fullmatch(WGS_84, gps[_DATUM].text or ""):
        return True
    other = _OTHER_DATUMS.match(gps[_DATUM].text or "") is not None
    reason = "is not WGS-84; the position is left out" if other else "is not known; the position is read as WGS-84"
    problems.append(TagProblem("GPSMapDatum", reason))
    return not other


def _degrees(gps: Directory, axis: _Axis, problems: list[TagProblem]) -> float | None:
    if axis.number not in gps:
        if axis.reference in gps and not is_blank(gps[axis.reference]):
            problems.append(TagProblem(f"{axis.name}Ref", f"has no {axis.name}; it is left out"))
        return None
    try:
        side = _choice(gps, axis.reference, axis.words)
        if side is None:
            raise ValueError(f"{axis.name}Ref is missing")
        return _signed(reals(gps[axis.number]), axis, side == axis.words[1])
    except ValueError as error:
        problems.append(TagProblem(axis.name, f"is not usable ({error}); the position is left out"))
        return None


def _signed(parts: tuple[float, ...], axis: _Axis, negative_side: bool) -> float:
    """Degrees, degrees and minutes, or degrees, minutes and seconds; a minus sign is allowed on the negative side."""
    if len(parts) > 3:
        raise ValueError(f"expected up to three numbers, got {len(parts)}")
    if any(part < 0 for part in parts) and not negative_side:
        raise ValueError(f"a negative number contradicts {axis.name}Ref")
    if any(abs(part) > 60 for part in parts[1:]):
        raise ValueError("minutes or seconds are above 60")
    value = 0.0
    for power, part in enumerate(parts):  # not by sum(): from Python 3.12 on, its last digit is another
        value += abs(part) / 60.0**power
    if value > axis.limit:
        raise ValueError(f"{value:g} degrees are more than {axis.limit:g}")
    published = round(value * 3600, _SECOND_PLACES) / 3600
    if abs(published - value) > _NOISE:
        value = published
    return -value if negative_side else value


def _choice(gps: Directory, tag: int, words: tuple[str, str]) -> str | None:
    """Which of two words the reference `tag` stands for: its first letters, or the word and more; None if empty."""
    if tag not in gps or is_blank(gps[tag]):
        return None
    text = letters(gps[tag])
    for word in words:
        if text and (word.startswith(text) or text.startswith(word)):
            return word
    raise ValueError(f"its reference is neither {words[0]} nor {words[1]}")


def _altitude(gps: Directory, problems: list[TagProblem]) -> float | None:
    if _ALTITUDE not in gps:
        if _ALTITUDE_REFERENCE in gps:
            problems.append(TagProblem("GPSAltitudeRef", "has no GPSAltitude; it is left out"))
        return None
    try:
        reference = whole(gps[_ALTITUDE_REFERENCE]) if _ALTITUDE_REFERENCE in gps else 0
        if reference not in _REFERENCES:
            raise ValueError(f"GPSAltitudeRef is {reference}, expected 0 to 3")
        metres = real(gps[_ALTITUDE])
        value = -abs(metres) if reference in _BELOW else metres
        if not ALTITUDES[0] <= value <= ALTITUDES[1]:
            raise ValueError(f"{value:g} m is out of range")
    except ValueError as error:
        problems.append(TagProblem("GPSAltitude", f"is not usable ({error}); the altitude is left out"))
        return None
    return round(value, _ALTITUDE_PLACES) + 0.0  # no -0.0


def _heading(gps: Directory, problems: list[TagProblem]) -> tuple[float | None, str | None]:
    if _HEADING not in gps:
        if _HEADING_REFERENCE in gps and not is_blank(gps[_HEADING_REFERENCE]):
            problems.append(TagProblem("GPSImgDirectionRef", "has no GPSImgDirection; it is left out"))
        return None, None
    try:
        north = _choice(gps, _HEADING_REFERENCE, ("true", "magnetic"))
        return compass_degrees(real(gps[_HEADING])), None if north is None else north[0].upper()
    except ValueError as error:
        problems.append(TagProblem("GPSImgDirection", f"is not usable ({error}); the heading is left out"))
        return None, None


def _sexagesimal(degrees: float) -> tuple[tuple[int, int], ...]:
    """Degrees, minutes and seconds as ratios; rounded before they are split, so that no part becomes 60."""
    seconds = Fraction(*decimal_ratio(Fraction(degrees) * 3600, _SECOND_PLACES))
    whole_minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(whole_minutes, 60)
    return (math.floor(hours), 1), (math.floor(minutes), 1), rest.as_integer_ratio()


def _text(letter: str) -> Entry:
    return Entry(ASCII, letter.encode() + b"\0")
