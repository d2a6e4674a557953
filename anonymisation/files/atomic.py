"""Writing files so that a killed run leaves nothing half-written under a final name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Final

from anonymisation.files.folders import flush_folder, make_folders
from anonymisation.files.names import rename_new
from anonymisation.files.permissions import new_file, new_file_exactly
from anonymisation.files.plain import open_plain

MakeFolder = Callable[[Path], None]

# Hidden, so that no reader of *.jpg takes it; short, so that long names stay within the limit of 255 bytes.
_PART_NAME: Final = re.compile(r"\.[0-9a-f]{16}\.part")
_CHUNK_BYTES: Final = 1 << 20


class Part:
    """A temporary file next to `path`, renamed to it once it is flushed."""

    def __init__(
        self, path: Path, data: bytes | Iterable[bytes], *, mode: int | None = None, make: MakeFolder = make_folders
    ) -> None:
        """Write `data`; with `mode` the file has these permissions, whatever the umask. `make` creates its folder."""
        self.path = path
        self._part = _part_path(path)
        self._stream: IO[bytes] | None = None
        make(path.parent)
        try:
            self._stream = new_file(self._part, 0o666) if mode is None else new_file_exactly(self._part, mode)
            self._stream.writelines([data] if isinstance(data, bytes) else data)
        except BaseException:
            self.discard()
            raise

    def flush(self) -> None:
        """Flush it to the disk."""
        if self._stream is not None:
            with self._stream:
                _flush(self._stream)

    def put(self) -> None:
        """Rename it to `path`, which holds either its old content or all of the new."""
        self._part.replace(self.path)

    def put_new(self) -> None:
        """As `put`, but raise FileExistsError if the name is taken."""
        rename_new(self._part, self.path)

    def discard(self) -> None:
        """Remove the temporary file, unless it has been renamed."""
        if self._stream is not None:
            with contextlib.suppress(OSError):  # unwritten data is dropped anyway
                self._stream.close()
        self._part.unlink(missing_ok=True)


def write_atomically(
    path: Path,
    data: bytes | Iterable[bytes],
    *,
    mode: int | None = None,
    new: bool = False,
    make: MakeFolder = make_folders,
) -> None:
    """Write `data` (bytes, or an iterable of pieces) so that `path` holds either its old content or all of `data`.

    Writes and flushes a temporary file in the same folder, then renames it. With `mode` the file has these permissions
    from its first byte on, whatever the umask. With `new`, a file that has the name already stays as it is.

    Raises:
        FileExistsError: with `new`, the name is taken.
        OSError: the file cannot be written.
    """
    part = Part(path, data, mode=mode, make=make)
    try:
        part.flush()
        if new:
            part.put_new()
        else:
            part.put()
        flush_folder(path.parent)
    except BaseException:
        part.discard()
        raise


def _put(part: Path, target: Path, _: str) -> None:
    part.replace(target)


def copy_atomically(
    source: Path,
    target: Path,
    *,
    put: Callable[[Path, Path, str], None] = _put,
    mode: int | None = None,
    make: MakeFolder = make_folders,
) -> str:
    """Copy `source` with its times to `target`, whole or not at all, and return the SHA-256 of the bytes copied.

    `put(copy, target, checksum)` renames the flushed copy to `target`, or raises an error, which removes the copy. From
    its first byte on the copy has the permissions `mode`, whatever the umask; without `mode` at most those of `source`,
    so that no one can read the copy who cannot read `source`. `make` creates the folder of `target`.

    Raises:
        OSError: `source` cannot be copied, or is a link or no regular file.
    """
    part = _part_path(target)
    make(target.parent)
    digest = hashlib.sha256()
    try:
        with open_plain(source) as reader:
            status = os.fstat(reader.fileno())
            most = status.st_mode & 0o666 | 0o600
            with new_file(part, most) if mode is None else new_file_exactly(part, mode) as writer:
                while chunk := reader.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    writer.write(chunk)
                _flush(writer)
        os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
        put(part, target, digest.hexdigest())
        flush_folder(target.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def is_leftover(name: str) -> bool:
    """Whether a file with this name is a temporary file of an interrupted or running write."""
    return _PART_NAME.fullmatch(name) is not None


def remove_leftovers(folder: Path) -> int:
    """Remove leftovers of interrupted writes in `folder` and return their number, while no one writes there."""
    removed = 0
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if is_leftover(entry.name):
                Path(entry.path).unlink(missing_ok=True)
                removed += 1
    return removed


def _part_path(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(8)}.part")


def _flush(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())
