"""Files that are set aside come back under their names, and over no other file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from anonymisation.workspace.listing import Listing, list_folder, list_named
from anonymisation.workspace.paths import RELEASING_FOLDER
from anonymisation.workspace.set_aside import files_aside, put_back, put_back_all, remove_if_empty, set_aside
from anonymisation.workspace.shards import WHOLE, Shard


@pytest.mark.parametrize("name", ["a.jpg", "å" * 125 + ".jpg", "b" * 251 + ".jpg", os.fsdecode(b"\xff.jpg")])
def test_a_file_is_set_aside_and_put_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"original")
    inode = path.stat().st_ino
    aside = set_aside(path)
    assert not path.exists()
    assert list_named(tmp_path) == ([], [])
    listing = list_folder(tmp_path, ".")
    assert isinstance(listing, Listing)
    assert (listing.releasing, listing.folders, listing.problems) == (True, [], [])
    assert list(files_aside(tmp_path, WHOLE)) == [aside]
    assert put_back_all(tmp_path, WHOLE) == []
    assert path.stat().st_ino == inode
    assert not (tmp_path / RELEASING_FOLDER).exists()


def test_a_file_is_not_put_back_over_another(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    aside = set_aside(path)
    path.write_bytes(b"delivered")
    assert not put_back(aside)
    assert put_back_all(tmp_path, WHOLE) == [aside]
    assert (path.read_bytes(), aside.read_bytes()) == (b"delivered", b"old")
    with pytest.raises(FileExistsError):
        set_aside(path)
    assert (path.read_bytes(), aside.read_bytes()) == (b"delivered", b"old")
    path.rename(tmp_path / "renamed.jpg")
    assert put_back_all(tmp_path, WHOLE) == []
    assert path.read_bytes() == b"old"


def test_a_missing_file_and_a_missing_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "a.jpg", tmp_path / "gone" / "a.jpg"):
        with pytest.raises(FileNotFoundError):
            set_aside(path)
    assert not (tmp_path / "gone").exists()
    assert put_back_all(tmp_path / "gone", WHOLE) == []


def test_each_shard_puts_back_its_own(tmp_path: Path) -> None:
    names = [f"p{number}.jpg" for number in range(12)]
    for name in names:
        (tmp_path / name).write_bytes(b"")
        set_aside(tmp_path / name)
    assert put_back_all(tmp_path, Shard(1, 2)) == []
    back = {path.name for path in tmp_path.glob("*.jpg")}
    assert back == {name for name in names if Shard(1, 2).holds(name)}
    assert 0 < len(back) < 12
    remove_if_empty(tmp_path)
    assert {path.name for path in files_aside(tmp_path, Shard(2, 2))} == set(names) - back


def test_a_link_in_place_of_the_hidden_folder_is_not_followed(tmp_path: Path) -> None:
    """Otherwise whoever may deliver could have files of anywhere moved."""
    elsewhere, place = tmp_path / "elsewhere", tmp_path / "captures"
    for folder in (elsewhere, place):
        folder.mkdir()
    (elsewhere / "secret.jpg").write_bytes(b"secret")
    (place / "a.jpg").write_bytes(b"original")
    (place / RELEASING_FOLDER).symlink_to(elsewhere)
    assert put_back_all(place, WHOLE) == []
    with pytest.raises(OSError, match="is a link and is not followed"):
        set_aside(place / "a.jpg")
    assert [path.name for path in elsewhere.iterdir()] == ["secret.jpg"]
    assert (place / "a.jpg").read_bytes() == b"original"
    listing = list_folder(place, ".")
    assert isinstance(listing, Listing)
    assert [problem.path for problem in listing.problems] == [RELEASING_FOLDER]
    assert not listing.releasing
