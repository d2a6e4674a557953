"""How far a run is in each of its work units, for whoever watches: small files that the mask step replaces as it goes.

    <state>/runs/<hash of the run>/<hash of the folder>-<shard>.json

They are of no use once the unit has its report, and are forgotten at the end of the run; nothing depends on them.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from anonymisation.files.append_log import to_line
from anonymisation.files.atomic import write_atomically
from anonymisation.files.digests import name_digest
from anonymisation.reporting.step_reports import ImageOutcome, Status

EVERY_SECONDS: Final = 2.0
FORGOTTEN_SECONDS: Final = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Pictures of one work unit looked at so far, of them masked and failed anew; `began` and `at` in Unix seconds."""

    folder: str
    shard: int
    looked_at: int
    masked: int
    failed: int
    began: float
    at: float

    @property
    def per_second(self) -> float | None:
        """Pictures looked at in a second of wall time; None before there is a time to divide by."""
        seconds = self.at - self.began
        return self.looked_at / seconds if self.looked_at and seconds > 0 else None


class ProgressNote:
    """Keeps the progress of one unit on disk, at most every two seconds."""

    def __init__(
        self, state_root: Path, run: str, folder: str, shard: int = 1, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = _run_folder(state_root, run) / f"{name_digest(folder)}-{shard}.json"
        self._clock = clock
        now = clock()
        self._progress = Progress(folder, shard, 0, 0, 0, now, now)
        self._write()

    def count(self, outcome: ImageOutcome) -> None:
        """One more picture was looked at."""
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
        """Write what was counted last."""
        self._write()

    def _write(self) -> None:
        self._progress = dataclasses.replace(self._progress, at=self._clock())
        try:
            write_atomically(self._path, to_line(dataclasses.asdict(self._progress)))
        except OSError as error:  # nothing depends on it: no reason to stop masking
            logging.getLogger(__name__).warning("%s cannot be written: %s", self._path, error)


def read_progress(state_root: Path, run: str) -> list[Progress]:
    """The progress of every unit of the run that was begun; a file of another version tells nothing."""
    found = []
    for path in sorted(_run_folder(state_root, run).glob("*.json")):
        try:
            values: Any = json.loads(path.read_bytes())
            found.append(Progress(**values))
        except (OSError, ValueError, TypeError):
            continue
    return found


def forget_progress(state_root: Path, run: str, *, now: float | None = None) -> None:
    """Remove what is known of a run that came to its end, and of runs that never did and stand still for a week."""
    own = _run_folder(state_root, run)
    old = (time.time() if now is None else now) - FORGOTTEN_SECONDS
    try:
        places = list(own.parent.iterdir())
    except OSError:
        return  # nothing was noted; or the share is away, and whoever needs it says so
    for place in places:
        try:
            if place == own or place.stat().st_mtime < old:
                shutil.rmtree(place)
        except OSError as error:  # as while a task that was begun again writes there
            logging.getLogger(__name__).warning("%s is not removed: %s", place, error)


def _run_folder(state_root: Path, run: str) -> Path:
    return state_root / "runs" / name_digest(run)
