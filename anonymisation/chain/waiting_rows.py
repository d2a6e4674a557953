"""Rows that earlier runs could not send: sent before a run, whatever comes of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from anonymisation.chain.load import send_waiting_rows
from anonymisation.core.errors import AnonymisationError, DatabaseUnavailableError
from anonymisation.reporting.run_report import RunReport
from anonymisation.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a run is incomplete whatever its folders come to, and its exit code if nothing else fails."""

    reason: str
    exit_code: int = 1


def send_waiting(workspace: Workspace) -> Trouble | None:
    """Send the rows that wait from earlier runs; returns a problem, or None.

    Whatever is wrong with these rows, or with the database, must not keep pictures from being masked.
    """
    log = logging.getLogger(__name__)
    try:
        report = send_waiting_rows(workspace)
    except DatabaseUnavailableError as error:
        log.warning("rows of earlier runs still wait: %s", error)
        return None
    except AnonymisationError as error:
        return Trouble(f"rows of earlier runs: {' '.join(str(error).split())}", error.exit_code)
    except Exception as error:  # unforeseen, such as a driver's own fault
        log.exception("rows of earlier runs: unexpected error")
        return Trouble(f"rows of earlier runs: {type(error).__name__}: {error}")
    if report is None:
        return None
    if sent := report.inserted + report.updated:
        log.info("%d rows that waited from earlier runs are now in the database", sent)
    problems = [f"rows of earlier runs: {problem}" for problem in report.problems]
    refused = [f"{failure.picture}: {failure.reason}" for failure in report.failed]
    problems += [f"rows of earlier runs were refused: {'; '.join(refused)}"] if refused else []
    return Trouble("; ".join(problems)) if problems else None


def with_trouble(report: RunReport, trouble: Trouble | None) -> RunReport:
    """The report of a run before which `trouble` was found; None leaves it as it is."""
    if trouble is None:
        return report
    code = 1 if report.broken else trouble.exit_code
    return replace(report, broken=(*report.broken, trouble.reason), broken_exit_code=code)
