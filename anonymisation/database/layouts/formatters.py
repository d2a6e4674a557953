"""The named formatters of table layouts. Each makes one column's value from a record.

A formatter takes the record and returns text, a number, a datetime in UTC, bytes, a `Point`, or None for NULL. It
raises ValueError (or KeyError, TypeError) if the record lacks the value; the column is then NULL, with a warning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from anonymisation.core.picture_ids import picture_id, picture_id_2022
from anonymisation.database.fast_json import to_text
from anonymisation.database.layouts.geometry import Point, is_empty_point, parse_point

Value = str | int | float | datetime | bytes | Point | None
Formatter = Callable[[Mapping[str, Any]], Value]

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
# Each digit can match in one way only: otherwise a long text takes a time that grows with the square of its length.
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

_EXIF_DATE: Final = re.compile(r"\A([0-9]{4}):([0-9]{2}):([0-9]{2})(?![0-9])")


def as_number(value: object) -> int | float | None:
    """A record's number: whole values as int; NaN and no value as None.

    Raises:
        ValueError: the value is not a finite number.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _number_of(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected a number, got {value!r}")
    return _whole(value)


@lru_cache(maxsize=512)  # most numbers repeat from record to record: county, road, quality
def _number_of(text: str) -> int | float | None:
    stripped = text.strip()
    if not stripped or stripped.lower() == "nan":
        return None
    if _INTEGER.fullmatch(stripped):
        return int(stripped)  # exact, however many digits
    if not _DECIMAL.fullmatch(stripped):
        raise ValueError(f"expected a number, got {stripped!r}")
    return _whole(float(stripped))


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


def _text(key: str) -> Formatter:
    def formatter(record: Mapping[str, Any]) -> Value:
        value = record[key]
        return value or None if type(value) is str else as_text(value)

    return formatter


def _number(*keys: str) -> Formatter:
    """The first of `keys` that the record holds; the later ones are names of older records."""

    def formatter(record: Mapping[str, Any]) -> Value:
        known = False
        for key in keys:
            if (value := record.get(key)) is not None:
                return as_number(value)
            known = known or key in record
        if not known:
            raise KeyError(keys[0])
        return None

    return formatter


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
        "Retning": _number("exif_heading"),
        "Posisjon": _point("exif_gpsposisjon", 3),
        "Posisjon_2d": _point("exif_gpsposisjon", 2),
        "Hoyde": _height("exif_gpsposisjon"),
        "SenterlinjePosisjon": _point("senterlinjeposisjon", 3),
        "SenterlinjePosisjon_2d": _point("senterlinjeposisjon", 2),
        "SenterlinjeHoyde": _height("senterlinjeposisjon"),
        "FylkeNummer": _number("exif_fylke"),
        "Vegkategori": _text("exif_vegkat"),
        "Vegstatus": _text("exif_vegstat"),
        "Vegnummer": _number("exif_vegnr"),
        "StrekningReferanse": _text("exif_strekningreferanse"),
        "HP": _number("exif_hp"),
        "Strekning": _number("exif_strekning"),
        "Delstrekning": _number("exif_delstrekning"),
        "Ankerpunkt": _number("exif_ankerpunkt"),
        "Kryssdel": _number("exif_kryssdel"),
        "Sideanleggsdel": _number("exif_sideanleggsdel"),
        "Meter": _number("exif_meter"),
        "Mappenavn": _text("mappenavn"),
        "Filnavn": _text("exif_filnavn"),
        "JsonData": as_json,
        "ReflinkID": _number("exif_reflinkid", "veglenkeid"),
        "ReflinkPosisjon": _number("exif_reflinkposisjon", "veglenkepos"),
        "DetekterteObjekter": _json("detekterte_objekter"),
        "Aar": _year,
        "Feltkode": _text("exif_feltkode"),
        "VegIdentitet": _text("exif_roadident"),
        "Versjon": _text("versjon"),
        "ExifKvalitet": _number("exif_kvalitet"),
        # those of the 2022 form
        "Dataeier": _text("exif_dataeier"),
        "Kamera": _text("exif_camera"),
        "Bildetype": _text("exif_imagetype"),
        "Bildebredde": _text("exif_imagewidth"),
        "Bildehoyde": _text("exif_imageheight"),
        "Moh": _number("exif_moh"),
        "Strekningsnavn": _text("exif_strekningsnavn"),
        "Strekningsreferanse": _text("exif_strekningreferanse"),
        "Vegtype": _text("exif_roadtype"),
        "Hastighet": _number("exif_speed_ms", "exif_speed"),
        "Baselineinfo": _text("exif_basislinje"),
        "PreviewFilnavn": _text("exif_preview_filnavn"),
        "XpTitle": _text("exif_xptitle"),
        "Roll": _number("exif_roll"),
        "Pitch": _number("exif_pitch"),
        "Geoidalseparation": _number("exif_geoidalseparation"),
        "Northrmserror": _number("exif_northrmserror"),
        "Eastrmserror": _number("exif_eastrmserror"),
        "Downrmserror": _number("exif_downrmserror"),
        "Rollrmserror": _number("exif_rollrmserror"),
        "Pitchrmserror": _number("exif_pitchrmserror"),
        "Headingrmserror": _number("exif_headingrmserror"),
    }
)
