"""Records from before some of today's keys existed: they become rows, or their reason says what they lack."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from anonymisation.database.layouts.columns import row_from_record
from anonymisation.database.layouts.formatters import FORMATTERS, identifier_of
from anonymisation.database.layouts.tables import load_layout

OLDER: dict[str, Any] = {"exif_tid": "2018-06-21T11:01:00.2394114", "exif_filnavn": "Fy06_Ev134_hp05_f1_m03173.jpg"}
IDENTIFIER = "2018-06-21T11.01.00.239411_Fy06_Ev134_hp05_m03173"


def test_a_record_of_2018_becomes_a_complete_row(cases: Path) -> None:
    record = json.loads((cases / "records/older_without_bildeid.json").read_text("utf-8"))
    stem = record["exif_filnavn"].replace("_f1", "").removesuffix(".jpg")
    layout = load_layout("VEGBILDER")
    row = row_from_record(layout, record)
    assert row["ID"] == f"2018-06-21T11.01.00.239411_{stem}"
    assert row["Tidspunkt"] == datetime(2018, 6, 21, 11, 1, 0, 239411, UTC)
    assert (row["ReflinkID"], row["ReflinkPosisjon"]) == (record["veglenkeid"], record["veglenkepos"])
    assert (row["Vegnummer"], row["Aar"]) == (int(record["exif_vegnr"]), 2018)
    assert not [column.name for column in layout.columns if layout.requires(column) and row[column.name] is None]
    assert json.loads(str(row["JsonData"])) == record


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, IDENTIFIER),
        ({"bildeid": "given"}, "given"),
        ({"bildeid": None}, None),
        ({"exif_tid": "2018:06:21 11:01:00.2394114"}, IDENTIFIER),
        ({"exif_tid": " 2018-06-21 11:01:00.2394114 "}, IDENTIFIER),
        ({"exif_tid": "2018-06-21T11:01:00,2394114"}, IDENTIFIER),
        ({"exif_tid": "2018-06-21T11:01:00.2394119+02:00"}, IDENTIFIER),  # the wall clock's time, as in newer IDs
        ({"exif_tid": "2018-06-21T11:01:00Z"}, IDENTIFIER.replace("239411", "000000")),
        ({"exif_filnavn": r"D:\06\F1_2018\Fy06_Ev134_hp05_f1_m03173.JPG"}, IDENTIFIER),
        ({"exif_filnavn": "D:/06/F1_2018/Fy06_Ev134_hp05_m03173"}, IDENTIFIER),
    ],
)
def test_the_identifier(changes: dict[str, Any], wanted: str | None) -> None:
    assert identifier_of(OLDER | changes) == wanted


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "no exif_tid and no exif_filnavn"),
        (OLDER | {"exif_tid": None}, "and no exif_tid from which"),
        (OLDER | {"exif_filnavn": " "}, "and no exif_filnavn from which"),
        (OLDER | {"exif_filnavn": 7}, "and no exif_filnavn from which"),
        (OLDER | {"exif_tid": "21.06.2018"}, "its exif_tid '21.06.2018' is no time"),
        (OLDER | {"exif_tid": "2018:13:21 11:01:00"}, "is no time"),
        (OLDER | {"bildeid": ["2018"]}, "expected text"),
    ],
)
def test_without_an_identifier_the_reason_says_what_is_missing(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        identifier_of(record)


def test_times_may_have_the_colons_of_exif() -> None:
    assert FORMATTERS["Tidspunkt"]({"exif_tid": "2018:06:21 11:01:00"}) == datetime(2018, 6, 21, 11, 1, tzinfo=UTC)
    assert FORMATTERS["Aar"]({"exif_dato": "2018:06:21"}) == 2018
    assert FORMATTERS["Aar"]({"exif_tid": "2018-06-21T11:01:00", "exif_dato": None}) == 2018
    assert FORMATTERS["Aar"]({"exif_tid": "2018-06-21T11:01:00"}) == 2018


def test_a_form_of_older_records_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    layout = load_layout("PICTURES")
    form = dict.fromkeys(("exif_heading", "exif_gpsposisjon", "exif_vegkat", "exif_hp", "mappenavn"))
    with caplog.at_level(logging.WARNING):
        for second in range(3):
            row_from_record(layout, {**OLDER, **form, "exif_tid": f"2018-06-21T11:01:0{second}"})
        assert len(caplog.messages) == 1
        assert "lack the keys of SenterlinjePosisjon, SenterlinjeHoyde, FylkeNummer," in caplog.text
        # What is there and cannot be read is named picture by picture.
        row_from_record(layout, {**OLDER, **form, "exif_heading": "north"})
        row_from_record(layout, {**OLDER, **form, "exif_heading": "south"})
    assert len(caplog.messages) == 3
    assert "Fy06_Ev134_hp05_f1_m03173.jpg: left empty in table PICTURES: Retning (" in caplog.messages[-1]
