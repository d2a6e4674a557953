"""The folders of a single step: all capture folders of the input, and other folders that the state knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

import click

from anonymisation.chain.discover import FoundFolder, Selection, walk
from anonymisation.cli.session import Session
from anonymisation.core.errors import ImageError
from anonymisation.core.text import one_line
from anonymisation.files.plain import is_there, read_plain
from anonymisation.imaging.exif.read import read_exif
from anonymisation.metadata.capture_date import capture_date as date_of_capture
from anonymisation.workspace.folder_state import state_folder
from anonymisation.workspace.listing import Listing, Problem, listings
from anonymisation.workspace.locks import PICTURES
from anonymisation.workspace.unread import UnreadFiles
from anonymisation.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders to work on, in the order of their paths, places that could not be read, and files that are not read."""

    found: tuple[FoundFolder, ...]
    problems: tuple[Problem, ...]
    unread: tuple[UnreadFiles, ...]


def all_folders(workspace: Workspace, selection: Selection, *, released_too: bool) -> Folders:
    """Every capture folder that the selection matches, with or without work left.

    With `released_too`, also folders whose originals have been removed from the input; output and state still have
    them.

    Raises:
        ShareUnavailableError: a share is away.
    """
    findings = list(walk(workspace, selection))
    found = {item.folder: item for item in findings if isinstance(item, FoundFolder)}
    problems = [item for item in findings if isinstance(item, Problem)]
    unread = [item for item in findings if isinstance(item, UnreadFiles)]
    if released_too:
        for folder in _known_outputs(workspace, selection):
            found.setdefault(folder, FoundFolder(folder, pictures=0, pending=0))
    ordered = sorted(found.values(), key=lambda item: PurePosixPath(item.folder).parts)
    return Folders(tuple(ordered), tuple(problems), tuple(unread))


def require_results(workspace: Workspace) -> None:
    """Refuse an output folder of which nothing is known, for verbs that only look at what was masked before.

    A mistyped name would be made as a new output folder otherwise. The wait for shares is `require_shares`' as always.

    Raises:
        click.BadParameter: there is neither the folder nor its state folder.
        ShareUnavailableError: a share is away.
    """
    output, state = workspace.shares.output, workspace.shares.state
    if not is_there(output) and not is_there(state):
        message = f"{output} does not exist, and there is no state folder {state}: nothing was masked there"
        raise click.BadParameter(message, param_hint="-o")
    workspace.require_shares(first_look=True)


def selected_folders(session: Session) -> list[str]:
    """The capture folders that the flags select, released ones included. What could not be read is named on stderr.

    Raises:
        ShareUnavailableError: a share is away.
        click.ClickException: the flags select no folder.
    """
    folders = all_folders(session.workspace, session.selection, released_too=True)
    for problem in folders.problems:
        session.err.print(one_line(str(problem)), style="yellow")
    if not folders.found and session.selected:
        raise click.ClickException(f"no capture folder matches {one_line(session.selected)}")
    return [found.folder for found in folders.found]


def _known_outputs(workspace: Workspace, selection: Selection) -> Iterator[str]:
    for folder, listing in listings(workspace.shares.output):
        if isinstance(listing, Problem) or not listing.pictures or not selection.matches(folder):
            continue
        of_date = not selection.by_date or selection.wants(_date(workspace, folder, listing))
        if of_date and _has_state(workspace, folder):
            yield folder


def _has_state(workspace: Workspace, folder: str) -> bool:
    """Whether the folder has a journal, even one that cannot be read: its step then reports the reason."""
    try:
        return is_there(state_folder(workspace.shares.state, folder) / PICTURES)
    except OSError:
        return True


def _date(workspace: Workspace, folder: str, listing: Listing) -> date:
    """The day of capture, as discovery finds it; a masked picture has the time of its original."""
    first = listing.pictures[0]
    try:
        exif = read_exif(read_plain(workspace.shares.output / folder / first.name), source=None)
    except (OSError, ImageError):  # removed since, or damaged: the check reports it
        exif = None
    return date_of_capture(PurePosixPath(folder), exif, first.stamp.mtime_ns / 1e9)
