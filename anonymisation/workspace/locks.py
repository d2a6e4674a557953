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

import json
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from anonymisation.core.errors import FolderLockedError
from anonymisation.files.append_log import to_line
from anonymisation.files.atomic import remove_leftovers, write_atomically
from anonymisation.files.folders import make_folders
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
    """The folders of running and killed shards in the state folder `place`."""
    try:
        with os.scandir(place) as entries:
            named = [(Path(entry.path), _SHARD_FOLDER.fullmatch(entry.name)) for entry in entries]
    except FileNotFoundError:
        return {}
    return {path: Shard(int(found["number"]), int(found["count"])) for path, found in named if found}


@contextmanager
def holding(place: Path, folder: str, shard: Shard, tidy: Callable[[], None]) -> Iterator[Path]:
    """Lock the pictures of the folder (or shard) and yield the folder for their journals.

    The operating system releases the locks when the process ends, even after a kill. `tidy` is called at the start, or
    otherwise at the end, if no other process works on the folder then.

    Raises:
        FolderLockedError: another run works on these pictures.
    """
    make_folders(place)
    own = place if shard.is_whole else place / f"shard-{shard.number}-of-{shard.count}"
    with _mutex(place, folder):
        alone = _require_free(place, folder, shard)
        make_folders(own)
        lock = FileLock(own / "lock", timeout=0)
        lock.acquire()
        try:
            _merge_dead(place, own)
            if alone:
                _tidy_up(place, tidy)
            write_atomically(own / "holder.json", _holder_line())
        except BaseException:
            lock.release()
            raise
    try:
        yield own
    finally:
        try:
            (own / "holder.json").unlink(missing_ok=True)
            if own != place:
                _leave(place, folder, own, None if alone else tidy)
        finally:
            lock.release()


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
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False


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
    """Merge the shard's journals and remove its folder. If the mutex is held too long, the next run does it."""
    try:
        with _mutex(place, folder):
            _merge_shard(place, own)
            _remove(own)
            if tidy is not None and not any(_is_held(path / "lock") for path in (place, *shard_folders(place))):
                _tidy_up(place, tidy)
    except FolderLockedError as error:
        logging.getLogger(__name__).warning("%s: the next run merges its journals: %s", own, error)


def _tidy_up(place: Path, tidy: Callable[[], None]) -> None:
    remove_leftovers(place)
    for name in JOURNALS:
        compact_overgrown(place / name)
    tidy()


def _remove(own: Path) -> None:
    remove_leftovers(own)
    for name in ("holder.json", "lock"):
        (own / name).unlink(missing_ok=True)
    with suppress(OSError):  # a folder that is not empty stays for the next run
        own.rmdir()


@contextmanager
def _mutex(place: Path, folder: str) -> Iterator[None]:
    try:
        with FileLock(place / "gate", timeout=MUTEX_SECONDS):
            yield
    except Timeout as error:
        raise FolderLockedError(
            f"{folder}: {place / 'gate'} was held for {MUTEX_SECONDS:g} s; try again later"
        ) from error


def _holder_line() -> bytes:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return to_line({"host": socket.gethostname(), "process": os.getpid(), "since": since})


def _holder(place: Path) -> str:
    try:
        values = json.loads((place / "holder.json").read_bytes())
        return f"process {values['process']} on {values['host']} (since {values['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"
