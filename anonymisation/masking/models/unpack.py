"""Unpacks a SavedModel from a downloaded archive, without trusting the archive."""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

from anonymisation.core.errors import ModelUnavailableError

MODEL_FOLDER: Final = "saved_model"
MODEL_FILE: Final = "saved_model.pb"
# The largest model of the zoo unpacks to less than 1 GB. The limits stop the reading of a decompression bomb.
MAX_UNPACKED_BYTES: Final = 4 << 30
MAX_MEMBERS: Final = 1_000
# `tarfile` reads a member's extended headers as a whole, however large the archive says they are, and searches them in
# a time that grows with the square of their size. A header has 512 bytes; long names and attributes add a few thousand.
MAX_HEADER_BYTES: Final = 8 << 10
MAX_HEADER_BYTES_IN_ALL: Final = 1 << 20

_CHUNK_BYTES: Final = 1 << 20
# What `tarfile` and `gzip` raise for damaged archives, depending on the place of the damage.
_DAMAGES: Final = (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, LookupError, RecursionError)


def unpack_model(archive: Path, folder: Path, limit_bytes: int = MAX_UNPACKED_BYTES) -> None:
    """Unpack the files of `archive` (.tar.gz) below `<any folder>/saved_model/` into `folder`, which must exist.

    The whole archive is refused if any member has an absolute path or a path with `..`, or is a link, a device, a pipe
    or a sparse file, or if the members, their headers or all files together exceed the limits. Nothing larger than the
    limits is ever in memory.

    Raises:
        ModelUnavailableError: the archive is refused or damaged, or contains no SavedModel.
        OSError: `folder` cannot be written.
    """
    room = limit_bytes
    try:
        with gzip.open(archive, "rb") as stream:
            reader = _MeteredReader(stream)
            with tarfile.open(fileobj=cast(IO[bytes], reader), mode="r:") as tar:
                for member, path in _members(tar, archive, reader):
                    room -= member.size
                    if room < 0:
                        raise _refused(archive, f"unpacks to more than {limit_bytes} bytes")
                    if inner := _inside_model(path):
                        _extract(tar, member, folder.joinpath(*inner))
    except _TooLargeError as error:
        raise _refused(archive, str(error)) from error
    except _DAMAGES as error:
        raise _refused(archive, f"is damaged ({error})") from error
    except OSError as error:
        if error.errno is None:  # gzip reports damage this way
            raise _refused(archive, f"is damaged ({error})") from error
        raise
    if not (folder / MODEL_FILE).is_file():
        raise _refused(archive, f"holds no {MODEL_FOLDER}/{MODEL_FILE}")


class _TooLargeError(Exception):
    """The headers of a member are too large; the message says what the archive has."""


class _MeteredReader:
    """The unpacked archive, for `tarfile`: limits what is read for headers, and never goes back."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._in_all = MAX_HEADER_BYTES_IN_ALL
        self._left: int | None = MAX_HEADER_BYTES

    def expect_header(self) -> None:
        """From now on, headers are read."""
        self._left = MAX_HEADER_BYTES

    def expect_data(self) -> None:
        """From now on, the data of a member is read, in pieces."""
        self._left = None

    def read(self, size: int = -1) -> bytes:
        if self._left is not None:
            if not 0 <= size <= min(self._left, self._in_all):
                limits = f"{MAX_HEADER_BYTES} bytes for a member or {MAX_HEADER_BYTES_IN_ALL} in all"
                raise _TooLargeError(f"has headers of more than {limits}")
            self._left -= size
            self._in_all -= size
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or offset < self._stream.tell():
            raise tarfile.ReadError("a member begins inside another one")
        return self._stream.seek(offset)

    def tell(self) -> int:
        return self._stream.tell()


def _members(
    tar: tarfile.TarFile, archive: Path, reader: _MeteredReader
) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    count = 0
    while (member := tar.next()) is not None:
        cast(Any, tar).members.clear()  # each keeps a copy of all global headers
        path = PurePosixPath(member.name)
        if count >= MAX_MEMBERS:
            raise _refused(archive, f"has more than {MAX_MEMBERS} members")
        if path.is_absolute() or ".." in path.parts or any(sign in member.name for sign in ("\\", ":", "\0")):
            raise _refused(archive, f"has a member with the unsafe path {member.name!r}")
        if not (member.isreg() or member.isdir()) or member.issparse():
            raise _refused(archive, f"has a member that is neither file nor folder: {member.name!r}")
        if member.size < 0:
            raise _refused(archive, f"has a member of {member.size} bytes")
        reader.expect_data()
        yield member, path
        reader.expect_header()
        count += 1


def _inside_model(path: PurePosixPath) -> tuple[str, ...]:
    """The path below the model's folder; empty for the folder itself and for any path outside of it."""
    return path.parts[2:] if len(path.parts) > 2 and path.parts[1] == MODEL_FOLDER else ()


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    reader = tar.extractfile(member)
    if reader is None:
        raise tarfile.ReadError(f"no data for {member.name!r}")
    with reader, target.open("xb") as writer:
        _copy(reader, writer)
        writer.flush()
        os.fsync(writer.fileno())


def _copy(reader: IO[bytes], writer: IO[bytes]) -> None:
    while chunk := reader.read(_CHUNK_BYTES):
        writer.write(chunk)


def _refused(archive: Path, reason: str) -> ModelUnavailableError:
    return ModelUnavailableError(f"the archive {archive.name} is refused: it {reason}")
