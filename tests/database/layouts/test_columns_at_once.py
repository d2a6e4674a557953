"""Columns that are taken out of a record at once have the values that their formatters make one by one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anonymisation.database.layouts.columns import Columns, columns_from_records, row_from_record, rows_of
from anonymisation.database.layouts.formatters import FORMATTERS, Formatter, NumberOf, TextOf, Value
from anonymisation.database.layouts.tables import TableLayout, load_layout
from anonymisation.database.loading.loader import SourceRecord

LAYOUTS = ("VEGBILDER", "VEGBILDER_2022", "PICTURES")
KEYS = sorted(
    {key for known in FORMATTERS.values() if isinstance(known, NumberOf) for key in known.keys}
    | {known.key for known in FORMATTERS.values() if isinstance(known, TextOf)}
)

VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["", " ", "134", " 07 ", "1.5", "-1e3", "NaN", "inf", "1_0", "x", "5.", ".5", "1e999"])
    | st.lists(st.integers(), max_size=1)
)  # fmt: skip


def one_by_one(name: str) -> TableLayout:
    """The layout with the same formatters as a user's own, of which each is asked alone and its value checked."""

    def own(formatter: Formatter) -> Formatter:
        def ask(record: Mapping[str, Any]) -> Value:
            return formatter(record)

        return ask

    return load_layout(name, formatters={name: own(formatter) for name, formatter in FORMATTERS.items()})


def typed(columns: Columns) -> list[tuple[str, list[tuple[type, Value]]]]:
    return [(name, [(type(value), value) for value in values]) for name, values in columns.items()]


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    changes=st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4), min_size=1, max_size=3),
    missing=st.sets(st.sampled_from(KEYS), max_size=2),
)
def test_whatever_records_hold_their_rows_and_warnings_are_the_same(
    name: str, changes: list[dict[str, object]], missing: set[str], captured: list[SourceRecord],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    usual = {**dict.fromkeys(KEYS), **captured[0].record}
    records = [usual, {key: value for key, value in usual.items() if key not in missing}]
    records += [{**usual, **change} for change in changes]
    layout, slow = load_layout(name), one_by_one(name)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        at_once = columns_from_records(layout, records)
        warnings = [message for message in caplog.messages if "older ones" not in message]
        caplog.clear()
        expected = [row_from_record(slow, record) for record in records]
    assert typed(at_once) == typed({name: [row[name] for row in expected] for name in at_once})
    assert rows_of(at_once) == expected
    assert warnings == [message for message in caplog.messages if "older ones" not in message]


def test_columns_that_are_given_are_not_made(captured: list[SourceRecord]) -> None:
    layout = load_layout("VEGBILDER")
    records = [source.record for source in captured]
    columns = columns_from_records(layout, records, {"JsonData": ["given"] * len(records)})
    assert columns == columns_from_records(layout, records) | {"JsonData": ["given"] * len(records)}
    assert tuple(columns) == tuple(column.name for column in layout.columns)


def test_a_formatter_of_ones_own_is_asked_once_for_each_record() -> None:
    asked: list[int] = []

    def own(record: Mapping[str, Any]) -> Value:
        asked.append(record["number"])
        return FORMATTERS["Filnavn"](record)

    layout = load_layout("PICTURES", formatters={**FORMATTERS, "Filnavn": own})
    columns_from_records(layout, [{"number": 1, "exif_filnavn": "a"}, {"number": 2}, {"number": 3}])
    assert asked == [1, 2, 3]


def test_formatters_of_ones_own_may_share_what_one_has_found_in_a_record() -> None:
    found: list[str] = []

    def first(record: Mapping[str, Any]) -> Value:
        found[:] = record["exif_filnavn"].split("_")
        return found[0]

    own = {"Mappenavn": first, "Filnavn": lambda _: found[1], "Feltkode": lambda _: found[2]}
    layout = load_layout("PICTURES", formatters={**FORMATTERS, **own})
    records = [{"exif_filnavn": f"folder{number}_name{number}_lane{number}"} for number in range(3)]
    columns = columns_from_records(layout, records)
    assert columns["Mappenavn"] == ["folder0", "folder1", "folder2"]
    assert columns["Filnavn"] == ["name0", "name1", "name2"]
    assert columns["Feltkode"] == ["lane0", "lane1", "lane2"]


def test_a_warning_names_columns_in_the_layouts_order(caplog: pytest.LogCaptureFixture) -> None:
    def failing(_: Mapping[str, Any]) -> Value:
        raise ValueError("none")

    layout = load_layout("PICTURES", formatters={**FORMATTERS, "Tidspunkt": failing})
    columns_from_records(layout, [{"exif_heading": "north", "bildeid": "x"}])
    [warning] = [message for message in caplog.messages if message.startswith("x: ")]
    assert warning.index("Tidspunkt (none)") < warning.index("Retning (expected a number")


class SilentError(Exception):
    """As some libraries have them."""


class BrokenError(Exception):
    """A mistake in a user's own class."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("error", [SilentError, BrokenError])
def test_a_warning_names_the_error_of_a_formatter_that_says_nothing(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def failing(_: Mapping[str, Any]) -> Value:
        raise error

    layout = load_layout("PICTURES", formatters={**FORMATTERS, "Versjon": failing})
    assert columns_from_records(layout, [{"bildeid": "x"}])["Versjon"] == [None]
    assert f"Versjon ({error.__name__})" in caplog.text
