"""Records of other programs: single backslashes in their files, commas in their numbers, swapped coordinates."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymisation.core.errors import ImageMetadataError
from anonymisation.metadata.foreign import flipped, read_foreign_record, with_points


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "Vegbilder\2021\EV6"}', r"Vegbilder\2021\EV6"),
        (r'{"a": "Vegbilder\2021\_x\-y\Ås"}', r"Vegbilder\2021\_x\-y\Ås"),
        (r'{"a": "D:\\x\2021"}', r"D:\x\2021"),  # doubled ones stay pairs
        (r'{"a": "x\"y\2021"}', r'x"y\2021'),
        (r'{"a": "one\ntwo\u00e5\t\/"}', "one\ntwoå\t/"),  # valid as it is
        (r'{"a": "\\2021"}', r"\2021"),
    ],
)
def test_single_backslashes_are_repaired_only_where_the_file_cannot_be_read(text: str, value: str) -> None:
    assert read_foreign_record(text.encode()) == {"a": value}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", rb'{"a": "\!"}', rb'{"a": "\2021}', b"\xff"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(ImageMetadataError):
        read_foreign_record(data)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), st.text() | st.none() | st.integers(), max_size=4))
def test_a_file_that_can_be_read_is_never_changed(record: dict[str, object]) -> None:
    for ascii_only in (True, False):
        data = json.dumps(record, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            continue
        assert read_foreign_record(data) == record


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1237,5", "1237.5"), ("0,00", "0.00"), ("0,0", "0.0"), ("-0,0", "-0.0"), ("0,000", "0.000"), ("-3,4", "-3.4"),
        ("srid=4326;POINT Z( 9,8989 59,7631 51,72 )", "srid=4326;POINT Z( 9.8989 59.7631 51.72 )"),
        ("1306;227,5;0;;0", "1306;227,5;0;;0"), ("RV3 S3D2, m1237", "RV3 S3D2, m1237"), ("1,2,3", "1,2,3"),
        ("Oslo, Norge", "Oslo, Norge"), ("1.5", "1.5"), (None, None), (90.0, 90.0), ({"car": "1,5"}, {"car": "1,5"}),
    ],
)  # fmt: skip
def test_a_comma_of_a_number_becomes_a_point(written: object, read: object) -> None:
    assert with_points({"exif_x": written}) == {"exif_x": read}


@pytest.mark.parametrize(
    ("position", "swapped"),
    [
        ("srid=4326;POINT Z( 1.0 2.0 66.08 )", "srid=4326;POINT Z( 2.0 1.0 66.08 )"),
        ("srid=4326;POINT Z(1,0 2,0 NaN)", "srid=4326;POINT Z(2,0 1,0 NaN)"),
        ("srid=4326;POINT EMPTY", "srid=4326;POINT EMPTY"),
        (None, None),
        (7, 7),
    ],
)
def test_a_flipped_position_has_its_first_two_numbers_swapped(position: object, swapped: object) -> None:
    record = {"exif_gpsposisjon": position, "x": "y"}
    assert flipped(record) == {"exif_gpsposisjon": swapped, "x": "y"}
    assert flipped(flipped(record)) == record
    assert flipped({"x": "y"}) == {"x": "y"}
