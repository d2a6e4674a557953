"""The 2022 form's default reader: each value has its sources in order, and a bad one costs only itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anonymisation.core.errors import ConfigurationError
from anonymisation.imaging.exif.camera import NO_CAMERA, CameraTags
from anonymisation.imaging.exif.place import NO_PLACE, Place
from anonymisation.metadata.forms.form_2022 import FORM_2022
from anonymisation.metadata.record import record_from_json, record_to_json
from tests.metadata.forms.conftest import (
    GEOTAG,
    GNSS,
    INFO,
    ROAD,
    STORED,
    Elements,
    Make,
    additional,
    first_form,
    properties_xml,
)  # fmt: skip

GPS_POINT = "srid=4326;POINT Z( 9.5 59.75 51.5 )"
VENDOR_POINT = "srid=4326;POINT Z( 6.56 61.21 48.85 )"
TAG_POINT = "srid=4326;POINT Z( 6.5 61.2 7.25 )"
EXPOSED = CameraTags(exposed=datetime(2022, 5, 3, 8))


def pick(record: dict[str, Any], *keys: str) -> tuple[Any, ...]:
    return tuple(record[f"exif_{key}"] for key in keys)


def test_a_picture_of_2022_has_its_values_from_the_link(make: Make) -> None:
    record = make(link=additional(info=INFO), image_type="360", previews=True).record
    assert tuple(record) == FORM_2022.keys
    assert {key.removeprefix("exif_"): value for key, value in record.items() if key != "exif_reflinkinfo"} == {
        "tid": "2021-06-02T09:42:46", "dato": "2021-06-02", "dataeier": "Owner", "camera": "Camera",
        "imagetype": "360", "imagewidth": "480", "imageheight": "270", "speed_ms": "22.47", "heading": "302.29",
        "gpsposisjon": VENDOR_POINT, "altitude": "48.85", "moh": "3.3500000000000014", "strekningsnavn": None,
        "fylke": "34", "vegkat": "E", "vegstat": "V", "vegnr": "18", "roadtype": "Vanlig veg", "hp": None,
        "strekning": "10", "delstrekning": "1", "ankerpunkt": None, "kryssdel": None, "sideanleggsdel": None,
        "meter": "1257.46", "feltkode": "5K", "mappenavn": "Vegbilder/2021/Planar/FV00013/S1/D1/F1_2021_06_02",
        "filnavn": "EV00018_S10D1_m01257_f5K.jpg", "strekningreferanse": "S10/D1", "imageproperties": None,
        "basislinje": None, "reflinkid": "384067", "reflinkposisjon": "0.027", "roadident": "EV18 S10D1 m1257",
        "roll": "0.29", "pitch": "NaN", "geoidalseparation": "45.5", "northrmserror": "0.1", "eastrmserror": "0.2",
        "downrmserror": "0.3", "rollrmserror": "0.4", "pitchrmserror": "0.5", "headingrmserror": "0.6",
        "xptitle": "T", "kvalitet": "2", "bildeid": "2021-06-02T09.42.46_EV00018_S10D1_m01257K_360_5K",
        "senterlinjeposisjon": None, "detekterte_objekter": {"car": "1"}, "versjon": "X",
        "preview_filnavn": "FV00013_S1D1_m00054_f1_preview.jpg",
    } | {"mappenavn": record["mappenavn"]}  # fmt: skip
    assert record["exif_mappenavn"] == "D:/Opptak/2022/360/EV00018/S10/D1/F5K_2022_05_03"


@pytest.mark.parametrize(
    ("changes", "speed", "altitude", "moh", "position"),
    [
        ({"Speed": "0"}, "0.00", "48.85", "3.3500000000000014", VENDOR_POINT),
        ({"Speed": "13.888888"}, "13.89", "48.85", "3.3500000000000014", VENDOR_POINT),
        ({"Speed": "22,5"}, "22.50", "48.85", "3.3500000000000014", VENDOR_POINT),
        ({"Speed": "NaN"}, None, "48.85", "3.3500000000000014", VENDOR_POINT),
        ({"Speed": ""}, None, "48.85", "3.3500000000000014", VENDOR_POINT),
        ({"Speed": None}, None, "48.85", "3.3500000000000014", VENDOR_POINT),
        ({"Speed": "fast"}, None, "48.85", "3.3500000000000014", VENDOR_POINT),
        ({"Altitude": "100", "GeoidalSeparation": "40"}, "22.47", "100", "60", "srid=4326;POINT Z( 6.56 61.21 100 )"),
        (
            {"Altitude": "150.25", "GeoidalSeparation": "39,75"},
            "22.47", "150.25", "110.5", "srid=4326;POINT Z( 6.56 61.21 150.25 )",
        ),
        ({"GeoidalSeparation": "NaN"}, "22.47", "48.85", None, VENDOR_POINT),
        ({"GeoidalSeparation": None}, "22.47", "48.85", None, VENDOR_POINT),
        ({"Altitude": "NaN"}, "22.47", None, None, "srid=4326;POINT Z( 6.56 61.21 NaN )"),
        ({"Altitude": ""}, "22.47", None, None, "srid=4326;POINT Z( 6.56 61.21 NaN )"),
        (
            {"Altitude": "NaN", "GeoidalSeparation": "NaN"},
            "22.47", "NaN", None, "srid=4326;POINT Z( 6.56 61.21 NaN )",
        ),
        (
            {"Longitude": "6,56", "Latitude": "61,21", "Altitude": "48,85"},
            "22.47", "48.85", "3.3500000000000014", VENDOR_POINT,
        ),
    ],
)  # fmt: skip
def test_a_number_that_is_none_costs_only_itself(
    make: Make, changes: Elements, speed: str | None, altitude: str | None, moh: str | None, position: str
) -> None:
    record = make(link=additional(gnss={**GNSS, **changes}, info=INFO)).record
    assert pick(record, "speed_ms", "altitude", "moh", "gpsposisjon") == (speed, altitude, moh, position)
    assert record["exif_kvalitet"] == "2"
    assert record["exif_heading"] == "302.29"


@pytest.mark.parametrize("name", [*GNSS, *ROAD, *INFO])
def test_each_element_may_be_missing_or_empty(make: Make, name: str) -> None:
    whole = make(link=additional(info=INFO)).record
    for value in (None, "", " "):
        parts = [{**part, name: value} if name in part else part for part in (ROAD, GNSS, INFO)]
        record = make(link=additional(*parts)).record
        different = {key for key in whole if record[key] != whole[key]} - {"exif_reflinkinfo"}
        assert different <= HANGS_ON.get(name, {f"exif_{name.lower()}"}), name


HANGS_ON: dict[str, set[str]] = {
    "Latitude": {"exif_gpsposisjon", "exif_kvalitet"},
    "Longitude": {"exif_gpsposisjon", "exif_kvalitet"},
    "Altitude": {"exif_gpsposisjon", "exif_altitude", "exif_moh"},
    "Speed": {"exif_speed_ms"},
    "GeoidalSeparation": {"exif_moh", "exif_geoidalseparation"},
    "ReflinkPosition": {"exif_reflinkposisjon"},
    "meter": {"exif_meter"},
    "StorageFile": {  # the path of the file stands in
        "exif_vegkat", "exif_vegstat", "exif_vegnr", "exif_feltkode", "exif_mappenavn", "exif_filnavn", "bildeid",
    },
}  # fmt: skip


def test_parts_of_the_link_may_be_missing(make: Make) -> None:
    assert pick(make(link=additional(gnss=None, info=INFO)).record, "gpsposisjon", "altitude", "kvalitet") == (
        GPS_POINT, "51.5", "1",
    )  # fmt: skip
    bare = make(link=additional(road=None, gnss=None)).record
    assert pick(bare, "roadident", "strekning", "strekningreferanse", "meter") == ("FV13 S1D1 m54", "1", "S1/D1", "54")
    assert bare["bildeid"] == "2021-06-02T09.42.46_FV00013_S1D1_m00054_Planar_1"


@pytest.mark.parametrize("lost", [{"Latitude": ""}, {"Longitude": "NaN"}, {"Latitude": "91"}, {"Latitude": None}])
def test_a_position_that_is_none_is_geotags_then_that_of_the_standard_tags(make: Make, lost: Elements) -> None:
    link = additional(gnss={**GNSS, **lost})
    tagged = make(link=link, properties=properties_xml(geotag=GEOTAG))
    assert pick(tagged.record, "gpsposisjon", "altitude", "kvalitet") == (TAG_POINT, "48.85", "2")
    assert (tagged.place.longitude, tagged.place.latitude, tagged.place.altitude) == (6.5, 61.2, 7.25)
    assert pick(make(link=link).record, "gpsposisjon", "kvalitet") == (GPS_POINT, "1")
    none = make(link=link, place=NO_PLACE, camera=NO_CAMERA, properties=properties_xml())
    assert pick(none.record, "gpsposisjon", "kvalitet") == (None, "1")
    assert none.place.latitude is None


def test_the_link_of_march_2020_says_no_more_than_id_and_position_on_it(make: Make) -> None:
    link = first_form({"ReflinkId": "1125766", "ReflinkPosition": "0,58593426"})
    record = make(link=link, properties=properties_xml({"VCMeter": "34.2"}, geotag=GEOTAG)).record
    assert pick(record, "reflinkid", "reflinkposisjon") == ("1125766", "0.58593426")
    assert pick(record, "gpsposisjon", "altitude", "kvalitet") == (TAG_POINT, "7.25", "2")
    assert pick(record, "speed_ms", "heading", "moh", "strekningreferanse") == (None,) * 4
    assert pick(record, "strekning", "delstrekning", "roadident") == ("1", "1", "FV13 S1D1 m34.2")
    assert pick(make(link=link).record, "gpsposisjon", "altitude", "kvalitet") == (GPS_POINT, "51.5", "1")


def test_a_sphere_whose_position_has_a_gap_is_of_quality_1(make: Make) -> None:
    for gap in ("Latitude", "Longitude", "Altitude"):
        link = additional(gnss={**GNSS, gap: ""})
        assert make(link=link, image_type="360").record["exif_kvalitet"] == "1"
    assert make(link=additional(gnss={**GNSS, "Altitude": ""})).record["exif_kvalitet"] == "2"
    assert make(link=additional(), image_type="360").record["exif_kvalitet"] == "2"


@pytest.mark.parametrize(
    ("ident", "section", "reference", "shown"),
    [
        ("EV6 S57D1 M12345 KD2 m10", ("57", "1"), "S57/D1", "EV6 S57D1 M12345 KD2 m10"),
        ("KV1234 hp1 m200", ("1", "1"), "S1/D1", "KV1234 hp1 m200"),
        ("KV1234", ("1", "1"), "S1/D1", "KV1234"),
        ("", ("1", "1"), "S1/D1", "FV13 S1D1 m54"),
        (None, ("1", "1"), "S1/D1", "FV13 S1D1 m54"),
    ],
)
def test_the_road_ident_gives_the_section_or_else_the_file_name(
    make: Make, ident: str | None, section: tuple[str, str], reference: str, shown: str
) -> None:
    record = make(link=additional({**ROAD, "RoadIdent": ident})).record
    assert pick(record, "strekning", "delstrekning") == section
    assert pick(record, "strekningreferanse", "roadident") == (reference, shown)


@pytest.mark.parametrize(
    ("info", "values", "metre"),
    [
        ({"meter": "1277.125"}, {"VCMeter": "5"}, "1277.12"),
        ({"meter": "10"}, None, "10.0"),
        ({"meter": "120,75"}, None, "120.75"),
        ({"meter": ""}, {"VCMeter": "34.2"}, "34.2"),
        ({"meter": "NaN"}, {"VCMeter": "0"}, "0.0"),
        ({"meter": None}, {"VCMeter": ""}, "1257"),
        ({"meter": None}, {}, "1257"),
        ({"meter": None, "StorageFile": None}, None, "54"),
    ],
)
def test_the_metre_is_rounded_or_that_of_a_name(
    make: Make, info: Elements, values: Elements | None, metre: str
) -> None:
    record = make(link=additional(info={**INFO, **info}), properties=properties_xml(values)).record
    assert record["exif_meter"] == metre


@pytest.mark.parametrize(
    ("fylke", "values", "name", "options", "county"),
    [
        ("50", {"VCCountyNo": "46"}, None, {}, "50"),
        ("", {"VCCountyNo": "46"}, None, {}, "46"),
        (None, {"VCCountyNo": ""}, None, {}, "34"),
        (None, {"VCCountyNo": ""}, r"D:\06\x.jpg", {}, "34"),  # VegComValues outweigh the path, also when empty
        (None, None, r"D:\06\x.jpg", {}, "6"),
        ("50", {"VCCountyNo": "46"}, None, {"force_county": True}, "34"),
        (None, None, None, {"county": None}, None),
    ],
)
def test_the_county_is_the_pictures_or_that_of_the_settings(
    make: Make, fylke: str | None, values: Elements | None, name: str | None, options: dict[str, Any],
    county: str | None,
) -> None:  # fmt: skip
    link = additional(info={"fylke": fylke})
    record = make(link=link, properties=properties_xml(values, top={"ImageName": name}), **options).record
    assert record["exif_fylke"] == county


def test_without_the_link_path_and_standard_tags_come_first(make: Make) -> None:
    tag = properties_xml(
        {"VCCountyNo": "46", "VCMeter": "54.678", "VCRoad": "EV6", "VCLane": "3"},
        top={"ImageName": STORED, "Speed": "99", "Heading": "1"}, geotag=GEOTAG,
    )  # fmt: skip
    record = make(properties=tag).record
    assert pick(record, "gpsposisjon", "altitude", "speed_ms", "heading", "kvalitet") == (
        GPS_POINT, "51.5", "13.89", "270.5", "1",
    )  # fmt: skip
    assert pick(record, "vegkat", "vegnr", "feltkode", "strekning", "fylke") == ("F", "13", "1", "1", "46")
    assert pick(record, "filnavn", "mappenavn") == (
        "FV00013_S1D1_m00054_f1.jpg", "D:/Opptak/2022/360/EV00018/S10/D1/F5K_2022_05_03",
    )  # fmt: skip
    assert pick(record, "meter", "roadident", "basislinje") == ("54.68", "FV13 S1D1 m54.68", ";;;;")
    tagged = make(properties=tag, place=NO_PLACE, camera=NO_CAMERA).record
    assert pick(tagged, "gpsposisjon", "altitude", "kvalitet") == (TAG_POINT, "7.25", "1")


def test_a_tag_that_is_not_needed_is_not_blamed(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    bad = properties_xml(geotag={"dLongitude": "x", "dLatitude": "61.2"})
    assert make(link=additional(), properties=bad).record["exif_gpsposisjon"] == VENDOR_POINT
    assert "GeoTag" not in caplog.text
    assert make(link=additional(gnss={}), properties=bad).record["exif_gpsposisjon"] == GPS_POINT
    assert "GeoTag holds no valid position" in caplog.text


def test_without_altitude_the_position_stands(make: Make) -> None:
    place = Place(latitude=59.75, longitude=9.5)
    record = make(place=place, camera=CameraTags()).record
    assert pick(record, "gpsposisjon", "altitude", "kvalitet") == ("srid=4326;POINT Z( 9.5 59.75 NaN )", None, "1")
    assert make(camera=CameraTags(), place=NO_PLACE).record["exif_kvalitet"] == "1"


def test_a_picture_without_exif_has_the_owner_and_what_its_path_says(make: Make) -> None:
    picture = "TilSladding/06/06_Ev134/Hp05/Fy06_Ev134_hp05_f1_m03212.jpg"
    record = make(present=False, picture=picture).record
    assert pick(record, "dataeier", "camera", "xptitle", "kvalitet") == ("Owner", None, None, "0")
    assert pick(record, "fylke", "vegkat", "vegstat", "vegnr") == ("6", "E", "V", "134")
    assert pick(record, "meter", "feltkode", "hp", "roadident") == ("3212", "1", None, None)
    assert record["bildeid"].endswith("_Fy06_Ev134_hp05_m03212_Planar_1")
    assert make(present=False, picture="TilSladding/a.jpg").record["bildeid"].endswith("_a_Planar_None")


def test_anchor_points_are_those_of_the_file_name(make: Make) -> None:
    for part, keys in (("KD2", ("2", None)), ("AD1", (None, "1")), ("SD3", (None, "3"))):
        name = rf"D:\x\FV00013_S2D1_m02000_{part}_m00030_f1.jpg"
        record = make(link=additional({"RoadIdent": ""}, info={**INFO, "StorageFile": name, "meter": "30"})).record
        assert pick(record, "ankerpunkt", "kryssdel", "sideanleggsdel") == ("02000", *keys)
        shown = part if part[0] == "K" else f"AD{part[2]}"
        assert record["exif_roadident"] == f"FV13 S2D1 M02000 {shown} m30.0"


@pytest.mark.parametrize(
    ("folder", "cut"),
    [
        ("TilSladding/2021/Planar/EV6", "Vegbilder/2021/EV6"),
        ("TilSladding/2021/planar", "Vegbilder/2021"),
        ("TilSladding/2021/PlanarX/EV6", "Vegbilder/2021/PlanarX/EV6"),
        ("TilSladding/12021/Planar/EV6", "Vegbilder/12021/Planar/EV6"),
        ("TilSladding/2020/Planar/EV6", "Vegbilder/2020/Planar/EV6"),
        ("TilSladding/2021/360/EV6", "Vegbilder/2021/360/EV6"),
    ],
)
def test_the_folder_of_planar_pictures_may_be_cut(make: Make, folder: str, cut: str) -> None:
    assert make(picture=f"{folder}/a.jpg", cut_image_type=True).record["mappenavn"] == cut
    assert make(picture=f"{folder}/a.jpg").record["mappenavn"] == folder.replace("TilSladding", "Vegbilder")


def test_mappenavn_has_plain_numbers_and_none(make: Make) -> None:
    template = "{aar}|{maaned}|{dag}|{fylke}|{vegkat}|{meter}|{feltkode}|{strekningreferanse}|{relative_input_dir}"
    assert make(link=additional(info=INFO), template=template).record["mappenavn"] == (
        "2021|6|2|34|E|1257.46|5K|S10/D1|2021/Planar/FV00013/S1/D1/F1_2021_06_02"
    )
    assert make(county="6", template="{fylke}").record["mappenavn"] == "06"  # as in the form of 2020
    assert make(picture="elsewhere/a.jpg", county=None, template=template).record["mappenavn"] == (
        "2021|6|2|None|None|None|None|None|"
    )


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_any_values_make_a_whole_record_that_can_be_published(make: Make, data: st.DataObject) -> None:
    texts = st.sampled_from((None, "", " ", "NaN", "nan", "INF", "-1e400", "x", "1,5", "400", "-91.5", "0"))
    parts = {
        name: data.draw(st.none() | st.fixed_dictionaries(dict.fromkeys(values, texts)))
        for name, values in (("road", ROAD), ("gnss", GNSS), ("info", INFO))
    }
    tag = data.draw(st.none() | st.fixed_dictionaries({"VCMeter": texts, "VCCountyNo": texts}))
    geotag = data.draw(st.none() | st.fixed_dictionaries(dict.fromkeys(GEOTAG, texts)))
    reader = data.draw(st.sampled_from(("default", "deprecated")))
    made = make(
        link=additional(**parts), properties=None if tag is None else properties_xml(tag, geotag=geotag), reader=reader
    )
    record = made.record
    assert tuple(record) == FORM_2022.keys
    assert record_from_json(record_to_json(record)) == record
    assert all(value is None or isinstance(value, str) for key, value in record.items() if key != "detekterte_objekter")
    for key in ("exif_speed_ms", "exif_moh", "exif_meter", "exif_gpsposisjon", "exif_roadident", "exif_fylke"):
        assert key == "exif_roadident" or "None" not in str(record[key] or "")
        assert key in {"exif_gpsposisjon", "exif_roadident", "exif_fylke"} or "nan" not in str(record[key]).casefold()
    assert made.place.heading is None or 0 <= made.place.heading < 360
    assert (made.place.latitude is None) == (record["exif_gpsposisjon"] is None)


@given(numbers=st.lists(st.decimals(-80, 80, places=3), min_size=len(GNSS), max_size=len(GNSS)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_a_comma_is_a_point(make: Make, numbers: list[Any]) -> None:
    gnss = dict(zip(GNSS, map(str, numbers), strict=True))
    info = {**INFO, "meter": str(numbers[0])}
    with_commas = {name: text.replace(".", ",") for name, text in gnss.items()}
    tag = properties_xml({"VCMeter": "1.5"}, top={"Tilt": "0.5"})
    plain = make(link=additional(gnss=gnss, info=info), properties=tag).record
    commas = make(
        link=additional(gnss=with_commas, info={**info, "meter": str(numbers[0]).replace(".", ",")}),
        properties=properties_xml({"VCMeter": "1,5"}, top={"Tilt": "0,5"}),
    ).record
    same = {key for key in FORM_2022.keys if plain[key] == commas[key]}
    assert set(FORM_2022.keys) - same <= {"exif_imageproperties", "exif_reflinkinfo"}


def test_the_main_parcel_is_no_field_of_mappenavn(make: Make) -> None:
    with pytest.raises(ConfigurationError, match="exif_mappenavn"):
        make(template="{hp}")
    assert make(template="{hp}", reader="deprecated").record["mappenavn"] == "None"


def test_an_unknown_link_is_as_good_as_none(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    record = make(link=b"<Other><ReflinkId>7</ReflinkId></Other>").record
    assert pick(record, "reflinkid", "gpsposisjon", "kvalitet") == (None, GPS_POINT, "1")
    assert "tag 40056 holds Other" in caplog.text
    assert "<Other>" in record["exif_reflinkinfo"]
