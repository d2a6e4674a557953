"""Originals that are set aside while they are released, so that no delivery can take the place of what is verified.

A picture that is delivered again is mostly renamed onto its name. Whoever verifies a file and then removes its name
could remove the new picture. So the release step first renames the original into a hidden folder next to it:

    <input>/<capture folder>/.releasing/<name of the picture>

There it is verified and removed, or put back. It is put back only where no other file has its name. After a kill in
between, the next mask or release step of the same pictures puts it back; a folder with such an original counts as a
folder with work left. If another file has taken the name, the original stays aside, and the check reports it.
Only the process that holds the lock of a picture's state sets it aside or puts it back.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from anonymisation.files.folders import make_folders
from anonymisation.files.names import move_new, rename_new
from anonymisation.files.plain import LINK, is_there
from anonymisation.workspace.paths import RELEASING_FOLDER
from anonymisation.workspace.shards import Shard


def set_aside(place: Path) -> Path:
    """Rename a file of the input share into the hidden folder next to it, and return its new path.

    Raises:
        OSError: there is no such file, an earlier one of this name is still there, or it cannot be renamed.
    """
    aside = place.parent / RELEASING_FOLDER / place.name
    if aside.parent.is_symlink():
        raise OSError(errno.ELOOP, LINK, str(aside.parent))
    while True:
        make_folders(aside.parent, below=place.parent)
        try:
            move_new(place, aside)
            return aside
        except FileNotFoundError:
            if aside.parent.is_dir() or not is_there(place):
                raise
            # Another shard has just removed the empty folder.


def put_back(aside: Path) -> bool:
    """Rename a file back to where it was set aside; False if its name is taken, and the file stays where it is.

    Raises:
        OSError: it cannot be renamed.
    """
    try:
        rename_new(aside, aside.parent.parent / aside.name)
    except FileExistsError:
        return False
    return True


def put_back_all(place: Path, shard: Shard) -> list[Path]:
    """Put back what an interrupted release of this shard left aside in the folder `place`; returns what must stay.

    Raises:
        OSError: a file cannot be renamed.
    """
    stays = [aside for aside in files_aside(place, shard) if not put_back(aside)]
    remove_if_empty(place)
    return stays


def files_aside(place: Path, shard: Shard) -> Iterator[Path]:
    """The files of the shard that are aside in the folder `place`, sorted by name."""
    folder = place / RELEASING_FOLDER
    if folder.is_symlink():  # it could lead anywhere; the listing reports it
        return
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from [folder / name for name in sorted(os.listdir(folder)) if shard.holds(name)]  # noqa: PTH208 - names


def remove_if_empty(place: Path) -> None:
    """Remove the hidden folder in `place` unless a file is aside."""
    with suppress(OSError):  # not empty, or not there
        (place / RELEASING_FOLDER).rmdir()
