"""Reading files that are files: a name that leads elsewhere is not followed.

Whoever may lay a link into a share could otherwise have any file read, and copied, that this program may read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Final

LINK: Final = "is a link and is not followed"
NO_FILE: Final = "is not a file"
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_plain(path: Path) -> BufferedReader:
    """Open a file for reading. Only its own name is looked at: folders above it may be links, see `link_within`.

    Raises:
        OSError: it cannot be opened; `strerror` is LINK or NO_FILE where the name is a link, or no file's.
    """
    descriptor = _open(path)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, NO_FILE, str(path))
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_plain(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: as `open_plain`, or it cannot be read.
    """
    with open_plain(path) as stream:
        return stream.read()


def sha256_of_plain(path: Path) -> str:
    """The SHA-256 of a file's bytes as 64 hexadecimal digits, read in pieces.

    Raises:
        OSError: as `open_plain`, or it cannot be read.
    """
    with open_plain(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_there(path: Path) -> bool:
    """Whether there is anything of this name, be it a link that leads nowhere."""
    return path.is_symlink() or path.exists()


def link_within(base: Path, folder: str) -> Path | None:
    """The first link on the way from `base`, which may be one itself, to `folder` (a path below it, with `/`)."""
    place = base
    for part in PurePosixPath(folder).parts:
        place /= part
        if place.is_symlink():
            return place
    return None


def _open(path: Path) -> int:
    try:
        return os.open(path, _FLAGS | os.O_NONBLOCK)  # without it, opening a pipe waits for someone who writes
    except BlockingIOError:
        return os.open(path, _FLAGS)  # a file server holds a lease on the file, and is asked to give it back
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise OSError(errno.ELOOP, LINK, str(path)) from None
        if error.errno == errno.ENXIO and path.is_socket():  # not what a share that is away answers
            raise OSError(errno.EINVAL, NO_FILE, str(path)) from None
        raise
