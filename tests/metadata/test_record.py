"""The record as a whole: equal to the original's on real pictures, and sensible where the original fails."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import canonicalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.core.errors import ConfigurationError, ImageMetadataError
from anonymisation.imaging.exif.read import ExifTags, Times, read_exif
from anonymisation.metadata.record import (
    RECORD_KEYS,
    RecordContext,
    build_record,
    describe,
    record_from_json,
    record_to_json,
)

Tags = Callable[..., ExifTags]
Properties = Callable[..., bytes]
XML_KEYS = ("exif_imageproperties", "exif_reflinkinfo")


@pytest.fixture(scope="module")
def expected(references: Path) -> dict[str, dict[str, Any]]:
    file = references / "reference" / "expected_metadata.json"
    records: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return records


@pytest.fixture(scope="module")
def captures(references: Path, tmp_path_factory: pytest.TempPathFactory, expected: dict[str, Any]) -> Path:
    """The pictures, with the file time that the expected record of the one without EXIF was made with."""
    root = tmp_path_factory.mktemp("captures")
    shutil.copytree(references / "captures", root, dirs_exist_ok=True)
    for relative, record in expected.items():
        if record["exif_kvalitet"] == "0":
            seconds = datetime.fromisoformat(record["exif_tid"]).replace(tzinfo=UTC).timestamp()
            os.utime(root / relative, (seconds, seconds))
    return root


def test_every_capture_has_an_expected_record(captures: Path, expected: dict[str, Any]) -> None:
    pictures = {path.relative_to(captures).as_posix() for path in captures.rglob("*.jpg")}
    assert pictures == set(expected)
    assert len(pictures) > 7


def test_records_equal_the_originals(captures: Path, expected: dict[str, Any]) -> None:
    context = RecordContext(captures, "TilSladding", "Vegbilder\\{relative_input_dir}", "X")
    for relative, wanted in expected.items():
        path = captures / relative
        record = build_record(path, read_exif(path.read_bytes()), context, objects={"car": 2})
        if wanted["exif_kvalitet"] == "0":  # the original's ID of a picture without date hangs on the time of the file
            record["bildeid"] = wanted["bildeid"]
        assert list(record) == list(wanted), relative
        assert record == wanted, relative  # the XML character by character, which is more than has to be
        for key in XML_KEYS:
            if wanted[key] is not None:
                assert canonicalize(record[key], strip_text=True) == canonicalize(wanted[key], strip_text=True)


def test_record_keys_are_the_originals(expected: dict[str, Any]) -> None:
    assert {tuple(record) for record in expected.values()} == {RECORD_KEYS}


def test_file_time_is_the_older_of_both_in_utc(tmp_path: Path, tags: Tags, context: RecordContext) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    os.utime(path, (0, 1_592_000_000.25))  # ctime is now
    old = build_record(path, tags(present=False), context, objects=None)
    assert (old["exif_tid"], old["exif_dato"]) == ("2020-06-12T22:13:20.250000", "2020-06-12")
    assert old["bildeid"] == "sha256-2d711642b726b044016_a"
    os.utime(path, (0, 4_000_000_000))
    status = path.stat()
    young = build_record(path, tags(present=False), context, objects=None)
    assert young["bildeid"] == old["bildeid"]
    assert young["exif_tid"] == datetime.fromtimestamp(status.st_ctime, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def test_the_id_of_a_picture_without_date_is_that_of_its_copy_and_of_no_other(
    tmp_path: Path, tags: Tags, context: RecordContext
) -> None:
    names = []
    for folder, data in (("a", b"x"), ("b", b"x"), ("c", b"y")):
        path = tmp_path / folder / "Ev6_f1_m1.jpg"
        path.parent.mkdir()
        path.write_bytes(data)
        names.append(build_record(path, tags(), context, objects=None)["bildeid"])
        digest = sha256(data).hexdigest()
        assert build_record(path, tags(), context, objects=None, sha256=digest)["bildeid"] == names[-1]
    assert names[0] == names[1] != names[2]
    assert all(len(name) == len("2020-06-12T22.13.20.250000_Ev6_m1") for name in names)


def test_no_exif_says_so(tmp_path: Path, tags: Tags, context: RecordContext) -> None:
    path = tmp_path / "TilSladding" / "50" / "Fy50_Rv003_hp01_f1_m01237.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    record = build_record(path, tags(present=False), context, objects={})
    assert (record["exif_kvalitet"], record["exif_xptitle"], record["exif_gpsposisjon"]) == ("0", None, None)
    assert (record["exif_fylke"], record["exif_vegkat"], record["exif_vegnr"]) == ("50", "R", "3")
    assert (record["detekterte_objekter"], record["mappenavn"]) == ({}, "Vegbilder\\50")


def test_other_cameras_give_time_position_and_heading(tags: Tags, context: RecordContext) -> None:
    zone = timezone(timedelta(hours=2))
    phone = tags(
        taken=datetime(2021, 5, 4, 3, 2, 1, 500_000, zone),
        latitude=59.75, longitude=0.00001, altitude=51.5, heading=281.71,
    )  # fmt: skip
    path = context.input_root / "Ev6_hp02" / "IMG_f1.jpg"
    record = build_record(path, phone, context, objects=None)
    assert record["exif_tid"] == "2021-05-04T03:02:01.500000+02:00"
    assert record["bildeid"] == "2021-05-04T03.02.01.500000_IMG"
    assert record["exif_gpsposisjon"] == "srid=4326;POINT Z( 0.00001 59.75 51.5 )"
    assert (record["exif_heading"], record["exif_kvalitet"], record["exif_xptitle"]) == ("281.71", "1", "")
    assert (record["exif_vegkat"], record["exif_vegnr"], record["exif_hp"]) == ("E", "6", "2")
    assert record["detekterte_objekter"] is None
    assert (record["exif_imageproperties"], record["exif_mappenavn"]) == (None, None)


@pytest.mark.parametrize(
    ("values", "position", "quality"),
    [
        ({}, None, "0"),
        ({"latitude": 59.0}, None, "0"),
        ({"latitude": 91.0, "longitude": 10.0}, None, "0"),
        ({"latitude": float("nan"), "longitude": 10.0}, None, "0"),
        ({"latitude": 59.0, "longitude": 10.0}, "srid=4326;POINT Z( 10.0 59.0 NaN )", "1"),
        ({"latitude": 0.0, "longitude": 0.0, "altitude": -1.5}, "srid=4326;POINT Z( 0.0 0.0 -1.5 )", "1"),
    ],
)
def test_quality_without_the_vendors_tag_is_the_position(
    tags: Tags, context: RecordContext, values: dict[str, float], position: str | None, quality: str
) -> None:
    exif = tags(taken=datetime(2021, 5, 4), **values)
    record = build_record(context.input_root / "a.jpg", exif, context, objects=None)
    assert (record["exif_gpsposisjon"], record["exif_kvalitet"]) == (position, quality)


def test_the_vendors_tag_outweighs_path_and_standard_tags(
    tags: Tags, properties: Properties, context: RecordContext
) -> None:
    exif = tags(image_properties=properties(), latitude=59.0, longitude=10.0, taken=datetime(2001, 1, 1))
    record = build_record(context.input_root / "50" / "Ev6_hp1_f1_m1.jpg", exif, context, objects=None)
    silent = set(RECORD_KEYS) - {
        "exif_tid", "exif_dato", "exif_filnavn", "exif_imageproperties", "exif_xptitle", "exif_kvalitet", "bildeid",
        "versjon", "mappenavn",
    }  # fmt: skip
    assert {key for key in RECORD_KEYS if record[key] is None} == silent
    assert record["exif_tid"] == "2020-06-02T09:42:46.3948628"
    assert (record["exif_filnavn"], record["exif_kvalitet"]) == ("Ev6_hp1_f1_m1.jpg", "1")


@pytest.mark.parametrize("date", ["", 'Date=""'])
def test_a_missing_date_falls_back_and_is_said(
    tags: Tags, properties: Properties, context: RecordContext, caplog: pytest.LogCaptureFixture, date: str
) -> None:
    path = context.input_root / "a.jpg"
    path.write_bytes(b"x")
    os.utime(path, (0, 1_592_000_000))
    xml = properties("<Speed>1</Speed>", date)
    with caplog.at_level(logging.WARNING):
        standard = build_record(path, tags(image_properties=xml, taken=datetime(2021, 5, 4)), context, objects=None)
        bare = build_record(path, tags(image_properties=xml), context, objects=None)
    assert standard["exif_tid"] == "2021-05-04T00:00:00.000000"
    assert bare["exif_dato"] == "2020-06-12"
    said = [message for message in caplog.messages if "no valid Date" in message]
    assert [str(path) in message for message in said] == [True, True]


@pytest.mark.parametrize("date", ['Date="2020-02-30T10:00:00"', 'Date="yesterday"'])
def test_no_other_tag_replaces_an_unreadable_date(
    tags: Tags, properties: Properties, context: RecordContext, caplog: pytest.LogCaptureFixture, date: str
) -> None:
    path = context.input_root / "a.jpg"
    path.write_bytes(b"x")
    os.utime(path, (0, 1_592_000_000))
    exif = tags(image_properties=properties("<Speed>1</Speed>", date), taken=datetime(2021, 5, 4))
    description = describe(path, exif, context, objects=None)
    assert (description.record["exif_dato"], description.times) == ("2020-06-12", Times())
    assert f"{path}: no valid Date in tag 40055; the time of its file is used instead" in caplog.messages


def test_padding_alone_counts_as_no_tag(tags: Tags, context: RecordContext) -> None:
    exif = tags(image_properties=b"\x00\x00", reflink_info=b"", taken=datetime(2021, 5, 4))
    record = build_record(context.input_root / "Ev6" / "a.jpg", exif, context, objects=None)
    assert (record["exif_vegnr"], record["exif_imageproperties"], record["exif_reflinkinfo"]) == ("6", None, None)


@pytest.mark.parametrize("tag", ["image_properties", "reflink_info"])
def test_broken_xml_fails_the_picture_by_name(
    tags: Tags, properties: Properties, context: RecordContext, tag: str
) -> None:
    broken = tags(**{"image_properties": properties(), tag: b"<ImageProperties><Driver>Ola</ImageProperties>"})
    with pytest.raises(ImageMetadataError, match=r"a\.jpg") as raised:
        build_record(context.input_root / "a.jpg", broken, context, objects=None)
    assert "Ola" not in str(raised.value)


def test_secrets_do_not_reach_any_key(tags: Tags, properties: Properties, context: RecordContext) -> None:
    secret = "<Driver>Ola Nordmann</Driver>"
    values = f"<VegComValues><VCArea>A{secret}</VCArea><VCRoad>{secret}</VCRoad></VegComValues>"
    inside = f"{values}<ImageName>{secret}</ImageName>"
    link = f"<ReflinkInfo><ReflinkId>7{secret}</ReflinkId></ReflinkInfo>".encode()
    exif = tags(image_properties=properties(inside), reflink_info=link)
    record = build_record(context.input_root / "a.jpg", exif, context, objects={"car": 1})
    assert b"Ola" not in record_to_json(record)
    assert (record["exif_strekningsnavn"], record["exif_reflinkid"]) == ("A", "7")


@pytest.mark.parametrize("title", ["\ufeffBilde", "Bilde\x00\x00", "Bilde"])
def test_title_is_clean(tags: Tags, context: RecordContext, title: str) -> None:
    exif = tags(xp_title=title, taken=datetime(2021, 5, 4))
    assert build_record(context.input_root / "a.jpg", exif, context, objects=None)["exif_xptitle"] == "Bilde"


def test_names_that_are_no_utf8_can_be_written(tags: Tags, context: RecordContext) -> None:
    path = context.input_root / os.fsdecode(b"TilSladding/m\xe5ned/b\xe5t.jpg")
    record = build_record(path, tags(taken=datetime(2021, 5, 4), xp_title="\ud800"), context, objects=None)
    assert record_from_json(record_to_json(record)) == record
    assert record["exif_filnavn"] == "b\\udce5t.jpg"
    assert record["mappenavn"] == "Vegbilder\\m\\udce5ned"


def test_counts_are_text_and_sorted(tags: Tags, context: RecordContext) -> None:
    exif = tags(taken=datetime(2021, 5, 4))
    record = build_record(context.input_root / "a.jpg", exif, context, objects={"truck": 1, "car": 12})
    assert list(record["detekterte_objekter"].items()) == [("car", "12"), ("truck", "1")]


def test_the_file_is_indented_and_unescaped(tags: Tags, context: RecordContext) -> None:
    exif = tags(taken=datetime(2021, 5, 4))
    record = build_record(context.input_root / "Damåsen.jpg", exif, context, objects={"car": 1})
    lines = record_to_json(record).decode("utf-8").splitlines()
    assert lines[0] == "{"
    assert '    "exif_filnavn": "Damåsen.jpg",' in lines
    assert '        "car": "1"' in lines


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(ImageMetadataError):
        record_from_json(data)


@pytest.mark.parametrize("template", ["{nonsense}", "{", "{aar:04d}", "{0}", "{fylke.x}", "{hp[a]}"])
def test_a_form_that_cannot_be_filled_in_is_refused(context: RecordContext, template: str) -> None:
    with pytest.raises(ConfigurationError, match="exif_mappenavn"):
        replace(context, exif_mappenavn=template)


@given(
    values=st.fixed_dictionaries(
        {},
        optional={name: st.none() | st.floats() for name in ("latitude", "longitude", "altitude", "heading")},
    ),
    title=st.none() | st.text(),
    inside=st.sampled_from(("", "<GeoTag/>", "<GeoTag><dLatitude>x</dLatitude></GeoTag>", "<VegComValues/>", "text")),
    names=st.lists(st.text(st.characters(exclude_characters="/\x00"), min_size=1), min_size=1, max_size=4),
    vendor=st.booleans(),
)
def test_any_tags_and_any_path_make_a_whole_record(
    tags: Tags,
    properties: Properties,
    values: dict[str, Any],
    title: str | None,
    inside: str,
    names: list[str],
    vendor: bool,
) -> None:
    context = RecordContext(Path("/data/in"), "TilSladding", "{aar}{relative_input_dir}{fylke}", "X")
    xml = properties(inside) if vendor else None
    exif = tags(image_properties=xml, xp_title=title, taken=datetime(2021, 5, 4), **values)
    record = build_record(Path("/data/in", *names), exif, context, objects=None)
    assert tuple(record) == RECORD_KEYS
    assert record_from_json(record_to_json(record)) == record
