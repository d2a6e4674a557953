"""The append-only log: JSON Lines files that survive a kill at any moment.

Every log of the software is one of these: the journals of a folder, the reviews, the audit, the spool, the registry of
identifiers. A line that cannot be read is skipped with a warning: half a line of a killed process, bytes damaged on the
disk, or a line of an unknown kind from another version of the software. Keys that this version does not know are
ignored. A log that cannot be read at all (no permission, a directory, a share that is away) is an error: what it holds
is there, and must not count as nothing.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self, TypeVar

import msgspec

from anonymisation.files.folders import make_folders
from anonymisation.files.plain import NO_FILE, open_plain
from anonymisation.files.reported import reported

T = TypeVar("T")
_NOT_DECODED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# What reading the values of a line of an unknown kind may raise.
_UNKNOWN_KIND: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_LINE: Final = json.JSONEncoder(separators=(",", ":"))
_MOST_WARNINGS: Final = 5  # of one log, each time it is read


@dataclass(frozen=True, slots=True)
class Foreign:
    """A line that is a JSON object, but not of the wanted kind: another version of the software wrote it."""

    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lines:
    """The valid lines of a log from some byte on; `end` is the offset in bytes after the last complete line."""

    values: list[dict[str, Any]]
    count: int
    """The number of complete lines, damaged ones included."""
    end: int


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each valid line as (offset in bytes, values); nothing if there is no file.

    Raises:
        ShareUnavailableError: the file is there and cannot be read.
    """
    with _Skipped(path) as skipped:
        for offset, line in _raw_lines(path):
            values = parse_line(line)
            if values is not None:
                yield offset, values
            elif line.strip():
                skipped.add(offset, _DAMAGED)


def read_entries(path: Path, parse: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """The result of `parse` for each valid line; skips lines whose values it cannot use.

    Raises: as `read_lines`.
    """
    with _Skipped(path) as skipped:
        for offset, values in read_lines(path):
            try:
                entry = parse(values)
            except _UNKNOWN_KIND as error:
                skipped.add(offset, f"of an unknown kind ({type(error).__name__}: {error})")
                continue
            yield entry


def read_as(path: Path, kind: type[T], *, warn: bool = True) -> Iterator[T]:
    """Each line as a `kind` (a msgspec struct), in a tenth of the time of `read_lines`.

    Lines that do not fit `kind` are skipped; see `read_with_foreign`.
    """
    return (value for value in read_with_foreign(path, kind, warn=warn) if not isinstance(value, Foreign))


def read_with_foreign(path: Path, kind: type[T], *, warn: bool = True) -> Iterator[T | Foreign]:
    """Each line as a `kind` (a msgspec struct), or as Foreign if it is a JSON object that does not fit.

    Damaged and foreign lines are logged if `warn` is set; turn it off to read a log that another process writes, where
    half a line is no damage.

    Raises: as `read_lines`.
    """
    decode = msgspec.json.Decoder(kind).decode
    with _Skipped(path, silent=not warn) as skipped:
        for offset, line in _raw_lines(path):
            try:
                value: T | Foreign = decode(line)
            except _NOT_DECODED:
                values = parse_line(line)
                if values is None:
                    if line.strip():
                        skipped.add(offset, _DAMAGED)
                    continue
                try:
                    value = msgspec.convert(values, kind)
                except (msgspec.ValidationError, RecursionError) as error:
                    skipped.add(offset, f"of an unknown kind ({error})")
                    value = Foreign(values)
            yield value


def read_from(path: Path, start: int) -> Lines:
    """The lines from byte `start` on, to follow a growing log; an incomplete last line is left for the next call.

    Raises:
        OSError: the file cannot be read; the caller may do without it.
    """
    values, count = list[dict[str, Any]](), 0
    with _Skipped(path) as skipped, open_plain(path) as stream:
        stream.seek(start)
        for line in stream:
            if not line.endswith(b"\n"):
                break
            count += 1
            parsed = parse_line(line)
            if parsed is not None:
                values.append(parsed)
            elif line.strip():
                skipped.add(start, _DAMAGED)
            start += len(line)
    return Lines(values, count, start)


def read_tail(path: Path, kind: type[T], most_bytes: int) -> list[T]:
    """The lines of a `kind` among the last `most_bytes` bytes, newest first; none if there is no file.

    Raises: as `read_lines`.
    """
    with reported(path, "read"):
        try:
            with open_plain(path) as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - most_bytes))
                lines = stream.read().splitlines()
        except FileNotFoundError:
            return []
    return [value for line in reversed(lines) if (value := _converted(line, kind)) is not None]


def _converted(line: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.convert(parse_line(line), kind)
    except (msgspec.ValidationError, RecursionError):
        return None


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The values of one line, or None if it is not a JSON object."""
    try:
        values = msgspec.json.decode(line)
    except _NOT_DECODED:
        try:
            values = json.loads(line)  # a name that is not valid Unicode, which only msgspec refuses
        except (ValueError, RecursionError):
            return None
    return values if isinstance(values, dict) else None


def to_line(values: Mapping[str, Any]) -> bytes:
    """One line; ASCII, so that even a name that is not valid Unicode survives the round trip."""
    return _LINE.encode(values).encode("ascii") + b"\n"


class AppendLog:
    """Appends lines to a log: the operating system has a line when `append` returns, the disk after `close`.

    All methods raise ShareUnavailableError if they cannot write: work that cannot be recorded must not continue.
    """

    def __init__(self, path: Path, *, mode: int = 0o666, durable: bool = True) -> None:
        """A new file gets `mode` minus the umask; without `durable`, `close` does not wait for the disk."""
        self.path = path
        self._mode = mode
        self._durable = durable
        self._stream: IO[bytes] | None = None

    def append(self, values: Mapping[str, Any]) -> int:
        """Add one line and return its offset in bytes."""
        return self.extend([values])

    def extend(self, entries: Iterable[Mapping[str, Any]]) -> int:
        """Add lines in one write and return the offset of the first in bytes."""
        return self.extend_lines(map(to_line, entries))

    def extend_lines(self, lines: Iterable[bytes]) -> int:
        """As `extend`, for lines as `to_line` makes them."""
        with reported(self.path, "written"):
            if self._stream is None:
                self._stream = self._open()
            offset = self._stream.tell()
            self._stream.write(b"".join(lines))
            self._stream.flush()
        return offset

    @property
    def used(self) -> bool:
        """Whether anything was appended since the last `close`."""
        return self._stream is not None

    def close(self) -> None:
        """Flush the appended lines to the disk."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with reported(self.path, "written"), stream:
                if self._durable:
                    stream.flush()
                    os.fsync(stream.fileno())

    def _open(self) -> IO[bytes]:
        make_folders(self.path.parent)
        stream = open(self.path, "ab+", opener=self._descriptor)  # noqa: SIM115
        try:
            size = stream.seek(0, os.SEEK_END)
            if size and (stream.seek(size - 1), stream.read(1))[1] != b"\n":
                stream.write(b"\n")  # a kill cut the last line short: end it
            stream.seek(0, os.SEEK_END)
        except BaseException:
            stream.close()
            raise
        return stream

    def _descriptor(self, name: str, flags: int) -> int:
        descriptor = os.open(name, flags, self._mode)
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):  # it would keep no line
            os.close(descriptor)
            raise OSError(errno.EINVAL, NO_FILE, name)
        return descriptor


_DAMAGED: Final = "damaged"


class _Skipped:
    """Logs the lines of one log that are skipped: the first ones, and the number of the others."""

    def __init__(self, path: Path, *, silent: bool = False) -> None:
        self._path = path
        self._silent = silent
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        more = self._count - _MOST_WARNINGS
        if more > 0 and not self._silent:
            _log().warning("%s: %d more lines are damaged or of an unknown kind and are skipped", self._path, more)

    def add(self, offset: int, what: str) -> None:
        """Note that the line at byte `offset` is skipped, since it is `what`."""
        self._count += 1
        if self._count <= _MOST_WARNINGS and not self._silent:
            _log().warning("%s: line at byte %d is %s and is skipped", self._path, offset, what)


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with reported(path, "read"):
        try:
            stream = open_plain(path)
        except FileNotFoundError:
            return
        with stream:
            offset = 0
            for line in stream:
                yield offset, line
                offset += len(line)


def _log() -> logging.Logger:
    return logging.getLogger(__name__)
