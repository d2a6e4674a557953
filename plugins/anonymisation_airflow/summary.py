"""The end of a run: merges all folders' reports, logs and mails the summary, and decides whether the run failed."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Context, get_current_context

from anonymisation.core.errors import AnonymisationError
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import MaskReport
from anonymisation.reporting.summary import render_summary
from anonymisation.workspace.shards import WorkUnit
from anonymisation.workspace.unread import NotRead
from anonymisation_airflow.metrics import count_run
from anonymisation_airflow.notifier import RunFailedError, mail_folder, mail_summary
from anonymisation_airflow.request import workspace_for
from anonymisation_airflow.tasks import (
    DISCOVER,
    ERROR_KEY,
    FINDINGS_KEY,
    GROUP,
    NEXT_PART,
    NEXT_PART_KEY,
    PLAN_KEY,
    STEPS,
    step_report,
)

if TYPE_CHECKING:
    from anonymisation.workspace.workspace import Workspace

TABLE_KEY: Final = "table"
MAX_ROWS: Final = 200  # folders listed in the XCom; the totals are exact
SILENT: Final = "ended without a word (killed, or out of memory?); see the log of its task"
# A person can mark a task as a success. Only a report shows that the task did its work.
NO_REPORT: Final = "marked as a success, but it left no report; clear its task"
# States of a task that will not run by itself: only tasks before it were cleared, or a person skipped the task.
NOT_RUN: Final = ("upstream_failed", "skipped", "removed")


def summarise() -> None:
    """Log and mail the summary, then fail if any part of the run failed.

    Raises:
        RunFailedError: the run is not complete.
    """
    context = get_current_context()
    report = run_report(context)
    plan = context["ti"].xcom_pull(task_ids=DISCOVER, key=PLAN_KEY)
    workspace = _workspace(context) if plan is None else None
    if workspace is not None:
        _hide_marked(workspace, report)
    logging.getLogger(__name__).info("%s", render_summary(report) if plan is None else plan["text"])
    context["ti"].xcom_push(TABLE_KEY, [_row(folder) for folder in report.folders[:MAX_ROWS]])
    if plan is None:
        for folder in report.folders:
            if folder.units > 1 and not folder.succeeded:
                mail_folder(context, folder)
        mail_summary(context, report)
        count_run(report)
    if workspace is not None:
        _tidy(workspace, context["dag_run"].run_id)
    if not report.succeeded:
        raise RunFailedError(_verdict(report))


def _workspace(context: Context) -> Workspace | None:
    """Return the workspace, or None where it cannot be opened. The discovery failed then, and reported the reason."""
    try:
        return workspace_for(context)
    except AnonymisationError as error:
        logging.getLogger(__name__).warning(
            "regions that reviewers marked during this run wait for the next run: %s", error
        )
        return None


def _hide_marked(workspace: Workspace, report: RunReport) -> None:
    """Hide regions that reviewers marked while a run was working on the folder. The next run begins with the rest."""
    from anonymisation.review.apply import finish_outstanding

    finish_outstanding(workspace, [folder.folder for folder in report.folders])


def _tidy(workspace: Workspace, run_id: str) -> None:
    """Delete progress notes of the run, thumbnails of pictures that are gone or changed, and what is kept too long.

    A file that cannot be removed is logged, and removed by a later run; the run does not fail for it.
    """
    from anonymisation.chain.retention import end_with_retention
    from anonymisation.reporting.progress import forget_progress
    from anonymisation.review.copies import sweep_copies

    forget_progress(workspace.shares.state, run_id)
    sweep_copies(workspace.shares)
    end_with_retention(workspace)


def run_report(context: Context) -> RunReport:
    """Collect every folder's reports and errors from the run's XComs and task states, with work units merged.

    The report of a run that has not ended contains what is known so far.
    """
    ti, run_id = context["ti"], context["dag_run"].run_id
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[run_id]).get(run_id, {})
    units = [WorkUnit.from_value(value) for value in ti.xcom_pull(task_ids=DISCOVER) or []]
    steps = {step: _by_unit(ti, f"{GROUP}.{step}", "return_value") for step in STEPS}
    errors = {step: _by_unit(ti, f"{GROUP}.{step}", ERROR_KEY) for step in STEPS}
    parts: dict[str, list[FolderReport]] = {}
    for index, unit in enumerate(units):
        values: dict[str, Any] = {step: steps[step].get(unit) for step in STEPS}
        values |= {"folder": unit.folder, "error": _unit_error(states, errors, values, unit, index)}
        for step in STEPS:  # what a step had done before an error ended it
            values[step] = values[step] or errors[step].get(unit, {}).get("report")
        parts.setdefault(unit.folder, []).append(FolderReport.from_dict(values))
    reports = [found[0] if len(found) == 1 else FolderReport.merged(found) for found in parts.values()]
    findings = ti.xcom_pull(task_ids=DISCOVER, key=FINDINGS_KEY) or {}
    idle = (MaskReport.from_dict(values) for values in findings.get("idle", ()))
    reports += [FolderReport(report.folder, mask=report) for report in idle]
    began = context["dag_run"].start_date
    return RunReport(
        folders=tuple(reports),
        problems=(*_further_run(ti), *findings.get("problems", ())),
        broken=(*_broken_discovery(ti, states), *findings.get("broken", ())),
        selection=findings.get("selection", ""),
        up_to_date=findings.get("up_to_date", 0),
        unsettled=tuple(findings.get("unsettled", ())),
        unread=NotRead.from_dict(findings.get("unread", {})),
        seconds=(datetime.now(UTC) - began).total_seconds() if began else 0.0,
    )


def _by_unit(ti: Any, task_id: str, key: str) -> dict[WorkUnit, Any]:
    values = ti.xcom_pull(task_ids=[task_id], key=key)
    return {WorkUnit.from_value(value): step_report(value) for value in values if value is not None}


def _unit_error(
    states: dict[str, Any], errors: dict[str, dict[WorkUnit, Any]], values: dict[str, Any], unit: WorkUnit, index: int
) -> str | None:
    for step in STEPS:
        state = states.get(f"{GROUP}.{step}_{index}")
        if state in NOT_RUN:
            return f"{step}: did not run ({state}); clear its task"
        if state == "success" and values[step] is None:
            return f"{step}: {NO_REPORT}"
        if state == "failed":
            if unit in errors[step]:
                return f"{step}: {errors[step][unit]['message']}"
            # The release task is red when pictures failed, although it has done its work.
            return None if step == STEPS[-1] and values[step] is not None else f"{step}: {SILENT}"
    return None


def _broken_discovery(ti: Any, states: dict[str, Any]) -> list[str]:
    state, further = states.get(DISCOVER), states.get(NEXT_PART)
    if state == "failed":
        error = ti.xcom_pull(task_ids=DISCOVER, key=ERROR_KEY)
        return [f"{DISCOVER}: {error['message'] if error else SILENT}"]
    if state in NOT_RUN:
        return [f"{DISCOVER}: did not run ({state}); clear its task"]
    if state == "success" and ti.xcom_pull(task_ids=DISCOVER) is None:
        return [f"{DISCOVER}: {NO_REPORT}"]
    remaining = ti.xcom_pull(task_ids=DISCOVER, key=NEXT_PART_KEY) is not None
    if further == "failed" or (remaining and further in NOT_RUN):
        return [f"{NEXT_PART}: could not trigger the run for the remaining folders ({further}); see its log"]
    return []


def _further_run(ti: Any) -> list[str]:
    further = ti.xcom_pull(task_ids=DISCOVER, key=NEXT_PART_KEY)
    if further is None:
        return []
    return [f"{further['remaining']} more folders: too many for one run, part {further['part']} continues with them"]


def _verdict(report: RunReport) -> str:
    failed = [folder.folder for folder in report.folders if not folder.succeeded]
    parts = list(report.broken)
    if failed:
        parts.append(f"{len(failed)} of {len(report.folders)} folders failed: {', '.join(failed[:20])}")
    return "; ".join(parts)


def _row(folder: FolderReport) -> dict[str, Any]:
    mask, load = folder.mask, folder.load
    return {
        "folder": folder.folder,
        "found": mask.found if mask else None,
        "masked": mask.masked if mask else 0,
        "already_done": mask.already_done if mask else 0,
        "failed": folder.failed_pictures,
        "known_failed": mask.known_failed if mask else 0,
        "rows": load.inserted + load.updated if load else 0,
        "error": folder.error,
        "units": folder.units,
    }
