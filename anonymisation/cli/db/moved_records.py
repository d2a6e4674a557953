"""Moves record files whose rows are in the database into a folder that mirrors theirs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from anonymisation.files.atomic import copy_atomically
from anonymisation.files.digests import sha256_of_file
from anonymisation.files.folders import make_folders


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A record's file below the base folder, the picture that it describes, and its size and time when it was read."""

    path: str
    picture: str
    stamp: tuple[int, int]


def stamp_of(path: Path) -> tuple[int, int]:
    """Size and time of a file, which tell whether it has changed. Raises OSError."""
    status = path.lstat()
    return status.st_size, status.st_mtime_ns


def move_records(base: Path, target: Path, files: Iterable[LoadedFile]) -> tuple[int, list[str]]:
    """Move each of `files` to its place below `target`; returns how many were moved, and what stays with its reason.

    A file goes only when a whole copy of it is there. One that has changed since it was read stays, and no other file
    is overwritten.
    """
    moved, problems = 0, []
    for file in files:
        try:
            problem = _move(base / file.path, target / file.path, file.stamp, target)
        except OSError as error:
            problem = f"cannot be moved: {error.strerror}"
        if problem is None:
            moved += 1
        else:
            problems.append(f"{file.path}: {problem}")
    return moved, problems


def _move(source: Path, target: Path, stamp: tuple[int, int], base: Path) -> str | None:
    if stamp_of(source) != stamp:
        return "has changed since it was loaded; it stays, and the next load takes it"
    if target.exists() or target.is_symlink():
        if target.is_symlink() or sha256_of_file(target) != sha256_of_file(source):
            return f"{target} is another file; it is not overwritten: move one of the two away"
    elif copy_atomically(source, target, make=partial(make_folders, below=base)) != sha256_of_file(source):
        return f"has changed while it was copied; its copy {target} stays"
    source.unlink()
    return None
