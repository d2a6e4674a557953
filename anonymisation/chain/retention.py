"""Retention: remove what is kept longer than the site allows, and log every file that is removed. Off by default.

Two kinds of files show people without a mask:

- archived originals (`archive_retention_days`): only those that are released, and whose masked picture is still whole.
  All others stay, since nothing else would be left of them.
- the error folder (`error_retention_days`): copies of pictures that failed, with their notes

The age is the time since the file got its name there (ctime). A file that is copied or restored later only looks
younger, so nothing is removed too early.

    <state>/audit/retention.jsonl     one line per removed file, on disk before the file is removed; a further line of
                                      the kind "not removed" if it could not be removed
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from anonymisation.chain.verify import masked_picture_problem, quiet_copy_problem
from anonymisation.core.errors import AnonymisationError, FolderLockedError
from anonymisation.core.text import counted
from anonymisation.files.append_log import AppendLog
from anonymisation.files.plain import read_plain
from anonymisation.files.reported import reported
from anonymisation.workspace.folder_state import (
    MASKED,
    FolderState,
    PictureState,
    open_state,
    read_name,
    read_pictures,
    state_folders,
)
from anonymisation.workspace.paths import ImagePaths
from anonymisation.workspace.workspace import Workspace

NOT_REMOVED: Final = "not removed"  # takes back the line before it, whose kind is in `of`
_DAY: Final = 86_400.0


@dataclass(slots=True)
class RetentionReport:
    """Numbers of removed files, and why files that are too old stay."""

    originals: int = 0
    failures: int = 0
    kept: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        originals, failures = counted(self.originals, "archived original"), counted(self.failures, "file")
        return f"{originals} and {failures} of the error folder removed"


def enforce_retention(workspace: Workspace, *, now: float | None = None) -> RetentionReport:
    """Remove every file that is older than the settings allow; nothing where they allow any age.

    Folders that another process works on are left for the next time.

    Raises:
        ShareUnavailableError: a share is away, or the log cannot be written.
    """
    report, settings = RetentionReport(), workspace.settings
    current = time.time() if now is None else now
    if not settings.archive_retention_days and not settings.error_retention_days:
        return report
    workspace.require_shares()
    with closing(AppendLog(retention_log(workspace.shares.state), mode=0o600)) as log:
        if settings.archive_retention_days and workspace.shares.archive is not None:
            oldest = current - settings.archive_retention_days * _DAY
            for folder in filter(None, map(read_name, state_folders(workspace.shares.state))):
                _retire_folder(workspace, folder, oldest, log, report)
        if settings.error_retention_days:
            _empty_error_folder(workspace.shares.errors, current - settings.error_retention_days * _DAY, log, report)
    if report.originals or report.failures:
        logging.getLogger(__name__).info("retention: %s", report)
    for reason in report.kept:
        logging.getLogger(__name__).warning("retention: %s", reason)
    return report


def end_with_retention(workspace: Workspace) -> None:
    """Enforce the retention at the end of a run. What cannot be removed is logged, and left for the next run."""
    try:
        enforce_retention(workspace)
    except AnonymisationError as error:
        logging.getLogger(__name__).error("retention is left for the next run: %s", error)


def retention_log(state_root: Path) -> Path:
    """The log of removed files."""
    return state_root / "audit" / "retention.jsonl"


def _retire_folder(workspace: Workspace, folder: str, oldest: float, log: AppendLog, report: RetentionReport) -> None:
    """Remove the old originals of one folder. Its state is locked only if there are any."""
    known = read_pictures(workspace.shares.state, folder)
    try:
        old = _old_originals(workspace, folder, filter(_is_due, known.values()), oldest)
        if not old:
            return
        with open_state(workspace.shares.state, folder) as state:
            for name in sorted(old):
                archived = workspace.picture(folder, name).archived
                if archived is not None and _is_due(state.pictures[name]):
                    _retire(workspace.picture(folder, name), archived, state, log, report)
    except FolderLockedError:
        stay = "1 original stays" if len(old) == 1 else f"{len(old)} originals stay"
        report.kept.append(f"{folder}: {stay} until no run works on the folder")
    except AnonymisationError as error:
        report.kept.append(f"{folder}: {error}")


def _is_due(picture: PictureState) -> bool:
    """Whether its original may go when it is old; one that was removed before may have come back from a back-up."""
    return picture.status == MASKED and picture.released


def _old_originals(workspace: Workspace, folder: str, known: Iterable[PictureState], oldest: float) -> list[str]:
    """The names of the pictures whose archived original is there and older than `oldest`.

    Raises:
        ShareUnavailableError: the archive cannot be read.
    """
    there: dict[Path, set[str]] = {}  # most originals went long ago, and asking for each would take long
    old = []
    for picture in known:
        path = workspace.picture(folder, picture.name).archived
        if path is None:
            continue
        with reported(path, "looked at"):
            if path.parent not in there:
                there[path.parent] = _names_in(path.parent)
            if path.name in there[path.parent] and _is_older(path, oldest):
                old.append(picture.name)
    return old


def _names_in(place: Path) -> set[str]:
    try:
        return set(os.listdir(place))  # noqa: PTH208 - names alone
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _is_older(path: Path, oldest: float) -> bool:
    try:
        return path.lstat().st_ctime < oldest
    except FileNotFoundError:
        return False


def _retire(paths: ImagePaths, archived: Path, state: FolderState, log: AppendLog, report: RetentionReport) -> None:
    """Remove one archived original, if its masked picture is whole and the file is the original that was masked."""
    known = state.pictures[paths.name]
    try:
        problem = masked_picture_problem(read_plain(paths.masked), known)
        problem = problem and f"its masked picture {problem}"
    except OSError as error:
        problem = f"its masked picture cannot be read: {error.strerror}"
    if problem is None and (copy := quiet_copy_problem(archived, known.sha256)) is not None:
        problem = f"{archived} {copy}"
    if problem is not None:
        report.kept.append(f"{paths.relative}: stays in the archive, since {problem}")
        return
    state.put(replace(known, retired=_now()))
    if _removed(log, "original", archived, known.sha256, report):
        report.originals += 1
    else:
        state.put(known)


def _removed(log: AppendLog, kind: str, path: Path, sha256: str, report: RetentionReport) -> bool:
    """Log the file and remove it; returns whether it is gone. What cannot be removed is tried again the next time.

    Raises:
        ShareUnavailableError: the log cannot be written; then the file stays.
    """
    _log(log, kind, path, sha256)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log(log, NOT_REMOVED, path, sha256, of=kind)
        report.kept.append(f"{path} cannot be removed: {error.strerror}")
        return False
    return True


def _empty_error_folder(errors: Path, oldest: float, log: AppendLog, report: RetentionReport) -> None:
    with reported(errors, "read"):
        for path in list(_old_files(errors, oldest)):
            report.failures += _removed(log, "failed picture", path, "", report)
        for place, _, _ in os.walk(errors, topdown=False):
            if place != str(errors) and not os.listdir(place):  # noqa: PTH208 - names alone
                Path(place).rmdir()


def _old_files(errors: Path, oldest: float) -> Iterator[Path]:
    """The old files of the error folder. Links are not followed, hidden files are left (markers, parts)."""
    for place, _, names in os.walk(errors):
        for name in names:
            path = Path(place) / name
            if not name.startswith(".") and path.lstat().st_ctime < oldest:
                yield path


def _log(log: AppendLog, kind: str, path: Path, sha256: str, **more: str) -> None:
    log.append({"at": _now(), "kind": kind, "file": str(path), "sha256": sha256, **more})
    log.close()  # on disk before the file is removed; the next line opens it again


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
