"""The derived paths of a picture, and base folders that must not be equal or nested."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.workspace.paths import PICTURE_SUFFIXES, ImagePaths, Shares, is_picture_name, stem_of
from tests.captures import Site
from tests.file_names import file_names

VALUES: dict[str, Any] = {
    "error_output_dir": "", "state_dir": "", "delete_input": False, "archive_json": False, "archive_mask": False,
    "archive_preview": False,
}  # fmt: skip

SOURCES = dict.fromkeys(VALUES, "default")


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("a.jpg", True), ("a.JPG", True), ("a.jPeG", True), ("å b%#{}.jpeg", True), ("a.b.jpg", True),
        ("a.png", False), ("jpg", False), (".jpg", False), ("._a.jpg", False), ("a.jpg.part", False), ("a.webp", False),
    ],
)  # fmt: skip
def test_names_of_pictures(name: str, taken: bool) -> None:
    assert is_picture_name(name) is taken


@given(st.text("aİ.jpegJPEGK", min_size=1, max_size=9) | file_names)
def test_stems_are_those_of_pathlib(name: str) -> None:
    if name == ".":  # not a name
        return
    path = PurePosixPath(name)
    assert stem_of(name) == path.stem
    assert is_picture_name(name) == (path.suffix.lower() in PICTURE_SUFFIXES and not name.startswith("."))


def shares(tmp_path: Path, archive: str | None = "arch", **values: Any) -> Shares:
    place = None if archive is None else tmp_path / archive
    return Shares.resolve(tmp_path / "in", tmp_path / "out", place, VALUES | values)


def test_error_and_state_folders_are_next_to_the_output(tmp_path: Path) -> None:
    found = shares(tmp_path)
    assert (found.errors, found.state) == (tmp_path / "out_error", tmp_path / "out_state")
    assert found.problems(VALUES, SOURCES) == []


def test_error_and_state_folders_can_be_configured(tmp_path: Path) -> None:
    found = shares(tmp_path, error_output_dir=str(tmp_path / "e"), state_dir=str(tmp_path / "s"))
    assert (found.errors, found.state) == (tmp_path / "e", tmp_path / "s")


def test_relative_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = Shares.resolve(Path("in"), Path("out"), None, VALUES)
    assert (found.input, found.output, found.state) == (tmp_path / "in", tmp_path / "out", tmp_path / "out_state")


@pytest.mark.parametrize(
    "values",
    [
        {"archive": "in"}, {"archive": "in/below"}, {"archive": "."}, {"archive": "out"}, {"archive": "out/../in/a"},
        {"state_dir": "in"}, {"state_dir": "out/state"}, {"error_output_dir": "arch/errors"},
        {"error_output_dir": "same", "state_dir": "same"}, {"archive": "link"},
    ],
)  # fmt: skip
def test_folders_that_are_equal_or_nested_are_refused(tmp_path: Path, values: dict[str, str]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    archive = values.pop("archive", "arch")
    found = shares(tmp_path, archive, **{key: str(tmp_path / value) for key, value in values.items()})
    problems = found.problems(VALUES, SOURCES)
    assert problems
    assert all("must not be equal or nested" in problem.message for problem in problems)


def test_names_with_a_common_prefix_are_not_nested(tmp_path: Path) -> None:
    assert shares(tmp_path, "input").problems(VALUES, SOURCES) == []


@pytest.mark.parametrize("key", ["delete_input", "archive_json", "archive_mask", "archive_preview"])
def test_settings_that_need_an_archive_say_so(tmp_path: Path, key: str) -> None:
    values = VALUES | {key: True}
    assert shares(tmp_path, "arch").problems(values, SOURCES) == []
    (problem,) = shares(tmp_path, None).problems(values, {**SOURCES, key: "mine.yml"})
    assert (problem.source, problem.key) == ("mine.yml", key)
    assert "ANONYMISATION_ARCHIVE" in problem.message


def test_paths_of_a_picture(tmp_path: Path) -> None:
    paths = ImagePaths(shares(tmp_path), PurePosixPath("a/b"), "c.d.JPG")
    assert paths.relative == "a/b/c.d.JPG"
    assert paths.original == tmp_path / "in/a/b/c.d.JPG"
    assert paths.masked == tmp_path / "out/a/b/c.d.JPG"
    assert paths.archived == tmp_path / "arch/a/b/c.d.JPG"
    assert paths.failed_copy == tmp_path / "out_error/a/b/c.d.JPG"
    assert paths.failure_note == tmp_path / "out_error/a/b/c.d_error.txt"
    assert ImagePaths(shares(tmp_path, None), PurePosixPath("a"), "c.jpg").archived is None
    assert ImagePaths(shares(tmp_path), PurePosixPath("."), "c.jpg").relative == "c.jpg"


@pytest.mark.parametrize(
    ("base", "folder", "place"),
    [
        ("in", "TilSladding/2022/F1", "2022/F1"),
        ("in", "06/TilSladding/2022/F1", "2022/F1"),
        ("TilSladding", "2022/F1", "2022/F1"),
        ("TilSladding/2022", "F1", "2022/F1"),  # as mappenavn has it
        ("in", "tilsladding/F1", "tilsladding/F1"),
        ("TilSladding", ".", "."),
    ],
)
def test_previews_apart_lie_under_the_path_below_the_top_folder(
    tmp_path: Path, base: str, folder: str, place: str
) -> None:
    settings = Site(tmp_path).workspace(exif_top_dir="TilSladding").settings
    apart = {**VALUES, "separate_preview_directory": str(tmp_path / "apart")}
    found = Shares.resolve(tmp_path / base, tmp_path / "out", None, apart)
    paths = ImagePaths(found, PurePosixPath(folder), "a.JPEG")
    assert paths.previews(settings) == [tmp_path / "apart" / place / "a_preview.jpg"]


def test_derived_files_are_where_the_settings_say(tmp_path: Path) -> None:
    site = Site(tmp_path)
    paths = ImagePaths(shares(tmp_path), PurePosixPath("a"), "c.jpg")
    none = site.workspace().settings
    assert (paths.masks(none), paths.records(none), paths.archive_copies(none), paths.local_files(none)) == ([],) * 4
    local = site.workspace(local_json=True, local_mask=True).settings
    assert paths.records(local) == [tmp_path / "in/a/c.json"]
    assert paths.masks(local) == [tmp_path / "in/a/c.webp"]
    assert paths.local_files(local) == [tmp_path / "in/a/c.json", tmp_path / "in/a/c.webp"]
    remote = site.workspace(
        archive=True, remote_json=True, remote_mask=True, archive_json=True, archive_mask=True
    ).settings
    assert paths.records(remote) == [tmp_path / "out/a/c.json"]
    assert paths.masks(remote) == [tmp_path / "out/a/c.webp"]
    assert paths.archive_copies(remote) == [
        (tmp_path / "out/a/c.json", tmp_path / "arch/a/c.json"),
        (tmp_path / "out/a/c.webp", tmp_path / "arch/a/c.webp"),
    ]
    assert ImagePaths(shares(tmp_path, None), PurePosixPath("a"), "c.jpg").archive_copies(remote) == []
