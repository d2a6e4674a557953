"""The 2022 form's reader for pictures from before 2022: ImageProperties first, the link where there is ImageInfo."""

from __future__ import annotations

from typing import Any

import pytest

from anonymisation.imaging.exif.camera import NO_CAMERA
from tests.metadata.forms.conftest import GEOTAG, GNSS, INFO, STORED, Elements, Make, additional, properties_xml

VALUES: Elements = {
    "VCArea": "TESTVIK", "VCCountyNo": "46", "VCRoad": "FV013", "VCHP": "S1D1", "VCLane": "2", "VCLaneName": "1",
    "VCMeter": "54.678",
}  # fmt: skip
NAME = r"D:\Opptak\FV00013\S1\D1\F1\FV00013_S1D1_m00054_f3K.jpg"
TOP: Elements = {"ImageName": NAME, "Speed": "26.194", "Heading": "281.5", "Tilt": "0.5"}


def xml(values: Elements | None = None, top: Elements | None = None, geotag: Elements | None = GEOTAG) -> bytes:
    return properties_xml({**VALUES, **(values or {})}, top={**TOP, **(top or {})}, geotag=geotag)


def read(make: Make, *keys: str, **tags: Any) -> tuple[Any, ...]:
    record = make(reader="deprecated", **tags).record
    return tuple(record[f"exif_{key}"] for key in keys)


def test_values_are_those_of_image_properties(make: Make) -> None:
    record = make(properties=xml(), link=additional(), reader="deprecated").record
    shown = {key.removeprefix("exif_"): value for key, value in record.items() if value is not None}
    assert shown["tid"] == "2021-06-02T09:42:46.3948628"
    assert record["bildeid"] == "2021-06-02T09.42.46_FV00013_S1D1_m00054K_Planar_1"
    assert [shown[key] for key in ("speed_ms", "heading", "altitude", "kvalitet")] == ["26.19", "281.5", "7.25", "2"]
    assert shown["gpsposisjon"] == "srid=4326;POINT Z( 6.5 61.2 7.25 )"
    assert [shown[key] for key in ("strekningsnavn", "fylke", "feltkode", "meter")] == ["TESTVIK", "46", "1", "54.68"]
    assert [shown[key] for key in ("strekningreferanse", "basislinje", "roadtype")] == ["S1/D1", ";;;;0.5", "Ukjent"]
    assert [shown[key] for key in ("roadident", "pitch")] == ["EV18 S10D1 m1257", "NaN"]
    assert "moh" not in shown


@pytest.mark.parametrize(
    ("values", "ident"),
    [
        ({"VCRoad": "EV134", "VCHP": "05"}, "EV134 5 54 1"),
        ({"VCRoad": "EV134", "VCHP": "05", "VCLaneName": None}, "EV134 5 54 3K"),
        ({"VCHP": "S2D1"}, "FV13 S2D1 m54.68"),
        ({"VCHP": ""}, None),
        ({"VCRoad": "", "VCHP": "05"}, None),
    ],
)
def test_the_ident_is_put_together_from_the_parcel_or_the_section(
    make: Make, values: Elements, ident: str | None
) -> None:
    assert read(make, "roadident", properties=xml(values)) == (ident,)


def test_what_image_properties_lack_comes_from_a_link_with_image_info(make: Make) -> None:
    bare = xml(dict.fromkeys(VALUES), {"ImageName": None, "Speed": "NaN", "Heading": "NaN"}, geotag={"dLatitude": "x"})
    keys = ("speed_ms", "heading", "gpsposisjon", "altitude", "kvalitet", "moh", "filnavn", "feltkode", "fylke")
    assert read(make, *keys, properties=bare, link=additional(info={**INFO, "fylke": "50"})) == (
        "22.47", "302.29", "srid=4326;POINT Z( 6.56 61.21 48.85 )", "48.85", "2", "3.3500000000000014",
        STORED.rpartition("\\")[2], "5K", "50",
    )  # fmt: skip
    assert read(make, "strekning", "strekningreferanse", "roadtype", properties=bare, link=additional(info=INFO)) == (
        "10", "S10/D1", "Vanlig veg",
    )  # fmt: skip
    assert read(make, *keys, properties=bare, link=additional()) == (
        None, None, None, None, "1", None, "FV00013_S1D1_m00054_f1.jpg", "1", "34",
    )  # fmt: skip


def test_the_metre_of_image_info_is_always_taken_and_nothing_else_that_is_there(make: Make) -> None:
    keys = ("meter", "fylke", "vegnr", "feltkode", "filnavn", "speed_ms")
    assert read(make, *keys, properties=xml(), link=additional(info={**INFO, "fylke": "50"})) == (
        "1257.46", "46", "13", "1", "FV00013_S1D1_m00054_f3K.jpg", "26.19",
    )  # fmt: skip
    assert read(make, "meter", properties=xml(), link=additional(info={**INFO, "meter": ""})) == ("54.68",)
    assert read(make, "moh", properties=xml(), link=additional(gnss={**GNSS, "Altitude": "NaN"}, info=INFO)) == (None,)


def test_commas_and_empty_speeds_cost_nothing_else(make: Make) -> None:
    keys = ("speed_ms", "meter", "heading", "gpsposisjon")
    commas = xml({"VCMeter": "54,678"}, {"Speed": "22,5", "Heading": "1,5"}, {**GEOTAG, "dLatitude": "61,2"})
    assert read(make, *keys, properties=commas) == ("22.5", "54.68", "1.5", "srid=4326;POINT Z( 6.5 61.2 7.25 )")
    assert read(make, *keys, properties=xml({"VCMeter": ""}, {"Speed": ""}))[:2] == (None, "54")


def test_the_standard_date_stands_in_for_a_missing_one_only(make: Make) -> None:
    none = properties_xml(date="")
    assert read(make, "tid", properties=none) == ("2021-06-02T09:42:46",)
    assert make(properties=none, reader="deprecated", camera=NO_CAMERA).record["exif_tid"].startswith("20")


def test_a_picture_without_image_properties_is_read_as_by_the_default_reader(make: Make) -> None:
    for tags in ({}, {"present": False}, {"link": additional()}, {"link": additional(info=INFO)}):
        record, other = (make(reader=reader, **tags).record for reader in ("deprecated", "default"))
        assert record == other
