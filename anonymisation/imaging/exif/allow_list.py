"""The EXIF of published pictures: an allow-list of tags.

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
from dataclasses import dataclass
from typing import Final, Literal

from anonymisation.core.errors import ImageMetadataError
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
    Entry,
    Tiff,
    orientation_of,
    write_tiff,
)
from anonymisation.imaging.jpeg.segments import MAX_PAYLOAD

TAG_IMAGE_PROPERTIES: Final = 40055
TAG_REFLINK_INFO: Final = 40056
TAG_XP_TITLE: Final = 40091
_BOM: Final = b"\xef\xbb\xbf"
_MAX_EXIF: Final = MAX_PAYLOAD  # the mark "Exif" included
_MAX_TITLE: Final = 128  # characters

Form = Callable[[Entry], Entry | None]


def _label(limit: int = 64) -> Form:
    """Plain printable ASCII of at most `limit` characters."""
    return _matching(rf"[\x20-\x7e]{{1,{limit}}}")


def _matching(pattern: str) -> Form:
    compiled = re.compile(pattern)

    def form(entry: Entry) -> Entry | None:
        text = entry.text
        return Entry(ASCII, text.encode() + b"\0") if text and compiled.fullmatch(text) else None

    return form


def _whole(kind: int, low: int, high: int) -> Form:
    def form(entry: Entry) -> Entry | None:
        number = entry.numbers[0] if len(entry.numbers) == 1 else None
        if not isinstance(number, int) or not low <= number <= high:
            return None
        return Entry(kind, bytes((number,)) if kind == BYTE else (number,))

    return form


def _ratios(kind: int, count: int = 1) -> Form:
    def form(entry: Entry) -> Entry | None:
        ratios = entry.ratios
        sound = entry.kind == kind and len(ratios) == count and all(below for _, below in ratios)
        return Entry(kind, tuple(ratios)) if sound else None

    return form


def _four_digits(entry: Entry) -> Entry | None:
    raw = entry.raw
    return Entry(UNDEFINED, raw) if raw and re.fullmatch(rb"\d{4}", raw) else None


def _gps_version(entry: Entry) -> Entry | None:
    raw = entry.raw
    return Entry(BYTE, raw) if raw and len(raw) == 4 and max(raw) < 10 else None


_SHORT: Final = _whole(SHORT, 0, 0xFFFF)
_DATE: Final = _matching(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_FRACTION: Final = _matching(r"\d{1,9}")
_OFFSET: Final = _matching(r"[+-]\d\d:\d\d")
_POSITIVE: Final = _ratios(RATIONAL)
_SIGNED: Final = _ratios(SRATIONAL)


@dataclass(frozen=True, slots=True)
class PublishedTag:
    """One tag that may be published: directory, number, name, and the required form of its value."""

    directory: Literal["main", "exif", "gps"]
    number: int
    name: str
    form: Form


def _rows(directory: Literal["main", "exif", "gps"], *rows: tuple[int, str, Form]) -> tuple[PublishedTag, ...]:
    return tuple(PublishedTag(directory, *row) for row in rows)


# The allow-list. Names and numbers: CIPA DC-008 (EXIF 2.32), tables 3 to 12.
PUBLISHED_TAGS: Final = (
    *_rows(
        "main",
        (0x010F, "Make", _label()),
        (0x0110, "Model", _label()),
        (TAG_ORIENTATION, "Orientation", _whole(SHORT, 1, 8)),
        (0x011A, "XResolution", _POSITIVE),
        (0x011B, "YResolution", _POSITIVE),
        (0x0128, "ResolutionUnit", _whole(SHORT, 1, 3)),
        (0x0132, "DateTime", _DATE),
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
        (0x9003, "DateTimeOriginal", _DATE),
        (0x9004, "DateTimeDigitized", _DATE),
        (0x9010, "OffsetTime", _OFFSET),
        (0x9011, "OffsetTimeOriginal", _OFFSET),
        (0x9012, "OffsetTimeDigitized", _OFFSET),
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
        (0x9290, "SubSecTime", _FRACTION),
        (0x9291, "SubSecTimeOriginal", _FRACTION),
        (0x9292, "SubSecTimeDigitized", _FRACTION),
        (0xA001, "ColorSpace", _SHORT),
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
        (0x00, "GPSVersionID", _gps_version),
        (0x01, "GPSLatitudeRef", _matching("[NS]")),
        (0x02, "GPSLatitude", _ratios(RATIONAL, 3)),
        (0x03, "GPSLongitudeRef", _matching("[EW]")),
        (0x04, "GPSLongitude", _ratios(RATIONAL, 3)),
        (0x05, "GPSAltitudeRef", _whole(BYTE, 0, 3)),
        (0x06, "GPSAltitude", _POSITIVE),
        (0x07, "GPSTimeStamp", _ratios(RATIONAL, 3)),
        (0x09, "GPSStatus", _matching("[AV]")),
        (0x0A, "GPSMeasureMode", _matching("[23]")),
        (0x0B, "GPSDOP", _POSITIVE),
        (0x10, "GPSImgDirectionRef", _matching("[TM]")),
        (0x11, "GPSImgDirection", _POSITIVE),
        (0x12, "GPSMapDatum", _label(32)),
        (0x1D, "GPSDateStamp", _matching(r"\d{4}:\d\d:\d\d")),
        (0x1F, "GPSHPositioningError", _POSITIVE),
    ),
)


def published_exif(
    data: bytes,
    *,
    image_properties: str | None,
    reflink_info: str | None,
    provenance: Provenance,
    source: str = "a picture",
) -> bytes:
    """The EXIF for the masked picture of the JPEG file `data`, with the mark "Exif" in front.

    `source` names the picture in the log.

    The vendor's tags 40055 and 40056 come from the two redacted XML texts (written as UTF-8 with a byte order mark, as
    the vendor does), never from `data`. XPTitle is free text, but part of the vendor's form and of the record: a plain
    and short title passes, and only for pictures with `image_properties`. A value without the required form is left
    out. If the EXIF does not fit into one segment, the larger vendor text is left out, then the other.

    Raises:
        ImageMetadataError: the EXIF does not fit into one segment, even without the vendor texts.
    """
    tiff = exif_tiff(data) or Tiff({}, {}, {})
    main = _allowed("main", tiff.main)
    if (orientation := orientation_of(tiff.main)) != 1:
        main[TAG_ORIENTATION] = Entry(SHORT, (orientation,))  # as read, so that viewers turn both pictures alike
    main[TAG_IMAGE_HISTORY] = Entry(ASCII, provenance.to_json() + b"\0")
    vendor = _vendor_entries(image_properties, reflink_info)
    title = decode_xp(tiff.main[TAG_XP_TITLE].raw) if TAG_XP_TITLE in tiff.main else None
    if image_properties is not None and title and len(title) <= _MAX_TITLE and title.isprintable():
        main[TAG_XP_TITLE] = Entry(BYTE, title.encode("utf-16-le") + b"\0\0")
    exif, gps = _allowed("exif", tiff.exif), _allowed("gps", tiff.gps)
    while True:
        encoded = EXIF_MARK + write_tiff(Tiff({**main, **vendor}, exif, gps))
        if len(encoded) <= _MAX_EXIF:
            return encoded
        if not vendor:
            raise ImageMetadataError(f"the EXIF to publish has {len(encoded)} bytes, a JPEG holds {_MAX_EXIF}")
        largest = max(vendor, key=lambda tag: len(vendor[tag].raw or b""))
        size = len(vendor.pop(largest).raw or b"")
        message = "%s: EXIF tag %d (%d bytes) is left out of the masked picture, whose EXIF holds %d bytes at most"
        logging.getLogger(__name__).warning(message, source, largest, size, _MAX_EXIF)


def _allowed(name: Literal["main", "exif", "gps"], directory: Directory) -> dict[int, Entry]:
    allowed: dict[int, Entry] = {}
    for tag in PUBLISHED_TAGS:
        if tag.directory == name and tag.number in directory:
            entry = tag.form(directory[tag.number])
            if entry is None:
                logging.getLogger(__name__).debug("EXIF tag %s is malformed and left out", tag.name)
            else:
                allowed[tag.number] = entry
    return allowed


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
