"""The error folder: a copy of every picture that failed, with the reason next to it, for a person to look at.

The copies are not masked, so `error_output_mode` limits who can read them. The folder is created for its first file:
where it is, something failed.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from anonymisation.files.atomic import copy_atomically, write_atomically
from anonymisation.files.folders import make_folders
from anonymisation.files.plain import MAX_BYTES, sha256_of_plain
from anonymisation.workspace.paths import ImagePaths, Shares


def keep_failure(paths: ImagePaths, reason: str, record: bytes | None = None) -> None:
    """Copy the original to the error folder with a note, and `record` where it is the reason; an error there is only
    logged.

    The copy does not depend on the note, nor the note on the copy. A file that is too large to be a picture gets only
    the note, as its copy could fill the disk.
    """
    note = f"{paths.original}\n\n{reason}\n".encode("utf-8", "backslashreplace")
    file_mode = paths.shares.error_mode & 0o666
    make = partial(_make_folder, paths.shares)

    def write_note() -> None:
        write_atomically(paths.failure_note, note, mode=file_mode, make=make)

    def write_record() -> None:
        if record is not None:
            write_atomically(paths.failed_record, record, mode=file_mode, make=make)

    def copy() -> None:
        if paths.original.lstat().st_size <= MAX_BYTES:
            copy_atomically(paths.original, paths.failed_copy, mode=file_mode, make=make)

    for what, action in (("its reason", write_note), ("its record", write_record), ("it", copy)):
        try:
            action()
        except OSError as error:
            log = logging.getLogger(__name__)
            log.warning("%s: %s cannot be put into the error folder: %s", paths.relative, what, error)


def forget_failure(paths: ImagePaths, sha256: str) -> None:
    """Remove the copy of a picture that is masked now; a copy with another checksum stays."""
    try:
        if paths.failed_copy.is_file() and sha256_of_plain(paths.failed_copy) == sha256:
            paths.failed_copy.unlink()
            paths.failure_note.unlink(missing_ok=True)
            paths.failed_record.unlink(missing_ok=True)
    except OSError as error:
        log = logging.getLogger(__name__)
        log.warning("%s: its copy in the error folder cannot be removed: %s", paths.relative, error)


def _make_folder(shares: Shares, path: Path) -> None:
    """Create a folder in the error folder, and the error folder itself on first use."""
    make_folders(shares.errors.parent)  # not ours alone, so without the mode
    make_folders(path, shares.error_mode)
