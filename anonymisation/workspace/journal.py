"""JSON Lines files that survive a kill at any moment: append-only, a torn last line is ignored and closed off."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import msgspec

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.atomic import write_atomically

T = TypeVar("T")
GROWTH_BYTES: Final = 1_000_000  # a journal below this is never worth rewriting before its time
_NOT_DECODED: Final = (msgspec.MsgspecError, UnicodeDecodeError)


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each sound line of a journal as (offset in bytes, values); damaged lines are logged and skipped."""
    for offset, line in _lines(path):
        values = parse_line(line)
        if values is None:
            _tell_damage(path, offset, line)
        else:
            yield offset, values


def read_as(path: Path, kind: type[T], *, tell: bool = True) -> Iterator[T]:
    """Each line of a journal that has the form of `kind` (a struct of msgspec), in a tenth of the time of `read_lines`.

    Lines of another form, as another version of the software writes them, tell nothing; damaged ones are logged too,
    unless `tell` is off: for who looks on while the journal grows, half a line is no damage.
    """
    decode = msgspec.json.Decoder(kind).decode
    for offset, line in _lines(path):
        try:
            value = decode(line)
        except _NOT_DECODED:
            values = parse_line(line)
            if values is None:
                if tell:
                    _tell_damage(path, offset, line)
                continue
            try:
                value = msgspec.convert(values, kind)
            except msgspec.ValidationError:
                continue
        yield value


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The values of one line, or None when it is not whole."""
    try:
        values = msgspec.json.decode(line)
    except _NOT_DECODED:
        try:
            values = json.loads(line)  # a name that is not valid Unicode, which msgspec alone refuses
        except ValueError:
            return None
    return values if isinstance(values, dict) else None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        offset = 0
        for line in stream:
            yield offset, line
            offset += len(line)


def _tell_damage(path: Path, offset: int, line: bytes) -> None:
    if line.strip():
        logging.getLogger(__name__).warning("%s: line at byte %d is damaged and is skipped", path, offset)


def to_line(values: Mapping[str, Any]) -> bytes:
    """One line; ASCII, so that even a name that is not valid Unicode comes back as it was."""
    return json.dumps(values, separators=(",", ":")).encode("ascii") + b"\n"


def compact(path: Path) -> None:
    """Keep the last line of each `name`, in the order of the names, reading one line at a time."""
    offsets = {str(values.get("name")): offset for offset, values in read_lines(path)}

    def lines() -> Iterator[bytes]:
        with path.open("rb") as stream:
            for name in sorted(offsets):
                stream.seek(offsets[name])
                yield stream.readline()

    write_atomically(path, lines())


def compact_overgrown(path: Path) -> None:
    """Compact a journal that has doubled since that was done last: all together, that costs but a few passes over it.

    How large it was then is noted beside it; a note that is lost costs one more pass.
    """
    note = path.with_name(f"{path.name}.compacted")
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    try:
        before = int(note.read_bytes())
    except (FileNotFoundError, ValueError):
        before = 0
    if size > 2 * before + GROWTH_BYTES:
        compact(path)
        write_atomically(note, str(path.stat().st_size).encode())


def fold(source: Path, target: Path) -> None:
    """Append the sound lines of one journal to another, and remove it.

    Killed before the removal, it is done once more the next time; that changes nothing, since the last line counts.
    """
    writer = JournalWriter(target)
    for _, values in read_lines(source):
        writer.append(values)
    writer.close()
    source.unlink(missing_ok=True)


class JournalWriter:
    """Appends lines to a journal; a line is with the operating system when `append` returns, on disk after close.

    Both raise ShareUnavailableError where they cannot write: what no one could remember is not to be gone on with.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: IO[bytes] | None = None

    def append(self, values: Mapping[str, Any]) -> int:
        """Add one line and return its offset in bytes."""
        with self._told():
            stream = self._open()
            offset = stream.tell()
            stream.write(to_line(values))
            stream.flush()
        return offset

    @property
    def used(self) -> bool:
        """Whether something was appended since the last close."""
        return self._stream is not None

    def close(self) -> None:
        """Flush what was appended to disk."""
        if self._stream is not None:
            with self._told():
                os.fsync(self._stream.fileno())
                self._stream.close()
            self._stream = None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ShareUnavailableError(
                f"{self.path} cannot be written: {error.strerror}; check the share of the state folder, and its room"
            ) from error

    def _open(self) -> IO[bytes]:
        if self._stream is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("ab+")
            size = self._stream.seek(0, os.SEEK_END)
            if size and (self._stream.seek(size - 1), self._stream.read(1))[1] != b"\n":
                self._stream.write(b"\n")  # the line before was torn by a kill: close it off
            self._stream.seek(0, os.SEEK_END)
        return self._stream
