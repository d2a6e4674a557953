"""Unpacks a SavedModel from a downloaded archive, without trusting the archive."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

from anonymisation.core.errors import ModelUnavailableError

MODEL_FOLDER: Final = "saved_model"
MODEL_FILE: Final = "saved_model.pb"
# The largest model of the zoo unpacks to less than 1 GB. The limits stop the reading of a decompression bomb.
MAX_UNPACKED_BYTES: Final = 4 << 30
MAX_MEMBERS: Final = 10_000

_CHUNK_BYTES: Final = 1 << 20


def unpack_model(archive: Path, folder: Path, limit_bytes: int = MAX_UNPACKED_BYTES) -> None:
    """Unpack the files of `archive` (.tar.gz) below `<any folder>/saved_model/` into `folder`, which must exist.

    The whole archive is refused if any member has an absolute path or a path with `..`, or is a link, a device or a
    pipe, or if all files together exceed `limit_bytes`.

    Raises:
        ModelUnavailableError: the archive is refused or damaged, or contains no SavedModel.
        OSError: `folder` cannot be written.
    """
    room = limit_bytes
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member, path in _members(tar, archive):
                room -= member.size
                if room < 0:
                    raise _refused(archive, f"unpacks to more than {limit_bytes} bytes")
                if inner := _inside_model(path):
                    _extract(tar, member, folder.joinpath(*inner))
    except (tarfile.TarError, EOFError, zlib.error, UnicodeError) as error:
        raise _refused(archive, f"is damaged ({error})") from error
    except OSError as error:
        if error.errno is None:  # gzip reports damage this way
            raise _refused(archive, f"is damaged ({error})") from error
        raise
    if not (folder / MODEL_FILE).is_file():
        raise _refused(archive, f"holds no {MODEL_FOLDER}/{MODEL_FILE}")


def _members(tar: tarfile.TarFile, archive: Path) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    for count, member in enumerate(tar):
        path = PurePosixPath(member.name)
        if count >= MAX_MEMBERS:
            raise _refused(archive, f"has more than {MAX_MEMBERS} members")
        if path.is_absolute() or ".." in path.parts or any(sign in member.name for sign in ("\\", ":", "\0")):
            raise _refused(archive, f"has a member with the unsafe path {member.name!r}")
        if not (member.isreg() or member.isdir()):
            raise _refused(archive, f"has a member that is neither file nor folder: {member.name!r}")
        yield member, path


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
