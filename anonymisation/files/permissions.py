"""Files and folders that have exactly the permissions they are to have, whatever the umask of the process.

A share that keeps no permissions of its own (SMB) shows those of its mount instead; these functions leave it at that.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import IO


def new_file(path: Path, mode: int) -> IO[bytes]:
    """Create a file for writing; it never has more permissions than `mode`, less what the umask takes.

    Raises:
        OSError: it cannot be created, such as FileExistsError.
    """
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def new_file_exactly(path: Path, mode: int) -> IO[bytes]:
    """Create a file for writing that has the permissions `mode` before its first byte is written.

    Raises:
        OSError: as `new_file`.
    """
    stream = new_file(path, mode)
    _add(stream.fileno(), mode)
    return stream


def make_folders(path: Path, mode: int) -> None:
    """Create a folder, and those above it where they are missing, with the permissions `mode`.

    Raises:
        OSError: one cannot be created.
    """
    if path.is_dir():
        return
    make_folders(path.parent, mode)
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        if not path.is_dir():  # else another process made it just now
            raise
    else:
        _add(path, mode)


def _add(place: Path | int, mode: int) -> None:
    """Add what the umask took; rights that the folder above hands down, such as its group, stay."""
    now = stat.S_IMODE(os.stat(place).st_mode)  # noqa: PTH116 - of a path or a descriptor
    if now | mode != now:
        with contextlib.suppress(OSError):  # less than asked for lets no one in
            os.chmod(place, now | mode)  # noqa: PTH101 - as above
