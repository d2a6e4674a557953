"""The append-only log: JSON Lines files that survive a kill at any moment.

Every log of the software is one of these: the journals of a folder, the reviews, the audit, the spool, the registry of
identifiers. A line that cannot be read is skipped with a warning: half a line of a killed process, bytes damaged on the
disk, or a line of an unknown kind from another version of the software.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import msgspec

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.folders import make_folders

T = TypeVar("T")
_NOT_DECODED: Final = (msgspec.MsgspecError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class Lines:
    """The valid lines of a log from some byte on; `end` is the offset in bytes after the last complete line."""

    values: list[dict[str, Any]]
    count: int
    """The number of complete lines, damaged ones included."""
    end: int


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each valid line as (offset in bytes, values); nothing if there is no file."""
    for offset, line in _raw_lines(path):
        values = parse_line(line)
        if values is None:
            _warn_of_damage(path, offset, line)
        else:
            yield offset, values


def read_entries(path: Path, parse: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """The result of `parse` for each valid line; skips lines for which it raises KeyError, TypeError or ValueError."""
    for offset, values in read_lines(path):
        try:
            entry = parse(values)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            _log().warning("%s: line at byte %d is of an unknown kind and is skipped (%s)", path, offset, reason)
            continue
        yield entry


def read_as(path: Path, kind: type[T], *, warn: bool = True) -> Iterator[T]:
    """Each line as a `kind` (a msgspec struct), in a tenth of the time of `read_lines`.

    Lines that do not fit `kind` are skipped. Damaged lines are logged if `warn` is set; turn it off to read a log that
    another process writes, where half a line is no damage.
    """
    decode = msgspec.json.Decoder(kind).decode
    for offset, line in _raw_lines(path):
        try:
            value = decode(line)
        except _NOT_DECODED:
            values = parse_line(line)
            if values is None:
                if warn:
                    _warn_of_damage(path, offset, line)
                continue
            try:
                value = msgspec.convert(values, kind)
            except msgspec.ValidationError:
                continue
        yield value


def read_from(path: Path, start: int) -> Lines:
    """The lines from byte `start` on, to follow a growing log; an incomplete last line is left for the next call.

    Raises:
        OSError: the file cannot be read.
    """
    values, count = list[dict[str, Any]](), 0
    with path.open("rb") as stream:
        stream.seek(start)
        for line in stream:
            if not line.endswith(b"\n"):
                break
            count += 1
            parsed = parse_line(line)
            if parsed is None:
                _warn_of_damage(path, start, line)
            else:
                values.append(parsed)
            start += len(line)
    return Lines(values, count, start)


def read_tail(path: Path, most_bytes: int) -> list[dict[str, Any]]:
    """The valid lines among the last `most_bytes` bytes, newest first; none if there is no file."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - most_bytes))
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return []
    return [values for line in reversed(lines) if (values := parse_line(line)) is not None]


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The values of one line, or None if it is not a JSON object."""
    try:
        values = msgspec.json.decode(line)
    except _NOT_DECODED:
        try:
            values = json.loads(line)  # a name that is not valid Unicode, which only msgspec refuses
        except ValueError:
            return None
    return values if isinstance(values, dict) else None


def to_line(values: Mapping[str, Any]) -> bytes:
    """One line; ASCII, so that even a name that is not valid Unicode survives the round trip."""
    return json.dumps(values, separators=(",", ":")).encode("ascii") + b"\n"


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
        with self._reported():
            stream = self._open()
            offset = stream.tell()
            stream.write(b"".join(to_line(values) for values in entries))
            stream.flush()
        return offset

    @property
    def used(self) -> bool:
        """Whether anything was appended since the last `close`."""
        return self._stream is not None

    def close(self) -> None:
        """Flush the appended lines to the disk."""
        if self._stream is not None:
            with self._reported():
                if self._durable:
                    os.fsync(self._stream.fileno())
                self._stream.close()
            self._stream = None

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ShareUnavailableError(
                f"{self.path} cannot be written: {error.strerror}; check the state folder's share and its free space"
            ) from error

    def _open(self) -> IO[bytes]:
        if self._stream is None:
            make_folders(self.path.parent)
            self._stream = open(self.path, "ab+", opener=lambda name, flags: os.open(name, flags, self._mode))  # noqa: SIM115
            size = self._stream.seek(0, os.SEEK_END)
            if size and (self._stream.seek(size - 1), self._stream.read(1))[1] != b"\n":
                self._stream.write(b"\n")  # a kill cut the last line short: end it
            self._stream.seek(0, os.SEEK_END)
        return self._stream


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        offset = 0
        for line in stream:
            yield offset, line
            offset += len(line)


def _warn_of_damage(path: Path, offset: int, line: bytes) -> None:
    if line.strip():
        _log().warning("%s: line at byte %d is damaged and is skipped", path, offset)


def _log() -> logging.Logger:
    return logging.getLogger(__name__)
