"""Whatever waits in the spool, and whatever the database says to it, a run masks, and names the problem."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.captures import FOLDER, capture
from tests.cli.conftest import Program


def as_a_folder(segment: Path) -> None:
    segment.unlink()
    segment.mkdir()


def spool_as_a_file(segment: Path) -> None:
    segment.unlink()
    for path in segment.parent.iterdir():
        path.unlink()
    segment.parent.rmdir()
    segment.parent.write_text("no folder")


POISONS: dict[str, Callable[[Path], object]] = {
    "cut off": lambda segment: segment.write_bytes(segment.read_bytes()[:-100]),
    "a folder": as_a_folder,
    "another version": lambda segment: segment.write_text('{"kind": 3}\n'),
}


@pytest.fixture
def segment(program: Program) -> Path:
    """The spool of a run that did not reach its database, which is there now."""
    program.configure(write_exif_to_db=True)
    program.site.put("p000.jpg", capture(0, "p000.jpg"))
    program.site.database.mkdir(parents=True)
    assert program("run").exit_code == 3
    program.site.database.rmdir()
    [path] = (program.site.state / "spool").rglob("*.jsonl")
    program.site.put("p001.jpg", capture(1, "p001.jpg"))
    return path


@pytest.mark.parametrize("poison", POISONS)
def test_a_spool_that_cannot_be_read_is_one_finding(poison: str, segment: Path, program: Program) -> None:
    POISONS[poison](segment)
    result = program("run")
    assert result.exit_code == 1
    shown = " ".join(result.output.split())
    assert segment.name + ".damaged" in shown.replace(" ", "")
    assert "Unexpected error" not in shown
    assert {path.name for path in (program.site.output / FOLDER).glob("*.jpg")} == {"p000.jpg", "p001.jpg"}
    assert [name for name, _ in program.site.rows()] == ["p000.jpg", "p001.jpg"]
    assert program("run").exit_code == 0


def test_a_spool_that_is_no_folder_stops_no_masking(segment: Path, program: Program) -> None:
    spool_as_a_file(segment)
    result = program("run")
    assert result.exit_code == 3
    assert str(segment.parent) in "".join(result.output.split())
    assert (program.site.output / FOLDER / "p001.jpg").exists()
    segment.parent.unlink()
    assert program("run").exit_code == 0
    assert [name for name, _ in program.site.rows()] == ["p000.jpg", "p001.jpg"]


def test_rows_that_wait_for_a_table_that_does_not_fit_stop_no_masking(segment: Path, program: Program) -> None:
    program.site.put("p002.jpg", capture(2, "p002.jpg"))
    program.site.database.write_bytes(b"")
    with sqlite3.connect(program.site.database) as connection:
        connection.execute("CREATE TABLE PICTURES (other TEXT)")
    connection.close()
    result = program("run")
    assert result.exit_code == 1
    assert "the table does not fit its layout" in " ".join(result.output.split())
    assert (program.site.output / FOLDER / "p002.jpg").exists()
