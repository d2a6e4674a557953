"""The DAG's tasks. Each opens the workspace, calls one function of `anonymisation`, and returns its report.

Reports are XComs of plain JSON values. A step that cannot run stores the reason as a separate XCom for the summary, and
raises. `retries.py` says which errors Airflow retries.

The tasks import the steps when they run. Airflow parses the DAG file often, and importing OpenCV and TensorFlow takes
seconds.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Context, conf, get_current_context

from anonymisation.core.errors import AnonymisationError
from anonymisation.core.memory import keep_freed_memory
from anonymisation.reporting.partial import partial_report
from anonymisation.reporting.run_report import FolderReport
from anonymisation.workspace.shards import Shard, WorkUnit
from anonymisation_airflow import metrics
from anonymisation_airflow.assets import LOADED, MASKED, announce
from anonymisation_airflow.deployment import Deployment
from anonymisation_airflow.notifier import mail_folder
from anonymisation_airflow.request import RunRequest, workspace_for
from anonymisation_airflow.sharing import Limits, share_of_run

if TYPE_CHECKING:
    from anonymisation.chain.discover import Discovery
    from anonymisation.workspace.workspace import Workspace
    from anonymisation_airflow.masking import Masking

    Step = Callable[[Workspace, str, Shard], Any]

GROUP: Final = "folder"
DISCOVER: Final = "discover"
NEXT_PART: Final = "next_part"
STEPS: Final = ("mask", "archive", "load", "check", "release")
ERROR_KEY: Final = "error"
NEXT_PART_KEY: Final = "next_part"
FINDINGS_KEY: Final = "findings"
PICTURES_KEY: Final = "pictures"
PLAN_KEY: Final = "plan"
MAX_FINDINGS: Final = 100

_UPSTREAM: Final = [f"{GROUP}.{step}" for step in STEPS[:-1]]


def label(unit: dict[str, Any]) -> str:
    """Return the name of a work unit's tasks in the grid."""
    return WorkUnit.from_value(unit).label


def find_folders() -> list[dict[str, Any]]:
    """Return the work units of this run. The form of the next run covers the other folders, see `next_part.py`.

    Regions that reviewers marked while a folder was locked are hidden first. A dry run only stores its plan.
    """
    from anonymisation.chain.discover import discover
    from anonymisation.review.apply import finish_outstanding

    context = get_current_context()
    with _errors_as_xcom(context, WorkUnit(".")):
        request = RunRequest.from_context(context)
        workspace = workspace_for(context)
        if not request.dry_run:
            finish_outstanding(workspace)
        found = discover(workspace, request.selection(), look_only=request.dry_run)
        _log_discovery(found, request)
        context["ti"].xcom_push(FINDINGS_KEY, _findings(found, request))
        if request.dry_run:
            context["ti"].xcom_push(PLAN_KEY, _plan(workspace, found))
            return []
        largest = workspace.settings.max_pictures_per_work_unit
        units, remaining = share_of_run(found.folders, request.continue_after, largest, _limits())
        context["ti"].xcom_push(PICTURES_KEY, _pictures(found, units))
        metrics.count_found(len(units), remaining)
        if remaining:
            form = {**request.next_part(after=units[-1].folder), "remaining": remaining}
            context["ti"].xcom_push(NEXT_PART_KEY, form)
        return [unit.to_value() for unit in units]


def mask(unit: dict[str, Any]) -> dict[str, Any]:
    """Mask the unit's pictures, then small folders that follow. The report lists the pictures that failed."""
    from anonymisation_airflow.masking import Masking

    context = get_current_context()
    stall = Deployment.from_environment().stall.total_seconds()
    masking = Masking(context["dag_run"].run_id, stall, lambda part, reason: _give_up(context, part, reason))
    with _errors_to_output():
        report = _step("mask", masking, unit)
        _mask_ahead(context, masking, unit)
    if report["masked"]:
        announce(context, MASKED, WorkUnit.from_value(unit), {"pictures": report["masked"]})
    return report


def _mask_ahead(context: Context, masking: Masking, unit: dict[str, Any]) -> None:
    """Mask small folders whose tasks follow, if this task loaded the model and may be tried again."""
    from anonymisation_airflow.masking import small_folders_after

    ti = context["ti"]
    if not masking.has_model or ti.try_number > 1 or not ti.max_tries:
        return
    units = [WorkUnit.from_value(value) for value in ti.xcom_pull(task_ids=DISCOVER) or ()]
    pictures = ti.xcom_pull(task_ids=DISCOVER, key=PICTURES_KEY) or {}
    masking.ahead(workspace_for(context), small_folders_after(WorkUnit.from_value(unit), units, pictures))


@contextmanager
def _errors_to_output() -> Iterator[None]:
    """Let native libraries write to standard output: Airflow logs every line on standard error as an error."""
    before = os.dup(2)
    os.dup2(1, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def archive(unit: dict[str, Any]) -> dict[str, Any]:
    """Copy the originals to the archive and verify the copies."""
    from anonymisation.chain.archive import archive_folder

    return _step("archive", archive_folder, unit)


def load(unit: dict[str, Any]) -> dict[str, Any]:
    """Load the records into the database."""
    from anonymisation.chain.load import load_folder

    report = _step("load", load_folder, unit)
    if rows := report["inserted"] + report["updated"]:
        announce(get_current_context(), LOADED, WorkUnit.from_value(unit), {"rows": rows})
    return report


def check(unit: dict[str, Any]) -> dict[str, Any]:
    """Check that every expected file and row exists and that they agree."""
    from anonymisation.chain.check import check_folder

    return _step("check", check_folder, unit)


def release(unit: dict[str, Any]) -> None:
    """Remove the originals that are safe to remove, if configured; then fail if a picture of the unit failed.

    Known failures do not count. Each folder gets one mail: this task mails the failures of a whole folder, and the
    summary mails those of a folder in parts.

    Raises:
        PicturesFailedError: names the pictures; every other picture of the unit went through every step.
    """
    from anonymisation.chain.release import release_folder
    from anonymisation.chain.run import failed_pictures_error

    context = get_current_context()
    report = _step("release", release_folder, unit)
    context["ti"].xcom_push("return_value", report)
    metrics.count_ended_unit()
    whole = _folder_report(context, WorkUnit.from_value(unit), report)
    failed = failed_pictures_error(whole)
    if failed is not None:
        if WorkUnit.from_value(unit).shard.is_whole:
            mail_folder(context, whole)
        raise failed


def _give_up(context: Context, unit: WorkUnit, reason: str) -> None:
    """Store the reason why the process ends, for the summary."""
    logging.getLogger(__name__).error("%s: %s", unit.label, reason)
    context["ti"].xcom_push(ERROR_KEY, {**unit.to_value(), "message": reason})


def step_report(value: dict[str, Any]) -> dict[str, Any]:
    """Return the report in a step's XCom, without the keys of its shard."""
    return {key: found for key, found in value.items() if key not in ("shard", "shards")}


def _step(name: str, step: Step, value: dict[str, Any]) -> dict[str, Any]:
    context, unit = get_current_context(), WorkUnit.from_value(value)
    keep_freed_memory()
    with _errors_as_xcom(context, unit):
        report: dict[str, Any] = step(workspace_for(context), unit.folder, unit.shard).to_dict()
    metrics.count_step(name, report)
    counts = ", ".join(f"{key} {count}" for key, count in report.items() if isinstance(count, int) and count)
    logging.getLogger(__name__).info("%s: %s", unit.label, counts or "nothing to do")
    return {**report, **unit.to_value()}


@contextmanager
def _errors_as_xcom(context: Context, unit: WorkUnit) -> Iterator[None]:
    try:
        yield
    except AnonymisationError as error:
        context["ti"].xcom_push(ERROR_KEY, {**unit.to_value(), "message": str(error), "report": _done(error)})
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        context["ti"].xcom_push(ERROR_KEY, {**unit.to_value(), "message": message, "report": _done(error)})
        raise


def _done(error: BaseException) -> dict[str, Any] | None:
    """Return the report of what a step had done before the error ended it."""
    report = partial_report(error)
    return None if report is None else report.to_dict()


def _folder_report(context: Context, unit: WorkUnit, release_report: dict[str, Any]) -> FolderReport:
    reports = context["ti"].xcom_pull(task_ids=_UPSTREAM, map_indexes=context["ti"].map_index)
    values = dict(zip(STEPS, [*reports, release_report], strict=False))
    steps = {step: step_report(value) for step, value in values.items() if value is not None}
    return FolderReport.from_dict({"folder": unit.folder, **steps})


def _plan(workspace: Workspace, found: Discovery) -> dict[str, Any]:
    from anonymisation.chain.dry_run import plan_of, render_plan

    plan = plan_of(workspace, found)
    return {**plan.to_dict(), "text": render_plan(plan)}


def _pictures(found: Discovery, units: list[WorkUnit]) -> dict[str, dict[str, int]]:
    """Return the picture counts of the folders that this run takes; the operations page shows them."""
    taken = {unit.folder for unit in units}
    return {
        item.folder: {"pictures": item.pictures, "pending": item.pending}
        for item in found.folders
        if item.folder in taken
    }


def _findings(found: Discovery, request: RunRequest) -> dict[str, Any]:
    """Return what the first part's summary reports in addition to the folders, cut to a size that suits an XCom."""
    from anonymisation.chain.run import no_match

    if request.part > 1:
        return {}
    broken = [str(problem) for problem in found.problems if problem.hides_pictures]
    return {
        "idle": [report.to_dict() for report in found.idle[:MAX_FINDINGS]],
        "problems": [str(problem) for problem in found.problems][:MAX_FINDINGS],
        "broken": [*map(no_match, found.unmatched), *broken][:MAX_FINDINGS],
        "unsettled": list(found.unsettled[:MAX_FINDINGS]),
        "unread": found.unread.to_dict(),
        "up_to_date": found.up_to_date,
        "selection": request.selected(),
    }


def _limits() -> Limits:
    return Limits(Deployment.from_environment().max_folders, conf.getint("core", "max_map_length"))


def _log_discovery(found: Discovery, request: RunRequest) -> None:
    log = logging.getLogger(__name__)
    date = f" of {request.capture_date}" if request.capture_date else ""
    log.info("%d capture folders%s have work left", len(found.folders), date)
    for folder in found.unsettled:
        log.info("%s still changes and is left for a later run", folder)
    for problem in found.problems:
        log.warning("%s", problem)
    for line in (found.unread.title, *found.unread.lines()) if found.unread else ():
        log.warning("%s", line)
