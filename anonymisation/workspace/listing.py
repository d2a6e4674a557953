"""List a directory of the input share: pictures, folders, and entries that are not read."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.core.settings import Settings
from anonymisation.core.text import is_unicode
from anonymisation.files.access import require_folder
from anonymisation.files.plain import LINK, NO_FILE
from anonymisation.workspace.folder_state import MASKED, FileStamp, PictureState, read_pictures
from anonymisation.workspace.paths import RELEASING_FOLDER, Shares, is_picture_name
from anonymisation.workspace.shards import WHOLE, Shard


class PictureFile(msgspec.Struct, frozen=True, gc=False):
    """A picture in the input folder, with its size and modification time."""

    name: str
    stamp: FileStamp


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry that was not read; with `hides_pictures` it may hold pictures, so the run is incomplete."""

    path: str
    reason: str
    hides_pictures: bool

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(slots=True)
class Listing:
    """One directory: pictures sorted by name, subfolders, entries not read, newest change (s), other files.

    With `releasing`, it has a folder of originals that are being released, or whose release was interrupted.
    """

    pictures: list[PictureFile]
    folders: list[str]
    problems: list[Problem]
    newest: float
    other_names: set[str]
    releasing: bool = False


def list_folder(path: Path, folder: str) -> Listing | Problem:
    """List the directory `path`; `folder` is its name in problems.

    Raises:
        FileNotFoundError: the directory does not exist.
    """
    try:
        return _read_folder(path, folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        return Problem(folder, f"cannot be read ({error.strerror}); its pictures are not masked", hides_pictures=True)


def listings(base: Path) -> Iterator[tuple[str, Listing | Problem]]:
    """Every directory from `base` down, sorted, as (path below `base` with `/`, or ".", listing); follows no links."""
    stack = ["."]
    while stack:
        folder = stack.pop()
        try:
            listing = list_folder(base / folder, folder)
        except FileNotFoundError:  # removed since its parent was read
            continue
        yield folder, listing
        if isinstance(listing, Listing):
            stack.extend(sorted((join(folder, name) for name in listing.folders), reverse=True))


def only_picture(listing: Listing, name: str) -> Listing:
    """The part of the listing of an input folder that is about one picture in it."""
    return Listing(
        pictures=[picture for picture in listing.pictures if picture.name == name],
        folders=[],
        problems=[problem for problem in listing.problems if problem.path == name],
        newest=listing.newest,
        other_names=set(),
    )


def _read_folder(path: Path, folder: str) -> Listing:
    listing = Listing([], [], [], path.stat().st_ctime, set())
    with os.scandir(path) as entries:
        for entry in entries:
            _sort_entry(entry, folder, listing)
    listing.pictures.sort(key=lambda picture: picture.name)
    return listing


def _sort_entry(entry: os.DirEntry[str], folder: str, listing: Listing) -> None:
    if is_picture_name(entry.name) and entry.is_file(follow_symlinks=False):
        _add_picture(entry, folder, listing)
    elif entry.is_dir(follow_symlinks=False):
        _sort_folder(entry, folder, listing)
    elif entry.is_symlink() and Path(entry.path).is_dir():
        reason = "is a link to a folder and is not followed"
        listing.problems.append(Problem(join(folder, entry.name), reason, hides_pictures=False))
    elif is_picture_name(entry.name):
        _add_picture(entry, folder, listing)
    else:
        listing.other_names.add(entry.name)
        with contextlib.suppress(OSError):  # removed since the folder was read
            listing.newest = max(listing.newest, entry.stat(follow_symlinks=False).st_ctime)


def _sort_folder(entry: os.DirEntry[str], folder: str, listing: Listing) -> None:
    name = entry.name
    if not is_unicode(name):
        reason = "its name is not valid UTF-8; rename it, its pictures are not masked"
        listing.problems.append(Problem(join(folder, _printable(name)), reason, hides_pictures=True))
    elif name == RELEASING_FOLDER:
        listing.releasing = True
    elif name.startswith("."):  # snapshots and recycle bins of file servers, never deliveries
        listing.problems.append(Problem(join(folder, name), "is hidden and is not entered", hides_pictures=False))
    else:
        listing.folders.append(name)


def _add_picture(entry: os.DirEntry[str], folder: str, listing: Listing) -> None:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); it is not masked"
        listing.problems.append(Problem(join(folder, _printable(entry.name)), reason, hides_pictures=True))
        return
    if not stat.S_ISREG(found.st_mode):  # reading a pipe would block
        reason = f"{LINK if stat.S_ISLNK(found.st_mode) else NO_FILE}; it is not masked"
        listing.problems.append(Problem(join(folder, _printable(entry.name)), reason, hides_pictures=True))
        return
    listing.newest = max(listing.newest, found.st_ctime)
    listing.pictures.append(PictureFile(entry.name, FileStamp.from_stat(found)))


def require_delivered(settings: Settings, shares: Shares, folder: str) -> None:
    """Wait for the input share if it is away, and refuse a capture folder that is gone from it.

    A folder of which pictures were released may be gone. An unmounted share may leave an empty folder in its place: the
    step would find nothing to do, and all would be well.

    Raises:
        ShareUnavailableError: the share did not come back in time, or the folder is gone.
    """
    place = shares.input / folder
    if place.is_dir():
        return
    require_folder(settings, shares.input, "input")
    if place.is_dir() or any(known.released for known in read_pictures(shares.state, folder).values()):
        return
    raise ShareUnavailableError(
        f"{place} is not there any more, and nothing of it was released (is its share mounted? or was it removed?)"
    )


def list_pictures(path: Path, shard: Shard = WHOLE) -> list[PictureFile]:
    """The pictures (of the shard) directly in a folder, sorted by name; empty if the folder does not exist.

    Leaves out other entries with the name of a picture, such as links: see `list_named`.

    Raises:
        ShareUnavailableError: the folder exists and cannot be read, so its pictures are unknown.
    """
    return list_named(path, shard)[0]


def list_named(path: Path, shard: Shard = WHOLE) -> tuple[list[PictureFile], list[Problem]]:
    """As `list_pictures`, with the other entries named like pictures, such as links; their `path` is the name only.

    Raises:
        ShareUnavailableError: as `list_pictures`.
    """
    listing = Listing([], [], [], 0.0, set())
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if is_picture_name(entry.name) and shard.takes(entry.name):
                    _sort_entry(entry, ".", listing)
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise ShareUnavailableError(f"{path}: cannot be read ({error.strerror}); check the share") from error
    pictures = sorted(listing.pictures, key=lambda picture: picture.name)
    return pictures, [problem for problem in listing.problems if problem.hides_pictures]


def masked_pictures(
    files: Iterable[PictureFile], pictures: Mapping[str, PictureState]
) -> list[tuple[PictureFile, PictureState]]:
    """Those of the files that are known to be masked, each with what is known of it."""
    known = ((file, pictures.get(file.name)) for file in files)
    return [(file, picture) for file, picture in known if picture is not None and picture.status == MASKED]


def join(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
