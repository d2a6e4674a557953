"""The first five minutes on the command line: a single picture, a forgotten flag, help with examples."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from anonymisation.cli import cli
from tests.captures import FOLDER, files_below, names_below
from tests.cli.conftest import Program, invoke


@pytest.fixture
def pictures(program: Program, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two pictures, a folder of more, and a configuration."""
    program.site.fill(3)
    place = program.site.root / "here"
    place.mkdir()
    for name, picture in zip(("one.jpg", "two.JPG"), files_below(program.site.input / FOLDER), strict=False):
        shutil.copy(program.site.input / FOLDER / picture, place / name)
    shutil.copytree(program.site.input, place / "more")
    monkeypatch.chdir(place)
    return place


def run(program: Program, *arguments: str) -> Result:
    return invoke("run", "-k", str(program.config), *arguments)


def test_a_single_picture_is_masked_into_a_folder_next_to_it(program: Program, pictures: Path) -> None:
    result = run(program, "-i", "one.jpg", "-o", "out/")
    assert result.exit_code == 0, result.output
    assert re.search(r"images found +1\n(.*\n)*masked +1\n", result.output)
    assert names_below(pictures / "out") == ["one.jpg"]


def test_a_single_picture_is_done_once_and_the_next_one_joins_it(program: Program, pictures: Path) -> None:
    run(program, "-i", "one.jpg", "-o", "out")
    assert re.search(r"skipped as done +1\nmasked +0\n", run(program, "-i", "one.jpg", "-o", "out").output)
    assert re.search(
        r"images found +1\n", (second := run(program, "-i", str(pictures / "two.JPG"), "-o", "out")).output
    )
    assert second.exit_code == 0
    assert names_below(pictures / "out") == ["one.jpg", "two.JPG"]
    assert re.search(r"skipped as done +1\nmasked +0\n", run(program, "-i", "one.jpg", "-o", "out").output)


def test_a_missing_neighbour_in_the_output_is_no_gap_of_a_single_picture(program: Program, pictures: Path) -> None:
    run(program, "-i", "one.jpg", "-o", "out")
    (pictures / "out" / "one.jpg").unlink()
    assert run(program, "-i", "two.JPG", "-o", "out").exit_code == 0


def test_a_single_picture_goes_through_the_whole_chain(program: Program, pictures: Path) -> None:
    program.configure(remote_json=True, delete_input=True, write_exif_to_db=True)
    original = (pictures / "one.jpg").read_bytes()
    result = run(program, "-i", "one.jpg", "-o", "out", "-a", "archive")
    assert result.exit_code == 0, result.output
    assert re.search(r"originals archived +1\nrows inserted +1\n", result.output)
    assert names_below(pictures / "out") == ["one.jpg", "one.json"]
    assert (pictures / "archive" / "one.jpg").read_bytes() == original
    assert not (pictures / "one.jpg").exists()
    assert (pictures / "two.JPG").exists()


def test_a_dry_run_of_a_single_picture_touches_nothing(program: Program, pictures: Path) -> None:
    before = names_below(pictures)
    result = run(program, "-i", "one.jpg", "-o", "out", "--dry-run")
    assert (result.exit_code, names_below(pictures)) == (0, before)
    assert "1 folder, in which 1 picture (" in result.output


def test_a_single_picture_that_cannot_be_read_fails(program: Program, pictures: Path) -> None:
    (pictures / "torn.jpg").write_bytes((pictures / "one.jpg").read_bytes()[:200])
    result = run(program, "-i", "torn.jpg", "-o", "out")
    assert result.exit_code == 1
    assert "\nFailed:\n  torn.jpg: " in result.output
    assert names_below(pictures / "out") == []


def test_a_link_to_a_picture_is_not_followed(program: Program, pictures: Path) -> None:
    (pictures / "link.jpg").symlink_to("one.jpg")
    result = run(program, "-i", "link.jpg", "-o", "out")
    assert result.exit_code == 1
    assert "link.jpg: is a link and is not followed" in result.output


def test_two_pictures_with_one_record_are_not_both_masked(program: Program, pictures: Path) -> None:
    program.configure(remote_json=True)
    shutil.copy("two.JPG", "one.jpeg")
    assert run(program, "-i", "one.jpg", "-o", "out").exit_code == 0
    record = (pictures / "out" / "one.json").read_bytes()
    result = run(program, "-i", "one.jpeg", "-o", "out")
    assert result.exit_code == 1, result.output
    assert re.search(r"images found +1\n", result.output)
    assert (pictures / "out" / "one.json").read_bytes() == record


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("one.jpg", ".", "must not be equal or nested"),
        ("more/one.jpg", ".", "must not be equal or nested"),
        ("notes.png", "out", "notes.png is not read: expected a folder, or a JPEG"),
        (".hidden.jpg", "out", ".hidden.jpg is not read"),
    ],
)
def test_what_a_single_picture_cannot_be_or_go_to_is_refused(
    program: Program, pictures: Path, source: str, target: str, message: str
) -> None:
    shutil.copy("one.jpg", source) if source != "one.jpg" else None
    before = names_below(pictures)
    result = run(program, "-i", source, "-o", target)
    assert (result.exit_code, names_below(pictures)) == (2, before)
    assert message in " ".join(result.output.split())


def test_an_output_folder_that_is_a_link_to_that_of_the_picture_is_refused(program: Program, pictures: Path) -> None:
    before = (pictures / "one.jpg").read_bytes()
    (program.site.root / "elsewhere").symlink_to(pictures)
    result = run(program, "-i", "one.jpg", "-o", str(program.site.root / "elsewhere"))
    assert result.exit_code == 2
    assert (pictures / "one.jpg").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (["pictures"], "-i pictures -o pictures_masked"),
        (["my pictures"], "-i 'my pictures' -o 'my pictures_masked'"),
        (["pictures", "masked"], "-i pictures -o masked"),
        (["-i", "pictures"], "-i pictures -o pictures_masked"),
        (["-i", "one.jpg"], "-i one.jpg -o masked"),
        (["-o", "masked"], "-i pictures -o masked"),
        (["pictures", "-o", "masked"], "-i pictures -o masked"),
        (["-i", "a", "-o", "b", "c"], "-i a -o b"),
        ([], "-i pictures -o pictures_masked"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "mask"])
def test_folders_without_flags_are_answered_with_what_to_type(
    verb: str, arguments: list[str], typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if verb == "run":
        (tmp_path / "one.jpg").touch()
    elif "one.jpg" in arguments:
        typed = "-i one.jpg -o one.jpg_masked"
    result = CliRunner().invoke(cli, [verb, *arguments], prog_name="anonymise")
    assert result.exit_code == 2
    assert result.output.endswith(f"Type:\n\n  anonymise {verb} {typed}\n")
    assert names_below(tmp_path) == (["one.jpg"] if verb == "run" else [])


def test_a_pattern_of_pictures_is_answered_with_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for name in "ab":
        (tmp_path / "pictures" / f"{name}.jpg").touch()
    typed = ["run", "-i", "pictures/a.jpg", "pictures/b.jpg", "-o", "masked"]
    result = CliRunner().invoke(cli, typed, prog_name="anonymise")
    assert result.output.endswith("Type:\n\n  anonymise run -i pictures -o masked\n")


@pytest.mark.parametrize(("flag", "whole"), [("-i", "--input-folder"), ("-o", "--output-folder")])
def test_a_folder_that_is_given_twice_is_refused(flag: str, whole: str, tmp_path: Path) -> None:
    arguments = ["-i", str(tmp_path), "-o", str(tmp_path / "masked"), flag, str(tmp_path / "second")]
    result = CliRunner().invoke(cli, ["mask", *arguments])
    assert result.exit_code == 2
    assert f"{flag} / {whole} is given 2 times" in result.output
    assert names_below(tmp_path) == []


def commands(command: click.Command, path: tuple[str, ...] = ("anonymise",)) -> Iterator[tuple[str, click.Command]]:
    """Every verb and group of verbs, with its name."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


def test_the_help_of_every_verb_has_an_example_that_fits_a_line() -> None:
    found = dict(commands(cli))
    assert len(found) > 20
    for name, command in found.items():
        text = CliRunner().invoke(command, ["--help"], prog_name=name).output
        examples = re.search(r"  Examples?:\n((?: {4}.*\n)+)", text)
        assert examples is not None, name
        assert f"{name} " in examples[1].replace("\n", " ").replace(')"', " "), name
        assert max(map(len, examples[1].splitlines())) <= 110, name


@pytest.mark.parametrize("verb", ["configure", "create-table", "insert-geom-metadata", "load", "status", "export"])
def test_the_table_has_the_short_flag_of_the_original(verb: str) -> None:
    command = dict(commands(cli))[f"anonymise db {verb}"]
    assert any("-t" in parameter.opts and parameter.name == "table_name" for parameter in command.params)


def test_the_short_flag_of_the_table_names_the_layout() -> None:
    done = invoke("db", "create-table", "-t", "VEGBILDER", "--print", "--dialect", "oracle")
    assert done.exit_code == 0, done.output
    assert "CREATE TABLE VEGBILDER" in done.output.replace('"', "")
