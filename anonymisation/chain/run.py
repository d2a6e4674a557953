"""The chain for one folder or for all: mask → archive → load → check → release. Each step reads its input from disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.discover import EVERYTHING, Finding, FoundFolder, Selection, Unsettled, walk
from anonymisation.chain.load import load_folder
from anonymisation.chain.mask import mask_folder
from anonymisation.chain.release import release_folder
from anonymisation.core.errors import AnonymisationError, ConfigurationError, PicturesFailedError
from anonymisation.core.logs import FILE_ONLY
from anonymisation.core.text import one_line
from anonymisation.files.reported import share_error_of
from anonymisation.masking.detector import Detector
from anonymisation.reporting.partial import partial_report
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import ImageOutcome
from anonymisation.workspace.in_flight import has_suspects
from anonymisation.workspace.listing import Problem
from anonymisation.workspace.shards import Shard
from anonymisation.workspace.unread import NotRead, UnreadFiles
from anonymisation.workspace.workspace import Workspace

Step = Callable[[Workspace, str, Shard], Any]
Kind = TypeVar("Kind", Problem, Unsettled, UnreadFiles)
LATER_STEPS: Final[tuple[tuple[str, Step], ...]] = (
    ("archive", archive_folder),
    ("load", load_folder),
    ("check", check_folder),
    ("release", release_folder),
)


def run_folder(
    workspace: Workspace,
    folder: str,
    detector: Callable[[], Detector],
    on_progress: Callable[[ImageOutcome], None] | None = None,
    *,
    clean_up: bool = True,
) -> FolderReport:
    """Run every step of the chain for one folder. A step that cannot run ends the chain; the report has its error."""
    steps: list[tuple[str, Callable[[], Any]]] = [
        (
            "mask",
            partial(mask_folder, workspace, folder, detector, on_progress, shard=workspace.part, clean_up=clean_up),
        ),
        *((name, partial(step, workspace, folder, workspace.part)) for name, step in LATER_STEPS),
    ]
    return report_of(folder, steps)


def report_of(folder: str, steps: Iterable[tuple[str, Callable[[], Any]]]) -> FolderReport:
    """Do named steps for one folder, one after another, and report what they return.

    The first that raises ends them: its error is logged and goes into the report, with the counts of what it had done
    before, so that other folders go on.
    """
    report = FolderReport(folder)
    for name, step in steps:
        try:
            report = replace(report, **{name: step()})
        except AnonymisationError as error:
            logging.getLogger(__name__).error("%s: %s", folder, error)
            return _stopped(report, name, error, error)
        except OSError as error:
            problem, log = share_error_of(error), logging.getLogger(__name__)
            log.error("%s: %s", folder, problem)
            log.error("%s: in detail", folder, exc_info=error, extra=FILE_ONLY)
            return _stopped(report, name, error, problem)
        except Exception as error:  # a fault in one folder must not keep the others from being masked
            logging.getLogger(__name__).exception("%s: unexpected error", folder)
            done = {name: partial_report(error)}
            return replace(report, error=f"{type(error).__name__}: {error}", error_exit_code=1, **done)
    return report


def _stopped(report: FolderReport, step: str, error: Exception, problem: AnonymisationError) -> FolderReport:
    """The report of a folder whose `step` was ended by `error`, which `problem` explains."""
    done = {step: partial_report(error)}
    return replace(report, error=_in_a_list(problem), error_exit_code=problem.exit_code, **done)


def _in_a_list(problem: AnonymisationError) -> str:
    """The message on one line, as every entry of a summary has."""
    if isinstance(problem, ConfigurationError):
        return f"configuration refused: {'; '.join(map(str, problem.problems))}"
    return str(problem)


def run_all(
    workspace: Workspace,
    detector: Callable[[], Detector],
    *,
    selection: Selection = EVERYTHING,
    on_found: Callable[[Finding], None] | None = None,
    on_folder: Callable[[FoundFolder], None] | None = None,
    on_progress: Callable[[ImageOutcome], None] | None = None,
    on_report: Callable[[FolderReport], None] | None = None,
    clean_up: bool = True,
) -> RunReport:
    """Run the chain for every folder that has something left to do; a folder that fails does not stop the others.

    With `lazy_paths` each folder is processed as soon as it is found, otherwise all are found first. A folder in which
    an earlier process ended while it worked on pictures is the last, since it may end this one too. `on_found` gets
    each folder or problem found, `on_folder` each folder before its chain starts, `on_report` the report after it ends.

    Raises:
        ShareUnavailableError: the input folder, or the parent of another share, cannot be reached.
        ModelUnavailableError: the model is not installed.
    """
    started = time.monotonic()
    found: Iterable[Finding] = _announced(walk(workspace, selection), on_found)
    if not workspace.settings.lazy_paths:
        found = list(found)
    folders: list[FolderReport] = []
    others: list[Finding] = []
    up_to_date: list[str] = []
    for item in _suspects_last(workspace, found):
        match item:
            case FoundFolder() if item.pending:
                if on_folder is not None:
                    on_folder(item)
                folders.append(run_folder(workspace, item.folder, detector, on_progress, clean_up=clean_up))
                if on_report is not None:
                    on_report(folders[-1])
            case FoundFolder() if item.known_failed:
                folders.append(FolderReport(item.folder, mask=item.idle_report()))
            case FoundFolder():
                up_to_date.append(item.folder)
            case _:
                others.append(item)
    problems, unread = _of_kind(Problem, others), _of_kind(UnreadFiles, others)
    unsettled = tuple(item.folder for item in _of_kind(Unsettled, others))
    names = {*unsettled, *up_to_date, *(report.folder for report in folders), *(item.folder for item in unread)}
    unmatched = selection.unmatched(names)
    hidden = [str(problem) for problem in problems if problem.hides_pictures]
    return RunReport(
        folders=tuple(folders),
        problems=tuple(str(problem) for problem in problems),
        broken=(*hidden, *map(no_match, unmatched)),
        up_to_date=len(up_to_date),
        unsettled=unsettled,
        unread=NotRead.of(unread),
        seconds=time.monotonic() - started,
    )


def _of_kind(kind: type[Kind], findings: Iterable[Finding]) -> list[Kind]:
    return [item for item in findings if isinstance(item, kind)]


def _suspects_last(workspace: Workspace, found: Iterable[Finding]) -> Iterator[Finding]:
    later: list[FoundFolder] = []
    for item in found:
        if isinstance(item, FoundFolder) and has_suspects(workspace.shares.state, item.folder):
            later.append(item)
        else:
            yield item
    yield from later


def no_match(pattern: str) -> str:
    """What makes a run incomplete whose pattern is probably mistyped."""
    return f"no capture folder matches {one_line(pattern)}"


def _announced(found: Iterable[Finding], on_found: Callable[[Finding], None] | None) -> Iterator[Finding]:
    for item in found:
        if on_found is not None:
            on_found(item)
        yield item


def failed_pictures_error(report: FolderReport) -> PicturesFailedError | None:
    """The error that ends the last task of a folder if pictures failed in this run; it lists the first ones."""
    failures = report.failures
    if not report.failed_count:
        return None
    lines = [f"{failure.picture}: {failure.reason}" for failure in failures]
    more = report.failed_count - len(lines)
    if more > 0:
        lines.append(f"… and {more} more")
    return PicturesFailedError("\n".join([f"{report.folder}: {report.failed_pictures} failed", *lines]))
