"""Rows made from records: equal to the reference, and sound where a record is not."""

from __future__ import annotations

import json
import logging
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.database.layouts.columns import row_from_record
from anonymisation.database.layouts.formatters import FORMATTERS, as_number
from anonymisation.database.layouts.geometry import Point, parse_point
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import SourceRecord

LAYOUT = load_layout("VEGBILDER")


def reference_form(value: object) -> object:
    """A value as the reference writes it: an Oracle object for points, text for times."""
    if isinstance(value, Point):
        return (
            f"SDOGeometry(gtype=2001, srid={value.srid}, point={list(value.coordinates)}, "
            "elem_info=None, ordinates=None, is_null=False)"
        )
    return str(value) if isinstance(value, datetime) else value


NO_POINT = "SDOGeometry(gtype=None, srid=None, point=None, elem_info=None, ordinates=None, is_null=True)"


@pytest.mark.parametrize("name", ["VEGBILDER", "PICTURES"])
def test_rows_of_the_captures_equal_the_reference(
    name: str, reference_records: list[SourceRecord], expected_rows: dict[str, dict[str, Any]]
) -> None:
    assert len(reference_records) == len(expected_rows) > 0
    for source in reference_records:
        expected = expected_rows[source.picture]
        row = row_from_record(load_layout(name), source.record)
        assert list(row) == list(expected)
        for column, value in row.items():
            wanted = None if expected[column] == NO_POINT else expected[column]
            assert (column, reference_form(value)) == (column, wanted)
            assert type(reference_form(value)) is type(wanted), column


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_numbers_keep_their_value_and_whole_ones_are_integers(number: float) -> None:
    for written in (number, repr(number), f" {number!r} "):
        read = as_number(written)
        assert read == number
        assert isinstance(read, int) == (number == math.floor(number))


@given(st.integers(min_value=0, max_value=10**60), st.integers(min_value=0, max_value=5))
def test_digits_of_whole_numbers_are_kept_exactly(number: int, zeros: int) -> None:
    assert as_number("0" * zeros + str(number)) == number


@pytest.mark.parametrize("value", ["NaN", "nan", " NaN ", math.nan, None, "", "  "])
def test_nothing_and_nan_are_null(value: object) -> None:
    assert as_number(value) is None


@pytest.mark.parametrize("value", ["inf", "-Infinity", "1e999", "0x10", "1_000", "1,5", "E6", "١٢", True, [], math.inf])
def test_other_things_are_no_numbers(value: object) -> None:
    with pytest.raises(ValueError, match="expected a"):
        as_number(value)


def test_a_failing_formatter_costs_its_column_and_a_warning(
    captured: list[SourceRecord], caplog: pytest.LogCaptureFixture
) -> None:
    record = captured[0].record | {"exif_meter": "far", "exif_gpsposisjon": "POINT(1 2)", "exif_tid": "2018-13-01"}
    del record["exif_heading"]
    with caplog.at_level(logging.WARNING):
        row = row_from_record(LAYOUT, record)
    good = row_from_record(LAYOUT, captured[0].record)
    damaged = {"Meter", "Posisjon", "PosisjonHoyde", "Tidspunkt", "Retning", "JsonData"}
    assert {name for name in row if row[name] != good[name]} == damaged
    assert [row[name] for name in damaged - {"JsonData"}] == [None] * 5
    warnings = "\n".join(record.getMessage() for record in caplog.records)
    assert all(f" {name} (" in warnings for name in damaged - {"JsonData"})
    assert len(caplog.records) == 1
    assert str(captured[0].record["bildeid"]) in warnings


def test_an_empty_record_gives_a_row_of_nothing() -> None:
    row = row_from_record(LAYOUT, {})
    assert row.pop("JsonData") == "{}"
    assert set(row.values()) == {None}


@pytest.mark.parametrize("column", ["ReflinkID", "ReflinkPosisjon"])
def test_older_keys_of_the_road_network_are_taken(column: str) -> None:
    new, old = {
        "ReflinkID": ("exif_reflinkid", "veglenkeid"),
        "ReflinkPosisjon": ("exif_reflinkposisjon", "veglenkepos"),
    }[column]
    assert FORMATTERS[column]({old: "0.5"}) == 0.5
    assert FORMATTERS[column]({new: None, old: "7"}) == 7
    assert FORMATTERS[column]({new: "3", old: "7"}) == 3


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2018-06-21T11:01:00.2394119", datetime(2018, 6, 21, 11, 1, 0, 239411, UTC)),
        ("2020-06-02T10:00:00.5", datetime(2020, 6, 2, 10, 0, 0, 500000, UTC)),
        ("2020-06-02T10:00:00+02:00", datetime(2020, 6, 2, 8, 0, tzinfo=UTC)),
    ],
)
def test_times_are_utc_with_truncated_microseconds(written: str, expected: datetime) -> None:
    assert FORMATTERS["Tidspunkt"]({"exif_tid": written}) == expected


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00.000000+02:00", "9999-12-31T23:00:00.000000-02:00"])
def test_times_beyond_the_calendar_are_no_times(written: str) -> None:
    with pytest.raises(ValueError, match="no time in UTC"):
        FORMATTERS["Tidspunkt"]({"exif_tid": written})


def test_centre_line_comes_in_two_dimensions_three_and_height() -> None:
    record = {"senterlinjeposisjon": "srid=25833;POINT Z( 231234.5 6612345.25 12.5 )"}
    assert FORMATTERS["SenterlinjePosisjon"](record) == Point(25833, (231234.5, 6612345.25, 12.5))
    assert FORMATTERS["SenterlinjePosisjon_2d"](record) == Point(25833, (231234.5, 6612345.25))
    assert FORMATTERS["SenterlinjeHoyde"](record) == 12.5


def test_a_point_of_another_reference_system_is_not_stored(caplog: pytest.LogCaptureFixture) -> None:
    record = {"senterlinjeposisjon": "srid=4326;POINT Z( 9 59 12 )"}
    assert row_from_record(LAYOUT, record)["SenterlinjePosisjon"] is None
    assert "expected SRID and dimension (25833, 2)" in caplog.text


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=3), st.integers(1, 999999))
def test_points_survive_being_written_and_read(coordinates: list[float], srid: int) -> None:
    point = Point(srid, tuple(coordinates))
    assert parse_point(point.ewkt()) == point


@pytest.mark.parametrize(
    "text",
    ["", "POINT(1 2)", "srid=4326;POINT Z( 1 )", "srid=0;POINT(1 2)", "srid=4326;POINT(1 nan)", "srid=1;POINT(1 2 3 4)",
     "srid=1;POINT Z( 1e999 2 3 )", "srid=4326;LINESTRING(1 2, 3 4)"],
)  # fmt: skip
def test_what_is_no_point_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_point(text)


def test_a_height_of_nan_is_none() -> None:
    record = {"exif_gpsposisjon": "srid=4326;POINT Z( 9.5 59.5 NaN )"}
    assert FORMATTERS["Posisjon_2d"](record) == Point(4326, (9.5, 59.5))
    assert FORMATTERS["Hoyde"](record) is None


def test_json_data_is_the_whole_record() -> None:
    record = {"bildeid": "ÆØÅ", "detekterte_objekter": {}}
    assert json.loads(str(FORMATTERS["JsonData"](record))) == record
    assert "ÆØÅ" in str(FORMATTERS["JsonData"](record))
    assert FORMATTERS["DetekterteObjekter"](record) == "{}"
    assert FORMATTERS["DetekterteObjekter"]({"detekterte_objekter": None}) is None


@pytest.mark.parametrize(
    ("dtype", "given", "stored"),
    [
        ("NUMBER", np.int64(7), 7),
        ("NUMBER", np.float32(0.5), 0.5),
        ("NUMBER", np.float64("nan"), None),
        ("NUMBER", np.bool_(True), 1),
        ("NUMBER", np.array(3), 3),
        ("NUMBER", True, 1),
        ("NUMBER", Decimal("7.00"), 7),
        ("NUMBER", Decimal("7.25"), 7.25),
        ("NUMBER", Decimal("NaN"), None),
        ("DATE", date(2018, 8, 2), datetime(2018, 8, 2, tzinfo=UTC)),
        ("DATE", np.datetime64("2018-08-02T12:00:00"), datetime(2018, 8, 2, 12, tzinfo=UTC)),
        ("DATE", np.datetime64("2018-08-02"), datetime(2018, 8, 2, tzinfo=UTC)),
        ("VARCHAR2(9)", np.str_("x"), "x"),
    ],
)
def test_values_of_numpy_and_of_the_standard_library_are_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, dtype: str, given: object, stored: object
) -> None:
    (tmp_path / "own.yml").write_text(
        "pk_column: ID\ncolumns:\n"
        "- {name: ID, dtype: VARCHAR2(9), formatter: key, extra: NOT NULL}\n"
        f"- {{name: X, dtype: '{dtype}', formatter: own, extra: null}}\n"
    )
    formatters: dict[str, Any] = {"key": lambda record: "1", "own": lambda record: given}
    row = row_from_record(load_layout("own", own=tmp_path, formatters=formatters), {})
    assert row == {"ID": "1", "X": stored}
    assert type(row["X"]) is type(stored)
    assert not caplog.records
