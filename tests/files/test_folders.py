"""Every new folder is flushed into its parent, and the place of a share that is away is never made."""

from __future__ import annotations

import ast
import errno
import os
import stat
from pathlib import Path

import pytest

import anonymisation
from anonymisation.files.atomic import copy_atomically, write_atomically
from anonymisation.files.folders import make_folders
from anonymisation.files.writer import write_together


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes of the folders that are flushed, in order."""
    inodes: list[int] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            inodes.append(status.st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return inodes


def deep(root: Path) -> Path:
    return root.joinpath(*(f"level{number}" for number in range(13)))


def parents(path: Path, root: Path) -> set[int]:
    return {parent.stat().st_ino for parent in path.parents if parent.is_relative_to(root)}


def test_each_parent_of_a_new_folder_is_flushed_once(tmp_path: Path, flushed: list[int]) -> None:
    make_folders(deep(tmp_path))
    assert set(flushed) == parents(deep(tmp_path), tmp_path)
    assert len(flushed) == 13
    make_folders(deep(tmp_path))
    assert len(flushed) == 13


def test_whatever_writes_a_file_flushes_the_parents_of_its_folder(tmp_path: Path, flushed: list[int]) -> None:
    (tmp_path / "source").write_bytes(b"x")
    write_atomically(deep(tmp_path / "written") / "file", b"x")
    copy_atomically(tmp_path / "source", deep(tmp_path / "copied") / "file")
    write_together([[(deep(tmp_path / "together") / "file", b"x")]])
    for root in ("written", "copied", "together"):
        assert parents(deep(tmp_path / root) / "file", tmp_path) <= set(flushed)


def test_the_folder_that_must_be_there_is_not_made(tmp_path: Path) -> None:
    root = tmp_path / "mnt" / "share"
    for path in (root, root / "a", root / "a" / "b"):
        with pytest.raises(FileNotFoundError):
            make_folders(path, below=root)
    assert list(tmp_path.iterdir()) == []
    root.mkdir(parents=True)
    make_folders(root / "a" / "b", below=root)
    assert (root / "a" / "b").is_dir()


@pytest.mark.parametrize(("number", "counts"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_whose_entry_cannot_be_flushed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushed: list[int], number: int, counts: bool
) -> None:
    """Otherwise the next try would find it, and never flush it."""

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        if counts:
            with pytest.raises(OSError, match=os.strerror(number)):
                make_folders(tmp_path / "a")
        else:
            make_folders(tmp_path / "a")
    assert (tmp_path / "a").is_dir() is not counts
    make_folders(tmp_path / "a")
    assert flushed == ([tmp_path.stat().st_ino] if counts else [])


def test_folders_are_made_in_one_place_only() -> None:
    """Logs and models may be lost, and `core` knows no other room."""
    root = Path(anonymisation.__file__).parent
    making = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("mkdir", "makedirs"):
                making.add(path.relative_to(root).as_posix())
    allowed = {"core/logs.py", "masking/models/unpack.py", "masking/models/weights.py"}
    assert making == {"files/folders.py"} | allowed
