"""The EXIF of published pictures: an allow-list of tags.

Place, times and orientation are written from the values that records are made from (`place`, `moments`), so that both
agree. Every other tag has a form: a value of another type that fits it is written in the type of the standard.

A tag that is not in the table is not published. Left out on purpose, since they name or describe a person, a car, a
computer or a single device, or hold free text or pictures: Artist, Copyright, CameraOwnerName, BodySerialNumber,
LensSerialNumber, ImageUniqueID, HostComputer, Software, ImageDescription, UserComment, XPComment, XPAuthor, XPKeywords,
XPSubject, MakerNote, SubjectArea, SubjectLocation, RelatedSoundFile, GPSSpeed and GPSTrack (how the car was driven),
GPSSatellites, GPSDest*, GPSProcessingMethod, GPSAreaInformation; IPTC, Photoshop and XMP blocks; the thumbnails.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from anonymisation.core.errors import ImageMetadataError
from anonymisation.imaging.exif.moments import Times, date_text, parse_day, read_times, time_entries
from anonymisation.imaging.exif.place import WGS_84, Place, place_entries, read_place
from anonymisation.imaging.exif.provenance import EXIF_MARK, TAG_IMAGE_HISTORY, Provenance, exif_tiff
from anonymisation.imaging.exif.tiff import (
    ASCII,
    BYTE,
    LONG,
    RATIONAL,
    SHORT,
    SRATIONAL,
    TAG_ORIENTATION,
    UNDEFINED,
    Directory,
    DirectoryName,
    Entry,
    Tiff,
    orientation_of,
    write_tiff,
)
from anonymisation.imaging.exif.values import decimal_ratio, letters, near_ratio, reals, whole
from anonymisation.imaging.jpeg.segments import MAX_PAYLOAD

TAG_IMAGE_PROPERTIES: Final = 40055
TAG_REFLINK_INFO: Final = 40056
TAG_XP_TITLE: Final = 40091
TAG_COLOUR_SPACE: Final = 0xA001
_SRGB: Final = 1  # of ColorSpace
TAG_GPS_VERSION: Final = 0
_GPS_CLOCK: Final = 0x07
_GPS_DAY: Final = 0x1D
_ONE_DAY: Final = timedelta(days=1)  # the day of GPS is that of UTC
_GPS_VERSION: Final = bytes((2, 3, 0, 0))  # of EXIF 2.32
_BOM: Final = b"\xef\xbb\xbf"
_MAX_EXIF: Final = MAX_PAYLOAD  # the mark "Exif" included
_MAX_TITLE: Final = 128  # characters

Form = Callable[[Entry], Entry]
"""Gives the entry to publish. Raises ValueError where the value does not fit."""


def _label() -> Form:
    """Plain printable ASCII of at most 64 characters."""
    return _matching(r"[\x20-\x7e]{1,64}")


def _matching(pattern: str) -> Form:
    compiled = re.compile(pattern)

    def form(entry: Entry) -> Entry:
        text = entry.text
        if not text or not compiled.fullmatch(text):
            raise ValueError(f"expected text like {pattern}")
        return _text(text)

    return form


def _initial(capitals: str) -> Form:
    """One of some letters, which may be lower case and begin a word."""

    def form(entry: Entry) -> Entry:
        initial = letters(entry)[:1].upper()
        if not initial or initial not in capitals:
            raise ValueError(f"expected one of {capitals}")
        return _text(initial)

    return form


def _whole(kind: int, low: int, high: int) -> Form:
    def form(entry: Entry) -> Entry:
        numbers = entry.numbers
        number = numbers[0] if len(numbers) == 1 else None
        if not isinstance(number, int) or not low <= number <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return Entry(kind, bytes((number,)) if kind == BYTE else (number,))

    return form


def _ratios(kind: int, count: int = 1) -> Form:
    def form(entry: Entry) -> Entry:
        numbers = reals(entry)
        if len(numbers) != count:
            raise ValueError(f"expected {count} numbers, got {len(numbers)}")
        if entry.kind == kind:
            return Entry(kind, entry.ratios)
        return Entry(kind, tuple(near_ratio(number, signed=kind == SRATIONAL) for number in numbers))

    return form


def _four_digits(entry: Entry) -> Entry:
    if not re.fullmatch(rb"\d{4}", entry.raw or b""):
        raise ValueError("expected four digits")
    return Entry(UNDEFINED, entry.raw or b"")


def _gps_version(entry: Entry) -> Entry:
    raw = entry.raw
    if raw is None or len(raw) != 4 or max(raw) >= 10:
        raise ValueError("expected four numbers")
    return Entry(BYTE, raw)


def _clock(entry: Entry) -> Entry:
    """Hours, minutes and seconds."""
    numbers = reals(entry)
    within = len(numbers) == 3 and all(0 <= n <= top for n, top in zip(numbers, (24, 60, 61), strict=True))
    if not within:
        raise ValueError("expected hours, minutes and seconds")
    return Entry(RATIONAL, tuple(decimal_ratio(number, 6) for number in numbers))


def _day(entry: Entry) -> Entry:
    day = parse_day(date_text(entry))
    if day is None:
        raise ValueError("the date is not set")
    return _text(day.isoformat().replace("-", ":"))


def _measure_mode(entry: Entry) -> Entry:
    dimensions = whole(entry)
    if dimensions not in (2, 3):
        raise ValueError(f"expected 2 or 3, got {dimensions}")
    return _text(str(dimensions))


def _text(text: str) -> Entry:
    return Entry(ASCII, text.encode() + b"\0")


_SHORT: Final = _whole(SHORT, 0, 0xFFFF)
_POSITIVE: Final = _ratios(RATIONAL)
_SIGNED: Final = _ratios(SRATIONAL)


@dataclass(frozen=True, slots=True)
class PublishedTag:
    """One tag that may be published: directory, number, name, and the required form of its value."""

    directory: DirectoryName
    number: int
    name: str
    form: Form


def _rows(directory: DirectoryName, *rows: tuple[int, str, Form]) -> tuple[PublishedTag, ...]:
    return tuple(PublishedTag(directory, *row) for row in rows)


# The allow-list, next to the tags that `place` and `moments` write. Names and numbers: CIPA DC-008 (EXIF 2.32), tables
# 3 to 13.
PUBLISHED_TAGS: Final = (
    *_rows(
        "main",
        (0x010F, "Make", _label()),
        (0x0110, "Model", _label()),
        (TAG_ORIENTATION, "Orientation", _whole(SHORT, 1, 8)),
        (0x011A, "XResolution", _POSITIVE),
        (0x011B, "YResolution", _POSITIVE),
        (0x0128, "ResolutionUnit", _whole(SHORT, 1, 3)),
    ),
    *_rows(
        "exif",
        (0x829A, "ExposureTime", _POSITIVE),
        (0x829D, "FNumber", _POSITIVE),
        (0x8822, "ExposureProgram", _SHORT),
        (0x8827, "PhotographicSensitivity", _SHORT),
        (0x8830, "SensitivityType", _SHORT),
        (0x8831, "StandardOutputSensitivity", _whole(LONG, 0, 0xFFFFFFFF)),
        (0x8832, "RecommendedExposureIndex", _whole(LONG, 0, 0xFFFFFFFF)),
        (0x9000, "ExifVersion", _four_digits),
        (0x9201, "ShutterSpeedValue", _SIGNED),
        (0x9202, "ApertureValue", _POSITIVE),
        (0x9203, "BrightnessValue", _SIGNED),
        (0x9204, "ExposureBiasValue", _SIGNED),
        (0x9205, "MaxApertureValue", _POSITIVE),
        (0x9206, "SubjectDistance", _POSITIVE),
        (0x9207, "MeteringMode", _SHORT),
        (0x9208, "LightSource", _SHORT),
        (0x9209, "Flash", _SHORT),
        (0x920A, "FocalLength", _POSITIVE),
        (TAG_COLOUR_SPACE, "ColorSpace", _SHORT),
        (0xA20E, "FocalPlaneXResolution", _POSITIVE),
        (0xA20F, "FocalPlaneYResolution", _POSITIVE),
        (0xA210, "FocalPlaneResolutionUnit", _SHORT),
        (0xA217, "SensingMethod", _SHORT),
        (0xA401, "CustomRendered", _SHORT),
        (0xA402, "ExposureMode", _SHORT),
        (0xA403, "WhiteBalance", _SHORT),
        (0xA404, "DigitalZoomRatio", _POSITIVE),
        (0xA405, "FocalLengthIn35mmFilm", _SHORT),
        (0xA406, "SceneCaptureType", _SHORT),
        (0xA407, "GainControl", _SHORT),
        (0xA408, "Contrast", _SHORT),
        (0xA409, "Saturation", _SHORT),
        (0xA40A, "Sharpness", _SHORT),
        (0xA40C, "SubjectDistanceRange", _SHORT),
        (0xA432, "LensSpecification", _ratios(RATIONAL, 4)),
        (0xA433, "LensMake", _label()),
        (0xA434, "LensModel", _label()),
    ),
    *_rows(
        "gps",
        (TAG_GPS_VERSION, "GPSVersionID", _gps_version),
        (_GPS_CLOCK, "GPSTimeStamp", _clock),
        (0x09, "GPSStatus", _initial("AV")),
        (0x0A, "GPSMeasureMode", _measure_mode),
        (0x0B, "GPSDOP", _POSITIVE),
        (0x12, "GPSMapDatum", _matching(WGS_84)),
        (_GPS_DAY, "GPSDateStamp", _day),
        (0x1F, "GPSHPositioningError", _POSITIVE),
    ),
    *_rows(
        "interop",
        (0x01, "InteroperabilityIndex", _matching("R98|R03|THM")),  # R03: Adobe RGB
        (0x02, "InteroperabilityVersion", _four_digits),
    ),
)


def published_exif(
    data: bytes,
    *,
    image_properties: str | None,
    reflink_info: str | None,
    provenance: Provenance,
    source: str = "a picture",
    orientation: int | None = None,
    times: Times | None = None,
    place: Place | None = None,
    srgb: bool = False,
) -> bytes:
    """The EXIF for the masked picture of the JPEG file `data`, with the mark "Exif" in front.

    `source` names the picture in the log. `orientation`, `times` and `place` are those of the record, or of `data`
    where they are None. With `srgb`, the pixels were converted to sRGB, whatever the original says.

    The vendor's tags 40055 and 40056 come from the two redacted XML texts (written as UTF-8 with a byte order mark, as
    the vendor does), never from `data`. XPTitle is free text, but part of the vendor's form and of the record: a plain
    and short title passes, and only for pictures with `image_properties`. A value without the required form is left
    out. If the EXIF does not fit into one segment, the larger vendor text is left out, then the other.

    Raises:
        ImageMetadataError: the EXIF does not fit into one segment, even without the vendor texts.
    """
    original = exif_tiff(data) or Tiff({}, {}, {})
    tiff = _published(
        original,
        source,
        orientation=orientation_of(original.main) if orientation is None else orientation,
        times=read_times(original, []) if times is None else times,
        place=read_place(original.gps, []) if place is None else place,
    )
    if srgb:  # without R03, which means Adobe RGB
        tiff = replace(tiff, exif={**tiff.exif, TAG_COLOUR_SPACE: Entry(SHORT, (_SRGB,))}, interop={})
    main = {**tiff.main, TAG_IMAGE_HISTORY: Entry(ASCII, provenance.to_json() + b"\0")}
    if image_properties is not None and (title := _title(original.main)) is not None:
        main[TAG_XP_TITLE] = title
    vendor = _vendor_entries(image_properties, reflink_info)
    while True:
        encoded = EXIF_MARK + write_tiff(replace(tiff, main={**main, **vendor}))
        if len(encoded) <= _MAX_EXIF:
            return encoded
        if not vendor:
            raise ImageMetadataError(f"the EXIF to publish has {len(encoded)} bytes, a JPEG holds {_MAX_EXIF}")
        largest = max(vendor, key=lambda tag: len(vendor[tag].raw or b""))
        size = len(vendor.pop(largest).raw or b"")
        message = "%s: EXIF tag %d (%d bytes) is left out of the masked picture, whose EXIF holds %d bytes at most"
        logging.getLogger(__name__).warning(message, source, largest, size, _MAX_EXIF)


def _published(tiff: Tiff, source: str, *, orientation: int, times: Times, place: Place) -> Tiff:
    """The directories with what may be published of them, without provenance and the vendor's tags."""
    main, exif, gps, interop = (
        _allowed(name, directory, source)
        for name, directory in (("main", tiff.main), ("exif", tiff.exif), ("gps", tiff.gps), ("interop", tiff.interop))
    )
    if orientation != 1 or TAG_ORIENTATION in main:
        main[TAG_ORIENTATION] = Entry(SHORT, (orientation,))  # as read, so that viewers turn both pictures alike
    if _GPS_DAY in gps and not _is_near(gps[_GPS_DAY], times.taken):
        gps = {tag: entry for tag, entry in gps.items() if tag not in {_GPS_DAY, _GPS_CLOCK}}
        message = "%s: EXIF tag GPSDateStamp is left out, and GPSTimeStamp: it is not the day of the record's time"
        logging.getLogger(__name__).warning(message, source)
    dates_main, dates_exif = time_entries(times)
    gps |= place_entries(place)
    if gps and not tiff.gps:
        gps[TAG_GPS_VERSION] = Entry(BYTE, _GPS_VERSION)  # EXIF requires it in the directory
    return Tiff(main | dates_main, exif | dates_exif, gps, interop)


def _is_near(day: Entry, taken: datetime | None) -> bool:
    """Whether a GPS day to publish is that of the record's time, in whatever time zone."""
    return taken is not None and abs(date.fromisoformat((day.text or "").replace(":", "-")) - taken.date()) <= _ONE_DAY


def _allowed(name: str, directory: Directory, source: str) -> dict[int, Entry]:
    allowed: dict[int, Entry] = {}
    level = logging.WARNING if name == "gps" else logging.DEBUG  # many cameras leave others empty
    for tag in PUBLISHED_TAGS:
        if tag.directory == name and tag.number in directory:
            try:
                allowed[tag.number] = tag.form(directory[tag.number])
            except ValueError as error:
                logging.getLogger(__name__).log(level, "%s: EXIF tag %s is left out: %s", source, tag.name, error)
    return allowed


def _title(main: Directory) -> Entry | None:
    title = decode_xp(main[TAG_XP_TITLE].raw) if TAG_XP_TITLE in main else None
    if not title or len(title) > _MAX_TITLE or not title.isprintable():
        return None
    return Entry(BYTE, title.encode("utf-16-le") + b"\0\0")


def _vendor_entries(image_properties: str | None, reflink_info: str | None) -> dict[int, Entry]:
    texts = {TAG_IMAGE_PROPERTIES: image_properties, TAG_REFLINK_INFO: reflink_info}
    return {
        tag: Entry(BYTE, _BOM + text.removeprefix("\ufeff").encode("utf-8"))
        for tag, text in texts.items()
        if text is not None
    }


def decode_xp(raw: bytes | None) -> str | None:
    """The text of one of Microsoft's XP tags: UTF-16-LE, without byte order mark and trailing NULs; None for None."""
    if raw is None:
        return None
    return raw[: len(raw) // 2 * 2].decode("utf-16-le", "replace").removeprefix("\ufeff").rstrip("\0")
