"""The mask task: masks its folder, then small folders whose tasks follow, with the same model.

Each mask task is a process of its own. Starting TensorFlow and loading the model takes several seconds, longer than
masking a folder of a few pictures. So a task that has loaded the model also masks small folders that come later in the
run. Their own mask tasks then find nothing left to do, load no model, and report the pictures as masked by this run.
Each folder keeps its own chain of tasks, its own reports and its own retries:

- A folder that cannot be masked ahead is left to its own task, which meets the problem again and reports it.
- A task masks ahead only in its first try, and only if it may be tried again. So a folder that kills the process fails
  in its own task, and nowhere else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import dropwhile, islice
from typing import Final

import tenacity

from anonymisation.chain.mask import mask_folder
from anonymisation.core.errors import FolderLockedError
from anonymisation.masking.detector import Detector
from anonymisation.masking.models import factory
from anonymisation.reporting.progress import ProgressNote, has_begun
from anonymisation.reporting.step_reports import ImageOutcome, MaskReport
from anonymisation.workspace.shards import Shard, WorkUnit
from anonymisation.workspace.workspace import Workspace
from anonymisation_airflow.watchdog import Watchdog

SMALL: Final = 20  # pictures; masking more takes most models longer than loading does
AHEAD_SECONDS: Final = 60.0  # then no other folder is begun, since the task's own folder waits to be archived
WAIT_SECONDS: Final = 30.0  # for a folder that another task of the run is masking ahead
_PROGRESS_EVERY: Final = 100  # pictures


class Masking:
    """Masks folders for the run `run`, with one model that is loaded for the first picture.

    Where a folder makes no progress for `stall` seconds, `on_stall` gets folder and reason, and the process ends.
    """

    def __init__(self, run: str, stall: float, on_stall: Callable[[WorkUnit, str], None]) -> None:
        self._run = run
        self._stall = stall
        self._on_stall = on_stall
        self._detector: Detector | None = None

    @property
    def has_model(self) -> bool:
        """Whether the model was loaded."""
        return self._detector is not None

    def __call__(self, workspace: Workspace, folder: str, shard: Shard) -> MaskReport:
        """Mask the pictures of a folder or a shard; see `mask_folder`."""
        unit = WorkUnit(folder, shard)
        if shard.is_whole and has_begun(workspace.shares.state, self._run, folder):
            retry = tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(FolderLockedError),
                wait=tenacity.wait_fixed(1),
                stop=tenacity.stop_after_delay(WAIT_SECONDS),
                reraise=True,
            )
            return retry(self._mask, workspace, unit)
        return self._mask(workspace, unit)

    def ahead(self, workspace: Workspace, units: Iterable[WorkUnit]) -> None:
        """Mask `units` until the time is up. Errors are only logged."""
        until = time.monotonic() + AHEAD_SECONDS
        for unit in units:
            if time.monotonic() >= until:
                return
            log = logging.getLogger(__name__)
            try:
                report = self._mask(workspace, unit)
            except Exception as error:  # noqa: BLE001 - whatever it is, the unit's own task meets and reports it
                log.info("%s is left to its own task: %s", unit.label, error)
            else:
                log.info("%s: masked %d pictures ahead of its own task", unit.label, report.masked)

    def _mask(self, workspace: Workspace, unit: WorkUnit) -> MaskReport:
        note = ProgressNote(workspace.shares.state, self._run, unit.folder, unit.shard.number)
        log = _ProgressLog(unit.label)
        with Watchdog(self._stall, lambda reason: self._on_stall(unit, reason)) as watchdog:

            def progress(outcome: ImageOutcome) -> None:
                watchdog.progress()
                note.count(outcome)
                log(outcome)

            def detector() -> Detector:
                if self._detector is None:
                    self._detector = factory.load_detector(workspace.settings)
                return self._detector

            try:
                return mask_folder(workspace, unit.folder, detector, progress, shard=unit.shard, run=self._run)
            finally:
                note.close()


def small_folders_after(
    unit: WorkUnit, units: Iterable[WorkUnit], pictures: Mapping[str, Mapping[str, int]]
) -> Iterator[WorkUnit]:
    """Yield the `units` after `unit` that are whole folders with few pictures left to mask.

    `pictures` has the number of `pending` pictures of each folder.
    """
    behind = dropwhile(lambda later: later != unit, units)
    for later in islice(behind, 1, None):
        if later.shard.is_whole and 0 < pictures.get(later.folder, {}).get("pending", 0) <= SMALL:
            yield later


class _ProgressLog:
    """Logs the progress of a folder, and every picture that fails."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._count = 0

    def __call__(self, outcome: ImageOutcome) -> None:
        log = logging.getLogger(__name__)
        self._count += 1
        if outcome.reason is not None:
            log.warning("%s: %s: %s", outcome.picture, outcome.status, outcome.reason)
        if self._count % _PROGRESS_EVERY == 0:
            log.info("%s: %d pictures so far", self._folder, self._count)
