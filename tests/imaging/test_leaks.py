"""A secret is planted in every place of a JPEG file that can hold one; none may be in the bytes that are written."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonymisation.imaging.exif.read import Provenance, published_exif
from anonymisation.imaging.jpeg.codec import decode_jpeg, encode_jpeg
from tests.imaging.builders import TiffBuilder, icc_profile, icc_segments, jpeg, segment, with_exif, with_segments

SECRET = "Kari-Nordmann-EK12345"
RAW = SECRET.encode()
FORMS = (RAW, SECRET.encode("utf-16-le"), SECRET.encode("utf-16-be"), RAW[::-1], RAW.hex().encode())
PREVIEW = jpeg(np.full((48, 64, 3), 99, np.uint8), comment=RAW)
PROVENANCE = Provenance("cd" * 32, "P0.1_K20200101", "Built-in@1a2b3c4d5e6f", {"car": 1})
BIG = TiffBuilder(">")
PLAIN = jpeg()


def _exif_text(tag: int, where: str, encoding: str = "ascii") -> bytes:
    value = BIG.raw(SECRET.encode(encoding), kind=1 if "utf" in encoding else 2)
    parts: dict[str, dict[int, object]] = {"main": {0x0112: BIG.short(1)}, "exif": {}, "gps": {}}
    parts[where][tag] = value
    return with_exif(PLAIN, BIG.build(*parts.values()))  # type: ignore[arg-type]


def _colour_tags() -> dict[bytes, bytes]:
    xyz = {name: b"XYZ \0\0\0\0" + bytes(12) for name in (b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ")}
    return xyz | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), b"curv\x00\x00\x00\x00\x00\x00\x00\x00")


def _behind_colour(tag: bytes) -> bytes:
    tags = _colour_tags()
    return with_segments(PLAIN, *icc_segments(icc_profile(b"RGB ", {**tags, tag: tags[tag] + RAW})))


def _profile(tag: bytes) -> bytes:
    profile = icc_profile(b"RGB ", {**_colour_tags(), tag: b"text\0\0\0\0" + RAW + b"\0"})
    return with_segments(PLAIN, *icc_segments(profile))


def _segment(marker: int, head: bytes = b"", tail: bytes = b"") -> Callable[[], bytes]:
    return lambda: with_segments(PLAIN, segment(marker, head + RAW + tail))


PLACES: dict[str, Callable[[], bytes]] = {
    "JFIF thumbnail": lambda: PLAIN[:2] + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\7\1" + RAW) + PLAIN[20:],
    "JFXX thumbnail (JPEG)": lambda: with_segments(PLAIN, segment(0xE0, b"JFXX\0\x10" + PREVIEW)),
    "JFXX thumbnail (RGB)": _segment(0xE0, b"JFXX\0\x13\7\1"),
    "AVI1": _segment(0xE0, b"AVI1"),
    "EXIF thumbnail": lambda: with_exif(PLAIN, BIG.build({0x0112: BIG.short(1)}, thumbnail=PREVIEW)),
    "ImageDescription": lambda: _exif_text(0x010E, "main"),
    "Software": lambda: _exif_text(0x0131, "main"),
    "Artist": lambda: _exif_text(0x013B, "main"),
    "HostComputer": lambda: _exif_text(0x013C, "main"),
    "Copyright": lambda: _exif_text(0x8298, "main"),
    "ImageHistory": lambda: _exif_text(0x9213, "main"),
    "XPTitle without vendor": lambda: _exif_text(0x9C9B, "main", "utf-16-le"),
    "XPComment": lambda: _exif_text(0x9C9C, "main", "utf-16-le"),
    "XPAuthor": lambda: _exif_text(0x9C9D, "main", "utf-16-le"),
    "XPKeywords": lambda: _exif_text(0x9C9E, "main", "utf-16-le"),
    "XPSubject": lambda: _exif_text(0x9C9F, "main", "utf-16-le"),
    "vendor's 40055": lambda: _exif_text(40055, "main"),
    "vendor's 40056": lambda: _exif_text(40056, "main"),
    "vendor's next number": lambda: _exif_text(40057, "main", "utf-16-be"),
    "MakerNote": lambda: _exif_text(0x927C, "exif"),
    "UserComment": lambda: _exif_text(0x9286, "exif"),
    "CameraOwnerName": lambda: _exif_text(0xA430, "exif"),
    "BodySerialNumber": lambda: _exif_text(0xA431, "exif"),
    "LensSerialNumber": lambda: _exif_text(0xA435, "exif"),
    "ImageUniqueID": lambda: _exif_text(0xA420, "exif"),
    "DateTimeOriginal": lambda: _exif_text(0x9003, "exif"),
    "ExifVersion": lambda: _exif_text(0x9000, "exif"),
    "GPSProcessingMethod": lambda: _exif_text(27, "gps"),
    "GPSMapDatum": lambda: _exif_text(18, "gps"),
    "GPSAreaInformation": lambda: _exif_text(28, "gps"),
    "GPSLatitudeRef": lambda: _exif_text(1, "gps"),
    "GPSVersionID": lambda: _exif_text(0, "gps", "utf-16-le"),
    "gaps of the EXIF": lambda: with_exif(PLAIN, BIG.build({0x0112: BIG.short(1)}) + RAW),
    "second EXIF": lambda: with_exif(_exif_text(0x010E, "main"), BIG.build({0x0112: BIG.short(1)})),
    "XMP": _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>"),
    "extended XMP": _segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8)),
    "MPF with a second picture": lambda: with_segments(PLAIN, segment(0xE2, b"MPF\0MM\0*" + RAW)) + PREVIEW,
    "FlashPix": _segment(0xE2, b"FPXR\0"),
    "ICC description": lambda: _profile(b"desc"),
    "ICC copyright": lambda: _profile(b"cprt"),
    "ICC private tag": lambda: _profile(b"priv"),
    "ICC behind a colour": lambda: _behind_colour(b"rXYZ"),
    "ICC behind a curve": lambda: _behind_colour(b"rTRC"),
    "ICC colour of a text's type": lambda: _profile(b"wtpt"),
    "ICC behind its end": lambda: with_segments(PLAIN, *icc_segments(icc_profile(b"RGB ", _colour_tags()) + RAW)),
    "Photoshop": _segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x15"),
    "APP3": _segment(0xE3, b"Meta\0"),
    "APP11 (JUMBF, C2PA)": _segment(0xEB, b"JP"),
    "APP12": _segment(0xEC, b"Ducky"),
    "APP14": _segment(0xEE, b"Junk"),
    "APP14 of Adobe, tail": _segment(0xEE, b"Adobe\0\x64\0\0\0\0\1"),
    "APP15": _segment(0xEF),
    "comment": _segment(0xFE),
    "comment in UTF-16": lambda: with_segments(PLAIN, segment(0xFE, SECRET.encode("utf-16-le"))),
    "bytes between segments": lambda: with_segments(PLAIN, RAW),
    "bytes after the end": lambda: PLAIN + RAW,
    "picture after the end": lambda: PLAIN + PREVIEW,
}


def _assert_clean(written: bytes) -> None:
    for form in FORMS:
        assert form not in written
        assert form.lower() not in written.lower()
    assert written.count(b"\xff\xd8\xff") == 1
    assert written.endswith(b"\xff\xd9")


@pytest.mark.parametrize("place", PLACES)
def test_secret_does_not_come_out(place: str) -> None:
    data = PLACES[place]()
    assert any(form in data for form in FORMS)
    frame = decode_jpeg(data)
    assert (frame.pixels == decode_jpeg(PLAIN).pixels).all()
    for xml in (None, "<ImageProperties/>"):
        if xml and place == "XPTitle without vendor":
            continue  # with the vendor's tags the title is the vendor's, and public in the record as well
        exif = published_exif(data, image_properties=xml, reflink_info=xml, provenance=PROVENANCE)
        for mask in (None, np.zeros(frame.pixels.shape[:2], np.bool_)):
            _assert_clean(encode_jpeg(frame.pixels, frame, quality="keep", exif=exif, mask=mask).data)


def test_everything_at_once() -> None:
    data = jpeg(np.asarray(Image.open(BytesIO(PLAIN))))
    for marker in [*range(0xE0, 0xF0), 0xFE]:
        data = with_segments(data, segment(marker, RAW))
    data = with_exif(
        data, BIG.build({0x013B: BIG.ascii(SECRET)}, {0x927C: BIG.raw(RAW, 7)}, {27: BIG.raw(RAW, 7)}, PREVIEW)
    )
    frame = decode_jpeg(data + RAW)
    exif = published_exif(data, image_properties=None, reflink_info=None, provenance=PROVENANCE)
    written = encode_jpeg(frame.pixels, frame, quality=90, exif=exif).data
    _assert_clean(written)
    markers = {written[i + 1] for i in range(len(written[:700])) if written[i] == 0xFF and written[i + 1] >= 0xE0}
    assert markers <= {0xE0, 0xE1, 0xFF}


def test_driver_and_car_of_captures_do_not_come_out(references: Path) -> None:
    for path in sorted((references / "captures").rglob("*.jpg")):
        data = path.read_bytes()
        frame = decode_jpeg(data)
        exif = published_exif(data, image_properties="<ImageProperties/>", reflink_info=None, provenance=PROVENANCE)
        mask = np.zeros(frame.pixels.shape[:2], np.bool_)
        written = encode_jpeg(frame.pixels, frame, quality="keep", exif=exif, mask=mask).data
        for word in (b"Driver", b"CarID", b"Comment", b"CREATOR"):
            assert word not in written
