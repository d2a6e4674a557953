"""The file layer of Python with a file that answers with an error, as a share does that is away or refuses."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

_CALLS = (
    (os, "open"),
    (os, "stat"),
    (os, "lstat"),
    (os, "scandir"),
    (os, "unlink"),
    (os, "rmdir"),
    (io, "open"),
    (builtins, "open"),
)


@contextmanager
def failing(path: Path, number: int) -> Iterator[None]:
    """Let every call that opens, looks at or removes `path` fail with this errno."""

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(place: Any = ".", *arguments: Any, **options: Any) -> Any:
            if isinstance(place, str | os.PathLike) and os.fspath(place) == str(path):
                raise OSError(number, os.strerror(number), str(place))
            return call(place, *arguments, **options)

        return wrapper

    replaced = [mock.patch.object(module, name, guarded(getattr(module, name))) for module, name in _CALLS]
    for patch in replaced:
        patch.start()
    try:
        yield
    finally:
        for patch in reversed(replaced):
            patch.stop()


@dataclass
class Changes:
    """How many changes were made or tried, and the last of them."""

    count: int = 0
    last: str = ""


class _Failing:
    """Counts the changes below a folder, and lets one of them fail."""

    def __init__(self, root: Path, number: int, at: int) -> None:
        self._root, self._number, self._at = str(root), number, at
        self.changes = Changes()

    def of_path(self, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(place: Any, *arguments: Any, **options: Any) -> Any:
            writes = what != "open" or (arguments and arguments[0] & (os.O_WRONLY | os.O_RDWR))
            if isinstance(place, str | os.PathLike) and writes:
                self._count(what, os.fspath(place))
            return call(place, *arguments, **options)

        return wrapper

    def of_descriptor(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(descriptor: int) -> Any:
            self._count("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink()))
            return call(descriptor)

        return wrapper

    def _count(self, what: str, place: str) -> None:
        if not place.startswith(self._root):
            return
        self.changes.count += 1
        if self.changes.count == self._at + 1:
            self.changes.last = f"{what} {place}"
            raise OSError(self._number, os.strerror(self._number), place)


@contextmanager
def failing_change(root: Path, number: int, *, at: int) -> Iterator[Changes]:
    """Let the change number `at` (from 0) below `root` fail with this errno.

    Changes are files that are opened for writing, flushes, renames, new folders and removals.
    """
    failing = _Failing(root, number, at)
    names = ("open", "rename", "replace", "mkdir", "unlink", "rmdir")
    replaced = [mock.patch.object(os, name, failing.of_path(name, getattr(os, name))) for name in names]
    replaced.append(mock.patch.object(os, "fsync", failing.of_descriptor(os.fsync)))
    for patch in replaced:
        patch.start()
    try:
        yield failing.changes
    finally:
        for patch in reversed(replaced):
            patch.stop()
