"""What is known of each picture of a capture folder, kept below the state folder and shared by all workers.

    <state>/folders/<readable name>-<hash>/
        pictures.jsonl     one line per change of a picture's state, the last one counts
        records.jsonl      the record of each masked picture
        detections.jsonl   what was detected on it: class, score, box
        lock, holder.json  who works on the folder now

Losing it loses no picture: the mask step adopts what the shares hold (see `pipeline`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from filelock import FileLock, Timeout

from anonymisation.errors import FolderLockedError
from anonymisation.files import remove_leftovers, write_atomically
from anonymisation.journal import JournalWriter, parse_line, read_lines, to_line

MASKED: Final = "masked"
FAILED: Final = "failed"
_READABLE_NAME_LENGTH: Final = 60


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Size in bytes and modification time (ns): enough to see that a file is still the one that was looked at."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        return cls.from_stat(path.stat())

    @classmethod
    def from_stat(cls, stat: os.stat_result) -> Self:
        return cls(stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class PictureState:
    """What is known of one picture. `source` and `sha256` are of the original, `output` is of the masked picture.

    `model` and `digest` (of the picture settings) say what it was masked, or failed, with; `run` which run did it;
    `loaded` is the key of the table that holds its row (see `DatabaseTarget.key`).
    """

    name: str
    status: str
    source: FileStamp
    sha256: str
    model: str
    digest: str
    version: str
    width: int = 0
    height: int = 0
    output: FileStamp | None = None
    reason: str | None = None
    run: str | None = None
    archived: bool = False
    loaded: str | None = None
    released: bool = False

    def __post_init__(self) -> None:
        if self.status not in {MASKED, FAILED}:
            raise ValueError(f"{self.name}: expected the status {MASKED} or {FAILED}, got {self.status!r}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        content = dict(values)
        for name in ("source", "output"):
            if content.get(name) is not None:
                content[name] = FileStamp(**content[name])
        return cls(**content)


def state_folder(state_root: Path, folder: str) -> Path:
    """Where the state of the capture folder `folder` (path below the input folder, with `/`) is kept."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", folder)[-_READABLE_NAME_LENGTH:].strip("._") or "input"
    digest = hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return state_root / "folders" / f"{readable}-{digest}"


def read_pictures(state_root: Path, folder: str) -> dict[str, PictureState]:
    """The last known state of each picture by name; empty when nothing is known. Takes no lock."""
    pictures = {}
    for _, values in read_lines(state_folder(state_root, folder) / "pictures.jsonl"):
        with suppress(TypeError, ValueError, KeyError):  # a line of another version of the software tells nothing
            picture = PictureState.from_dict(values)
            pictures[picture.name] = picture
    return pictures


class FolderState:
    """The state of one capture folder, open for changes while its lock is held (see `open_state`)."""

    def __init__(self, place: Path, pictures: dict[str, PictureState]) -> None:
        self._pictures = pictures
        self._pictures_journal = JournalWriter(place / "pictures.jsonl")
        self._records_journal = JournalWriter(place / "records.jsonl")
        self._detections_journal = JournalWriter(place / "detections.jsonl")
        self._journals = (self._records_journal, self._detections_journal, self._pictures_journal)
        self._record_offsets: dict[str, int] | None = None

    @property
    def pictures(self) -> Mapping[str, PictureState]:
        """The last known state of each picture, by name."""
        return self._pictures

    def put(self, picture: PictureState) -> None:
        """Keep what is known of a picture now."""
        self._pictures[picture.name] = picture
        self._pictures_journal.append(dataclasses.asdict(picture))

    def put_masked(
        self, picture: PictureState, record: Mapping[str, Any], detections: Sequence[Mapping[str, Any]] | None
    ) -> None:
        """Keep a masked picture with its record and detections (None: not known); they are written before its state."""
        offset = self._records_journal.append({"name": picture.name, "record": record})
        if self._record_offsets is not None:
            self._record_offsets[picture.name] = offset
        if detections is not None:
            line = {"name": picture.name, "width": picture.width, "height": picture.height, "model": picture.model}
            self._detections_journal.append({**line, "detections": list(detections)})
        self.put(picture)

    def record(self, name: str) -> dict[str, Any] | None:
        """The record of a picture, or None when it is not known."""
        offset = self._offsets().get(name)
        if offset is None:
            return None
        with self._records_journal.path.open("rb") as stream:
            stream.seek(offset)
            values = parse_line(stream.readline())
        return None if values is None else values.get("record")

    def has_record(self, name: str) -> bool:
        """Whether the record of a picture is known."""
        return name in self._offsets()

    def _offsets(self) -> dict[str, int]:
        if self._record_offsets is None:
            lines = read_lines(self._records_journal.path)
            self._record_offsets = {str(values.get("name")): offset for offset, values in lines}
        return self._record_offsets

    def close(self) -> None:
        """Flush the journals; those that grew are rewritten with one line per picture, in the order of the names."""
        grown = [journal for journal in self._journals if journal.used]
        for journal in grown:
            journal.close()
            _compact(journal.path)


@contextmanager
def open_state(state_root: Path, folder: str) -> Iterator[FolderState]:
    """Lock the folder's state, read it, and on the way out write it compactly.

    The lock is the operating system's: it goes with the process that held it, however that one ended.

    Raises:
        FolderLockedError: another run holds the lock.
    """
    place = state_folder(state_root, folder)
    place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise FolderLockedError(f"{folder}: {_holder(place)} is working on this folder; try again later") from None
    try:
        remove_leftovers(place)
        write_atomically(place / "holder.json", _holder_line())
        state = FolderState(place, read_pictures(state_root, folder))
        try:
            yield state
        finally:
            state.close()
            (place / "holder.json").unlink(missing_ok=True)
    finally:
        lock.release()


def _holder_line() -> bytes:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return to_line({"host": socket.gethostname(), "process": os.getpid(), "since": since})


def _holder(place: Path) -> str:
    try:
        values = json.loads((place / "holder.json").read_bytes())
        return f"process {values['process']} on {values['host']} (since {values['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"


def _compact(path: Path) -> None:
    """Keep the last line of each picture, in the order of the names, reading one line at a time."""
    offsets = {str(values.get("name")): offset for offset, values in read_lines(path)}

    def lines() -> Iterator[bytes]:
        with path.open("rb") as stream:
            for name in sorted(offsets):
                stream.seek(offsets[name])
                yield stream.readline()

    write_atomically(path, lines())
