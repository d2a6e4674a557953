"""The progress of a run in each of its work units: small files that the mask step replaces as it works.

    <state>/runs/<hash of the run>/<hash of the folder>-<shard>.json

A file is no longer needed when the unit has its report. The end of the run removes them; no step depends on them.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anonymisation.files.digests import name_digest
from anonymisation.files.notes import keep_note, read_note
from anonymisation.reporting.step_reports import ImageOutcome, Status

EVERY_SECONDS: Final = 2.0
FORGOTTEN_SECONDS: Final = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Pictures of one work unit looked at so far, and how many of them were masked or failed now.

    `began` and `at` are Unix times in seconds.
    """

    folder: str
    shard: int
    looked_at: int
    masked: int
    failed: int
    began: float
    at: float

    @property
    def per_second(self) -> float | None:
        """Pictures per second of wall time; None at the beginning."""
        seconds = self.at - self.began
        return self.looked_at / seconds if self.looked_at and seconds > 0 else None


class ProgressNote:
    """Writes the progress of one unit to disk, at most every two seconds."""

    def __init__(
        self, state_root: Path, run: str, folder: str, shard: int = 1, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = _path(state_root, run, folder, shard)
        self._clock = clock
        now = clock()
        self._progress = Progress(folder, shard, 0, 0, 0, now, now)
        self._write()

    def count(self, outcome: ImageOutcome) -> None:
        """Count one more picture."""
        before = self._progress
        self._progress = dataclasses.replace(
            before,
            looked_at=before.looked_at + 1,
            masked=before.masked + (outcome.status is Status.MASKED),
            failed=before.failed + (outcome.status is Status.FAILED),
        )
        if self._clock() - before.at >= EVERY_SECONDS:
            self._write()

    def close(self) -> None:
        """Write the last counts."""
        self._write()

    def _write(self) -> None:
        self._progress = dataclasses.replace(self._progress, at=self._clock())
        keep_note(self._path, dataclasses.asdict(self._progress))


def has_begun(state_root: Path, run: str, folder: str, shard: int = 1) -> bool:
    """Whether the run has begun to mask the unit, in this process or another."""
    return _path(state_root, run, folder, shard).exists()


def read_progress(state_root: Path, run: str) -> list[Progress]:
    """The progress of every unit of the run that has begun; skips notes that cannot be read."""
    try:
        places = sorted(_run_folder(state_root, run).glob("*.json"))
    except OSError as error:
        logging.getLogger(__name__).warning("the progress of %s cannot be read: %s", run, error)
        return []
    return [note for place in places if (note := read_note(place, Progress)) is not None]


def forget_progress(state_root: Path, run: str, *, now: float | None = None) -> None:
    """Remove the progress of a finished run, and of unfinished runs without change for a week."""
    own = _run_folder(state_root, run)
    old = (time.time() if now is None else now) - FORGOTTEN_SECONDS
    try:
        places = list(own.parent.iterdir())
    except OSError:
        return  # no progress was written; or the share is away, which the next step reports
    for place in places:
        try:
            if place == own or place.stat().st_mtime < old:
                shutil.rmtree(place)
        except OSError as error:  # for example because a restarted task writes there
            logging.getLogger(__name__).warning("%s is not removed: %s", place, error)


def _run_folder(state_root: Path, run: str) -> Path:
    return state_root / "runs" / name_digest(run)


def _path(state_root: Path, run: str, folder: str, shard: int) -> Path:
    return _run_folder(state_root, run) / f"{name_digest(folder)}-{shard}.json"
