"""The spool: rows on disk before they are sent to the database.

`<state>/spool/<table and database>/` has one JSON Lines file ("segment") per batch. Its name is its turn and its
number of rows. A segment is removed when the database has committed its rows. The next load sends the remaining
segments first. Rows for another database or table are in another folder, and wait for a load into that table.

A segment that cannot be read, or not in whole, stops no load: its readable rows are sent, and the file is set aside
under another name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from anonymisation.core.errors import DatabaseUnavailableError, ShareUnavailableError
from anonymisation.database.loading.limits import SourceRecord, StateProblem
from anonymisation.database.loading.spool_lines import from_line
from anonymisation.files.folders import make_folders
from anonymisation.files.plain import read_plain

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
                self._clear_part()
                yield
        except Timeout as error:
            message = f"{self._folder}: another loader has held the lock for {LOCK_TIMEOUT_SECONDS:g} s"
            raise DatabaseUnavailableError(message) from error
        except OSError as error:
            place = error.filename or self._folder
            message = f"{place}: rows cannot be kept there ({error.strerror or error}); check the state folder"
            raise ShareUnavailableError(message) from error

    def _clear_part(self) -> None:
        part = self._folder / PART_NAME
        if part.is_dir():
            renamed_aside(part)
        part.unlink(missing_ok=True)

    def segments(self) -> list[Segment]:
        """The waiting segments, oldest first."""
        return _segments(self._folder)

    def waiting(self) -> int:
        """The number of waiting rows."""
        return sum(segment.rows for segment in self.segments())

    def append(self, lines: Sequence[bytes]) -> Segment:
        """Write a batch's lines to a file after all others.

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

    def read(self, segment: Segment) -> tuple[list[SourceRecord], str | None]:
        """A segment's records, and why some of them cannot be read (None: all can be)."""
        try:
            lines = read_plain(segment.path).split(b"\n")
        except OSError as error:
            return [], f"cannot be read ({error.strerror or error})"
        records = [record for line in lines if (record := from_line(line)) is not None]
        if len(records) == segment.rows:
            return records, None
        lost = segment.rows - len(records)
        return records, f"{lost} of {segment.rows} rows cannot be read (damaged, or of another version of the software)"

    def remove(self, segment: Segment) -> None:
        """Remove a segment whose rows are in the database, or are refused."""
        segment.path.unlink(missing_ok=True)

    def set_aside(self, segment: Segment, reason: str) -> StateProblem:
        """Rename a segment that cannot be read in whole, so that no later load reads it again."""
        try:
            aside = renamed_aside(segment.path)
        except OSError as error:
            advice = f"it cannot be renamed either ({error.strerror}); move it away"
        else:
            advice = f"it is kept as {aside.name}"
        again = "a run loads the pictures of the lost rows again; after `anonymise db load` load their records again"
        return StateProblem(str(segment.path), f"{reason}; {advice}; {again}")


def renamed_aside(path: Path) -> Path:
    """Rename a damaged file, and return its new path; earlier damaged files keep their names.

    Raises:
        OSError: it cannot be renamed.
    """
    # Turns start again at 1 when nothing waits, so an older file may have the name.
    aside = path.with_name(path.name + DAMAGED_SUFFIX)
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.{number}{DAMAGED_SUFFIX}")
    return path.rename(aside)


def waiting_elsewhere(state: Path, key: str) -> dict[Path, int]:
    """The number of rows that wait for other tables or databases than `key`, by folder."""
    counts = {folder: _count(folder) for folder in spool_folders(state) if folder.name != key}
    return {folder: count for folder, count in counts.items() if count}


def spool_folders(state: Path) -> list[Path]:
    """The spools below a state folder, sorted; none if they cannot be listed, which the next load reports."""
    try:
        return sorted(folder for folder in (state / "spool").glob("*") if folder.is_dir())
    except OSError:
        return []


def _count(folder: Path) -> int:
    try:
        return sum(segment.rows for segment in _segments(folder))
    except OSError:
        return 0


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
