"""The table of 2022: its layout, its rows in every database, and records of both forms in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from anonymisation.core.settings import Settings, load_settings
from anonymisation.database.layouts.columns import empty_columns, row_from_record
from anonymisation.database.layouts.formatters import FORMATTERS, identifier_of
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.layouts.user_formatters import effective_layout
from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records
from anonymisation.database.schema import ddl
from anonymisation.metadata.foreign import flipped, read_foreign_record, with_points
from anonymisation.metadata.forms.form_2020 import FORM_2020
from anonymisation.metadata.forms.form_2022 import FORM_2022
from tests.database.layouts.test_columns import NO_POINT, reference_form
from tests.database.loading.test_loader import in_reference
from tests.database.sites import Site
from tests.golden_2022 import Golden

NEW = (
    "Dataeier", "Kamera", "Bildetype", "Bildebredde", "Bildehoyde", "Moh", "Strekningsnavn", "Strekningsreferanse",
    "Vegtype", "Hastighet", "Baselineinfo", "PreviewFilnavn", "XpTitle", "Roll", "Pitch", "Geoidalseparation",
    "Northrmserror", "Eastrmserror", "Downrmserror", "Rollrmserror", "Pitchrmserror", "Headingrmserror",
)  # fmt: skip
WIDTHS = ("Bildebredde", "Bildehoyde")  # the original hands over text, which the database makes a number
WIDE = load_layout("VEGBILDER_2022")


@pytest.fixture
def make_2022() -> Callable[..., dict[str, Any]]:
    """A complete record of the 2022 form, with changes."""

    def make(**changes: Any) -> dict[str, Any]:
        values = {
            "exif_tid": "2022-05-03T10:11:12", "exif_dato": "2022-05-03", "exif_dataeier": "Owner", "exif_imagetype":
            "360", "exif_imagewidth": "8000", "exif_imageheight": "4000", "exif_speed_ms": "0.00", "exif_moh": "60",
            "exif_gpsposisjon": "srid=4326;POINT Z( 9.9 59.7 NaN )", "exif_fylke": "0", "exif_vegkat": "R",
            "exif_vegstat": "V", "exif_vegnr": "3", "exif_roadtype": "Ukjent", "exif_meter": "0.0",
            "exif_feltkode": "5K", "exif_filnavn": "RV3_m0_f5K.jpg", "exif_roll": "NaN", "exif_pitch": "-1.5",
            "bildeid": "2022-05-03T10.11.12_RV3_m0K_360_5K", "mappenavn": "Vegbilder/2022", "versjon": "X",
            "exif_kvalitet": "2", "detekterte_objekter": {},
        }  # fmt: skip
        return dict.fromkeys(FORM_2022.keys) | values | changes

    return make


def without_text(row: dict[str, Any]) -> dict[str, Any]:
    """A reference row as a database stores it: numbers as such, no empty text, and no point for an empty one."""
    row = {name: None if value in ("", NO_POINT) else value for name, value in row.items()}
    return {name: int(value) if name in WIDTHS and value else value for name, value in row.items()}


def test_the_layout_is_the_originals_with_its_name_and_constraints() -> None:
    narrow = load_layout("VEGBILDER")
    assert (WIDE.name, len(WIDE.columns), len(narrow.columns)) == ("VEGBILDER", 51, 29)
    older = {column.name: column for column in narrow.columns}
    assert [column for column in WIDE.columns if column.name in older] == list(narrow.columns)
    new = {column.name: column for column in WIDE.columns if column.name not in older}
    assert set(new) == set(NEW)
    assert all(column.formatter == name for name, column in new.items())
    assert [name for name, column in new.items() if WIDE.requires(column)] == ["Dataeier", "Bildetype"]
    lengths = {name: column.dtype.length for name, column in new.items() if column.dtype.length}
    assert lengths == {
        "Dataeier": 64, "Kamera": 64, "Bildetype": 8, "Strekningsnavn": 64, "Strekningsreferanse": 64, "Vegtype": 16,
        "Baselineinfo": 64, "PreviewFilnavn": 64, "XpTitle": 64,
    }  # fmt: skip


def test_oracle_creates_the_table_under_its_name() -> None:
    [tree] = sqlglot.parse(ddl("oracle", WIDE), dialect="oracle")
    assert isinstance(tree, exp.Create)
    assert next(tree.find_all(exp.Table)).name == "VEGBILDER"
    assert [item.name for item in tree.find_all(exp.ColumnDef)] == [column.name.upper() for column in WIDE.columns]


def test_rows_of_the_captures_equal_the_reference(golden: Golden) -> None:
    for picture, wanted in golden.expected_rows().items():
        row = row_from_record(WIDE, golden.record(picture))
        assert list(row) == [column.name for column in WIDE.columns]
        assert json.loads(str(row.pop("JsonData")))["exif_filnavn"] == row["Filnavn"]
        assert {name: reference_form(value) for name, value in row.items()} == without_text(wanted), picture


def test_every_database_stores_the_rows_of_the_captures(
    golden: Golden, site: Site, state: Path, limits: LoadLimits
) -> None:
    wanted = golden.expected_rows()
    target = site.target("VEGBILDER_2022")
    records = [SourceRecord(picture, golden.record(picture)) for picture in golden.pictures]
    report = load_records(records, target, state, limits)
    assert (report.inserted, report.failed) == (len(records), ())
    stored = {row["ID"]: row for row in site.rows(target.layout)}
    for row in wanted.values():
        found = stored[row["ID"]]
        for name, value in without_text(row).items():
            assert (name, found[name]) == (name, in_reference(name, value, site.kind))


def test_every_database_stores_records_of_both_forms_in_one_table(
    site: Site, state: Path, limits: LoadLimits, make_2022: Callable[..., dict[str, Any]]
) -> None:
    layout = effective_layout(settings(db_table="VEGBILDER_2022", data_eier="Our roads", image_type="Dekke"))
    older = {key: value for key, value in make_2022().items() if key in FORM_2020.keys}
    older |= {"exif_speed": "26.19", "bildeid": "2020", "exif_tid": "2020-05-03T10:11:12.5"}
    assert set(older) == set(FORM_2020.keys)
    target = site.target(layout)
    report = load_records([SourceRecord("a.jpg", older), SourceRecord("b.jpg", make_2022())], target, state, limits)
    assert (report.inserted, report.failed) == (2, ())
    rows = {row["ID"]: row for row in site.rows(layout)}
    old, new = rows["2020"], rows["2022-05-03T10.11.12_RV3_m0K_360_5K"]
    assert {name: old[name] for name in NEW if old[name] is not None} == {
        "Dataeier": "Our roads", "Bildetype": "Dekke", "Hastighet": 26.19, "Pitch": -1.5,
    }  # fmt: skip
    assert "exif_dataeier" not in json.loads(old["JsonData"])
    assert {name: new[name] for name in NEW if new[name] is not None} == {
        "Dataeier": "Owner", "Bildetype": "360", "Bildebredde": 8000, "Bildehoyde": 4000, "Moh": 60, "Hastighet": 0,
        "Vegtype": "Ukjent", "Pitch": -1.5,
    }  # fmt: skip


def settings(**changes: Any) -> Settings:
    return load_settings(None, changes).settings


def test_a_record_of_2022_goes_into_the_older_tables(make_2022: Callable[..., dict[str, Any]]) -> None:
    for name in ("VEGBILDER", "PICTURES"):
        row = row_from_record(load_layout(name), make_2022())
        assert (row["Meter"], row["FylkeNummer"], row["Feltkode"]) == (0, 0, "5K")


def test_the_owner_is_no_stand_in_for_one_that_a_record_of_2022_lacks(make_2022: Callable[..., dict[str, Any]]) -> None:
    layout = effective_layout(settings(db_table="VEGBILDER_2022", data_eier="Our roads"))
    assert row_from_record(layout, make_2022(exif_dataeier=None))["Dataeier"] is None


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({}, []),
        ({"exif_meter": "0", "exif_fylke": "0", "exif_vegnr": "0"}, []),
        ({"exif_meter": None}, ["column Meter would be empty"]),
        ({"exif_meter": ""}, ["column Meter would be empty"]),
        ({"exif_meter": "NaN"}, ["column Meter would be empty"]),
        ({"exif_meter": "far"}, ["column Meter cannot be filled (expected a number, got 'far')"]),
        (
            {"exif_vegkat": None, "exif_dataeier": ""},
            ["column Dataeier would be empty", "column Vegkategori would be empty"],
        ),
        ({"exif_camera": None, "exif_moh": None}, []),
        ({"bildeid": None}, ["its key bildeid is empty", "column ID would be empty"]),
    ],
)  # fmt: skip
def test_the_verdict_names_every_required_column_without_a_value(
    make_2022: Callable[..., dict[str, Any]], changes: dict[str, Any], problems: list[str]
) -> None:
    assert empty_columns(WIDE, make_2022(**changes), "bildeid") == problems


def test_the_verdict_needs_the_key_that_is_named(make_2022: Callable[..., dict[str, Any]]) -> None:
    for key, problems in ((None, []), ("exif_camera", ["its key exif_camera is empty"]), ("bildeid", [])):
        assert empty_columns(WIDE, make_2022(), settings(table_primary_key=key).table_primary_key) == problems


def test_an_id_is_made_as_the_2022_form_makes_it(make_2022: Callable[..., dict[str, Any]]) -> None:
    record = make_2022(exif_tid="2022-05-03T10:11:12.75")
    wanted = record.pop("bildeid")
    assert identifier_of(record) == wanted
    assert identifier_of(record | {"exif_feltkode": None}) == wanted.replace("_5K", "_None")


def test_a_number_may_be_text_where_the_column_is_a_number(
    make_2022: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    assert FORMATTERS["Bildebredde"](make_2022()) == "8000"
    with caplog.at_level(logging.WARNING):
        row = row_from_record(WIDE, make_2022(exif_imagewidth="wide"))
    assert row["Bildebredde"] is None
    assert "Bildebredde" in caplog.text


def test_files_of_json_to_db_give_the_originals_rows(golden: Golden) -> None:
    for case in golden.read("expected_jsontodb_2022.json"):
        record = read_foreign_record(case["text"].encode())
        record = with_points(flipped(record) if case["flip_wkt"] else record)
        row = row_from_record(WIDE, record)
        if "record" not in case:
            assert row["Posisjon"] is None  # "no position, flipped": the original stops
            continue
        wanted = {name: value for name, value in case["record"].items() if name != "exif_reflinkinfo"}
        if case["name"].startswith("comma"):
            wanted["exif_roll"] = "0.0"
        older = "exif_speed" in record
        assert older or {key: record[key] for key in wanted} == wanted, case["name"]
        assert older or record["exif_reflinkinfo"] in (None, "<a>\r\n\t<b>1</b>\n</a>")
        right = {"Roll": 0} if case["name"].startswith("comma") else {}
        right |= {"Hastighet": 0, "Mappenavn": record["mappenavn"]} if older else {}
        expected = without_text(case["row"]) | right
        for name in expected.keys() - {"JsonData"}:
            value = row[name]
            shown = value.isoformat(" ") if isinstance(value, datetime) else reference_form(value)
            assert (case["name"], name, shown) == (case["name"], name, expected[name])
