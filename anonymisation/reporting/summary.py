"""The summary of a run as plain text: the same on the terminal, in the log and in the mail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from anonymisation.core.text import duration, hide_credentials, one_line
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import Failure
from anonymisation.workspace.unread import files

MAX_LINES: Final = 100  # lines per list of a summary; its counts are exact

# (label of the line, step, count, whether a zero is shown)
_COUNTS: Final = (
    ("images found", "mask", "found", True),
    ("skipped as done", "mask", "already_done", True),
    ("masked", "mask", "masked", True),
    ("failed", "mask", "failed", True),
    ("known to fail", "mask", "known_failed", True),
    ("not reached", "mask", "left", False),
    ("encoded again as a whole", "mask", "encoded_anew", False),
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
    """The verdict, the counts of the whole run, and the lines of `render_problems`."""
    return "\n".join([verdict(report), "", *_counts(report), *render_problems(report)])


def render_problems(report: RunReport) -> list[str]:
    """Suspicion, stopped folders, failures with reasons, and places that were not entered; no lines if all is well."""
    shared, shared_more = collisions(report.folders)
    return [
        *(["", suspicion] if (suspicion := describe_suspicion(report)) else []),
        *_list("Not complete", report.broken),
        *_list("Folders that stopped", (_stopped(f.folder, f.error) for f in report.folders if f.error)),
        *_list("Failed", _failures(report.folders), more=unlisted(report.folders)),
        *_list("Known to fail, and unchanged since", (_line(failure) for failure in known_failures(report.folders))),
        *_list("Two pictures with one ID", shared, more=shared_more),
        *_list("Still changing, left for a later run", report.unsettled),
        *_list("Not entered", (problem for problem in report.problems if problem not in report.broken)),
        *_list(report.unread.title, report.unread.lines(), more=report.unread.more),
    ]


def _stopped(folder: str, error: str) -> str:
    """The error of a stopped folder, with the folder's name, unless the error begins with it."""
    return error if error.startswith(f"{folder}: ") else f"{folder}: {error}"


def render_folder(report: FolderReport) -> str:
    """The failures of one folder, for its mail."""
    return "\n".join(
        [
            f"Folder: {one_line(report.folder)}",
            *_list("Stopped", [report.error] if report.error else []),
            *_list("Failed", _failures([report]), more=unlisted([report])),
        ]
    )


def describe_objects(report: RunReport) -> str:
    """The hidden objects by label, as in "3 car, 1 person"; empty if there are none."""
    objects: dict[str, int] = {}
    for folder in report.folders:
        for label, number in (folder.mask.objects if folder.mask else {}).items():
            objects[label] = objects.get(label, 0) + number
    return ", ".join(f"{number} {label}" for label, number in sorted(objects.items()))


def describe_suspicion(report: RunReport) -> str:
    """A warning that the model found nothing on many pictures, with advice; empty if there is no suspicion."""
    if not report.suspicious:
        return ""
    pictures = report.total("mask", "masked")
    return (
        f"Suspicious: the model found nobody and no vehicle in {pictures} pictures. "
        "Look at some of them, and at the model and score_threshold."
    )


def verdict(report: RunReport) -> str:
    """The result of the run in one sentence."""
    if report.succeeded and not report.folders:
        return _nothing_to_do(report)
    if report.succeeded:
        exceptions = []
        if known := sum(folder.known_failed for folder in report.folders):
            exceptions.append(f"{_count(known, 'picture')} that {'is' if known == 1 else 'are'} known to fail")
        if report.unread:
            exceptions.append(report.unread.phrase)
        return f"Everything is done, but for {' and '.join(exceptions)}." if exceptions else "Everything is done."
    return "Not everything succeeded; see below."


def headline(report: RunReport) -> str:
    """The result of the run as the subject of a mail, such as `FAILED: 2 of 13 folders, 1 picture`."""
    if not report.succeeded:
        failed = sum(not folder.succeeded for folder in report.folders)
        pictures = report.failed_pictures
        parts = [
            *([f"{failed} of {_count(len(report.folders), 'folder')}"] if failed else []),
            *([_count(pictures, "picture")] if pictures else []),
            *(["not complete"] if report.broken else []),
        ]
        return f"FAILED: {', '.join(parts)}"
    if not report.folders:
        return _nothing_to_do(report).rstrip(".")
    masked = _count(report.total("mask", "masked"), "picture")
    if report.suspicious:
        return f"SUSPICIOUS: nothing found in {masked}"
    unread = f", {files(report.unread.files)} not read" if report.unread else ""
    return f"Finished: {_count(len(report.folders), 'folder')}, {masked} masked{unread}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _nothing_to_do(report: RunReport) -> str:
    """Why a run had nothing to do. Folders that still change come first, because they will have something."""
    if report.unsettled:
        still = "still changes and is" if len(report.unsettled) == 1 else "still change and are"
        return f"Nothing to do yet: {_count(len(report.unsettled), 'folder')} {still} left for a later run."
    if report.up_to_date:
        unread = f", but for {report.unread.phrase}" if report.unread else ""
        return f"Nothing to do: everything in {_count(report.up_to_date, 'folder')} is done{unread}."
    if report.unread:
        where = one_line(report.selection) if report.selection else "the input folder"
        return f"Nothing to do: there are no JPEG pictures in {where}, but {report.unread.phrase}."
    if report.selection:
        return f"Nothing to do: no capture folder matches {one_line(report.selection)}."
    return "Nothing to do: there are no pictures in the input folder."


def _counts(report: RunReport) -> list[str]:
    lines = [("folders", str(len(report.folders)))]
    for label, step, count, always in _COUNTS:
        number = report.total(step, count)
        if number or always:
            lines.append((label, str(number)))
    listed, more = collisions(report.folders)
    if shared := len(listed) + more:
        lines.append(("pictures that yield their ID", str(shared)))
    if hidden := describe_objects(report):
        lines.append(("hidden", hidden))
    if report.unread:
        lines.append(("files not read", str(report.unread.files)))
    lines.append(("time spent", duration(report.seconds)))
    width = max(len(label) for label, _ in lines)
    return [f"{label:<{width}}  {value}" for label, value in lines]


def _failures(folders: Iterable[FolderReport]) -> Iterable[str]:
    return (_line(failure) for folder in folders for failure in folder.failures)


def _line(failure: Failure) -> str:
    return f"{failure.picture}: {failure.reason}"


def unlisted(folders: Iterable[FolderReport]) -> int:
    """The number of failures that the reports count but do not list."""
    return sum(max(0, folder.failed_count - len(folder.failures)) for folder in folders)


def known_failures(folders: Iterable[FolderReport]) -> Iterable[Failure]:
    """Pictures that failed in an earlier run and have not changed since."""
    return (failure for folder in folders for failure in folder.known_failures)


def collisions(folders: Iterable[FolderReport]) -> tuple[list[str], int]:
    """Pairs of pictures that share an ID, as text: which picture's row is in the table; and the number of further pairs
    that the reports count but do not list.
    """
    reports = list(folders)
    pairs = dict.fromkeys(pair for folder in reports for pair in folder.collisions)
    texts = [f"{pair.identifier}: the row is of {pair.stands}, not of {pair.yields}" for pair in pairs]
    return texts, sum(folder.collided - len(folder.collisions) for folder in reports)


def _list(title: str, items: Iterable[str], *, more: int = 0) -> list[str]:
    lines = [f"  {hide_credentials(one_line(item))}" for item in items]
    more += max(0, len(lines) - MAX_LINES)
    if not lines and not more:
        return []
    rest = [f"  … and {more} more"] if more else []
    return ["", f"{title}:", *lines[:MAX_LINES], *rest]
