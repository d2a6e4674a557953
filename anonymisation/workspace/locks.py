"""Locks of a capture folder: one process works on the whole folder, or several on different shards.

    <state of the folder>/
        gate                  mutex for taking locks and for merging the journals of a shard
        lock, holder.json     of the process that works on the whole folder
        shard-2-of-5/         of the process that works on this shard: lock, holder.json, journals

Each shard writes its own journals, so that no two processes write to the same file. They are merged into the folder's
journals when the shard ends; after a kill, the next process merges them before it starts. Shards that can hold the same
picture, also with different counts, exclude each other. So the lines of each picture in the folder's journals are in
order of time, whatever the size of the shards.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from anonymisation.core.errors import FolderLockedError
from anonymisation.files.append_log import to_line
from anonymisation.files.atomic import remove_leftovers, write_atomically
from anonymisation.files.folders import make_folders
from anonymisation.files.notes import read_note
from anonymisation.files.reported import at_the_end, reported
from anonymisation.workspace.journal import compact_overgrown, merge
from anonymisation.workspace.shards import Shard

PICTURES: Final = "pictures.jsonl"
RECORDS: Final = "records.jsonl"
DETECTIONS: Final = "detections.jsonl"
# The state of a picture counts only with its record and detections, so those are merged first.
JOURNALS: Final = (RECORDS, DETECTIONS, PICTURES)
MUTEX_SECONDS: Final = 120.0  # merging the journals of 100 000 pictures takes some seconds

_SHARD_FOLDER: Final = re.compile(r"shard-(?P<number>[0-9]+)-of-(?P<count>[0-9]+)")


def shard_folders(place: Path) -> dict[Path, Shard]:
    """The folders of running and killed shards in the state folder `place`.

    Raises:
        ShareUnavailableError: `place` cannot be read.
    """
    with reported(place, "read"):
        try:
            with os.scandir(place) as entries:
                folders = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return {}
    shards = {path: _shard_of(path) for path in folders}
    return {path: shard for path, shard in shards.items() if shard is not None}


def _shard_of(path: Path) -> Shard | None:
    """The shard in the name of a folder; None if no shard has these numbers."""
    found = _SHARD_FOLDER.fullmatch(path.name)
    try:
        return None if found is None else Shard(int(found["number"]), int(found["count"]))
    except ValueError:
        return None


@contextmanager
def holding(place: Path, folder: str, shard: Shard, tidy: Callable[[], None]) -> Iterator[Path]:
    """Lock the pictures of the folder (or shard) and yield the folder for their journals.

    The operating system releases the locks when the process ends, even after a kill. `tidy` is called at the start, or
    otherwise at the end, if no other process works on the folder then.

    Raises:
        FolderLockedError: another run works on these pictures.
        ShareUnavailableError: a file of the state folder cannot be read or written; the message names it.
    """
    with reported(place, "made"):
        make_folders(place)
    own = place if shard.is_whole else place / f"shard-{shard.number}-of-{shard.count}"
    with _mutex(place, folder):
        alone = _require_free(place, folder, shard)
        with reported(own, "made"):
            make_folders(own)
        lock = FileLock(own / "lock", timeout=0)
        _acquire(lock, folder)
        try:
            _merge_dead(place, own)
            if alone:
                _tidy_up(place, tidy)
            with reported(own / "holder.json", "written"):
                write_atomically(own / "holder.json", to_line(asdict(_Holder.here())))
        except BaseException:
            _release(lock)
            raise
    try:
        with at_the_end(partial(_leave, place, folder, own, None if alone else tidy)):
            yield own
    finally:
        _release(lock)


def _require_free(place: Path, folder: str, shard: Shard) -> bool:
    """Whether no other process works on the folder. Call it while holding the mutex.

    Raises:
        FolderLockedError: another process works on pictures of this shard.
    """
    alone = True
    for other, held in {place: Shard(), **shard_folders(place)}.items():
        if _is_held(other / "lock"):
            alone = False
            if shard.meets(held):
                what = "this folder" if held.is_whole else f"part {held.number} of {held.count} of this folder"
                raise FolderLockedError(f"{folder}: {_holder(other)} is working on {what}; try again later")
    return alone


def _is_held(path: Path) -> bool:
    with reported(path, "locked"):
        if not path.exists():
            return False
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:  # an OSError, too
            return True
    _release(lock)
    return False


def _acquire(lock: FileLock, folder: str) -> None:
    """Take a lock that no one held a moment ago.

    Raises:
        FolderLockedError: another process was faster.
        ShareUnavailableError: its file cannot be used.
    """
    with reported(Path(lock.lock_file), "locked"):
        try:
            lock.acquire()
        except Timeout as error:
            since = f" for {lock.timeout:g} s" if lock.timeout else ""
            raise FolderLockedError(f"{folder}: {lock.lock_file} was held{since}; try again later") from error


def _release(lock: FileLock) -> None:
    """Release a lock. The operating system releases it at the latest when this process ends."""
    try:
        lock.release()
    except OSError as error:
        logging.getLogger(__name__).warning("%s cannot be released: %s", lock.lock_file, error)


def _merge_dead(place: Path, own: Path) -> None:
    """Merge the journals of killed shards, an earlier run of this one included, before new lines are written."""
    for path in shard_folders(place):
        if path == own:
            _merge_shard(place, path)
        elif not _is_held(path / "lock"):
            logging.getLogger(__name__).info("%s: merging the journals of an interrupted run", path)
            _merge_shard(place, path)
            _remove(path)


def _merge_shard(place: Path, own: Path) -> None:
    for name in JOURNALS:
        merge(own / name, place / name)


def _leave(place: Path, folder: str, own: Path, tidy: Callable[[], None] | None) -> None:
    """End the work in `own`: for a shard, merge its journals and remove its folder.

    If the mutex is held too long, the next run does it.
    """
    _forget_holder(own)
    if own == place:
        return
    try:
        with _mutex(place, folder):
            _merge_shard(place, own)
            _remove(own)
            if tidy is not None and not any(_is_held(path / "lock") for path in (place, *shard_folders(place))):
                _tidy_up(place, tidy)
    except FolderLockedError as error:
        logging.getLogger(__name__).warning("%s: the next run merges its journals: %s", own, error)


def _tidy_up(place: Path, tidy: Callable[[], None]) -> None:
    with reported(place, "cleared of leftovers"):
        remove_leftovers(place)
    for name in JOURNALS:
        compact_overgrown(place / name)
    try:
        tidy()
    except OSError as error:  # of a share; the step itself meets it, if it matters
        logging.getLogger(__name__).warning("leftovers of an interrupted run are not removed: %s", error)


def _remove(own: Path) -> None:
    with suppress(OSError):  # what cannot be removed, and so the folder, stays for the next run
        remove_leftovers(own)
        for name in ("holder.json", "lock"):
            (own / name).unlink(missing_ok=True)
        own.rmdir()


@contextmanager
def _mutex(place: Path, folder: str) -> Iterator[None]:
    lock = FileLock(place / "gate", timeout=MUTEX_SECONDS)
    _acquire(lock, folder)
    try:
        yield
    finally:
        _release(lock)


@dataclass(frozen=True, slots=True)
class _Holder:
    """The process that holds a lock; `since` is ISO 8601 in UTC. Only for messages: the lock itself decides."""

    host: str
    process: int
    since: str

    @classmethod
    def here(cls) -> _Holder:
        return cls(socket.gethostname(), os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"))


def _holder(place: Path) -> str:
    holder = read_note(place / "holder.json", _Holder)
    if holder is None:
        return "another run"
    return f"process {holder.process} on {holder.host} (since {holder.since})"


def _forget_holder(own: Path) -> None:
    try:
        (own / "holder.json").unlink(missing_ok=True)
    except OSError as error:
        logging.getLogger(__name__).warning("%s cannot be removed: %s", own / "holder.json", error)
