"""Give a file a name that no other file has: the share refuses a taken name, in the same moment, for every process.

Checking first whether the name is free would not do: another process may take it before the rename.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from functools import cache
from pathlib import Path
from typing import Any, Final

from anonymisation.files.plain import is_there

# What file systems without hard links answer: FAT and exFAT EPERM, SMB mostly EOPNOTSUPP, FUSE ENOSYS.
_NO_LINKS: Final = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EMLINK))
# What file systems answer that cannot refuse a taken name: https://man7.org/linux/man-pages/man2/rename.2.html
_NO_FLAGS: Final = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP))
_RENAME_NOREPLACE: Final = 1  # linux/fs.h
_AT_FDCWD: Final = -100  # linux/fcntl.h
_LOOKING: Final = threading.Lock()


def rename_new(source: Path, target: Path) -> None:
    """Rename `source` to `target` in the same share, unless anything has that name; never replaces a file.

    A hard link is made and the old name removed, so a kill in between leaves both names of the same file. A share
    without hard links (SMB, FAT) renames with RENAME_NOREPLACE. Where neither works (some FUSE file systems), the name
    is looked up first. That keeps threads of this process apart, and leaves a moment in which another process may take
    the name.

    Raises:
        FileExistsError: the name is taken, also by a name that differs only in case where the share ignores case.
        OSError: the file cannot be renamed.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        if not _same(source, target):  # NFS repeats a request whose answer was lost, and then refuses it
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        move_new(source, target)
        return
    source.unlink(missing_ok=True)  # in an archive of two deployments, the other may have tidied it away


def move_new(source: Path, target: Path) -> None:
    """As `rename_new`, without a hard link: never is `source` removed by its name, which may be another file by then.

    Raises:
        OSError: as `rename_new`.
    """
    number = _rename_noreplace(source, target)
    if number == 0:
        return
    if number not in _NO_FLAGS:
        raise OSError(number, os.strerror(number), str(source), None, str(target))
    with _LOOKING:
        if is_there(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        source.rename(target)


def _same(source: Path, target: Path) -> bool:
    try:
        first, second = source.lstat(), target.lstat()
    except OSError:
        return False
    return os.path.samestat(first, second) and first.st_nlink > 1


def _rename_noreplace(source: Path, target: Path) -> int:
    """Call renameat2(2) and return its error number, 0 if it succeeded."""
    function = _renameat2()
    if function is None:
        return errno.ENOSYS
    failed = function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    return ctypes.get_errno() if failed else 0


@cache
def _renameat2() -> Any:
    """The function of the C library; None where it has none (before glibc 2.28)."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int
    return function
