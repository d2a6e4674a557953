"""Discovery: walk the input share and compare it with the state to find capture folders with work left."""

from __future__ import annotations

import fnmatch
import logging
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Final

from anonymisation.chain.load import table_key
from anonymisation.chain.release import sidecars
from anonymisation.chain.stem_collisions import colliding_names, is_known_collision
from anonymisation.chain.up_to_date import UpToDatePictures, is_known_failed
from anonymisation.core.errors import AnonymisationError, ImageError, ShareUnavailableError
from anonymisation.files.atomic import is_leftover
from anonymisation.files.plain import read_plain
from anonymisation.imaging.exif.read import read_exif
from anonymisation.metadata.capture_date import capture_date as date_of_capture
from anonymisation.metadata.capture_date import date_in_path
from anonymisation.reporting.step_reports import MAX_LISTED, Failure, MaskReport
from anonymisation.workspace.folder_state import MASKED, read_pictures
from anonymisation.workspace.listing import Listing, PictureFile, Problem, join, list_folder, only_picture
from anonymisation.workspace.paths import Sidecar
from anonymisation.workspace.unread import NOTHING_UNREAD, NotRead, UnreadFiles
from anonymisation.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class FoundFolder:
    """A capture folder with its number of pictures: `pending` ones still need the chain, `known_failed` failed before.

    `to_mask` of the pending pictures still need the model; `pending_bytes` is the total size of the pending pictures.
    `trouble` is the reason why it is not known what is left; the folder then counts as pending, and its steps report
    the reason, if it has not gone by then.
    """

    folder: str
    pictures: int
    pending: int
    known_failed: int = 0
    known_failures: tuple[Failure, ...] = ()
    to_mask: int = 0
    pending_bytes: int = 0
    trouble: str = ""

    def idle_report(self) -> MaskReport:
        """The report of a folder without work left: it keeps the known failures in every summary."""
        return MaskReport(
            folder=self.folder,
            found=self.pictures,
            masked=0,
            already_done=self.pictures - self.known_failed,
            failed=0,
            known_failed=self.known_failed,
            failures=self.known_failures,
        )


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A capture folder that changed too recently for a scheduled run."""

    folder: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """The result of discovery; `idle` are reports of folders with known failures and no work left.

    `up_to_date` is the number of folders in which everything is done. `unmatched` are patterns of the selection that no
    capture folder matches. `unread` are files that are no pictures for this software.
    """

    folders: tuple[FoundFolder, ...]
    idle: tuple[MaskReport, ...] = ()
    problems: tuple[Problem, ...] = ()
    unsettled: tuple[str, ...] = ()
    up_to_date: int = 0
    unmatched: tuple[str, ...] = ()
    unread: NotRead = NOTHING_UNREAD


@dataclass(frozen=True, slots=True)
class Selection:
    """Which folders to process, by default all of them; nightly runs set `settled_only`.

    `capture_date` selects one day, `date_from` and `date_to` a range (both included, None: open). A pattern is a
    folder's path below the input folder, which also selects its subfolders, or a shell pattern whose `*` matches `/`.
    """

    settled_only: bool = False
    capture_date: date | None = None
    patterns: tuple[str, ...] = ()
    date_from: date | None = None
    date_to: date | None = None

    def __post_init__(self) -> None:
        if self.date_from is not None and self.date_to is not None and self.date_from > self.date_to:
            raise ValueError(f"expected a first day before the last, got {self.date_from} and {self.date_to}")

    @property
    def by_date(self) -> bool:
        """Whether folders are selected by their capture date."""
        return (self.capture_date, self.date_from, self.date_to) != (None, None, None)

    def wants(self, day: date) -> bool:
        """Whether a folder captured on `day` is selected."""
        if self.capture_date not in {None, day}:
            return False
        return (self.date_from or day) <= day <= (self.date_to or day)

    def matches(self, folder: str) -> bool:
        """Whether a pattern selects this folder; without patterns every folder is selected."""
        return not self.patterns or any(_matches(folder, pattern) for pattern in self.patterns)

    def unmatched(self, folders: Collection[str]) -> tuple[str, ...]:
        """The patterns that select none of the capture folders that discovery found; none where dates select too."""
        if self.by_date:
            return ()
        return tuple(pattern for pattern in self.patterns if not any(_matches(folder, pattern) for folder in folders))


EVERYTHING: Final = Selection()
Finding = FoundFolder | Problem | Unsettled | UnreadFiles


def discover(workspace: Workspace, selection: Selection = EVERYTHING, *, look_only: bool = False) -> Discovery:
    """Walk the input folder and list the work that is left, sorted by path; for `look_only` and errors see `walk`.

    Raises:
        ShareUnavailableError: the input folder cannot be reached.
    """
    folders: list[FoundFolder] = []
    idle: list[MaskReport] = []
    problems: list[Problem] = []
    unsettled: list[str] = []
    up_to_date: list[str] = []
    unread: list[UnreadFiles] = []
    for found in walk(workspace, selection, look_only=look_only):
        match found:
            case Problem():
                problems.append(found)
            case Unsettled():
                unsettled.append(found.folder)
            case UnreadFiles():
                unread.append(found)
            case FoundFolder() if found.pending:
                folders.append(found)
            case FoundFolder() if found.known_failed:
                idle.append(found.idle_report())
            case FoundFolder():
                up_to_date.append(found.folder)
    names = {*unsettled, *up_to_date, *(item.folder for item in folders), *(report.folder for report in idle)}
    names.update(item.folder for item in unread)
    return Discovery(
        folders=tuple(folders),
        idle=tuple(idle),
        problems=tuple(problems),
        unsettled=tuple(unsettled),
        up_to_date=len(up_to_date),
        unmatched=selection.unmatched(names),
        unread=NotRead.of(unread),
    )


def walk(workspace: Workspace, selection: Selection = EVERYTHING, *, look_only: bool = False) -> Iterator[Finding]:
    """Yield every capture folder (also without pending pictures), unsettled folder and place that is not entered.

    The files of a folder that are not read come before the folder, whether or not it holds pictures.

    Links to folders are never followed: they could form a loop, or lead to the same pictures twice. With `look_only`
    missing base folders are not created. A folder that cannot be looked at stops no other: it is a Problem, or has
    `trouble` if its state cannot be read.

    Raises:
        ShareUnavailableError: the input folder cannot be reached.
        ModelUnavailableError: the model is not installed.
    """
    require = workspace.require_input if look_only else workspace.require_shares
    require()
    base = workspace.shares.input
    table = table_key(workspace)
    stack, missed = ["."], set[str]()
    while stack:
        folder = stack.pop()
        try:
            listing = list_folder(base / folder, folder)
        except FileNotFoundError:  # removed since its parent was read, or the share was away
            require()
            if folder == "." or folder not in missed:
                missed.add(folder)
                stack.append(folder)
            continue
        if isinstance(listing, Problem):
            yield listing
            continue
        if workspace.shares.picture:
            listing = only_picture(listing, workspace.shares.picture)
        yield from listing.problems
        stack.extend(sorted((join(folder, name) for name in listing.folders), reverse=True))
        if selection.matches(folder):
            unread = _unread(workspace, folder, listing, selection)
            if unread is not None:
                yield unread
            found = _found_or_problem(workspace, folder, listing, selection, table)
            if found is not None:
                yield found


def _unread(workspace: Workspace, folder: str, listing: Listing, selection: Selection) -> UnreadFiles | None:
    pictures = [picture.name for picture in listing.pictures]
    local = workspace.settings.local_preview
    found = UnreadFiles.of(folder, listing.other_names, pictures, local_previews=local)
    if found is not None and (local or any(name.endswith(tuple(Sidecar)) for name in listing.other_names)):
        with suppress(ShareUnavailableError):  # the steps report it
            pictures += read_pictures(workspace.shares.state, folder)  # of released ones, too, files may have stayed
        found = UnreadFiles.of(folder, listing.other_names, pictures, local_previews=local)
    if found is None or not selection.by_date:
        return found
    if listing.pictures:
        day = _capture_date(workspace, folder, listing.pictures[0])
    else:
        day = date_of_capture(PurePosixPath(folder), None, listing.newest)
    return found if selection.wants(day) else None


def _found_or_problem(
    workspace: Workspace, folder: str, listing: Listing, selection: Selection, table: str | None
) -> Finding | None:
    """As `_finding`; whatever is wrong with this folder must not keep the others from being masked."""
    try:
        return _finding(workspace, folder, listing, selection, table)
    except ShareUnavailableError as error:
        return _unknown(folder, listing, error)
    except AnonymisationError:  # such as a missing model: it concerns every folder
        raise
    except Exception as error:
        logging.getLogger(__name__).exception("%s: cannot be looked at", folder)
        reason = f"cannot be looked at ({type(error).__name__}: {error}); its pictures are not masked"
        return Problem(folder, reason, hides_pictures=True)


def _finding(
    workspace: Workspace, folder: str, listing: Listing, selection: Selection, table: str | None
) -> Finding | None:
    """What the folder is; None if it is no capture folder, or is not selected.

    Raises:
        ShareUnavailableError: its state cannot be read.
        OSError: one of its files cannot be looked at.
        ModelUnavailableError: the model is not installed.
    """
    if not listing.pictures:
        left_behind = _is_left_behind(workspace, folder, listing)
        return FoundFolder(folder, pictures=0, pending=1) if left_behind else None
    if not _is_of_date(workspace, folder, listing, selection):
        return None
    if selection.settled_only and not _is_settled(workspace, workspace.shares.input / folder, listing):
        return Unsettled(folder)
    return _look(workspace, folder, listing, table)


def _unknown(folder: str, listing: Listing, error: ShareUnavailableError) -> FoundFolder:
    """A folder of which it is not known what is left: its steps find out, or fail with the reason."""
    logging.getLogger(__name__).warning("%s: %s", folder, error)
    number = len(listing.pictures)
    return FoundFolder(
        folder,
        pictures=number,
        pending=max(1, number),
        to_mask=number,
        pending_bytes=sum(picture.stamp.size for picture in listing.pictures),
        trouble=str(error),
    )


def _look(workspace: Workspace, folder: str, listing: Listing, table: str | None) -> FoundFolder:
    """Compare the pictures with their states; `table` is the key of the table that gets their rows."""
    pictures = listing.pictures
    states = read_pictures(workspace.shares.state, folder, workspace.part)
    settings = workspace.settings
    model, digest = workspace.model_identity(), workspace.picture_digest(folder)
    colliding = colliding_names((picture.name for picture in pictures), states, settings)
    finished = UpToDatePictures(workspace, folder, pictures, states, table)
    pending: list[PictureFile] = []
    to_mask = 0
    failures: list[Failure] = []
    for picture in pictures:
        known = states.get(picture.name)
        if settings.force_remask or known is None:
            pending.append(picture)
            to_mask += 1
        elif is_known_failed(picture, known, model, digest) or (
            picture.name in colliding and is_known_collision(picture, known)
        ):
            failures.append(Failure(join(folder, picture.name), known.reason or "", known=True))
        elif not finished.is_up_to_date(picture, known):
            pending.append(picture)
            to_mask += not finished.is_done(picture, known)
    # A released picture can still lack its row.
    row_missing = table is not None and any(s.status == MASKED and s.loaded != table for s in states.values())
    return FoundFolder(
        folder=folder,
        pictures=len(pictures),
        pending=max(len(pending), int(row_missing), int(listing.releasing)),
        known_failed=len(failures),
        known_failures=tuple(failures[:MAX_LISTED]),
        to_mask=to_mask,
        pending_bytes=sum(picture.stamp.size for picture in pending),
    )


def _is_left_behind(workspace: Workspace, folder: str, listing: Listing) -> bool:
    """Whether a killed release left this folder: its pictures are set aside, or gone and it is empty or holds sidecars.

    Originals that are set aside count whatever the settings and the state: they may have changed, or be lost.
    """
    if listing.releasing:
        return True
    if not workspace.settings.delete_input or folder == ".":
        return False
    states = read_pictures(workspace.shares.state, folder)
    if not any(state.released for state in states.values()):
        return False
    names = {name for name in listing.other_names if not is_leftover(name)}
    ours = {path.name for path, _ in sidecars(workspace, folder, states)}
    empty = not (names or listing.folders or listing.problems)
    return empty or not names.isdisjoint(ours)


def _is_settled(workspace: Workspace, path: Path, listing: Listing) -> bool:
    marker = workspace.settings.capture_marker_file
    if marker and (marker in listing.other_names or (path / marker).exists()):
        return True
    return time.time() - listing.newest >= workspace.settings.capture_settle_seconds


def _is_of_date(workspace: Workspace, folder: str, listing: Listing, selection: Selection) -> bool:
    return not selection.by_date or selection.wants(_capture_date(workspace, folder, listing.pictures[0]))


def _capture_date(workspace: Workspace, folder: str, first: PictureFile) -> date:
    relative = PurePosixPath(folder)
    mtime = first.stamp.mtime_ns / 1e9
    found = date_in_path(relative)
    if found is not None:
        return found
    path = workspace.picture(folder, first.name).original
    try:
        exif = read_exif(read_plain(path), source=None)
    except (OSError, ImageError):  # the mask step reports it
        exif = None
    return date_of_capture(relative, exif, mtime)


def _matches(folder: str, pattern: str) -> bool:
    pattern = pattern.strip("/")
    return folder == pattern or folder.startswith(f"{pattern}/") or fnmatch.fnmatchcase(folder, pattern)
