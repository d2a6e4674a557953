"""Make folders so that they survive a power cut: the entry of each new folder is flushed to the disk.

Every folder of the software is made here, except those of logs and models, which can be made again.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from anonymisation.files.access import is_share_error
from anonymisation.files.permissions import add_permissions


def make_folders(path: Path, mode: int | None = None, *, below: Path | None = None) -> None:
    """Create a folder and its missing parents, and flush each entry; a folder that exists keeps its permissions.

    With `mode`, new folders have these permissions, whatever the umask. The folder `below` and its parents are never
    created: it may be the place of a share that is not mounted.

    Raises:
        FileNotFoundError: the folder `below` is not there.
        OSError: a folder cannot be created, or its entry cannot be flushed.
    """
    if path.is_dir():
        return
    if path == below:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if path.parent != path:
        make_folders(path.parent, mode, below=below)
    try:
        path.mkdir(mode=0o777 if mode is None else mode)
    except FileExistsError:
        if path.is_dir():  # another process has just created it
            return
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    if mode is not None:
        add_permissions(path, mode)
    try:
        flush_folder(path.parent)
    except PermissionError:
        pass  # a folder that may be written and not read: only who may read it can flush it
    except OSError:
        with contextlib.suppress(OSError):  # so that the next try makes and flushes it again
            path.rmdir()
        raise


def flush_folder(path: Path) -> None:
    """Flush the entries of a folder to the disk, since an original may be removed once its copy is renamed.

    Shares that cannot flush a folder answer with an error (mostly EINVAL), which is ignored.

    Raises:
        OSError: the share cannot be reached, or is full.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if is_share_error(error):
            raise
    finally:
        os.close(descriptor)
