"""The named formatters of table layouts. Each makes one column's value from a record.

A formatter takes the record and returns text, a number, a datetime in UTC, bytes, a `Point`, or None for NULL. It
raises ValueError (or KeyError, TypeError) if the record lacks the value; the column is then NULL, with a warning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType, NoneType
from typing import Any, Final

from anonymisation.core.picture_ids import picture_id, picture_id_2022
from anonymisation.database.fast_json import to_text
from anonymisation.database.layouts.geometry import Point, is_empty_point, parse_point

Value = str | int | float | datetime | bytes | Point | None
Formatter = Callable[[Mapping[str, Any]], Value]

# Each digit can match in one way only: otherwise a long text takes a time that grows with the square of its length.
# No group matches if all are digits of an integer.
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(\.[0-9]*)?|(\.[0-9]+))([eE][+-]?[0-9]+)?")

_TEXTS: Final = frozenset((str, NoneType))
_EXIF_DATE: Final = re.compile(r"\A([0-9]{4}):([0-9]{2}):([0-9]{2})(?![0-9])")


def as_number(value: object) -> int | float | None:
    """A record's number: whole values as int; NaN and no value as None.

    Raises:
        ValueError: the value is not a finite number.
    """
    if value is None or isinstance(value, str):
        return number_in(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected a number, got {value!r}")
    return _whole(value)


@lru_cache(maxsize=512)  # most numbers repeat from record to record: county, road, quality
def number_in(text: str | None) -> int | float | None:
    """The number in a text; blank, NaN and no text are None. Whole values are int, exact, however many digits.

    Raises:
        ValueError: the text is not a finite number.
    """
    if text is None:
        return None
    stripped = text.strip()
    match = _DECIMAL.fullmatch(stripped)
    if match is not None:
        return int(stripped) if match.lastindex is None else _whole(float(stripped))
    if not stripped or stripped.lower() == "nan":
        return None
    raise ValueError(f"expected a number, got {stripped!r}")


def _whole(number: float) -> int | float | None:
    if math.isnan(number):
        return None
    if math.isinf(number):
        raise ValueError(f"expected a finite number, got {number!r}")
    return int(number) if number == int(number) else number


def as_text(value: object) -> str | None:
    """A record's text. Empty text is None: Oracle stores no empty text, and all databases store the same.

    Raises:
        ValueError: the value is neither text nor a number.
    """
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected text, got {value!r}")
    return str(value)


def as_json(value: object) -> str | None:
    """JSON text on one line, Unicode unescaped; None for None."""
    return None if value is None else to_text(value)


def as_time(value: object) -> datetime | None:
    """A record's ISO 8601 time in UTC, microseconds truncated.

    A time without offset is what the camera's clock showed. Its zone is not known, and it is stored unchanged, in the
    place of UTC, as the original program did.

    Raises:
        ValueError: it is not a time (see `read_time`).
    """
    if value is None:
        return None
    return in_utc(read_time(value))


def in_utc(time: datetime) -> datetime:
    """The time in UTC; one without a zone is what the camera's clock showed, and stays as it is (see `as_time`).

    Raises:
        ValueError: it has no time in UTC.
    """
    if time.tzinfo is UTC:
        return time
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError as error:  # the first and the last hours of the calendar
        raise ValueError(f"{time.isoformat()!r} has no time in UTC: {error}") from error


def read_time(value: object) -> datetime:
    """A record's time as written: ISO 8601, or with colons in its date as in EXIF; further digits are cut off.

    Raises:
        ValueError: it is neither.
    """
    text = str(value)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(_EXIF_DATE.sub(r"\1-\2-\3", text.strip()))


def identifier_of(record: Mapping[str, Any]) -> str | None:
    """The ID of a record. Records from before `bildeid` existed get theirs from `exif_tid` and `exif_filnavn`; those of
    the 2022 form also from `exif_imagetype` and `exif_feltkode`.

    Raises:
        ValueError: the record has no `bildeid`, and one of the other two is missing or cannot be read.
    """
    if "bildeid" in record:
        return as_text(record["bildeid"])
    parts = {key: record.get(key) for key in ("exif_tid", "exif_filnavn")}
    missing = [key for key, value in parts.items() if not isinstance(value, str) or not value.strip()]
    if missing:
        raise ValueError(f"has no bildeid, and no {' and no '.join(missing)} from which older records get theirs")
    time, name = (str(value).strip() for value in parts.values())
    try:
        moment = read_time(time)
    except ValueError:
        raise ValueError(f"has no bildeid, and its exif_tid {time!r} is no time from which it could be made") from None
    file_name = name.rpartition("\\")[2]
    image_type = record.get("exif_imagetype")
    if image_type is None:
        return picture_id(moment, file_name)
    return picture_id_2022(moment, file_name, str(image_type), as_text(record.get("exif_feltkode")))


def as_point(value: object, dimension: int | None = None) -> Point | None:
    """A record's point, with its height dropped for a `dimension` of 2; None for an empty point, as for empty text.

    Raises:
        ValueError: it is not a point, or has no height where a `dimension` of 3 needs one.
    """
    if value is None:
        return None
    text = str(value)
    try:
        point = parse_point(text)
    except ValueError:
        if is_empty_point(text):
            return None
        raise
    if dimension == 3 and point.dimension != 3:
        raise ValueError(f"expected a point with a height, got {value!r}")
    return point.flat() if dimension == 2 else point


class TextOf:
    """The formatter of a key that holds text."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self, record: Mapping[str, Any]) -> Value:
        value = record[self.key]
        return value or None if type(value) is str else as_text(value)

    def column(self, records: Sequence[Mapping[str, Any]]) -> list[Value]:
        """The value of each record; raises as for the first that has none."""
        values = [record[self.key] for record in records]
        if _TEXTS.issuperset(map(type, values)):
            return [value or None for value in values]
        return [self(record) for record in records]


class NumberOf:
    """The formatter of a number: the first of `keys` that the record holds; older records have the later ones."""

    __slots__ = ("keys",)

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def __call__(self, record: Mapping[str, Any]) -> Value:
        known = False
        for key in self.keys:
            if (value := record.get(key)) is not None:
                return as_number(value)
            known = known or key in record
        if not known:
            raise KeyError(self.keys[0])
        return None

    def column(self, records: Sequence[Mapping[str, Any]]) -> list[Value]:
        """As `TextOf.column`."""
        if len(self.keys) == 1:
            [key] = self.keys
            values = [record[key] for record in records]
            if _TEXTS.issuperset(map(type, values)):
                return [None if value is None else number_in(value) for value in values]
        return [self(record) for record in records]


def _json(key: str) -> Formatter:
    return lambda record: as_json(record[key])


def _point(key: str, dimension: int) -> Formatter:
    return lambda record: as_point(record[key], dimension)


def _height(key: str) -> Formatter:
    def formatter(record: Mapping[str, Any]) -> Value:
        point = as_point(record[key])
        return None if point is None else as_number(point.height)

    return formatter


def _year(record: Mapping[str, Any]) -> Value:
    """The year of `exif_dato`, or of `exif_tid` in a record without the former."""
    value = record["exif_dato"] if record.get("exif_dato") is not None else record["exif_tid"]
    return None if value is None else read_time(value).year


FORMATTERS: Final[Mapping[str, Formatter]] = MappingProxyType(
    {
        "ID": identifier_of,
        "Tidspunkt": lambda record: as_time(record["exif_tid"]),
        "Retning": NumberOf("exif_heading"),
        "Posisjon": _point("exif_gpsposisjon", 3),
        "Posisjon_2d": _point("exif_gpsposisjon", 2),
        "Hoyde": _height("exif_gpsposisjon"),
        "SenterlinjePosisjon": _point("senterlinjeposisjon", 3),
        "SenterlinjePosisjon_2d": _point("senterlinjeposisjon", 2),
        "SenterlinjeHoyde": _height("senterlinjeposisjon"),
        "FylkeNummer": NumberOf("exif_fylke"),
        "Vegkategori": TextOf("exif_vegkat"),
        "Vegstatus": TextOf("exif_vegstat"),
        "Vegnummer": NumberOf("exif_vegnr"),
        "StrekningReferanse": TextOf("exif_strekningreferanse"),
        "HP": NumberOf("exif_hp"),
        "Strekning": NumberOf("exif_strekning"),
        "Delstrekning": NumberOf("exif_delstrekning"),
        "Ankerpunkt": NumberOf("exif_ankerpunkt"),
        "Kryssdel": NumberOf("exif_kryssdel"),
        "Sideanleggsdel": NumberOf("exif_sideanleggsdel"),
        "Meter": NumberOf("exif_meter"),
        "Mappenavn": TextOf("mappenavn"),
        "Filnavn": TextOf("exif_filnavn"),
        "JsonData": as_json,
        "ReflinkID": NumberOf("exif_reflinkid", "veglenkeid"),
        "ReflinkPosisjon": NumberOf("exif_reflinkposisjon", "veglenkepos"),
        "DetekterteObjekter": _json("detekterte_objekter"),
        "Aar": _year,
        "Feltkode": TextOf("exif_feltkode"),
        "VegIdentitet": TextOf("exif_roadident"),
        "Versjon": TextOf("versjon"),
        "ExifKvalitet": NumberOf("exif_kvalitet"),
        # those of the 2022 form
        "Dataeier": TextOf("exif_dataeier"),
        "Kamera": TextOf("exif_camera"),
        "Bildetype": TextOf("exif_imagetype"),
        "Bildebredde": TextOf("exif_imagewidth"),
        "Bildehoyde": TextOf("exif_imageheight"),
        "Moh": NumberOf("exif_moh"),
        "Strekningsnavn": TextOf("exif_strekningsnavn"),
        "Strekningsreferanse": TextOf("exif_strekningreferanse"),
        "Vegtype": TextOf("exif_roadtype"),
        "Hastighet": NumberOf("exif_speed_ms", "exif_speed"),
        "Baselineinfo": TextOf("exif_basislinje"),
        "PreviewFilnavn": TextOf("exif_preview_filnavn"),
        "XpTitle": TextOf("exif_xptitle"),
        "Roll": NumberOf("exif_roll"),
        "Pitch": NumberOf("exif_pitch"),
        "Geoidalseparation": NumberOf("exif_geoidalseparation"),
        "Northrmserror": NumberOf("exif_northrmserror"),
        "Eastrmserror": NumberOf("exif_eastrmserror"),
        "Downrmserror": NumberOf("exif_downrmserror"),
        "Rollrmserror": NumberOf("exif_rollrmserror"),
        "Pitchrmserror": NumberOf("exif_pitchrmserror"),
        "Headingrmserror": NumberOf("exif_headingrmserror"),
    }
)
