"""Runs and their folders as the page shows them: totals, states, progress, failures and links to logs."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from anonymisation.reporting.progress import Progress, read_progress
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import Failure
from anonymisation.reporting.summary import verdict
from anonymisation_airflow.deployment import DAG_ID
from anonymisation_airflow.operations.runs.stored_run import Night, StoredRun, Task, read_run, tasks_by_unit
from anonymisation_airflow.operations.web.site import Site, folder_key
from anonymisation_airflow.tasks import DISCOVER, GROUP, PLAN_KEY, STEPS

PICTURES_KEY: Final = "pictures"  # discover's XCom with the pictures and the pending pictures of each folder
WORKING: Final = frozenset({"running", "queued", "deferred", "up_for_retry", "restarting"})
_BAD: Final = frozenset({"failed", "upstream_failed"})
_MAX_CACHED: Final = 200
# The states that need a person come first; folders in one state keep the order of the run.
_URGENCY: Final = {state: place for place, state in enumerate(("failed", "stopped", "running", "waiting"))}


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the folders of a run. `size` is archived bytes, `seconds` is wall time.

    The totals of a dry run are those of what it would do: `found` pictures with work left in so many folders.
    """

    folders: int
    folders_failed: int
    found: int
    masked: int
    already_done: int
    failed: int
    known_failed: int
    rows: int
    size: int
    seconds: float
    dry_run: bool = False

    @classmethod
    def of(cls, run: StoredRun) -> Totals:
        """Add up the folders of a run, or of the plan of a dry run."""
        totals = cls._from_report(run.report(), _seconds(run.night))
        plan = plan_of(run)
        if plan is None:
            return totals
        return replace(totals, folders=plan["folder_count"], found=plan["to_do"], dry_run=True)

    @classmethod
    def _from_report(cls, report: RunReport, seconds: float) -> Totals:
        return cls(
            folders=len(report.folders),
            folders_failed=sum(not folder.succeeded for folder in report.folders),
            found=report.total("mask", "found"),
            masked=report.total("mask", "masked"),
            already_done=report.total("mask", "already_done"),
            failed=report.failed_pictures,
            known_failed=report.total("mask", "known_failed"),
            rows=report.total("load", "inserted") + report.total("load", "updated"),
            size=report.total("archive", "size"),
            seconds=seconds,
        )

    def with_progress(self, lines: Iterable[FolderLine]) -> Totals:
        """Return the totals of a run that has not ended: the progress of running folders counts too."""
        lines = list(lines)
        counts = [line.counts for line in lines]
        sums = {key: sum(count[key] for count in counts) for key in ("found", "masked", "failed")}
        failed = sum(line.state == "failed" for line in lines)
        return replace(self, found=sums["found"], masked=sums["masked"], failed=sums["failed"], folders_failed=failed)


@dataclass(frozen=True, slots=True)
class FolderLine:
    """One folder of a run, with its shards added up. `log` is the address of the log that explains its state best."""

    folder: str
    key: str
    state: str
    step: str
    report: FolderReport
    units: int
    looked_at: int
    masked: int
    failed: int
    total: int
    per_second: float | None
    log: str | None

    @property
    def remaining(self) -> float | None:
        """Estimated seconds until the folder is masked; None without a pace."""
        if self.state != "running" or not self.per_second or self.total <= 0:
            return None
        return max(0, self.total - self.looked_at) / self.per_second

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The failures of this run, followed by the known failures."""
        known = self.report.mask.failures if self.report.mask else ()
        return (*self.report.failures, *(failure for failure in known if failure.known))

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts of pictures and rows, from the reports and from the progress of running units."""
        mask, load = self.report.mask, self.report.load
        return {
            "found": max(self.total, self.looked_at),
            "masked": self.masked,
            "already_done": mask.already_done if mask else 0,
            "failed": self.failed,
            "known_failed": mask.known_failed if mask else 0,
            "rows": load.inserted + load.updated if load else 0,
        }


@dataclass(frozen=True, slots=True)
class NightView:
    """One run: its totals, its folders, and the problems outside the folders.

    `verdict` is the first sentence of the run's summary. `plan` is what a dry run would do, None for other runs.
    """

    night: Night
    totals: Totals
    lines: tuple[FolderLine, ...]
    problems: tuple[str, ...]
    summary_log: str
    verdict: str
    plan: Mapping[str, Any] | None

    @property
    def remaining(self) -> float | None:
        """Estimated seconds until all folders are masked, at the pace of the running folders; None without a pace."""
        pace = sum(line.per_second or 0.0 for line in self.lines if line.state == "running")
        left = sum(max(0, line.total - line.looked_at) for line in self.lines if line.state in {"running", "waiting"})
        return left / pace if pace and not self.night.ended else None


_totals: OrderedDict[tuple[str, str, datetime | None], Totals] = OrderedDict()


def totals_of(site: Site, night: Night) -> Totals | None:
    """Return the totals of a run. The totals of an ended run are cached."""
    key = (night.run_id, night.state, night.end_date)
    if night.ended and key in _totals:
        return _totals[key]
    run = read_run(night.run_id)
    if run is None:
        return None
    if not night.ended:
        return view_night(site, run).totals
    totals = _totals[key] = Totals.of(run)
    while len(_totals) > _MAX_CACHED:
        _totals.popitem(last=False)
    return totals


def view_night(site: Site, run: StoredRun) -> NightView:
    """Return the view of one run."""
    report = run.report()
    progress = _unreported(site, run)
    units = _units_by_folder(run)
    expected = run.xcom_pull(DISCOVER, PICTURES_KEY) or {}
    lines = tuple(
        _line(site, run, folder, units.get(folder.folder, []), progress.get(folder.folder, []), expected)
        for folder in report.folders
    )
    lines = tuple(sorted(lines, key=lambda line: _URGENCY.get(line.state, len(_URGENCY))))
    totals = Totals.of(run)
    return NightView(
        run.night,
        totals if run.night.ended else totals.with_progress(lines),
        lines,
        (
            *report.broken,
            *(problem for problem in report.problems if problem not in report.broken),
            *([report.unread.title, *report.unread.lines()] if report.unread else []),
        ),
        _log(run, Task("summary", -1, "")),
        verdict(report),
        plan_of(run),
    )


def plan_of(run: StoredRun) -> Mapping[str, Any] | None:
    """Return the plan of a dry run (see `chain.dry_run`); None for other runs, and before the plan is made."""
    plan: Mapping[str, Any] | None = run.xcom_pull(DISCOVER, PLAN_KEY)
    return plan


def _units_by_folder(run: StoredRun) -> dict[str, list[list[Task]]]:
    found = run.xcom_pull(DISCOVER) or []
    names = [item if isinstance(item, str) else str(item["folder"]) for item in found]
    units: dict[str, list[list[Task]]] = {}
    for index, tasks in tasks_by_unit(run):
        if index < len(names):
            units.setdefault(names[index], []).append(tasks)
    return units


def _line(
    site: Site,
    run: StoredRun,
    report: FolderReport,
    units: list[list[Task]],
    progress: list[Progress],
    expected: Mapping[str, Any],
) -> FolderLine:
    """Return the line of a folder. `progress` belongs to the units that have no report yet."""
    tasks = [task for unit in units for task in unit]
    mask = report.mask
    total = int(expected.get(report.folder, {}).get("pictures", 0)) or (mask.found if mask else 0)
    pace = sum(item.per_second or 0.0 for item in progress)
    if not pace and mask is not None and mask.seconds:
        pace = mask.masked / mask.seconds
    return FolderLine(
        folder=report.folder,
        key=folder_key(site, report.folder),
        state=_state(report, tasks, ended=run.night.ended),
        step=_step(tasks),
        report=report,
        units=len(units),
        looked_at=(mask.found - mask.left if mask else 0) + sum(item.looked_at for item in progress),
        masked=(mask.masked if mask else 0) + sum(item.masked for item in progress),
        failed=report.failed_pictures + sum(item.failed for item in progress),
        total=total,
        per_second=pace or None,
        log=_log(run, _most_informative(tasks)) if tasks else None,
    )


def _unreported(site: Site, run: StoredRun) -> dict[str, list[Progress]]:
    """Return the progress, by folder, of the units that are being masked."""
    reports = run.xcom_pull([f"{GROUP}.{STEPS[0]}"])
    reported = {(report["folder"], report.get("shard", 1)) for report in reports if report}
    found: dict[str, list[Progress]] = {}
    for item in () if run.night.ended else read_progress(site.state_root, run.run_id):
        if (item.folder, item.shard) not in reported:
            found.setdefault(item.folder, []).append(item)
    return found


def _state(report: FolderReport, tasks: list[Task], *, ended: bool) -> str:
    states = {task.state for task in tasks}
    if states & WORKING:
        return "running"
    if not report.succeeded or states & _BAD:
        return "failed"
    if not tasks:
        return "idle"
    if states <= {"success", "skipped"}:
        return "done"
    if ended:
        return "stopped"
    return "waiting" if states <= {"none", "scheduled"} else "running"


def _step(tasks: Iterable[Task]) -> str:
    """Return the earliest step that a unit of the folder is working on; "" if none is."""
    at = {_step_of(task) for task in tasks if task.state in WORKING}
    return next((step for step in STEPS if step in at), "")


def _most_informative(tasks: list[Task]) -> Task:
    """Return the task whose log explains most: a failed task, else a running task, else the mask task."""

    def rank(task: Task) -> tuple[int, int]:
        order = 0 if task.state == "failed" else 1 if task.state in WORKING else 2
        return order, STEPS.index(_step_of(task)) if _step_of(task) in STEPS else len(STEPS)

    return min(tasks, key=rank)


def _step_of(task: Task) -> str:
    return task.task_id.rpartition(".")[2]


def _log(run: StoredRun, task: Task) -> str:
    """Return the address of the task in Airflow's UI, relative to its root."""
    place = f"dags/{DAG_ID}/runs/{quote(run.run_id, safe='')}/tasks/{quote(task.task_id, safe='')}"
    return place if task.map_index < 0 else f"{place}/mapped/{task.map_index}"


def _seconds(night: Night) -> float:
    if night.start_date is None:
        return 0.0
    end = night.end_date or datetime.fromtimestamp(time.time(), UTC)
    return max(0.0, (end - night.start_date).total_seconds())
