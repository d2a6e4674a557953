"""Columns that are taken out of a record at once have the values that their formatters make one by one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anonymisation.database.layouts.columns import row_from_record
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


def typed(row: Mapping[str, Value]) -> list[tuple[str, type, Value]]:
    return [(name, type(value), value) for name, value in row.items()]


@pytest.mark.parametrize("name", LAYOUTS)
def test_records_of_captures_are_taken_at_once(name: str, captured: list[SourceRecord]) -> None:
    layout, slow = load_layout(name), one_by_one(name)
    assert len(layout.quick.names) >= 2
    assert not slow.quick.names
    for source in captured:
        record = dict.fromkeys(KEYS) | source.record
        assert layout.quick.values(record) is not None
        assert typed(row_from_record(layout, record)) == typed(row_from_record(slow, record))


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4), missing=st.sets(st.sampled_from(KEYS), max_size=2))
def test_whatever_a_record_holds_the_row_and_its_warnings_are_the_same(
    name: str, changes: dict[str, object], missing: set[str], captured: list[SourceRecord],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    record = {**dict.fromkeys(KEYS), **captured[0].record, **changes}
    record = {key: value for key, value in record.items() if key not in missing}
    rows, warnings = [], []
    for layout in (load_layout(name), one_by_one(name)):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            rows.append(typed(row_from_record(layout, record)))
        warnings.append([message for message in caplog.messages if "older ones" not in message])
    assert rows[0] == rows[1]
    assert warnings[0] == warnings[1]


def test_columns_that_are_given_are_not_made(captured: list[SourceRecord]) -> None:
    layout = load_layout("VEGBILDER")
    row = row_from_record(layout, captured[0].record, {"JsonData": "given"})
    assert row == row_from_record(layout, captured[0].record) | {"JsonData": "given"}
    assert tuple(row) == tuple(column.name for column in layout.columns)
