"""Batches of records: read before they are needed, made meanwhile, and nothing lost where reading fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import anonymisation.database.loading.batches
from anonymisation.database.fast_json import to_text
from anonymisation.database.layouts.columns import row_from_record
from anonymisation.database.loading.batches import Batches, make_batch
from anonymisation.database.loading.loader import DatabaseTarget, LoadLimits, SourceRecord, load_records
from anonymisation.database.loading.spool_lines import to_line
from tests.database.sites import Site

Make = Callable[..., list[SourceRecord]]


def names(batches: Batches) -> Iterator[list[str]]:
    while batch := batches.take():
        assert len(batch.records) == len(batch.keys) == len(batch.rows) == len(batch.lines)
        yield [item.picture for item in batch.records]


@pytest.mark.parametrize("ahead", [False, True])
def test_every_record_comes_once_whether_made_ahead_or_not(
    ahead: bool, target: DatabaseTarget, make_records: Make
) -> None:
    records = make_records(7)
    batches = Batches(records, 3, target.layout, target.writer)
    told = []
    for batch in names(batches):
        told.append(batch)
        for _ in range(2 if ahead else 0):
            batches.make_next()
    assert [len(batch) for batch in told] == [3, 3, 1]
    assert [name for batch in told for name in batch] == [item.picture for item in records]


@pytest.mark.parametrize(("quick", "read"), [(math.inf, [3, 9, 10, 10]), (0.0, [3, 6, 9, 10])])
def test_records_are_read_while_the_database_works_only_if_that_is_quick(
    quick: float, read: list[int], target: DatabaseTarget, make_records: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anonymisation.database.loading.batches, "_QUICK_SECONDS", quick)
    taken: list[SourceRecord] = []

    def reading() -> Iterator[SourceRecord]:
        for item in make_records(10):
            taken.append(item)
            yield item

    batches = Batches(reading(), 3, target.layout, target.writer)
    counts = [len(taken)]
    sizes = []
    while batch := batches.take():
        sizes.append(len(batch.records))
        batches.make_next()
        counts.append(len(taken))
    assert sizes == [3, 3, 3, 1]
    assert counts == [*read, 10]


def test_what_reading_while_the_database_works_raises_comes_after_all_records_before_it(
    target: DatabaseTarget, make_records: Make
) -> None:
    def failing() -> Iterator[SourceRecord]:
        yield from make_records(8)
        raise OSError("the share is gone")

    batches = Batches(failing(), 3, target.layout, target.writer)
    for size in (3, 3, 2):
        batch = batches.take()
        assert batch is not None
        assert len(batch.records) == size
        batches.make_next()
    with pytest.raises(OSError, match="the share is gone"):
        batches.take()


@pytest.mark.parametrize("text", ["Ærlig", "Æ \udce5"])
def test_rows_and_lines_are_those_of_each_record_alone(text: str, target: DatabaseTarget, make_records: Make) -> None:
    """The whole record is encoded once for the line and the row, unless half a surrogate pair forbids it."""
    records = make_records(3, exif_roadident=text, note={"a": [1.5, None], "b": float("nan")})
    batch = make_batch(records, target.layout, target.writer, spooled=False)
    assert target.layout.record_columns == ("JsonData",)
    assert list(batch.lines) == [to_line(item) for item in records]
    assert list(batch.rows) == [row_from_record(target.layout, item.record) for item in records]
    assert [row["JsonData"] for row in batch.rows] == [to_text(item.record) for item in records]
    assert list(batch.keys) == [item.record["bildeid"] for item in records]


def test_what_was_read_before_reading_failed_goes_in(site: Site, state: Path, make_records: Make) -> None:
    target: DatabaseTarget = site.target()

    def failing() -> Iterator[SourceRecord]:
        yield from make_records(25)
        raise OSError("the share is gone")

    with pytest.raises(OSError, match="the share is gone"):
        load_records(failing(), target, state, LoadLimits(batch_rows=10))
    assert len(site.rows(target.layout)) == 25


def test_a_record_that_cannot_be_made_costs_no_batch_before_it(site: Site, state: Path, make_records: Make) -> None:
    target = site.target()
    records = make_records(15)
    records[12] = SourceRecord(records[12].picture, records[12].record | {"exif_roadident": object()})
    with pytest.raises(TypeError):
        load_records(records, target, state, LoadLimits(batch_rows=10))
    assert len(site.rows(target.layout)) == 10
