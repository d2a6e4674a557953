"""Sees every file that appears in the output folder while a night runs, however short it stands there."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

# https://man7.org/linux/man-pages/man7/inotify.7.html
_MODIFY, _MOVED_TO, _CREATE, _ONLY_FOLDERS = 0x2, 0x80, 0x100, 0x01000000
_IS_FOLDER: Final = 0x40000000
_EVENT: Final = struct.Struct("iIII")


class Watcher:
    """While the block runs, gives each file that gets a final name below `folder` to `look`, at once.

    A final name is one that is not hidden. `wrong` holds what `look` raised, and names of files that were created under
    their final name, or written to under it, instead of being renamed to it. The folder itself may not be there yet.
    """

    def __init__(self, folder: Path, look: Callable[[Path], None]) -> None:
        self._folder = folder
        self._look = look
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._places: dict[int, Path] = {}
        self._inotify = -1
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.wrong: list[str] = []
        self.seen: list[Path] = []

    def __enter__(self) -> Self:
        self._inotify = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._inotify < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._add(self._folder.parent)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._stopped)
        self._thread.join()
        for descriptor in (self._inotify, self._stop):
            os.close(descriptor)

    def _add(self, folder: Path) -> None:
        """Watch a folder; what is in it by now has appeared before the watch."""
        mask = _MODIFY | _MOVED_TO | _CREATE | _ONLY_FOLDERS
        watch = self._libc.inotify_add_watch(self._inotify, os.fsencode(folder), mask)
        if watch < 0:
            return  # removed again
        self._places[watch] = folder
        for path in folder.iterdir():
            if not path.is_relative_to(self._folder):
                continue
            if path.is_dir():
                self._add(path)
            elif path.name[0] != ".":
                self._appeared(path)

    def _follow(self) -> None:
        while True:
            ready, _, _ = select.select([self._inotify, self._stop], [], [])
            if self._inotify in ready:
                self._events(os.read(self._inotify, 1 << 16))
            elif ready:
                return

    def _events(self, data: bytes) -> None:
        start = 0
        while start < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, start)
            start += _EVENT.size + length
            name = data[start - length : start].rstrip(b"\0")
            path = self._places[watch] / os.fsdecode(name)
            if not path.is_relative_to(self._folder):
                continue
            if mask & _IS_FOLDER:
                if mask & (_CREATE | _MOVED_TO):
                    self._add(path)
            elif not name.startswith(b".") and name:
                if mask & _MOVED_TO:
                    self._appeared(path)
                else:
                    self.wrong.append(f"{path} was written under its final name")

    def _appeared(self, path: Path) -> None:
        self.seen.append(path)
        try:
            self._look(path)
        except FileNotFoundError:
            pass  # it stood there for a shorter time than it takes to look
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, the test reports it
            self.wrong.append(f"{path}: {type(error).__name__}: {error}")
