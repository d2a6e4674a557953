"""Positions, altitudes and headings in every form that holds them, and in forms that hold none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.imaging.exif.place import PLACE_TAGS, Place, compass_degrees, place_entries, read_place
from anonymisation.imaging.exif.tiff import Tiff, read_tiff, write_tiff
from anonymisation.imaging.exif.values import TagProblem
from tests.imaging.builders import RawEntry, TiffBuilder

BIG = TiffBuilder(">")
NUMBERS = {"LatitudeRef": 1, "Latitude": 2, "LongitudeRef": 3, "Longitude": 4, "AltitudeRef": 5, "Altitude": 6,
           "ImgDirectionRef": 16, "ImgDirection": 17, "MapDatum": 18}  # fmt: skip
USUAL: dict[str, RawEntry] = {
    "LatitudeRef": BIG.ascii("N"),
    "Latitude": BIG.ratio((59, 1), (54, 1), (50, 1)),
    "LongitudeRef": BIG.ascii("E"),
    "Longitude": BIG.ratio((10, 1), (45, 1), (8, 1)),
    "AltitudeRef": BIG.raw(b"\0"),
    "Altitude": BIG.ratio((1225, 100)),
    "ImgDirectionRef": BIG.ascii("T"),
    "ImgDirection": BIG.ratio((2705, 10)),
}
OUTSIDE = b"\xff\xff\0\0"  # in place of an offset
LATITUDE, LONGITUDE = 59 + 54 / 60 + 50 / 3600, 10 + 45 / 60 + 8 / 3600


def _read(**changes: RawEntry | None) -> tuple[Place, list[TagProblem]]:
    """The place of the usual tags with changes; None removes a tag."""
    entries = {NUMBERS[name]: entry for name, entry in (USUAL | changes).items() if entry is not None}
    tiff = read_tiff(BIG.build({0x0112: BIG.short(1)}, gps=entries))
    assert tiff is not None
    problems: list[TagProblem] = []
    place = read_place(tiff.gps, problems)
    _assert_published_is_read(place)
    return place, problems


def _assert_published_is_read(place: Place) -> None:
    """What is written of a place is the place, in the types of the standard; an altitude only with a position."""
    entries = place_entries(place)
    assert all(entries[tag].kind == {1: 2, 3: 2, 5: 1, 16: 2}.get(tag, 5) for tag in entries)
    assert set(entries) <= PLACE_TAGS
    tiff = read_tiff(write_tiff(Tiff({0x0112: BIG_ORIENTATION}, {}, entries)))
    assert tiff is not None
    problems: list[TagProblem] = []
    again = read_place(tiff.gps, problems)
    assert not problems
    assert (again.latitude, again.longitude) == pytest.approx((place.latitude, place.longitude), abs=1e-9)
    wanted = None if place.latitude is None else place.altitude
    assert again.altitude == pytest.approx(wanted, abs=1e-4)
    heading = None if place.heading is None else place.heading % 360
    assert again.heading == pytest.approx(heading, abs=1e-6) or (again.heading == 0 and (heading or 0) > 359.9999)
    assert again.heading_reference == place.heading_reference


BIG_ORIENTATION = next(iter(read_tiff(BIG.build({0x0112: BIG.short(1)})).main.values()))  # type: ignore[union-attr]


def test_the_usual_form() -> None:
    assert _read() == (Place(LATITUDE, LONGITUDE, 12.25, 270.5, "T"), [])


@pytest.mark.parametrize(
    "west",
    [
        BIG.ascii("W"), BIG.ascii("w"), BIG.ascii("West"), BIG.ascii("WEST"), BIG.ascii("west "), BIG.ascii(" W"),
        BIG.ascii("W "), BIG.ascii("W."), BIG.ascii(b"W\0\0\0"), BIG.ascii(b"\0W"), BIG.ascii("Western"), BIG.raw(b"W"),
        BIG.raw(b"w\0", kind=7), BIG.short(ord("W")), BIG.raw(b"West\0", kind=129),
    ],
)  # fmt: skip
def test_any_word_for_west_is_west(west: RawEntry) -> None:
    place, problems = _read(LongitudeRef=west)
    assert ((place.latitude, place.longitude), problems) == ((LATITUDE, -LONGITUDE), [])


@pytest.mark.parametrize(("text", "sign"), [("S", -1), ("south", -1), ("s\0", -1), ("North", 1), ("n", 1)])
def test_south_and_north(text: str, sign: int) -> None:
    assert _read(LatitudeRef=BIG.ascii(text))[0].latitude == sign * LATITUDE


@pytest.mark.parametrize(
    ("value", "latitude"),
    [
        (BIG.ratio((59, 1), (54, 1), (50, 1), kind=10), LATITUDE),
        (BIG.ratio((59, 1), (54833, 1000)), 59 + 54.833 / 60),
        (BIG.ratio((59913889, 1000000)), 59.913889),
        (BIG.ratio((59, 1), (5483, 100), (0, 1)), 59 + 54.83 / 60),
        (BIG.ratio((59, 1), (59, 1), (60, 1)), 60),
        (BIG.double(59.913889), 59.913889),
        (BIG.double(59, 54, 50), LATITUDE),
        (BIG.float(59, 54.5), 59 + 54.5 / 60),
        (BIG.long(59, 54, 50), LATITUDE),
        (BIG.short(59), 59),
        (BIG.raw(bytes((59, 54, 50))), LATITUDE),
        (BIG.double(90), 90),
    ],
)
def test_any_type_and_number_of_parts(value: RawEntry, latitude: float) -> None:
    place, problems = _read(Latitude=value)
    assert place.latitude == pytest.approx(latitude, abs=1e-12)
    assert not problems


def test_a_signed_number_may_agree_with_its_reference() -> None:
    assert _read(Longitude=BIG.double(-10.75), LongitudeRef=BIG.ascii("W"))[0].longitude == -10.75
    signed = BIG.ratio((-10, 1), (45, 1), (0, 1), kind=10)
    assert _read(Longitude=signed, LongitudeRef=BIG.ascii("W"))[0].longitude == -10.75


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"Latitude": BIG.ratio((59, 1), (45, 1), (47441, 0))}, "GPSLatitude"),
        ({"Latitude": BIG.ratio((0, 0), (0, 0), (0, 0))}, "GPSLatitude"),
        ({"Latitude": BIG.ratio((91, 1), (0, 1), (0, 1))}, "GPSLatitude"),
        ({"Latitude": BIG.ratio((90, 1), (0, 1), (1, 100))}, "GPSLatitude"),
        ({"Longitude": BIG.double(180.1)}, "GPSLongitude"),
        ({"Longitude": BIG.double(float("nan"))}, "GPSLongitude"),
        ({"Longitude": BIG.double(float("inf"))}, "GPSLongitude"),
        ({"Longitude": BIG.ratio((10, 1), (75, 1), (0, 1))}, "GPSLongitude"),
        ({"Longitude": BIG.ratio((10, 1), (45, 1), (5023, 1))}, "GPSLongitude"),
        ({"Longitude": BIG.double(-10.75)}, "GPSLongitude"),
        ({"Latitude": BIG.ratio((-5, 1), (0, 1), (0, 1), kind=10)}, "GPSLatitude"),
        ({"Latitude": BIG.ascii("59.75")}, "GPSLatitude"),
        ({"Latitude": BIG.ratio((1, 1), (1, 1), (1, 1), (1, 1))}, "GPSLatitude"),
        ({"LatitudeRef": BIG.ascii("X")}, "GPSLatitude"),
        ({"LatitudeRef": BIG.ascii("")}, "GPSLatitude"),
        ({"LatitudeRef": BIG.ascii("E")}, "GPSLatitude"),
        ({"LatitudeRef": None}, "GPSLatitude"),
        ({"LongitudeRef": BIG.raw(b"\xc3\xa5", kind=2)}, "GPSLongitude"),
        ({"LongitudeRef": BIG.ratio((1, 1))}, "GPSLongitude"),
        ({"LatitudeRef": (2, 9, OUTSIDE)}, "GPSLatitude"),
        ({"LatitudeRef": (200, 2, b"N\0")}, "GPSLatitude"),
        ({"Longitude": (5, 3, OUTSIDE)}, "GPSLongitude"),
        ({"Longitude": BIG.raw(b"10.75", kind=129)}, "GPSLongitude"),
        ({"Longitude": None}, "GPSLongitudeRef"),
        ({"Longitude": None, "LongitudeRef": None}, "GPSLatitude"),
        ({"Latitude": BIG.ratio((0, 1)), "Longitude": BIG.ratio((0, 1))}, "GPSLatitude"),
    ],
)
def test_a_position_that_cannot_be_used_is_left_out_with_a_warning(changes: dict[str, Any], tag: str) -> None:
    place, problems = _read(**changes)
    assert (place.latitude, place.longitude, place.heading) == (None, None, 270.5)
    assert [problem.tag for problem in problems] == [tag]


@pytest.mark.parametrize(
    ("reference", "altitude"),
    [
        (None, 12.25),
        (BIG.raw(b"\0"), 12.25),
        (BIG.raw(b"\1"), -12.25),
        (BIG.raw(b"\2"), 12.25),
        (BIG.raw(b"\3"), -12.25),
        (BIG.raw(b"1"), -12.25),
        (BIG.short(1), -12.25),
        (BIG.short(0), 12.25),
        (BIG.long(3), -12.25),
        (BIG.ascii("1"), -12.25),
        (BIG.ascii("0"), 12.25),
        (BIG.ascii(" 3 "), -12.25),
        (BIG.ascii(""), 12.25),
        (BIG.ascii(b"\1"), -12.25),
        (BIG.raw(b"\1", kind=7), -12.25),
        (BIG.ratio((1, 1)), -12.25),
        (BIG.raw(b"\1\0"), -12.25),
        (BIG.raw(b"1\0", kind=129), -12.25),
    ],
)
def test_the_sign_of_an_altitude(reference: RawEntry | None, altitude: float) -> None:
    place, problems = _read(AltitudeRef=reference)
    assert (place.altitude, problems) == (altitude, [])


@pytest.mark.parametrize(
    ("reference", "value", "altitude"),
    [
        (b"\0", BIG.ratio((-12, 1), kind=10), -12),
        (b"\1", BIG.ratio((-12, 1), kind=10), -12),
        (b"\1", BIG.double(12.5), -12.5),
        (b"\0", BIG.long(12), 12),
        (b"\0", BIG.ratio((1, 3)), 0.3333),
    ],
)
def test_altitudes_of_other_types(reference: bytes, value: RawEntry, altitude: float) -> None:
    assert _read(AltitudeRef=BIG.raw(reference), Altitude=value)[0].altitude == altitude


@pytest.mark.parametrize(
    "changes",
    [
        {"AltitudeRef": BIG.raw(b"\7")},
        {"AltitudeRef": BIG.ascii("below")},
        {"AltitudeRef": BIG.double(0.5)},
        {"AltitudeRef": (200, 1, b"\1")},
        {"AltitudeRef": (1, 9, OUTSIDE)},
        {"Altitude": (5, 1, OUTSIDE)},
        {"Altitude": (16, 1, bytes(8))},
        {"Altitude": BIG.ratio((1, 0))},
        {"Altitude": BIG.ratio((4294967295, 1))},
        {"Altitude": BIG.ascii("12")},
        {"Altitude": BIG.ratio((1, 1), (2, 1))},
        {"Altitude": None},
    ],
)
def test_an_altitude_that_cannot_be_used_is_left_out_with_a_warning(changes: dict[str, Any]) -> None:
    place, problems = _read(**changes)
    assert (place.latitude, place.altitude) == (LATITUDE, None)
    assert [problem.tag for problem in problems] == [
        "GPSAltitudeRef" if changes == {"Altitude": None} else "GPSAltitude"
    ]


@pytest.mark.parametrize(
    ("value", "heading"),
    [
        (BIG.ratio((360, 1)), 0),
        (BIG.ratio((0, 1)), 0),
        (BIG.ratio((-90, 1), kind=10), 270),
        (BIG.double(359.999), 359.999),
        (BIG.short(180), 180),
        (BIG.double(-1e-20), 0),
        (BIG.double(359.99999999), 0),
        (BIG.double(359.9999994), 359.999999),
    ],
)
def test_headings_are_brought_into_range(value: RawEntry, heading: float) -> None:
    place, problems = _read(ImgDirection=value)
    assert (place.heading, problems) == (heading, [])


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"ImgDirection": BIG.ratio((361, 1))}, "GPSImgDirection"),
        ({"ImgDirection": BIG.ratio((65535, 100))}, "GPSImgDirection"),
        ({"ImgDirection": BIG.double(-361.0)}, "GPSImgDirection"),
        ({"ImgDirection": BIG.ratio((0, 0))}, "GPSImgDirection"),
        ({"ImgDirection": BIG.ascii("north")}, "GPSImgDirection"),
        ({"ImgDirectionRef": BIG.ascii("X")}, "GPSImgDirection"),
        ({"ImgDirectionRef": BIG.ascii("1")}, "GPSImgDirection"),
        ({"ImgDirectionRef": BIG.ratio((84, 1))}, "GPSImgDirection"),
        ({"ImgDirectionRef": (2, 9, OUTSIDE)}, "GPSImgDirection"),
        ({"ImgDirection": (5, 1, OUTSIDE)}, "GPSImgDirection"),
        ({"ImgDirection": None, "ImgDirectionRef": BIG.ascii("1")}, "GPSImgDirectionRef"),
        ({"ImgDirection": None}, "GPSImgDirectionRef"),
    ],
)
def test_a_heading_that_cannot_be_used_is_left_out_with_a_warning(changes: dict[str, Any], tag: str) -> None:
    place, problems = _read(**changes)
    assert (place.heading, place.heading_reference, place.latitude) == (None, None, LATITUDE)
    assert [problem.tag for problem in problems] == [tag]


@pytest.mark.parametrize(
    ("reference", "letter"),
    [
        (None, None), (BIG.ascii(""), None), (BIG.short(0), None), (BIG.ascii("m"), "M"),
        (BIG.ascii("True North"), "T"), (BIG.raw(b"T"), "T"), (BIG.raw(b"M\0", kind=129), "M"),
    ],
)  # fmt: skip
def test_the_north_of_a_heading(reference: RawEntry | None, letter: str | None) -> None:
    place, problems = _read(ImgDirectionRef=reference)
    assert (place.heading, place.heading_reference, problems) == (270.5, letter, [])


@pytest.mark.parametrize("datum", ["WGS-84", "WGS84", "wgs 84", "WGS-84\0\0", "EUREF89", "ETRS89", "JGD2011", "", "  "])
def test_a_datum_near_wgs_84_says_nothing(datum: str) -> None:
    place, problems = _read(MapDatum=BIG.ascii(datum))
    assert (place.latitude, problems) == (LATITUDE, [])


@pytest.mark.parametrize(
    ("datum", "latitude"),
    [("TOKYO", None), ("Tokyo (mean)", None), ("ED50", None), ("NGO1948", None), ("Kari", LATITUDE), ("\1", LATITUDE)],
)
def test_another_datum_is_named_and_gives_no_position(datum: str, latitude: float | None) -> None:
    place, problems = _read(MapDatum=BIG.ascii(datum))
    assert (place.latitude, place.heading) == (latitude, 270.5)
    assert [problem.tag for problem in problems] == ["GPSMapDatum"]
    assert datum not in problems[0].reason


def test_empty_references_without_numbers_are_nothing() -> None:
    changes = dict.fromkeys(("Latitude", "Longitude", "Altitude", "AltitudeRef", "ImgDirection"))
    blank = dict.fromkeys(("LatitudeRef", "LongitudeRef", "ImgDirectionRef"), BIG.ascii(""))
    assert _read(**changes, **blank) == (Place(), [])


@pytest.mark.parametrize(
    "changes",
    [
        {"ImgDirection": BIG.double(359.9999999)},
        {"ImgDirection": BIG.double(12.34567891234)},
        {"Altitude": BIG.double(12.345678912)},
        {"Altitude": BIG.double(0.00001), "AltitudeRef": BIG.raw(b"\1")},
        {"Latitude": BIG.double(59.123456789012345)},
        {"Latitude": BIG.double(59.9999999999999)},
        {"Longitude": BIG.double(1e-13)},
        {"Latitude": BIG.double(1e-11), "Longitude": BIG.double(1e-11)},
    ],
)
def test_what_is_recorded_has_the_precision_of_what_is_published(changes: dict[str, Any]) -> None:
    """Whoever reads the published tags finds the recorded numbers."""
    place, _ = _read(**changes)
    tiff = read_tiff(write_tiff(Tiff({0x0112: BIG_ORIENTATION}, {}, place_entries(place))))
    assert tiff is not None
    again = read_place(tiff.gps, [])
    assert (again.heading, again.heading_reference) == (place.heading, place.heading_reference)
    if place.latitude is None:
        assert again.latitude is None
    else:
        assert (again.latitude, again.longitude) == pytest.approx((place.latitude, place.longitude), rel=0, abs=1e-12)
        assert again.altitude == place.altitude
        assert str(again.altitude) == str(place.altitude)


@given(st.floats(-360, 360))
def test_directions_are_below_360(degrees: float) -> None:
    assert 0 <= compass_degrees(degrees) < 360


@given(
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    altitude=st.none() | st.floats(-11_000, 100_000),
    heading=st.none() | st.floats(0, 360, exclude_max=True),
    reference=st.sampled_from("TM"),
)
def test_any_place_is_written_so_that_it_is_read_again(
    latitude: float, longitude: float, altitude: float | None, heading: float | None, reference: str
) -> None:
    if abs(latitude) < 1e-9 and abs(longitude) < 1e-9:
        return  # counts as none
    _assert_published_is_read(Place(latitude, longitude, altitude, heading, None if heading is None else reference))
