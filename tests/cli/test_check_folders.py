"""`anonymise check-folders`: files compared with the configuration by their names."""

from __future__ import annotations

import re

from click.testing import Result

from tests.captures import FOLDER
from tests.cli.conftest import Program


def cells(result: Result, name: str) -> list[str]:
    """The words behind a picture's or place's name."""
    found = re.search(rf"^\s*{re.escape(name)}\s+(.*?)\s*$", result.stdout, re.MULTILINE)
    assert found is not None, result.stdout
    return found.group(1).split()


def test_all_is_there_after_a_run(program: Program) -> None:
    program.configure(remote_json=True, archive_json=True, local_mask=True)
    program.site.fill(2)
    program("run", archive=True)
    result = program("check-folders", archive=True)
    assert result.exit_code == 0, result.output
    #                                  input: picture json webp, then output and archive
    assert cells(result, "p001.jpg") == ["OK", "None", "OK", "OK", "OK", "None", "OK", "OK", "None"]
    assert cells(result, "output json") == ["2", "0", "0", "0", "0"]
    assert cells(result, "output webp") == ["0", "0", "0", "2", "0"]


def test_what_is_missing_is_named_and_ends_with_1(program: Program) -> None:
    program.configure(remote_json=True)
    program.site.fill(2)
    program("run")
    (program.site.output / FOLDER / "p000.json").unlink()
    result = program("check-folders")
    assert result.exit_code == 1
    assert cells(result, "p000.jpg") == ["OK", "None", "None", "OK", "Missing", "None"]
    assert cells(result, "output json") == ["1", "1", "0", "0", "0"]
    assert "1 picture is not as the configuration asks for." in result.stdout


def test_a_link_is_no_file_that_is_there(program: Program) -> None:
    program.site.fill(2)
    program("run")
    masked = program.site.output / FOLDER / "p000.jpg"
    masked.rename(program.site.root / "kept.jpg")
    masked.symlink_to(program.site.root / "kept.jpg")
    result = program("check-folders")
    assert result.exit_code == 1
    assert cells(result, "p000.jpg") == ["OK", "None", "None", "Missing", "None", "None"]
    assert f"output: {FOLDER}/p000.jpg: is a link and is not followed" in result.stdout


def test_originals_must_be_gone_with_delete_input(program: Program) -> None:
    program.configure(delete_input=True, remote_json=True, local_json=True)
    program.site.fill(1)
    program("run", archive=True)
    good = program("check-folders", archive=True)
    assert good.exit_code == 0, good.output
    assert cells(good, "p000.jpg") == ["None", "None", "None", "OK", "OK", "None", "OK", "None", "None"]
    program.site.fill(1)
    left = program("check-folders", archive=True)
    assert left.exit_code == 1
    assert cells(left, "p000.jpg")[0] == "Left"


def test_an_unmasked_output_picture_must_be_gone_without_draw_mask(program: Program) -> None:
    program.site.fill(1)
    program("run")
    program.configure(draw_mask=False)
    result = program("check-folders")
    assert result.exit_code == 1
    assert cells(result, "p000.jpg")[3] == "Left"


def test_files_of_another_configuration_are_told_and_harmless(program: Program) -> None:
    program.configure(remote_mask=True)
    program.site.fill(1)
    program("run")
    program.configure(remote_mask=False)
    result = program("check-folders")
    assert result.exit_code == 0
    assert cells(result, "p000.jpg") == ["OK", "None", "None", "OK", "None", "Extra"]


def test_ignore_config_only_lists(program: Program) -> None:
    program.configure(remote_json=True, remote_mask=True)
    program.site.fill(1)
    program.site.output.mkdir()
    result = program("check-folders", "--ignore-config")
    assert result.exit_code == 0
    assert cells(result, "p000.jpg") == ["OK", "None", "None", "None", "None", "None"]
    assert program("check-folders").exit_code == 1


def test_it_changes_nothing(program: Program) -> None:
    program.site.fill(1)
    program.site.output.mkdir()
    before = sorted(program.site.root.rglob("*"))
    program("check-folders")
    assert sorted(program.site.root.rglob("*")) == before


def test_a_missing_share_is_the_environments_fault(program: Program) -> None:
    program.site.fill(1)
    assert program("check-folders").exit_code == 3


def test_files_that_are_not_read_are_counted_and_named(program: Program) -> None:
    program.site.fill(1)
    program("run")
    program.site.put("a.heic", b"")
    program.site.put("film.mp4", b"", "videos only")
    program.site.put("notes.txt", b"")
    result = program("check-folders")
    assert result.exit_code == 0
    assert "2 files that are not read (only .jpg and .jpeg are):" in result.stdout
    assert f"{FOLDER}: 1 file: a.heic" in result.stdout.replace("\n", "")
    assert "videos only: 1 file: film.mp4" in result.stdout
    assert "notes.txt" not in result.stdout
