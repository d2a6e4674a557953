"""List one directory of the input share with any entries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.workspace.listing import Listing, Problem, list_folder, list_named, list_pictures
from anonymisation.workspace.shards import Shard


def listing(path: Path, folder: str = "f") -> Listing:
    found = list_folder(path, folder)
    assert isinstance(found, Listing)
    return found


def test_pictures_folders_and_other_files_are_distinguished(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.jpeg", "notes.txt", ".hidden.jpg", "%#{}.jpg", "new\nline.jpg"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "folder.jpg").mkdir()
    found = listing(tmp_path)
    assert [picture.name for picture in found.pictures] == ["%#{}.jpg", "a.jpeg", "b.JPG", "new\nline.jpg"]
    assert {picture.stamp.size for picture in found.pictures} == {5}
    assert found.folders == ["folder.jpg"]
    assert found.other_names == {"notes.txt", ".hidden.jpg"}
    assert found.problems == []
    assert found.newest == max(path.stat().st_ctime for path in (tmp_path, *tmp_path.iterdir()))


def test_entries_that_are_not_read_are_reported(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / ".snapshot").mkdir()
    (tmp_path / os.fsdecode(b"bl\xe5b")).mkdir()
    found = listing(tmp_path)
    assert found.folders == ["real"]
    problems = {problem.path: (problem.reason, problem.hides_pictures) for problem in found.problems}
    assert set(problems) == {"f/link", "f/loop", "f/.snapshot", r"f/bl\udce5b"}
    assert "link to a folder" in problems["f/link"][0]
    assert [problems[name][1] for name in ("f/link", "f/loop", "f/.snapshot")] == [False] * 3
    assert "not valid UTF-8" in problems[r"f/bl\udce5b"][0]
    assert problems[r"f/bl\udce5b"][1]


def test_pictures_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "missing")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "other").symlink_to(tmp_path / "missing")
    found = listing(tmp_path)
    assert found.pictures == []
    assert sorted(problem.path for problem in found.problems) == ["f/broken.jpg", "f/loop.jpg", "f/pipe.jpg"]
    assert all(problem.hides_pictures and "it is not masked" in problem.reason for problem in found.problems)


def test_a_link_to_a_picture_is_reported_and_not_listed(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"123")
    (tmp_path / "b.jpg").write_bytes(b"1234")
    (tmp_path / "a.jpg").symlink_to(tmp_path / "there")
    (tmp_path / "c.jpg").symlink_to("b.jpg")
    reason = "is a link and is not followed; it is not masked"
    found = listing(tmp_path)
    assert [picture.name for picture in found.pictures] == ["b.jpg"]
    assert sorted(map(str, found.problems)) == [f"f/a.jpg: {reason}", f"f/c.jpg: {reason}"]
    assert all(problem.hides_pictures for problem in found.problems)
    assert [(picture.name, picture.stamp.size) for picture in list_pictures(tmp_path)] == [("b.jpg", 4)]
    pictures, others = list_named(tmp_path)
    assert pictures == list_pictures(tmp_path)
    assert sorted((problem.path, problem.reason) for problem in others) == [("a.jpg", reason), ("c.jpg", reason)]


def test_links_belong_to_the_shard_of_their_name(tmp_path: Path) -> None:
    names = {f"p{number}.jpg" for number in range(20)}
    for name in names:
        (tmp_path / name).symlink_to("nowhere")
    shards = [{problem.path for problem in list_named(tmp_path, Shard(number, 2))[1]} for number in (1, 2)]
    assert shards[0] | shards[1] == names
    assert all(shards)
    assert not shards[0] & shards[1]


def test_a_folder_that_cannot_be_read_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    found = list_folder(tmp_path / "file", "f")
    assert isinstance(found, Problem)
    assert found.hides_pictures
    with pytest.raises(ShareUnavailableError, match="cannot be read"):
        list_pictures(tmp_path / "file")
    assert list_pictures(tmp_path / "missing") == []
    assert list_named(tmp_path / "missing") == ([], [])
    with pytest.raises(FileNotFoundError):
        list_folder(tmp_path / "missing", "f")
