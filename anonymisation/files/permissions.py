"""Create files with exact permissions, whatever the umask of the process; for folders see `folders`.

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
    add_permissions(stream.fileno(), mode)
    return stream


def add_permissions(place: Path | int, mode: int) -> None:
    """Add the permissions that the umask removed; bits inherited from the parent folder, such as set-group-ID, stay."""
    now = stat.S_IMODE(os.stat(place).st_mode)  # noqa: PTH116 - of a path or a descriptor
    if now | mode != now:
        with contextlib.suppress(OSError):  # fewer permissions than asked for are safe
            os.chmod(place, now | mode)  # noqa: PTH101 - as above
