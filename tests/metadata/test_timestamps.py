"""Moments, as precise as they are given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from anonymisation.metadata.timestamps import Timestamp, parse_timestamp, timestamp_of


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-06-21T11:01:00.2394119", "2018-06-21T11.01.00.239411"),
        ("2020-06-02T10:00:00.5", "2020-06-02T10.00.00.500000"),
        ("2020-06-02T10:00:00", "2020-06-02T10.00.00.000000"),
        ("2020-06-02 10:00", "2020-06-02T10.00.00.000000"),
        ("2020-06-02", "2020-06-02T00.00.00.000000"),
        ("2020-06-02T10:00:00.5+02:00", "2020-06-02T10.00.00.500000"),
        ("2020-06-02T10:00:00Z", "2020-06-02T10.00.00.000000"),
        ("0001-01-01T00:00:00", "0001-01-01T00.00.00.000000"),
    ],
)
def test_the_text_stays_and_the_moment_is_cut_to_microseconds(text: str, moment: str) -> None:
    timestamp = parse_timestamp(f" {text}\n")
    assert timestamp is not None
    assert (timestamp.text, timestamp.for_id) == (text, moment)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "x",
        "2020-02-30",
        "2020-13-01T00:00:00",
        "02.06.2020",
        "2020-06-02T",
        "2020-06-02T10:00:00.",
        "٢٠٢٠-06-02",
        "2020-06-02T10:00:00 x",
    ],
)
def test_what_is_no_date(text: str | None) -> None:
    assert parse_timestamp(text) is None


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2020:6:2 9:05: 7", "2020-06-02T09:05:07.000000"),
        ("2020-06-02T24:00:00", "2020-06-03T00:00:00.000000"),
        ("2020-06-02T10:00:60", "2020-06-02T10:01:00.000000"),
        ("2020/06/02 10:00:00 Z", "2020-06-02T10:00:00.000000+00:00"),
    ],
)
def test_other_forms_are_written_as_iso_8601(text: str, written: str) -> None:
    timestamp = parse_timestamp(text)
    assert timestamp is not None
    assert timestamp.text == written


def test_a_known_offset_is_kept_in_the_text_and_not_in_ids() -> None:
    timestamp = timestamp_of(datetime(2020, 6, 2, 10, tzinfo=timezone(timedelta(hours=2))))
    assert timestamp.text == "2020-06-02T10:00:00.000000+02:00"
    assert timestamp.for_id == "2020-06-02T10.00.00.000000"
    with pytest.raises(ValueError, match="zone"):
        Timestamp("x", datetime(2020, 6, 2, tzinfo=UTC))
