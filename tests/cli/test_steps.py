"""The steps alone: each on what the step before left, over all folders."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anonymisation.cli import folders as folders_module
from anonymisation.review.standing import LEAST_PICTURES
from anonymisation.workspace.listing import Listing, listings
from tests.captures import FOLDER, FULL, capture, names_below
from tests.cli.conftest import Program

OTHER = "TilSladding/2022/F2"


def rows_of(table: str) -> dict[str, list[str]]:
    """A table's cells by its first column."""
    lines = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in table.splitlines() if "│" in line]
    return {cells[0]: cells[1:] for cells in lines}


def test_the_chain_step_by_step(program: Program) -> None:
    program.configure(**{key: value for key, value in FULL.items() if key != "capture_marker_file"})
    program.site.fill(2)
    program.site.fill(1, OTHER, first=4)
    masked = program("mask", archive=True)
    assert rows_of(masked.stdout)[FOLDER] == ["2", "2", "0", "0", "0"]
    assert rows_of(masked.stdout)["all"] == ["3", "3", "0", "0", "0"]
    assert not program.site.archive.exists() or not names_below(program.site.archive)
    archived = program("archive", archive=True)
    assert rows_of(archived.stdout)["all"][:3] == ["3", "0", "0"]
    loaded = program("load", archive=True)
    assert rows_of(loaded.stdout)["all"] == ["3", "0", "0", "0", "0"]
    checked = program("check", archive=True)
    assert rows_of(checked.stdout)["all"][1] == "0"
    assert len(names_below(program.site.input)) == 9
    released = program("release", archive=True)
    assert rows_of(released.stdout)["all"] == ["3", "0", "0"]
    assert names_below(program.site.input) == []
    assert [r.exit_code for r in (masked, archived, loaded, checked, released)] == [0] * 5


def test_check_and_load_know_folders_whose_originals_are_gone(program: Program) -> None:
    program.configure(delete_input=True, remote_json=True)
    program.site.fill(2)
    assert program("run", archive=True).exit_code == 0
    assert names_below(program.site.input) == []
    assert FOLDER in rows_of(program("check", archive=True).stdout)
    assert rows_of(program("load", archive=True).stdout)[FOLDER][0] == "2"
    assert FOLDER not in rows_of(program("load", "--date", "1999-01-01", archive=True).stdout)
    assert FOLDER in rows_of(program("load", "--date", "2021-05-01", archive=True).stdout)
    assert FOLDER not in rows_of(program("check", "--folder", "elsewhere", archive=True).stdout)


def test_check_names_what_is_missing(program: Program) -> None:
    program.site.fill(2)
    program("mask")
    (program.site.output / FOLDER / "p001.jpg").unlink()
    result = program("check")
    assert result.exit_code == 1
    assert f"  {FOLDER}/p001.jpg: output: is missing" in result.stdout


def test_check_names_what_stands_at_the_same_place_and_succeeds(program: Program) -> None:
    program.site.fill(LEAST_PICTURES)
    program.site.fill(LEAST_PICTURES - 1, OTHER)
    assert program("mask").exit_code == 0
    result = program("check")
    assert result.exit_code == 0
    assert f"  {FOLDER}: a car at the same place in {LEAST_PICTURES} of {LEAST_PICTURES} pictures (" in result.stdout
    assert f"  {OTHER}: a car" not in result.stdout
    assert "Everything is done." in result.stdout


def test_a_picture_that_is_not_masked_is_a_gap(program: Program) -> None:
    program.site.fill(1)
    result = program("check")
    assert result.exit_code == 1
    assert "is not masked yet" in result.stdout


def test_mask_tells_failures_and_tries_them_once(program: Program) -> None:
    program.site.put("torn.jpg", capture(2)[:600])
    first = program("mask")
    assert first.exit_code == 1
    assert rows_of(first.stdout)[FOLDER] == ["1", "0", "0", "1", "0"]
    second = program("mask")
    assert second.exit_code == 0
    assert rows_of(second.stdout)[FOLDER] == ["1", "0", "0", "0", "1"]


def test_check_does_not_call_everything_done_where_pictures_failed(program: Program) -> None:
    program.site.fill(1)
    for number in range(3):
        program.site.put(f"torn{number}.jpg", capture(20 + number)[:700])
    assert program("mask").exit_code == 1
    result = program("check")
    assert result.exit_code == 0
    assert "Everything is done, but for 3 pictures that are known to fail." in result.stdout
    assert "Everything is done.\n" not in result.stdout
    assert f"{FOLDER}/torn2.jpg: " in result.stdout


def test_check_of_a_day_survives_a_file_that_vanishes(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "no date"
    program.site.fill(1, folder)
    program.configure(delete_input=True, remote_json=True)
    assert program("run", archive=True).exit_code == 0

    def vanishing(base: Path) -> Iterator[Any]:
        for found in listings(base):
            if isinstance(found[1], Listing) and found[1].pictures:
                (base / folder / "p000.jpg").unlink()
            yield found

    monkeypatch.setattr(folders_module, "listings", vanishing)
    result = program("check", "--from", "2000-01-01", archive=True)
    assert "Unexpected error" not in result.output
    assert "p000.jpg: output: is missing" in result.stdout


def test_archive_needs_an_archive_folder(program: Program) -> None:
    result = program("archive")
    assert result.exit_code == 2
    assert "--archive-folder" in result.stderr


def test_archive_never_overwrites(program: Program) -> None:
    program.site.fill(1)
    program("mask")
    there = program.site.archive / FOLDER / "p000.jpg"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"another picture")
    result = program("archive", archive=True)
    assert result.exit_code == 1
    assert there.read_bytes() == b"another picture"
    assert "different picture" in result.stdout


def test_load_works_whatever_write_exif_to_db_says(program: Program) -> None:
    program.site.fill(2)
    program("mask")
    file = program.site.root / "rows.db"
    result = program("load", "--database", f"sqlite:///{file}")
    assert result.exit_code == 0, result.output
    assert sqlite3.connect(file).execute("SELECT COUNT(*) FROM PICTURES").fetchone() == (2,)


def test_release_keeps_everything_without_delete_input(program: Program) -> None:
    program.site.fill(1)
    program("run", archive=True)
    result = program("release", archive=True)
    assert result.exit_code == 0
    assert "delete_input is False" in result.stdout
    assert names_below(program.site.input) == [f"{FOLDER}/p000.jpg"]


def test_release_keeps_what_it_cannot_verify(program: Program) -> None:
    program.site.fill(2)
    program("run", archive=True)
    (program.site.archive / FOLDER / "p000.jpg").write_bytes(b"rot")
    program.configure(delete_input=True, remote_json=True)
    result = program("release", archive=True)
    assert result.exit_code == 1
    assert f"{FOLDER}/p000.jpg" in names_below(program.site.input)
    assert "not released" in result.stdout


@pytest.mark.parametrize("verb", ["mask", "check"])
def test_the_log_file_tells_the_result_too(program: Program, verb: str) -> None:
    program.site.fill(1)
    program(verb, "-l", str(program.site.root / "logs"))
    (log,) = (program.site.root / "logs").iterdir()
    assert f"{verb}: 1 folders, " in log.read_text()
