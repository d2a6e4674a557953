"""EXIF of real captures, of either byte order, and broken in every way."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymisation.imaging.exif.read import ExifTags, Provenance, published_exif, read_exif, read_provenance
from tests.imaging.builders import RawEntry, TiffBuilder, jpeg, segment, with_exif, with_segments

PROVENANCE = Provenance("0" * 64, "P0.1_K20200101", "Built-in@000000000000", {})
PLAIN = jpeg()
BIG = TiffBuilder(">")


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


def _gps(**changes: RawEntry) -> ExifTags:
    return read_exif(with_exif(PLAIN, BIG.build({0x0112: BIG.short(1)}, gps=_position(BIG, **changes))))


def test_captures_give_the_vendors_tags(shared: Path) -> None:
    expected = json.loads((shared / "reference" / "expected_metadata.json").read_text(encoding="utf-8"))
    assert len(expected) == 11
    for name, record in expected.items():
        tags = read_exif((shared / "captures" / name).read_bytes())
        assert tags.present == (record["exif_kvalitet"] != "0")
        assert tags.xp_title == record["exif_xptitle"]
        assert (tags.image_properties is None) == (record["exif_imageproperties"] is None)
        assert (tags.reflink_info is None) == (record["exif_reflinkinfo"] is None)
        if tags.image_properties is not None:
            assert tags.image_properties.startswith(b"\xef\xbb\xbf<?xml")
            assert b"<ImageProperties" in tags.image_properties


def test_time_and_position_of_a_capture(shared: Path) -> None:
    path = next((shared / "captures").rglob("Fy06_Ev134_hp05_f1_m03173.jpg"))
    tags = read_exif(path.read_bytes())
    assert tags.taken == datetime(2018, 6, 21, 11, 1, 0)
    assert (tags.latitude, tags.longitude) == pytest.approx((59.763178, 9.898914), abs=1e-6)
    assert tags.altitude == pytest.approx(51.72)


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
    assert tags == ExifTags(
        present=True,
        image_properties=b"\xef\xbb\xbf<ImageProperties/>",
        reflink_info=b"<ReflinkInfo/>",
        xp_title="Blåbær",
        orientation=6,
        taken=datetime(2020, 6, 2, 9, 42, 48, 123999, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
        latitude=59 + 45 / 60 + 47.441 / 3600,
        longitude=9 + 53 / 60 + 56.092 / 3600,
        altitude=51.72,
        heading=270.5,
    )


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ({0x9003: "2020:01:02 03:04:05", 0x9004: "2021:01:02 03:04:05"}, datetime(2020, 1, 2, 3, 4, 5)),
        ({0x9003: "0000:00:00 00:00:00", 0x9004: "2021:01:02 03:04:05"}, datetime(2021, 1, 2, 3, 4, 5)),
        ({0x9003: "2020:13:02 03:04:05"}, datetime(2019, 1, 1)),
        ({0x9003: "    :  :     :  :  "}, datetime(2019, 1, 1)),
        ({0x9003: "2020-01-02T03:04:05", 0x9291: "5"}, datetime(2020, 1, 2, 3, 4, 5, 500000)),
        ({0x9003: "2020:01:02 03:04:05", 0x9291: "x1", 0x9011: "+99:00"}, datetime(2020, 1, 2, 3, 4, 5)),
    ],
)
def test_time_is_the_first_that_makes_sense(dates: dict[int, str], expected: datetime) -> None:
    exif = {tag: BIG.ascii(text) for tag, text in dates.items()}
    tiff = BIG.build({0x0132: BIG.ascii("2019:01:01 00:00:00")}, exif)
    assert read_exif(with_exif(PLAIN, tiff)).taken == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"Latitude": BIG.ratio((59, 1), (45, 1), (47441, 0))},
        {"Latitude": BIG.ratio((0, 0), (0, 0), (0, 0))},
        {"Latitude": BIG.ratio((91, 1), (0, 1), (0, 1))},
        {"Latitude": BIG.ratio((-5, 1), (0, 1), (0, 1), kind=10)},
        {"Latitude": BIG.ascii("59.75")},
        {"Latitude": BIG.ratio((1, 1), (1, 1), (1, 1), (1, 1))},
        {"LatitudeRef": BIG.ascii("X")},
        {"LatitudeRef": BIG.ascii("")},
        {"LongitudeRef": BIG.raw(b"\xc3\xa5", kind=2)},
        {"Latitude": BIG.ratio((0, 1), (0, 1), (0, 1)), "Longitude": BIG.ratio((0, 1), (0, 1), (0, 1))},
    ],
)
def test_nonsense_position_is_none(changes: dict[str, RawEntry]) -> None:
    tags = _gps(**changes)
    assert (tags.present, tags.latitude, tags.longitude) == (True, None, None)


def test_signs_and_spare_forms_of_positions() -> None:
    south = _gps(LatitudeRef=BIG.ascii("S"), LongitudeRef=BIG.ascii("w "), AltitudeRef=BIG.raw(b"\1"))
    assert (south.latitude, south.longitude, south.altitude) == pytest.approx((-59.763178, -9.898914, -51.72), abs=1e-6)
    assert _gps(Latitude=BIG.ratio((5975, 100))).latitude == pytest.approx(59.75)
    assert _gps(Altitude=BIG.ratio((1, 0))).altitude is None
    assert _gps(Altitude=BIG.ratio((4294967295, 1))).altitude is None
    assert _gps(ImgDirection=BIG.ratio((360, 1))).heading == 0
    assert _gps(ImgDirection=BIG.ratio((361, 1))).heading is None
    assert _gps(ImgDirection=BIG.ratio((0, 0))).heading is None


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


def test_no_exif_is_absent_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    for data in (PLAIN, b"", b"\xff\xd8", b"not a picture"):
        assert read_exif(data) == ExifTags(present=False)
    assert not caplog.text


def test_first_readable_exif_segment_counts() -> None:
    first, second = (BIG.build({0x0112: BIG.short(n)}) for n in (3, 6))
    assert read_exif(with_exif(with_exif(PLAIN, second), first)).orientation == 3
    assert read_exif(with_exif(with_exif(PLAIN, second), b"broken")).orientation == 6


def test_exif_over_two_segments_is_joined() -> None:
    xml = b"<ImageProperties>" + b"x" * 90000
    tiff = BIG.build({40055: BIG.raw(xml)})
    parts = [segment(0xE1, b"Exif\0\0" + tiff[i : i + 60000]) for i in range(0, len(tiff), 60000)]
    assert read_exif(with_segments(PLAIN, *parts)).image_properties == xml


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
