"""The base folders of the shares: created on first use, marked, and recognised, so that an unmounted share is noticed.

An unmounted share looks like an empty or a missing folder. Copies would go to the local disk below its mount point, and
originals would be removed after that. So the output and the archive folder get a hidden file, the marker, and the state
folder remembers its content:

    <output or archive>/.anonymisation-share                     the marker: one line of text, different for each folder
    <state>/roots/<hash of the path>-<role>-<hash of the marker>  holds the path, for people

A folder that was used before must be there and have its marker. Otherwise its share is away, and is waited for. Who
moved or replaced a folder on purpose confirms it with an empty marker, which is filled in. A folder that cannot be
written to (a read-only share, a full disk) is used without a marker, and must only be there.

A lost state folder remembers nothing, so all folders are as new. State folders of older versions remember no folders,
but their journals know whether pictures were written, so a folder that is missing or empty then counts as away.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shlex
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.core.settings import Settings
from anonymisation.files.access import ShareAwayError, wait_until, with_access
from anonymisation.files.append_log import read_as, to_line
from anonymisation.files.atomic import write_atomically
from anonymisation.files.digests import name_digest
from anonymisation.files.folders import flush_folder, make_folders
from anonymisation.files.names import rename_new
from anonymisation.files.permissions import new_file_exactly
from anonymisation.files.plain import is_there, read_plain
from anonymisation.files.reported import reason_of
from anonymisation.workspace.folder_state import PictureState
from anonymisation.workspace.locks import PICTURES
from anonymisation.workspace.paths import Shares

MARKER: Final = ".anonymisation-share"
MARKED_ROLES: Final = ("output", "archive", "preview")
_FOLDER: Final = "roots"
_UNREADABLE: Final = "?"
_UNMARKED: Final = "unmarked"
_MODE: Final = 0o644  # everybody who uses the share reads it
_NOT_WRITABLE: Final = frozenset((errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT))


def require_roots(settings: Settings, shares: Shares) -> None:
    """Wait for output and archive folder, create and mark them on first use; create the state folder if missing.

    The error folder is created for the first file in it (`error_folder`); here it must only be possible.

    Raises:
        ShareUnavailableError: a folder that was used before is away, or one cannot be created.
    """
    marked = [(role, path) for role, path in shares.roles() if role in MARKED_ROLES]
    for role, path in marked:
        _require(settings, shares.state, role, path)
    for role, path in shares.roles():
        if role == "state":
            _reported(settings, role, path, partial(make_folders, path))
        elif role == "error":
            _reported(settings, role, path, partial(_require_possible, path))
    for role, path in marked:
        _reported(settings, "state", shares.state, partial(_remember, shares.state, role, path))


def make_folder(shares: Shares, path: Path) -> None:
    """Create a folder of a share for a file that is written now; the base folders and those of the input are not made.

    Raises:
        ShareAwayError: the share is not there any more, an error that is waited for.
        OSError: it cannot be created.
    """
    if path.is_dir():
        return
    role, base = next((role, base) for role, base in shares.roles() if path.is_relative_to(base))
    if role == "input":
        raise ShareAwayError(f"input folder {path} is not there any more")
    if role in MARKED_ROLES and (problem := _problem(shares.state, role, base)) is not None:
        raise ShareAwayError(problem)
    make_folders(path, shares.error_mode if role == "error" else None, below=base)


def require_marked(shares: Shares) -> None:
    """Check once more that the output and the archive folder are those that were used before.

    Raises:
        ShareUnavailableError: one is not.
    """
    for role, path in shares.roles():
        if role in MARKED_ROLES and (problem := _problem(shares.state, role, path)) is not None:
            raise ShareUnavailableError(problem)


def _require(settings: Settings, state: Path, role: str, path: Path) -> None:
    try:
        wait_until(settings, f"{role} folder {path}", partial(_problem, state, role, path))
    except ShareUnavailableError as error:
        raise ShareUnavailableError(f"{error}. {_how_to_confirm(path)}") from error
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ELOOP):  # a pipe or the like, or a link
            raise
        marker = path / MARKER
        raise ShareUnavailableError(f"{role} folder {path}: {marker} {reason_of(error)}; remove it") from error
    if not path.is_dir() and not path.parent.is_dir():
        raise ShareUnavailableError(
            f"{role} folder {path} cannot be created: its parent folder {path.parent} does not exist (mistyped, or its "
            "share is not mounted)"
        )
    _reported(settings, role, path, partial(make_folders, path, below=path.parent))
    if not _content(path):
        _reported(settings, role, path, partial(_mark, state, role, path))


def _problem(state: Path, role: str, path: Path) -> str | None:
    """Why the folder is not the one that was used before; None if it is, or if none was.

    Raises:
        OSError: the share cannot be reached.
    """
    known = _remembered(state, path)  # first, since it is written after the marker
    content = _content(path)
    if content == "":
        return None  # a person confirmed it
    if not known:
        if content is None and _is_empty(path) and _was_used(state, role):
            return f"{role} folder {path} is empty, and pictures were written there before (is its share mounted?)"
        return None
    if not path.is_dir():
        return f"{role} folder {path} is missing, and was used before (is its share mounted?)"
    markers = {name.rpartition("-")[2] for name in known} - {_UNMARKED}
    if markers and content is None:
        return f"{role} folder {path} lacks the file {MARKER} that it had before (is its share mounted?)"
    if markers and _digest(path) not in markers | {_UNMARKED}:
        return f"{role} folder {path} is another folder than before: its {MARKER} differs (is another share mounted?)"
    return None


def _require_possible(path: Path) -> None:
    """Raise the error that creating the folder would end with: a file is in its way, or its parent is not writable."""
    if path.is_dir():
        return
    nearest = next(parent for parent in (path, *path.parents) if is_there(parent))
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(nearest))


def _how_to_confirm(path: Path) -> str:
    folder, marker = shlex.quote(str(path)), shlex.quote(str(path / MARKER))
    return f"If it was moved or replaced on purpose, confirm it with: mkdir -p {folder} && truncate -s 0 {marker}"


def _content(path: Path) -> str | None:
    """The text of a marker, None if there is none."""
    marker = path / MARKER
    try:
        return read_plain(marker).decode("utf-8", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        return _UNREADABLE


def _digest(path: Path) -> str:
    """The hash of the marker; _UNMARKED if it cannot be read, is empty or is not there."""
    content = _content(path)
    return _UNMARKED if content in (None, "", _UNREADABLE) else name_digest(str(content))


def _mark(state: Path, role: str, path: Path) -> None:
    """Write the marker; an empty one is filled in. Of several processes, the first one's stays."""
    note = "Keep this file: without it, this folder counts as the mount point of a share that is not mounted."
    line = to_line({"share": role, "id": secrets.token_hex(8), "note": note})
    marker, part = path / MARKER, path / f"{MARKER}.{secrets.token_hex(8)}"
    try:
        with new_file_exactly(part, _MODE) as stream:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
        if _content(path) == "":
            part.replace(marker)
        else:
            rename_new(part, marker)
        flush_folder(path)
    except OSError as error:
        if _content(path) is not None:
            return  # another process was first
        if error.errno not in _NOT_WRITABLE:
            raise
        if not _remembered(state, path):
            log = logging.getLogger(__name__)
            log.warning("%s cannot be marked (%s): should its share be unmounted, that is not noticed", path, error)


def _remembered(state: Path, path: Path) -> set[str]:
    """The names of the files that remember this folder; mostly one, or two if a process was killed in between."""
    prefix = f"{name_digest(str(path))}-"
    return {name for name in _all_remembered(state) if name.startswith(prefix)}


def _all_remembered(state: Path) -> list[str]:
    try:
        return os.listdir(state / _FOLDER)  # noqa: PTH208 - names alone
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remember(state: Path, role: str, path: Path) -> None:
    """Remember the marker as it is now, instead of what was remembered before, and remove what kills left of it.

    A file with a telling name, since it appears whole: a kill can leave nothing half-written.
    """
    known, digest = _remembered(state, path), _digest(path)
    name = f"{name_digest(str(path))}-{role}-{digest}"
    if known == {name} or (known and digest == _UNMARKED):
        return
    folder = state / _FOLDER
    make_folders(folder)
    write_atomically(folder / name, os.fsencode(path))
    for older in known - {name}:
        (folder / older).unlink(missing_ok=True)
    for part in path.glob(f"{MARKER}.*"):
        with suppress(OSError):  # in a read-only share
            part.unlink()


def _was_used(state: Path, role: str) -> bool:
    """Whether the journals of an older version, which remembered no folders, know of a picture in this share."""
    if any(f"-{role}-" in name for name in _all_remembered(state)):
        return False
    for picture in _known_pictures(state):
        if picture.archived if role == "archive" else picture.output is not None:
            return True
    return False


def _known_pictures(state: Path) -> Iterator[PictureState]:
    """The pictures in all journals that can be read; one that cannot concerns its own folder, which reports it."""
    for journal in sorted((state / "folders").glob(f"*/{PICTURES}")):
        with suppress(ShareUnavailableError):
            yield from read_as(journal, PictureState, warn=False)


def _is_empty(path: Path) -> bool:
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except (FileNotFoundError, NotADirectoryError):
        return True


def _reported(settings: Settings, role: str, path: Path, action: partial[None]) -> None:
    try:
        with_access(settings, f"{role} folder {path}", action)
    except OSError as error:
        at = f" ({error.filename})" if error.filename not in (None, str(path)) else ""
        raise ShareUnavailableError(f"{role} folder {path} cannot be created: {reason_of(error)}{at}") from error
