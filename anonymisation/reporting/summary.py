"""The summary of a run as plain text: the same on the terminal, in the log and in the mail."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from anonymisation.core.text import hide_credentials, one_line
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import Failure

MAX_LINES: Final = 100  # lines per list of a summary; its counts are exact all the same

# (what the line says, step, count, shown even when it is zero)
_COUNTS: Final = (
    ("images found", "mask", "found", True),
    ("skipped as done", "mask", "already_done", True),
    ("masked", "mask", "masked", True),
    ("failed", "mask", "failed", True),
    ("known to fail", "mask", "known_failed", True),
    ("encoded anew as a whole", "mask", "encoded_anew", False),
    ("originals archived", "archive", "archived", False),
    ("originals not archived", "archive", "failed", False),
    ("rows inserted", "load", "inserted", True),
    ("rows updated", "load", "updated", True),
    ("rows failed", "load", "failed", True),
    ("rows waiting", "load", "waiting", False),
    ("gaps found by the check", "check", "missing", False),
    ("originals released", "release", "released", False),
    ("originals not released", "release", "failed", False),
)


def render_summary(report: RunReport) -> str:
    """The verdict, the counts of the whole run, and all that `render_problems` names."""
    return "\n".join([verdict(report), "", *_counts(report), *render_problems(report)])


def render_problems(report: RunReport) -> list[str]:
    """What is suspicious, what stopped, what failed and why, and the places that were not entered; no lines where all
    is well."""
    return [
        *(["", suspicion] if (suspicion := describe_suspicion(report)) else []),
        *_list("Not complete", report.broken),
        *_list("Folders that stopped", (_stopped(f.folder, f.error) for f in report.folders if f.error)),
        *_list("Failed", _failures(report.folders), more=unlisted(report.folders)),
        *_list("Known to fail, and unchanged since", (_told(failure) for failure in known_failures(report.folders))),
        *_list("Two pictures with one ID", collisions(report.folders)),
        *_list("Not entered", (problem for problem in report.problems if problem not in report.broken)),
    ]


def _stopped(folder: str, error: str) -> str:
    """What stopped a folder; some errors name it themselves."""
    return error if error.startswith(f"{folder}: ") else f"{folder}: {error}"


def render_folder(report: FolderReport) -> str:
    """What failed in one folder, for the mail about it."""
    return "\n".join(
        [
            f"Folder: {one_line(report.folder)}",
            *_list("Stopped", [report.error] if report.error else []),
            *_list("Failed", _failures([report]), more=unlisted([report])),
        ]
    )


def describe_objects(report: RunReport) -> str:
    """What was hidden, by label, as in "3 car, 1 person"; empty when nothing was."""
    objects: dict[str, int] = {}
    for folder in report.folders:
        for label, number in (folder.mask.objects if folder.mask else {}).items():
            objects[label] = objects.get(label, 0) + number
    return ", ".join(f"{number} {label}" for label, number in sorted(objects.items()))


def describe_suspicion(report: RunReport) -> str:
    """That a model found nothing at all, and what to do about it; empty where it found something, or saw little."""
    if not report.suspicious:
        return ""
    pictures = report.total("mask", "masked")
    return (
        f"Suspicious: the model found nobody and no vehicle in {pictures} pictures. "
        "Look at some of them, and at the model and score_threshold."
    )


def verdict(report: RunReport) -> str:
    """Whether all is well, in one sentence."""
    if report.succeeded and (known := report.total("mask", "known_failed")):
        pictures = "1 picture that is" if known == 1 else f"{known} pictures that are"
        return f"Everything is done, but for {pictures} known to fail."
    if report.succeeded and not report.folders:
        return f"Nothing to do: {_nothing_found(report)}."
    if report.succeeded:
        return "Everything is done."
    return "Not everything succeeded; see below."


def _nothing_found(report: RunReport) -> str:
    if report.selection:
        return f"no capture folder matches {one_line(report.selection)}"
    return "no pictures were found"


def _counts(report: RunReport) -> list[str]:
    lines = [("folders", str(len(report.folders)))]
    for label, step, count, always in _COUNTS:
        number = report.total(step, count)
        if number or always:
            lines.append((label, str(number)))
    if hidden := describe_objects(report):
        lines.append(("hidden", hidden))
    lines.append(("time spent", duration(report.seconds)))
    width = max(len(label) for label, _ in lines)
    return [f"{label:<{width}}  {value}" for label, value in lines]


def _failures(folders: Iterable[FolderReport]) -> Iterable[str]:
    return (_told(failure) for folder in folders for failure in folder.failures)


def _told(failure: Failure) -> str:
    return f"{failure.picture}: {failure.reason}"


def unlisted(folders: Iterable[FolderReport]) -> int:
    """Failures that the reports count without naming them."""
    return sum(max(0, folder.failed_count - len(folder.failures)) for folder in folders)


def known_failures(folders: Iterable[FolderReport]) -> Iterable[Failure]:
    """Pictures that failed in an earlier run, and are as they were."""
    masks = (folder.mask for folder in folders if folder.mask is not None)
    return (failure for mask in masks for failure in mask.failures if failure.known)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))


def collisions(folders: Iterable[FolderReport]) -> Iterable[str]:
    """Pictures that share an ID, in words: whose row stands."""
    loads = (folder.load for folder in folders if folder.load is not None)
    return (
        f"{collision.identifier}: the row is of {collision.stands}, not of {collision.yields}"
        for load in loads
        for collision in load.collisions
    )


def _list(title: str, items: Iterable[str], *, more: int = 0) -> list[str]:
    lines = [f"  {hide_credentials(one_line(item))}" for item in items]
    more += max(0, len(lines) - MAX_LINES)
    if not lines and not more:
        return []
    rest = [f"  … and {more} more"] if more else []
    return ["", f"{title}:", *lines[:MAX_LINES], *rest]
