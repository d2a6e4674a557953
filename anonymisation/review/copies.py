"""The cache of small copies of masked pictures for the review page, in the state folder.

    <state>/folders/<folder>/thumbnails/<2 digits>/<picture>-<size>-<bytes>-<time of the masked picture>.webp

Any copy may be missing at any time. A copy is valid only for the masked file with the size and time in its name. So the
sweep needs no lock: at worst, a copy is made again.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.atomic import is_leftover, write_atomically
from anonymisation.files.digests import name_digest
from anonymisation.files.plain import read_plain
from anonymisation.workspace.folder_state import FileStamp, read_name, state_folder, state_folders
from anonymisation.workspace.paths import Shares

FOLDER_NAME: Final = "thumbnails"
MAX_BYTES: Final = 2_000_000_000  # for all folders: about 100 000 thumbnails, or 10 000 large copies
SWEEP_EVERY: Final = 2000  # requested copies: the cache grows at most about 300 MB above the limit
_USED_SECONDS: Final = 86_400.0  # precision of the time of last use
_LEFTOVER_SECONDS: Final = 3600.0  # writing a copy never takes this long
_NAME: Final = re.compile(r"(?P<key>[0-9a-f]{16})-[0-9]+-(?P<size>[0-9a-f]+)-(?P<mtime>[0-9a-f]+)\.webp")


@dataclass(frozen=True, slots=True)
class _Copy:
    path: Path
    used: float
    size: int


def copy_path(state_root: Path, folder: str, key: str, side: int, masked: FileStamp) -> Path:
    """The file of a copy: of picture `key`, `side` pixels long, valid while its masked file has the stamp `masked`."""
    name = f"{key}-{side}-{masked.size:x}-{masked.mtime_ns:x}.webp"
    return state_folder(state_root, folder) / FOLDER_NAME / key[:2] / name


def read_copy(path: Path) -> bytes | None:
    """The bytes of the copy, or None where there is none. Reading renews the time of last use."""
    try:
        data = read_plain(path)
        if time.time() - path.stat().st_mtime > _USED_SECONDS:
            os.utime(path)
    except OSError:
        return None
    return data


def keep_copy(path: Path, data: bytes) -> None:
    """Store a copy and remove older ones of the same picture and size. A failure is logged, and no copy is stored."""
    key, side, _ = path.name.split("-", 2)
    try:
        for older in path.parent.glob(f"{key}-{side}-*.webp"):
            older.unlink(missing_ok=True)
        write_atomically(path, data)
    except OSError as error:
        logging.getLogger(__name__).warning("%s: the copy is not stored: %s", path, error)


def forget_copies(state_root: Path, folder: str, name: str) -> None:
    """Remove all copies of a picture: they are older than the boxes that were just hidden."""
    key = name_digest(name)
    place = state_folder(state_root, folder) / FOLDER_NAME / key[:2]
    try:
        for path in place.glob(f"{key}-*.webp"):
            path.unlink(missing_ok=True)
    except OSError as error:  # a copy is valid for one masked file only, so at worst it takes up room
        logging.getLogger(__name__).warning("%s: copies of %s are not removed: %s", place, name, error)


def sweep_copies(shares: Shares, limit: int = MAX_BYTES) -> int:
    """Remove copies of missing or changed masked pictures; above `limit` bytes, also the least recently used copies.

    Returns the number of removed copies. Files that cannot be read or removed are logged and left in place.
    """
    try:
        if not shares.output.is_dir():
            return 0  # the share is not available; its pictures still exist
        places = [place / FOLDER_NAME for place in state_folders(shares.state)]
        places = [place for place in places if place.is_dir()]
    except (OSError, ShareUnavailableError) as error:
        logging.getLogger(__name__).warning("the copies below %s are not cleared: %s", shares.state, error)
        return 0
    removed, kept = 0, list[_Copy]()
    for place in places:
        try:
            stale, good = _sort_out(shares.output, place)
        except OSError as error:
            logging.getLogger(__name__).warning("%s cannot be cleared: %s", place, error)
            continue
        removed += sum(_remove(path) for path in stale)
        kept += good
    kept.sort(key=lambda copy: copy.used)
    total = sum(copy.size for copy in kept)
    for copy in kept:
        if total <= limit:
            break
        total -= copy.size
        removed += _remove(copy.path)
    for place in places:
        _remove_empty(place)
    return removed


class Sweeper:
    """Sweeps the cache once per `every` requested copies, so that viewing pictures cannot fill the disk."""

    def __init__(self, shares: Shares, *, every: int = SWEEP_EVERY, limit: int = MAX_BYTES) -> None:
        self._shares = shares
        self._every = every
        self._limit = limit
        self._asked = 0
        self._lock = threading.Lock()
        self._sweeping = threading.Lock()

    def is_due(self) -> bool:
        """Count one requested copy; True when `sweep` is due. Thread-safe: only one thread gets True."""
        with self._lock:
            self._asked = (self._asked + 1) % self._every
            return self._asked == 0

    def sweep(self) -> None:
        """Sweep, unless another thread is sweeping."""
        if self._sweeping.acquire(blocking=False):
            try:
                sweep_copies(self._shares, self._limit)
            finally:
                self._sweeping.release()


def _sort_out(output: Path, place: Path) -> tuple[list[Path], list[_Copy]]:
    """The copies of one state folder: stale ones, and valid ones."""
    folder = read_name(place.parent)
    masked = _MaskedFiles(None if folder is None else output / folder)
    stale, good = list[Path](), list[_Copy]()
    for entry in _files(place):
        path, stat = Path(entry.path), entry.stat()
        found = _NAME.fullmatch(entry.name)
        if is_leftover(entry.name):
            if time.time() - stat.st_mtime > _LEFTOVER_SECONDS:
                stale.append(path)
        elif found is None or masked.stamp(found["key"]) != FileStamp(int(found["size"], 16), int(found["mtime"], 16)):
            stale.append(path)
        else:
            good.append(_Copy(path, stat.st_mtime, stat.st_size))
    return stale, good


class _MaskedFiles:
    """The stamps of one folder's masked pictures by key; each file is read when its stamp is requested."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._names: Mapping[str, str] = {}
        if folder is not None:
            with suppress(FileNotFoundError, NotADirectoryError):
                self._names = {name_digest(name): name for name in os.listdir(folder)}  # noqa: PTH208 - names alone

    def stamp(self, key: str) -> FileStamp | None:
        name = self._names.get(key)
        if name is None or self._folder is None:
            return None
        try:
            return FileStamp.of(self._folder / name)
        except FileNotFoundError:
            return None


def _files(place: Path) -> Iterator[os.DirEntry[str]]:
    """The files two levels below `place`; files that disappear during the walk are left out."""
    for part in sorted(place.iterdir()):
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(part) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.is_file(follow_symlinks=False):
                        entry.stat()  # kept by the entry
                        yield entry


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        logging.getLogger(__name__).warning("%s cannot be removed: %s", path, error)
        return False
    return True


def _remove_empty(place: Path) -> None:
    with suppress(OSError):
        for part in (*sorted(place.glob("*")), place):
            with suppress(OSError):  # the folder is not empty, or a file is being written there
                part.rmdir()
