"""The spool: rows on disk before they are sent to the database.

`<state>/spool/<table and database>/` has one JSON Lines file ("segment") per batch. Its name is its turn and its
number of rows. A segment is removed when the database has committed its rows. The next load sends the remaining
segments first. Rows for another database or table are in another folder, and wait for a load into that table.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from anonymisation.core.errors import DatabaseUnavailableError, ShareUnavailableError
from anonymisation.database.fast_json import encode
from anonymisation.database.loading.limits import SourceRecord
from anonymisation.files.append_log import read_entries
from anonymisation.files.folders import make_folders

LOCK_TIMEOUT_SECONDS: Final = 600.0  # many loaders may queue, each with one batch
DAMAGED_SUFFIX: Final = ".damaged"
PART_NAME: Final = ".segment.part"  # only the holder of the lock writes one

_SEGMENT: Final = re.compile(r"(?P<turn>[0-9]{12})-(?P<rows>[0-9]+)\.jsonl")


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One batch on disk."""

    turn: int
    rows: int
    path: Path


class Spool:
    """The spool of one table of one database; callers of its methods hold the lock."""

    def __init__(self, state: Path, key: str) -> None:
        self._folder = state / "spool" / key

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that lets one loader at a time write rows and remove segments.

        Raises:
            ShareUnavailableError: the state folder cannot be used.
            DatabaseUnavailableError: other loaders held the lock for too long.
        """
        try:
            make_folders(self._folder)
            with FileLock(self._folder / ".lock", timeout=LOCK_TIMEOUT_SECONDS):
                (self._folder / PART_NAME).unlink(missing_ok=True)
                yield
        except Timeout as error:
            message = f"{self._folder}: another loader has held the lock for {LOCK_TIMEOUT_SECONDS:g} s"
            raise DatabaseUnavailableError(message) from error
        except OSError as error:
            message = f"{self._folder}: rows cannot be kept there ({error}); check the state folder"
            raise ShareUnavailableError(message) from error

    def segments(self) -> list[Segment]:
        """The waiting segments, oldest first."""
        return _segments(self._folder)

    def waiting(self) -> int:
        """The number of waiting rows."""
        return sum(segment.rows for segment in self.segments())

    def append(self, lines: Sequence[bytes]) -> Segment:
        """Write a batch's `line`s to a file after all others.

        The file survives the end of the process; only after `keep` it survives a power cut.
        """
        turn = max((segment.turn for segment in self.segments()), default=0) + 1
        path = self._folder / f"{turn:012d}-{len(lines)}.jsonl"
        part = self._folder / PART_NAME
        part.write_bytes(b"".join(lines))
        part.replace(path)
        return Segment(turn, len(lines), path)

    def keep(self, segment: Segment) -> None:
        """Flush a segment that has to wait, so that it survives a power cut as well.

        A segment that is sent at once needs no flush: before the commit its rows are not reported as loaded, and they
        are loaded again.
        """
        for path in (segment.path, self._folder):
            _flush(path)

    def read(self, segment: Segment) -> tuple[list[SourceRecord], bool]:
        """A segment's records, and whether all of its lines could be read."""
        records = [*read_entries(segment.path, lambda item: SourceRecord(str(item["picture"]), dict(item["record"])))]
        if len(records) != segment.rows:
            message = "%s: %d of %d rows cannot be read; load the records of their pictures again"
            logging.getLogger(__name__).warning(message, segment.path, segment.rows - len(records), segment.rows)
        return records, len(records) == segment.rows

    def remove(self, segment: Segment, *, whole: bool = True) -> None:
        """Remove a segment whose rows are in the database; with damaged lines (`whole` False) rename it instead."""
        if whole:
            segment.path.unlink(missing_ok=True)
        else:  # turns start again at 1 when nothing waits, so an older file may have the name
            aside = segment.path.with_name(segment.path.name + DAMAGED_SUFFIX)
            number = 1
            while aside.exists():
                number += 1
                aside = segment.path.with_name(f"{segment.path.name}.{number}{DAMAGED_SUFFIX}")
            segment.path.rename(aside)


def line(item: SourceRecord) -> bytes:
    """A record as a line of a segment."""
    return encode({"picture": item.picture, "record": item.record}) + b"\n"


def waiting_elsewhere(state: Path, key: str) -> dict[Path, int]:
    """The number of rows that wait for other tables or databases than `key`, by folder."""
    folders = [folder for folder in (state / "spool").glob("*") if folder.is_dir() and folder.name != key]
    counts = {folder: sum(segment.rows for segment in _segments(folder)) for folder in sorted(folders)}
    return {folder: count for folder, count in counts.items() if count}


def _segments(folder: Path) -> list[Segment]:
    if not folder.is_dir():
        return []
    named = ((path, _SEGMENT.fullmatch(path.name)) for path in folder.iterdir())
    return sorted(Segment(int(match["turn"]), int(match["rows"]), path) for path, match in named if match)


def _flush(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut, if the system supports it."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
