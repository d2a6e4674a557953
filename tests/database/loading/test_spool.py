"""The spool's files: whatever happened to one, its sound rows go in, and the rest is named once and stops nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anonymisation.database.loading.loader import DatabaseTarget, LoadLimits, LoadReport, load_records, send_spooled
from anonymisation.database.loading.spool_lines import from_line, to_line

Make = Callable[..., list[Any]]
Query = Callable[[str], list[tuple[Any, ...]]]

COUNT = 3


@pytest.fixture
def segment(database: Path, state: Path, target: DatabaseTarget, limits: LoadLimits, make_records: Make) -> Path:
    """A segment of rows that waited for a database, which is back."""
    database.mkdir()
    load_records(make_records(COUNT), target, state, limits)
    database.rmdir()
    [path] = (state / "spool").rglob("*.jsonl")
    return path


def test_a_line_is_read_as_it_was_written_or_not_at_all(make_records: Make) -> None:
    [item] = make_records(1, exif_roadident="Æ \udce5")
    line = to_line(item)[:-1]
    assert from_line(line) == item
    for place in range(len(line)):
        for byte in {line[place] ^ 1, line[place] ^ 0x80, ord('"'), ord("7")} - {line[place]}:
            assert from_line(line[:place] + bytes([byte]) + line[place + 1 :]) in (None, item)
        assert from_line(line[:place]) is None


def test_lines_of_the_first_version_had_no_checksum(make_records: Make) -> None:
    [item] = make_records(1)
    assert from_line(json.dumps({"picture": item.picture, "record": item.record}).encode()) == item


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replaced_by_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replaced_by_a_link(path: Path) -> None:
    path.rename(path.with_name("x"))
    path.symlink_to("x")


def without_keys(path: Path) -> None:
    path.write_text('{"picture": "a/b.jpg"}\n[1]\n{}\n')


def of_another_version(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    path.write_text("".join(f"{json.dumps({**line, 'version': 9})}\n" for line in lines))


KINDS: dict[str, Callable[[Path], object]] = {
    "folder": replaced_by_a_folder,
    "pipe": replaced_by_a_pipe,
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 9),
    "without keys": without_keys,
    "another version": of_another_version,
    "link": replaced_by_a_link,
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_unusable_segment_is_named_once_and_stops_nothing(
    kind: str, segment: Path, state: Path, target: DatabaseTarget, limits: LoadLimits, make_records: Make
) -> None:
    KINDS[kind](segment)
    report = load_records(make_records(2, first=COUNT), target, state, limits)
    assert (report.inserted, report.resent, report.failed, report.waiting) == (2, 0, (), 0)
    [problem] = report.problems
    assert problem.path == str(segment)
    assert f"kept as {segment.name}.damaged" in problem.message
    assert "load their records again" in problem.message
    assert load_records(make_records(COUNT), target, state, limits) == LoadReport(COUNT, 0, (), 0, ())
    assert send_spooled(target, state, limits) == LoadReport(0, 0, (), 0, ())


def test_records_that_lack_what_the_table_needs_are_refused(
    segment: Path, state: Path, target: DatabaseTarget, limits: LoadLimits, make_records: Make
) -> None:
    items = make_records(COUNT)
    del items[1].record["exif_tid"]
    for key in ("bildeid", "exif_filnavn"):  # from which older records get their ID
        del items[2].record[key]
    segment.write_bytes(b"".join(map(to_line, items)))
    report = send_spooled(target, state, limits)
    assert (report.inserted, [failure.picture for failure in report.failed]) == (
        1,
        [items[1].picture, items[2].picture],
    )
    assert send_spooled(target, state, limits) == LoadReport(0, 0, (), 0, ())


def test_a_folder_in_place_of_the_unfinished_segment(
    segment: Path, state: Path, target: DatabaseTarget, limits: LoadLimits
) -> None:
    (segment.parent / ".segment.part").mkdir()
    assert send_spooled(target, state, limits) == LoadReport(COUNT, 0, (), 0, ())
