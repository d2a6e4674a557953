"""A taken name is never given to another file, whichever process is first and whatever the share can do."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from anonymisation.files import names
from anonymisation.files.names import move_new, rename_new

RENAMES = (rename_new, move_new)
RIVALS = 8


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on FAT or SMB."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)


def without_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some FUSE file systems: neither hard links nor RENAME_NOREPLACE."""
    without_links(monkeypatch)
    monkeypatch.setattr(names, "_rename_noreplace", lambda *_: errno.EINVAL)


def as_usual(_: pytest.MonkeyPatch) -> None:
    """The share of the tests."""


SHARES = (as_usual, without_links, without_flags)


@pytest.fixture(params=SHARES)
def share(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    request.param(monkeypatch)


@pytest.mark.usefixtures("share")
@pytest.mark.parametrize("rename", RENAMES)
def test_a_free_name_is_given(tmp_path: Path, rename: Callable[[Path, Path], None]) -> None:
    source, target = tmp_path / "source", tmp_path / "målet.jpg"
    source.write_bytes(b"content")
    inode = source.stat().st_ino
    rename(source, target)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert (target.read_bytes(), target.stat().st_ino) == (b"content", inode)


@pytest.mark.usefixtures("share")
@pytest.mark.parametrize("rename", RENAMES)
@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_a_taken_name_is_refused(tmp_path: Path, rename: Callable[[Path, Path], None], kind: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"new")
    if kind == "file":
        target.write_bytes(b"old")
    elif kind == "link":
        target.symlink_to("nowhere")
    else:
        target.mkdir()
    before = target.lstat()
    with pytest.raises(FileExistsError):
        rename(source, target)
    assert source.read_bytes() == b"new"
    assert target.lstat().st_ino == before.st_ino


@pytest.mark.parametrize("rename", RENAMES)
def test_other_errors_are_raised(tmp_path: Path, rename: Callable[[Path, Path], None]) -> None:
    (tmp_path / "source").write_bytes(b"")
    with pytest.raises(FileNotFoundError):
        rename(tmp_path / "missing", tmp_path / "target")
    with pytest.raises(FileNotFoundError):
        rename(tmp_path / "source", tmp_path / "no folder" / "target")
    assert (tmp_path / "source").exists()


def test_a_folder_is_renamed_too(tmp_path: Path) -> None:
    """It may have the name of a picture."""
    (tmp_path / "source").mkdir()
    rename_new(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").is_dir()
    assert not (tmp_path / "source").exists()


def test_a_rename_that_was_killed_half_way_is_finished(tmp_path: Path) -> None:
    """Both names are those of one file then, as after the answer of a file server that was lost."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"content")
    os.link(source, target)
    rename_new(source, target)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert target.read_bytes() == b"content"


def rival(folder: Path, number: int, start: object) -> None:
    """Give every name to a file of one's own where it is free."""
    start.wait()  # type: ignore[attr-defined]
    for name in range(200):
        own = folder / f".{number}"
        own.write_bytes(str(number).encode())
        inode = own.stat().st_ino
        try:
            (rename_new if name % 2 else move_new)(own, folder / f"n{name}")
        except FileExistsError:
            continue
        if (folder / f"n{name}").stat().st_ino != inode:
            os._exit(1)
        (folder / f"won-{number}-{name}").touch()


def test_of_many_processes_one_gets_each_name(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start = context.Event()
    processes = [context.Process(target=rival, args=(tmp_path, number, start)) for number in range(RIVALS)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * RIVALS
    winners = {path.name.split("-")[2]: path.name.split("-")[1] for path in tmp_path.glob("won-*")}
    assert len(list(tmp_path.glob("won-*"))) == len(winners) == 200
    assert all((tmp_path / f"n{name}").read_text() == number for name, number in winners.items())


def test_the_c_library_of_this_machine_refuses_taken_names(tmp_path: Path) -> None:
    """Otherwise the tests above would try the look before the rename alone."""
    code = (
        "import sys; from pathlib import Path; from anonymisation.files import names; a, b = map(Path, sys.argv[1:]);"
    )
    code += "sys.exit(names._rename_noreplace(a, b))"
    for name in "ab":
        (tmp_path / name).write_bytes(b"")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a"), str(tmp_path / "b")], check=False)
    if done.returncode == errno.EINVAL:
        pytest.skip("this file system cannot refuse a taken name")
    assert done.returncode == errno.EEXIST
