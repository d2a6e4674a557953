"""Reading and writing files so that a killed run leaves nothing half-written, and a share that blinks is waited for."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Final, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_fixed

from anonymisation.errors import ShareUnavailableError
from anonymisation.permissions import make_folders, new_file, new_file_exactly
from anonymisation.plain_files import open_plain
from anonymisation.settings import Settings

T = TypeVar("T")

# Hidden, so that no reader of *.jpg takes it; short, so that long names stay within the limit of 255 bytes.
_PART_NAME: Final = re.compile(r"\.[0-9a-f]{16}\.part")
_CHUNK_BYTES: Final = 1 << 20

# What a network share answers while it is away, as opposed to what it answers about one particular file.
_SHARE_ERRNOS: Final = frozenset(
    getattr(errno, name)
    for name in (
        "EIO", "ESTALE", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENOTCONN", "ECONNRESET",
        "ECONNREFUSED", "EREMOTEIO", "EBUSY", "EAGAIN", "ENXIO", "ENODEV", "ENOSPC", "EDQUOT", "EROFS",
    )
    if hasattr(errno, name)
)  # fmt: skip


def sha256_of(data: bytes) -> str:
    """The SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def name_digest(name: str) -> str:
    """What stands for a name in paths and addresses, whatever characters it is of: 16 hexadecimal digits."""
    return sha256_of(name.encode("utf-8", "surrogateescape"))[:16]


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file's bytes as 64 hexadecimal digits, read in pieces; a link is followed."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Part:
    """A file that is written beside its place, where it is put when it has been flushed."""

    def __init__(self, path: Path, data: bytes | Iterable[bytes], *, mode: int | None = None) -> None:
        """Write `data` (at once, or in pieces); with `mode` the file has these permissions, whatever the umask."""
        self.path = path
        self._part = _part_path(path)
        self._stream: IO[bytes] | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._stream = new_file(self._part, 0o666) if mode is None else new_file_exactly(self._part, mode)
            self._stream.writelines([data] if isinstance(data, bytes) else data)
        except BaseException:
            self.discard()
            raise

    def flush(self) -> None:
        """Bring it to the disk."""
        if self._stream is not None:
            with self._stream:
                _flush(self._stream)

    def put(self) -> None:
        """Let it take its place, which holds what it held before or all of it."""
        self._part.replace(self.path)

    def discard(self) -> None:
        """Remove it, unless it has taken its place."""
        if self._stream is not None:
            with contextlib.suppress(OSError):  # what it could not write goes anyway
                self._stream.close()
        self._part.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes | Iterable[bytes], *, mode: int | None = None) -> None:
    """Write `data` (at once, or in pieces) so that `path` is either as it was or whole.

    It goes to a flushed file in the same folder, which is then renamed. With `mode` the file has these permissions
    from its first byte on, whatever the umask.
    """
    part = Part(path, data, mode=mode)
    try:
        part.flush()
        part.put()
        flush_folder(path.parent)
    except BaseException:
        part.discard()
        raise


def _put(part: Path, target: Path, _: str) -> None:
    part.replace(target)


def copy_atomically(
    source: Path, target: Path, *, put: Callable[[Path, Path, str], None] = _put, mode: int | None = None
) -> str:
    """Copy `source` with its times to `target`, whole or not at all, and return the SHA-256 of the bytes copied.

    `put` renames the flushed copy (of that checksum) to `target`, or raises why that must not be; it is removed then.
    From its first byte on the copy has the permissions `mode`, whatever the umask; without `mode` at most those of
    `source`, so that no one may read it who may not read that.

    Raises:
        OSError: it cannot be copied, or `source` is a link or no file.
    """
    part = _part_path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
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
    """Whether a file of this name is what an interrupted write left (or one that is going on)."""
    return _PART_NAME.fullmatch(name) is not None


def remove_leftovers(folder: Path) -> int:
    """Remove what interrupted writes left in `folder`; call it only while no one else can be writing there."""
    removed = 0
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if is_leftover(entry.name):
                Path(entry.path).unlink(missing_ok=True)
                removed += 1
    return removed


def is_share_error(error: BaseException) -> bool:
    """Whether `error` says that a share is away (worth waiting for), not that one file is missing or forbidden."""
    return isinstance(error, OSError) and error.errno in _SHARE_ERRNOS


def with_access(settings: Settings, what: str, action: Callable[[], T]) -> T:
    """Run `action`, trying again every `file_access_retry_seconds` up to `file_access_timeout_seconds`.

    Only errors of a share that is away are waited for; a file that is missing or forbidden is its own error at once.

    Raises:
        ShareUnavailableError: the share did not come back in time.
        OSError: any other error of the file system.
    """

    def announce(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = settings.file_access_retry_seconds
        logging.getLogger(__name__).warning("%s: %s; trying again in %g s", what, error, wait)

    retrying = Retrying(
        retry=retry_if_exception(is_share_error),
        wait=wait_fixed(settings.file_access_retry_seconds),
        stop=stop_after_delay(settings.file_access_timeout_seconds),
        before_sleep=announce,
        reraise=True,
    )
    try:
        return retrying(action)
    except OSError as error:
        if not is_share_error(error):
            raise
        waited = settings.file_access_timeout_seconds
        raise ShareUnavailableError(f"{what}: not reachable for {waited:g} s ({error}); check the share") from error


def make_folder(settings: Settings, path: Path, role: str, mode: int | None = None) -> None:
    """Create a base folder (with `mode`: with these permissions), and those above it, where it is missing.

    Raises:
        ShareUnavailableError: it cannot be created.
    """

    def make() -> None:
        if mode is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            make_folders(path, mode)

    try:
        with_access(settings, f"{role} folder {path}", make)
    except OSError as error:
        raise ShareUnavailableError(f"{role} folder {path} cannot be created: {error.strerror}") from error


def require_folder(settings: Settings, path: Path, role: str) -> None:
    """Wait for a base folder to be there; a share that is not mounted shows as a folder that does not exist.

    Raises:
        ShareUnavailableError: it did not appear in time.
    """

    missing = f"{role} folder {path} does not exist (mistyped, or its share is not mounted)"
    limit = settings.file_access_timeout_seconds
    told = False

    def look() -> None:
        nonlocal told
        if path.is_dir():
            return
        if not told:
            logging.getLogger(__name__).warning("%s; waiting up to %g s", missing, limit)
            told = True
        raise _MissingFolderError(errno.ENOTCONN, "is not there")

    try:
        with_access(settings, f"{role} folder {path}", look)
    except ShareUnavailableError as error:
        if not isinstance(error.__cause__, _MissingFolderError):
            raise
        raise ShareUnavailableError(f"{missing}; waited {limit:g} s for it") from error


class _MissingFolderError(OSError):
    """Waited for like a share that is away; no error number is shown, since no call of the system failed."""

    def __str__(self) -> str:
        return str(self.strerror)


def _part_path(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(8)}.part")


def _flush(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def flush_folder(path: Path) -> None:
    """Bring a rename to the disk: an original may be removed because of it.

    Not every network share can do this, and says so (mostly EINVAL); a share that is away, or full, did not do it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if is_share_error(error):
            raise
    finally:
        os.close(descriptor)
