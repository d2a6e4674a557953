"""EXIF of real captures, of either byte order, and broken in every way."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymisation.imaging.exif.camera import CameraTags
from anonymisation.imaging.exif.read import (
    ExifTags,
    Place,
    Provenance,
    Times,
    published_exif,
    read_exif,
    read_provenance,
)
from tests.drawn import DRAWN
from tests.imaging.builders import RawEntry, TiffBuilder, jpeg, segment, with_exif, with_segments

PROVENANCE = Provenance("0" * 64, "P0.1_K20200101", "Built-in@000000000000", {})
PLAIN = jpeg()
BIG = TiffBuilder(">")
SIGNED_SIX = {6: b"\6", 8: b"\0\6", 9: b"\0\0\0\6"}  # SBYTE, SSHORT, SLONG


def _position(tiff: TiffBuilder, **changes: RawEntry) -> dict[int, RawEntry]:
    tags = {
        "LatitudeRef": (1, tiff.ascii("N")),
        "Latitude": (2, tiff.ratio((59, 1), (45, 1), (47441, 1000))),
        "LongitudeRef": (3, tiff.ascii("E")),
        "Longitude": (4, tiff.ratio((9, 1), (53, 1), (56092, 1000))),
        "AltitudeRef": (5, tiff.raw(b"\0")),
        "Altitude": (6, tiff.ratio((5172, 100))),
        "ImgDirection": (17, tiff.ratio((2705, 10))),
    }
    return {number: changes.get(name, entry) for name, (number, entry) in tags.items()}


def test_captures_give_the_vendors_tags(references: Path) -> None:
    expected = json.loads((references / "reference" / "expected_metadata.json").read_text(encoding="utf-8"))
    assert len(expected) > 7
    for name, record in expected.items():
        tags = read_exif((references / "captures" / name).read_bytes())
        assert tags.present == (record["exif_kvalitet"] != "0")
        assert tags.xp_title == record["exif_xptitle"]
        assert (tags.image_properties is None) == (record["exif_imageproperties"] is None)
        assert (tags.reflink_info is None) == (record["exif_reflinkinfo"] is None)
        if tags.image_properties is not None:
            assert tags.image_properties.startswith(b"\xef\xbb\xbf<?xml")
            assert b"<ImageProperties" in tags.image_properties


def test_time_and_position_of_a_capture(references: Path) -> None:
    path = next((references / "captures").rglob("*_hp05_f1_m03173.jpg"))
    tags = read_exif(path.read_bytes())
    assert tags.times.taken == datetime(2018, 6, 21, 11, 1, 0)
    place = (60.5, 10.25) if references == DRAWN else (59.763178, 9.898914)
    assert (tags.place.latitude, tags.place.longitude) == pytest.approx(place, abs=1e-6)
    assert tags.place.altitude == pytest.approx(51.72)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order: str) -> None:
    tiff = TiffBuilder(order)
    main = {
        0x0112: tiff.short(6),
        40055: tiff.raw(b"\xef\xbb\xbf<ImageProperties/>"),
        40056: tiff.raw(b"<ReflinkInfo/>", kind=7),
        40091: tiff.raw(b"\xff\xfe" + "Blåbær\0\0".encode("utf-16-le")),
    }
    exif = {0x9003: tiff.ascii("2020:06:02 09:42:48"), 0x9291: tiff.ascii("1239999"), 0x9011: tiff.ascii("-03:30")}
    tags = read_exif(with_exif(PLAIN, tiff.build(main, exif, _position(tiff))))
    taken = datetime(2020, 6, 2, 9, 42, 48, 123999, tzinfo=timezone(-timedelta(hours=3, minutes=30)))
    assert tags == ExifTags(
        present=True,
        image_properties=b"\xef\xbb\xbf<ImageProperties/>",
        reflink_info=b"<ReflinkInfo/>",
        xp_title="Blåbær",
        orientation=6,
        times=Times(taken, taken),
        place=Place(59 + 45 / 60 + 47.441 / 3600, 9 + 53 / 60 + 56.092 / 3600, 51.72, heading=270.5),
        camera=CameraTags(exposed=datetime(2020, 6, 2, 9, 42, 48), altitude=51.72),
    )


def test_what_cannot_be_used_is_logged_with_picture_and_tag(caplog: pytest.LogCaptureFixture) -> None:
    gps = _position(BIG, LongitudeRef=BIG.ascii("X"))
    data = with_exif(PLAIN, BIG.build({0x0112: BIG.short(1)}, {0x9003: BIG.ascii("2020:13:02 03:04:05")}, gps))
    tags = read_exif(data, source="E6/a.jpg")
    assert (tags.times, tags.place.latitude) == (Times(), None)
    assert [message.split(" (")[0] for message in caplog.messages] == [
        "E6/a.jpg: EXIF tag DateTimeOriginal cannot be read", "E6/a.jpg: EXIF tag GPSLongitude is not usable",
    ]  # fmt: skip
    caplog.clear()
    assert read_exif(data, source=None) == tags
    assert not caplog.messages


@pytest.mark.parametrize(
    "value",
    [BIG.raw(b"\6"), BIG.short(6), BIG.long(6), *((kind, 1, raw) for kind, raw in SIGNED_SIX.items())],
)
def test_orientation_of_any_integer_type_is_read_and_published_as_short(value: RawEntry) -> None:
    data = with_exif(PLAIN, BIG.build({0x0112: value}))
    assert read_exif(data).orientation == 6
    published = published_exif(data, image_properties=None, reflink_info=None, provenance=PROVENANCE)
    assert b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06" in published


@pytest.mark.parametrize("value", [BIG.short(0), BIG.short(9), BIG.ascii("6"), BIG.ratio((6, 1)), BIG.long(2**31)])
def test_nonsense_orientation_is_1(value: RawEntry) -> None:
    assert read_exif(with_exif(PLAIN, BIG.build({0x0112: value}))).orientation == 1


def test_orientation_elsewhere_is_refused_when_made() -> None:
    with pytest.raises(ValueError, match="expected 1 to 8, got 0"):
        ExifTags(present=True, orientation=0)


@pytest.mark.parametrize("tiff", [b"", b"MM\0*", b"XX\0*\0\0\0\x08", b"MM\0*\xff\xff\xff\xff", BIG.build({})])
def test_broken_exif_is_absent_with_a_warning(tiff: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert read_exif(with_exif(PLAIN, tiff)) == ExifTags(present=False)
    assert "cannot be read" in caplog.text


def _cut(tag: int, offset: int, order: str = ">") -> bytes:
    """EXIF with dates and vendor's tag whose value of `tag` in the main directory is `offset`."""
    tiff = TiffBuilder(order)
    data = tiff.build(
        {0x0110: tiff.ascii("X5"), 0x0132: tiff.ascii("2022:01:02 03:04:05"), 40055: tiff.raw(b"<ImageProperties/>")},
        {0x9003: tiff.ascii("2020:06:02 09:42:48")}, _position(tiff),
    )  # fmt: skip
    entry = data.index(tag.to_bytes(2, "big" if order == ">" else "little"), 10)
    return data[: entry + 8] + offset.to_bytes(4, "big" if order == ">" else "little") + data[entry + 12 :]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("offset", [1, 1 << 20, 0xFFFFFFFF])
@pytest.mark.parametrize(
    ("tag", "names"),
    [
        (0x8769, ["ExifIFD", "DateTimeOriginal"]),
        (0x8825, ["GPSInfoIFD"]),
        (40055, ["40055"]),
        (0x0132, ["DateTime"]),
    ],
)
def test_what_lies_outside_the_exif_is_reported_and_not_replaced(
    tag: int, names: list[str], offset: int, order: str, caplog: pytest.LogCaptureFixture
) -> None:
    if offset == 1 and tag in {40055, 0x0132}:
        offset = 1 << 30  # values may lie anywhere inside the EXIF, directories may not
    tags = read_exif(with_exif(PLAIN, _cut(tag, offset, order)), source="a.jpg")
    assert [message.split()[3] for message in caplog.messages] == names
    assert tags.times.taken == (None if tag == 0x8769 else datetime(2020, 6, 2, 9, 42, 48))
    assert (tags.place == Place()) == (tag == 0x8825)
    assert (tags.image_properties is None) == (tag == 40055)


def test_a_main_directory_without_its_end_gives_no_later_date(caplog: pytest.LogCaptureFixture) -> None:
    whole = BIG.build(
        {0x0110: BIG.short(1), 0x0132: (2, 20, b"\0\0\0\x50")}, {0x9003: BIG.ascii("2020:06:02 09:42:48")}
    )
    cut = whole[:34].ljust(80, b"\0")[:34]  # two of three entries
    tags = read_exif(with_exif(PLAIN, cut), source="a.jpg")
    assert (tags.present, tags.times) == (True, Times())
    assert [message.split()[3] for message in caplog.messages] == ["IFD0", "DateTimeOriginal"]


def test_an_empty_date_is_not_set(caplog: pytest.LogCaptureFixture) -> None:
    tiff = BIG.build({0x0132: BIG.ascii("2022:01:02 03:04:05"), 40055: (1, 0, b"")}, {0x9003: (2, 0, b"")})
    tags = read_exif(with_exif(PLAIN, tiff), source="a.jpg")
    assert (tags.times.taken, tags.image_properties) == (datetime(2022, 1, 2, 3, 4, 5), None)
    assert "a.jpg: EXIF tag DateTimeOriginal is not set; DateTime is used instead" in caplog.messages


def test_a_pointer_of_zero_means_no_directory(caplog: pytest.LogCaptureFixture) -> None:
    tags = read_exif(with_exif(PLAIN, _cut(0x8825, 0)))
    assert (tags.place, tags.times.taken) == (Place(), datetime(2020, 6, 2, 9, 42, 48))
    assert not caplog.messages


def test_text_of_the_utf8_type_is_read_and_published_as_ascii() -> None:
    main = {0x010F: BIG.raw(b"Maker\0", kind=129), 0x0110: BIG.raw(b"X 5\0", kind=129)}
    data = with_exif(PLAIN, BIG.build(main, {0x9003: BIG.raw(b"2020:06:02 09:42:48\0", kind=129)}))
    tags = read_exif(data)
    assert (tags.camera.model, tags.times.taken) == ("X 5", datetime(2020, 6, 2, 9, 42, 48))
    published = published_exif(data, image_properties=None, reflink_info=None, provenance=PROVENANCE)
    assert b"\x01\x0f\x00\x02\x00\x00\x00\x06" in published
    assert b"X 5\0" in published


@pytest.mark.parametrize("mark", [b"Exif\0\xff", b"EXIF\0\0", b"exif\0\0", b"Exif\0"])
def test_exif_with_a_misspelt_mark_is_absent_with_a_warning(mark: bytes, caplog: pytest.LogCaptureFixture) -> None:
    tiff = BIG.build({0x0112: BIG.short(6)})
    assert read_exif(with_segments(PLAIN, segment(0xE1, mark + tiff)), source="a.jpg") == ExifTags(present=False)
    assert caplog.messages == ["a.jpg: its EXIF cannot be read; it is treated as absent"]


def test_a_gps_directory_below_that_of_exif_is_read() -> None:
    inner = BIG.build({0x0112: BIG.short(1)}, {0x8825: BIG.long(0)})
    entry = inner.index(b"\x88\x25\0\4")
    gps = BIG._directory(_position(BIG), len(inner), 0)
    tiff = inner[: entry + 8] + len(inner).to_bytes(4, "big") + inner[entry + 12 :] + gps
    assert read_exif(with_exif(PLAIN, tiff)).place.heading == 270.5


def test_no_exif_is_absent_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    for data in (PLAIN, b"", b"\xff\xd8", b"not a picture"):
        assert read_exif(data) == ExifTags(present=False)
    assert not caplog.text


def test_first_readable_exif_segment_counts() -> None:
    first, second = (BIG.build({0x0112: BIG.short(n)}) for n in (3, 6))
    assert read_exif(with_exif(with_exif(PLAIN, second), first)).orientation == 3
    assert read_exif(with_exif(with_exif(PLAIN, second), b"broken")).orientation == 6


def test_exif_that_is_not_read_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    first, second = (BIG.build({0x0112: BIG.short(n)}, {0x9003: BIG.ascii("2020:06:02 09:42:48")}) for n in (3, 6))
    assert read_exif(with_exif(with_exif(PLAIN, second), first), source="a.jpg").orientation == 3
    assert caplog.messages == ["a.jpg: 1 further EXIF segment(s) with directories of their own are not read"]


def test_exif_over_two_segments_is_joined(caplog: pytest.LogCaptureFixture) -> None:
    xml = b"<ImageProperties>" + b"x" * 90000
    tiff = BIG.build({40055: BIG.raw(xml)})
    parts = [segment(0xE1, b"Exif\0\0" + tiff[i : i + 60000]) for i in range(0, len(tiff), 60000)]
    assert read_exif(with_segments(PLAIN, *parts)).image_properties == xml
    assert not caplog.messages


def test_exif_of_a_thumbnail_or_a_further_picture_is_not_read() -> None:
    inside = with_exif(PLAIN, BIG.build({0x0112: BIG.short(8)}))
    assert not read_exif(PLAIN + inside).present
    assert not read_exif(with_segments(PLAIN, segment(0xE5, inside))).present


FULL = with_exif(
    PLAIN,
    BIG.build(
        {0x0112: BIG.short(6), 40055: BIG.raw(b"<x/>" * 9), 40091: BIG.raw(b"a\0b\0c\0")},
        {0x9003: BIG.ascii("2020:06:02 09:42:48"), 0x829A: BIG.ratio((1, 60))},
        _position(BIG),
        thumbnail=PLAIN[:300],
    ),
)
END = FULL.index(b"\xff\xdb")


@settings(max_examples=400)
@given(changes=st.lists(st.tuples(st.integers(20, END - 1), st.integers(0, 255)), min_size=1, max_size=12))
def test_corrupt_exif_never_raises(changes: list[tuple[int, int]]) -> None:
    data = bytearray(FULL)
    for position, value in changes:
        data[position] = value
    assert read_exif(bytes(data)).orientation in range(1, 9)
    read_provenance(bytes(data))
    written = published_exif(bytes(data), image_properties="<x/>", reflink_info=None, provenance=PROVENANCE)
    assert read_provenance(with_segments(PLAIN, segment(0xE1, written))) == PROVENANCE


def test_truncation_anywhere_never_raises() -> None:
    for cut in range(END + 1):
        read_exif(FULL[:cut])
    assert read_exif(FULL).orientation == 6
