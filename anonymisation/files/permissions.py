"""Create files and folders with exact permissions, whatever the umask of the process.

A share that stores no permissions (SMB) shows those of its mount instead, which these functions accept.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import IO


def new_file(path: Path, mode: int) -> IO[bytes]:
    """Create a file for writing with the permissions `mode` minus the umask.

    Raises:
        OSError: the file cannot be created, such as FileExistsError.
    """
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def new_file_exactly(path: Path, mode: int) -> IO[bytes]:
    """Create a file for writing with exactly the permissions `mode`, set before its first byte is written.

    Raises:
        OSError: as `new_file`.
    """
    stream = new_file(path, mode)
    _add(stream.fileno(), mode)
    return stream


def make_folders(path: Path, mode: int) -> None:
    """Create a folder and its missing parents with the permissions `mode`.

    Raises:
        OSError: a folder cannot be created.
    """
    if path.is_dir():
        return
    make_folders(path.parent, mode)
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        if not path.is_dir():  # otherwise another process has just created it
            raise
    else:
        _add(path, mode)


def _add(place: Path | int, mode: int) -> None:
    """Add the permissions that the umask removed; bits inherited from the parent folder, such as set-group-ID, stay."""
    now = stat.S_IMODE(os.stat(place).st_mode)  # noqa: PTH116 - of a path or a descriptor
    if now | mode != now:
        with contextlib.suppress(OSError):  # fewer permissions than asked for are safe
            os.chmod(place, now | mode)  # noqa: PTH101 - as above
