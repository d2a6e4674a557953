"""`anonymise run`: the whole chain on real pictures, and what the terminal says about it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from anonymisation.cli.model import ModelOnDemand
from anonymisation.core.settings import load_settings
from anonymisation.masking.models.factory import model_identity
from tests.captures import FOLDER, FULL, capture, files_below, names_below
from tests.cli.conftest import Program

SECOND = "TilSladding/2021/Fv13 #50% {x}/Ås"


def counts(output: str) -> dict[str, str]:
    """The summary's lines, as far as they are a label and a value."""
    pairs = (re.split(r"\s{2,}", line, maxsplit=1) for line in output.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[0]}


def test_masks_every_folder_and_tells_what_it_did(program: Program) -> None:
    program.site.fill(2)
    program.site.fill(1, SECOND, first=5)
    result = program("run", archive=True)
    assert result.exit_code == 0, result.output
    told = counts(result.stdout)
    assert told["folders"] == "2"
    assert told["images found"] == told["masked"] == told["originals archived"] == "3"
    assert told["skipped as done"] == told["failed"] == told["rows inserted"] == "0"
    assert told["hidden"] == "3 car"
    assert re.fullmatch(r"(\d+ min )?\d+ s", told["time spent"])
    assert told["masked pictures"] == str(program.site.output)
    assert told["archive"] == str(program.site.archive)
    assert names_below(program.site.output) == sorted(
        [f"{FOLDER}/p000.jpg", f"{FOLDER}/p001.jpg", f"{SECOND}/p005.jpg"]
    )


def test_a_second_run_masks_nothing_and_counts_what_is_done(program: Program) -> None:
    program.site.fill(2)
    program("run")
    before = {path: path.stat().st_mtime_ns for path in program.site.output.rglob("*.jpg")}
    told = counts(program("run").stdout)
    assert (told["folders"], told["images found"], told["skipped as done"], told["masked"]) == ("1", "2", "2", "0")
    assert {path: path.stat().st_mtime_ns for path in program.site.output.rglob("*.jpg")} == before
    assert counts(program("run", "--force-remask").stdout)["masked"] == "2"


def test_a_dry_run_tells_and_touches_nothing(program: Program) -> None:
    program.site.fill(2)
    program.site.fill(1, SECOND, first=5)
    before = names_below(program.site.root)
    result = program("run", "--dry-run", "--folder", FOLDER, archive=True)
    assert result.exit_code == 0, result.output
    assert "A run would take 1 folder, in which 2 pictures" in result.stdout
    assert FOLDER in result.stdout
    assert names_below(program.site.root) == before
    assert not program.site.output.exists()


def test_a_range_of_days_chooses_folders_and_must_be_one(program: Program) -> None:
    program.site.fill(1)
    program.site.fill(1, "TilSladding/F2_2021_06_01", first=5)
    assert program("run", "--from", "2021-05-02", "--to", "2021-06-01").exit_code == 0
    assert names_below(program.site.output) == ["TilSladding/F2_2021_06_01/p005.jpg"]
    wrong = program("run", "--from", "2021-05-02", "--to", "2021-05-01")
    assert wrong.exit_code == 2
    assert "2021-05-02 is later than --to 2021-05-01" in wrong.output


def test_a_bad_picture_is_named_and_ends_the_run_with_1(program: Program) -> None:
    program.site.fill(2)
    program.site.put("torn.jpg", capture(7)[:900])
    result = program("run")
    assert result.exit_code == 1
    told = counts(result.stdout)
    assert (told["masked"], told["failed"]) == ("2", "1")
    assert told["failed pictures"] == str(program.site.errors)
    assert f"  {FOLDER}/torn.jpg: " in result.stdout
    again = program("run")
    assert again.exit_code == 0, again.output
    assert counts(again.stdout)["known to fail"] == "1"
    assert f"  {FOLDER}/torn.jpg: " in again.stdout


def test_the_full_chain_loads_and_empties_the_input(program: Program) -> None:
    program.configure(**{key: value for key, value in FULL.items() if key != "capture_marker_file"})
    program.site.fill(3)
    result = program("run", archive=True)
    assert result.exit_code == 0, result.output
    told = counts(result.stdout)
    assert (told["rows inserted"], told["originals released"]) == ("3", "3")
    assert names_below(program.site.input) == []
    assert len(names_below(program.site.archive)) == 9
    assert len(program.site.rows()) == 3


def test_a_database_on_the_command_line_is_used(program: Program) -> None:
    program.site.fill(1)
    url = f"sqlite:///{program.site.root / 'other.db'}"
    result = program("run", "--database", url)
    assert counts(result.stdout)["rows inserted"] == "1"
    assert counts(result.stdout)["database"] == url


def test_folders_and_dates_choose(program: Program) -> None:
    program.site.fill(1)
    program.site.fill(1, "a/F1_2022_06_07")
    program.site.fill(1, "b/F1_2022_06_08")
    assert counts(program("run", "--date", "2022-06-07").stdout)["images found"] == "1"
    assert names_below(program.site.output) == ["a/F1_2022_06_07/p000.jpg"]
    program("run", "--folder", "b")
    assert names_below(program.site.output) == ["a/F1_2022_06_07/p000.jpg", "b/F1_2022_06_08/p000.jpg"]
    program("run", "--folder", "*_05_0?", "--folder", "nowhere")
    assert f"{FOLDER}/p000.jpg" in names_below(program.site.output)


def test_the_state_folder_can_be_named(program: Program) -> None:
    program.site.fill(1)
    elsewhere = program.site.root / "elsewhere"
    assert program("run", "--state", str(elsewhere)).exit_code == 0
    assert (elsewhere / "folders").is_dir()
    assert not program.site.state.exists()


def test_leftovers_go_unless_told_not_to(program: Program) -> None:
    program.site.fill(1)
    leftover = program.site.output / FOLDER / ".0123456789abcdef.part"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    program("run", "--skip-clear-cache")
    assert leftover.exists()
    program("run", "--force-remask")
    assert not leftover.exists()


def test_rows_that_cannot_be_sent_keep_no_picture_from_being_masked(program: Program) -> None:
    program.site.fill(1)
    program.site.state.mkdir()
    spool = program.site.state / "spool"
    spool.write_bytes(b"in the way")
    program.configure(write_exif_to_db=True)
    result = program("run")
    assert result.exit_code == 3
    assert names_below(program.site.output) == [f"{FOLDER}/p000.jpg"]
    assert f"rows of earlier runs: {spool}" in result.stdout
    spool.unlink()
    assert program("run").exit_code == 0


def test_no_pictures_is_a_good_run(program: Program) -> None:
    result = program("run")
    assert result.exit_code == 0
    assert "Nothing to do: there are no pictures in the input folder." in result.stdout


@pytest.mark.parametrize("verb", ["run", "mask"])
def test_a_pattern_that_matches_nothing_fails_the_run(program: Program, verb: str) -> None:
    program.site.fill(1)
    result = program(verb, "--folder", FOLDER, "--folder", "typo/*")
    assert result.exit_code == 1, result.output
    assert "Not complete:\n  no capture folder matches typo/*\n" in result.stdout
    assert (program.site.output / FOLDER / "p000.jpg").is_file()
    dated = program(verb, "--date", "1999-01-31")
    assert "no capture folder matches --date 1999-01-31." in dated.stdout
    assert "no capture folder matches" not in program(verb, "--folder", FOLDER).output


def test_the_long_spellings_of_old_are_taken(program: Program, run_verb: Callable[..., Result]) -> None:
    program.site.fill(1)
    site = program.site
    result = run_verb(
        "run", "--input-folder", str(site.input), "--output-folder", str(site.output), "--archive-folder",
        str(site.archive), "--log-folder", str(site.root / "logs"), "--skip-clear-cache", "-k", str(program.config),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (log,) = (site.root / "logs").iterdir()
    assert "1 masked" in log.read_text()
    assert counts(result.stdout)["log"] == str(log)


def test_a_link_to_a_folder_is_told_and_not_followed(program: Program) -> None:
    program.site.fill(1)
    (program.site.input / "loop").symlink_to(program.site.input)
    result = program("run")
    assert result.exit_code == 0
    assert "loop: is a link to a folder and is not followed" in result.stdout


def test_nothing_of_a_file_elsewhere_gets_anywhere(program: Program, run_verb: Callable[..., Result]) -> None:
    site = program.site
    site.fill(1)
    lines = Path("/etc/passwd").read_bytes().splitlines()
    (site.input / FOLDER / "passwd.jpg").symlink_to("/etc/passwd")
    (site.input / FOLDER / "passwd.json").symlink_to("/etc/passwd")
    program.configure(remote_json=True, write_exif_to_db=True)
    result = program("run", "-l", str(site.root / "logs"), archive=True)
    assert result.exit_code == 1
    told = "passwd.jpg: is a link and is not followed; it is not masked"
    assert f"Not complete:\n  {FOLDER}/{told}" in result.stdout
    assert names_below(site.errors) == []
    for verb in ("mask", "archive", "load", "check", "release"):
        assert program(verb, archive=True).exit_code == 1, verb
    made = [path for path in files_below(site.root) if site.input not in path.parents]
    assert any(path.suffix == ".log" for path in made)
    assert [path for path in made if any(line in path.read_bytes() for line in lines)] == []
    records = run_verb("db", "load", "-i", str(site.input), "-k", str(program.config), "--state", str(site.state))
    assert records.exit_code == 1
    assert f"{FOLDER}/passwd.json: is a link and is not followed" in records.stdout


def test_names_cannot_forge_lines_or_move_the_cursor(program: Program) -> None:
    folder = "a\nmasked  999\x1b[2J"
    program.site.put("torn.jpg", b"no picture", folder)
    result = program("run")
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "masked  999" not in result.output.splitlines()
    assert r"a\nmasked  999\x1b[2J/torn.jpg" in result.stdout


def test_the_model_is_loaded_again_only_when_its_files_have_changed(car_model: Path, tmp_path: Path) -> None:
    """Otherwise the pictures of the next folder would be recorded as masked by a model that was never loaded."""
    folder = tmp_path / "cars"
    shutil.copytree(car_model, folder)
    settings = load_settings(overrides={"model_type": str(folder)}).settings
    model = ModelOnDemand(settings)
    first = model()
    assert model() is first
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / "assets.extra" / "notes.txt").write_text("version 2")
    second = model()
    assert second is not first
    assert second.identity == model_identity(settings) != first.identity
