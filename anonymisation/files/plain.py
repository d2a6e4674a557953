"""Read regular files only, without following links.

Otherwise a person who can create a link on a share could make this program read and copy any file that it can read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Final

LINK: Final = "is a link and is not followed"
NO_FILE: Final = "is not a file"
MAX_BYTES: Final = 256 << 20
"""Most bytes of a file that is read as a whole. The largest picture that can be processed has 512 MiB of pixels, and
photographs take a tenth of that; anything larger is no picture, and may be larger than the memory."""
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_plain(path: Path) -> BufferedReader:
    """Open a regular file for reading. Only the last part of `path` may be no link; for its parents see `link_within`.

    Raises:
        OSError: it cannot be opened; `strerror` is LINK for a link and NO_FILE for anything else but a regular file.
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


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Put the file's name into an OSError of the block that lacks one: reading from an open file does not know it."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def read_plain(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: as `open_plain`, or it cannot be read, or it has more than MAX_BYTES bytes.
    """
    with open_plain(path) as stream, named(path):
        size = os.fstat(stream.fileno()).st_size
        if size > MAX_BYTES:
            raise OSError(errno.EFBIG, too_large(size), str(path))
        return stream.read()


def too_large(size: int) -> str:
    """The reason why a file of `size` bytes is not read."""
    return f"too large: {size} bytes, at most {MAX_BYTES} can be read"


def sha256_of_plain(path: Path) -> str:
    """The SHA-256 of a file's bytes as 64 hexadecimal digits, read in pieces.

    Raises:
        OSError: as `open_plain`, or it cannot be read.
    """
    with open_plain(path) as stream, named(path):
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_there(path: Path) -> bool:
    """Whether anything has this name, even a broken link."""
    return path.is_symlink() or path.exists()


def link_within(base: Path, folder: str) -> Path | None:
    """The first link among the parts of `folder` (a path below `base`, with `/`), or None; `base` may be a link."""
    place = base
    for part in PurePosixPath(folder).parts:
        place /= part
        if place.is_symlink():
            return place
    return None


def _open(path: Path) -> int:
    try:
        return os.open(path, _FLAGS | os.O_NONBLOCK)  # otherwise opening a pipe waits for a writer
    except BlockingIOError:
        return os.open(path, _FLAGS)  # a file server holds a lease on the file: wait until it is released
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise OSError(errno.ELOOP, LINK, str(path)) from None
        if error.errno == errno.ENXIO and path.is_socket():  # ENXIO alone would look like an unreachable share
            raise OSError(errno.EINVAL, NO_FILE, str(path)) from None
        raise
