"""The state of the pictures of a capture folder, stored below the state folder and shared by all workers.

    <state>/folders/<readable name>-<hash>/
        pictures.jsonl     one line per change of a picture's state; the last one counts
        records.jsonl      the record of each masked picture
        detections.jsonl   the detections of each masked picture: class, score, box
        folder.json        the path of the capture folder
        lock, holder.json  the process that works on the folder (see `locks`, also for shards)
        timing.json        the duration of the last masking
        in_flight          the pictures that a process works on now, or worked on when it ended (see `in_flight`)

If it is lost, the mask step restores it from the files on the shares.

A line costs only what it says. Half a line, or a damaged one, counts as never written: the line before it stands. Of a
line of a newer version, keys that this version does not know are ignored, and lost when it writes the next line of that
picture. If it cannot understand the line at all, such as an unknown status, the picture is unknown: the mask step takes
over its masked picture if that is whole and made from these bytes, and masks it otherwise. A file that is there and
cannot be read is an error of its folder alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from sys import intern
from threading import Lock
from typing import IO, Annotated, Any, Final, Self, TypeVar

import msgspec
from msgspec.structs import force_setattr

from anonymisation.core.errors import AnonymisationError
from anonymisation.files.append_log import AppendLog, Foreign, parse_line, read_lines, read_with_foreign, to_line
from anonymisation.files.atomic import write_atomically
from anonymisation.files.digests import name_digest
from anonymisation.files.notes import read_note
from anonymisation.files.plain import open_plain
from anonymisation.files.reported import at_the_end, reported
from anonymisation.workspace.journal import compact
from anonymisation.workspace.locks import DETECTIONS, PICTURES, RECORDS, holding, shard_folders
from anonymisation.workspace.shards import WHOLE, Shard

T = TypeVar("T")
NAME_FILE: Final = "folder.json"  # names the capture folder of a state folder
MASKED: Final = "masked"
FAILED: Final = "failed"
_STATUSES: Final = frozenset((MASKED, FAILED))
_READABLE_NAME_LENGTH: Final = 60


_Count = Annotated[int, msgspec.Meta(ge=0)]
_Side = Annotated[int, msgspec.Meta(ge=0, le=65_535)]  # of a JPEG, ITU-T T.81 B.2.2


class FileStamp(msgspec.Struct, frozen=True, gc=False):
    """Size in bytes and modification time in ns, to detect that a file has changed."""

    size: _Count
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The stamp of the file at `path`; links are not followed."""
        return cls.from_stat(path.lstat())

    @classmethod
    def from_stat(cls, stat: os.stat_result) -> Self:
        return cls(stat.st_size, stat.st_mtime_ns)


class PictureState(msgspec.Struct, frozen=True, gc=False):
    """The state of one picture. `source` and `sha256` belong to the original, `output` to the masked picture.

    `model`, `digest` (of the picture settings) and `run` are those of the attempt that masked it or failed.
    `loaded` is the key of the table that holds its row (see `DatabaseTarget.key`). `encoded_anew` is the reason why
    blocks without redaction were not kept, although the settings ask for it. `mask_digest` is that of the mask file, as
    it was written; empty: none was, or it is not known. `sound_digest` is that of the masked picture when the check
    found it sound; empty: it has not been checked. `retired` is when the archived original was removed, as its time was
    over (ISO 8601 in UTC); empty: it was not. `preview_digest` is that of its previews, as they were last made; empty:
    there are none, or it is not known.

    A msgspec struct, since msgspec reads a million of them from the journals in a few seconds.
    """

    name: str
    status: str
    source: FileStamp
    sha256: str
    model: str
    digest: str
    version: str
    width: _Side = 0
    height: _Side = 0
    output: FileStamp | None = None
    reason: str | None = None
    run: str | None = None
    archived: bool = False
    loaded: str | None = None
    released: bool = False
    encoded_anew: str | None = None
    mask_digest: str = ""
    sound_digest: str = ""
    retired: str = ""
    preview_digest: str = ""

    def __post_init__(self) -> None:
        if self.status not in _STATUSES:
            raise ValueError(f"{self.name}: expected the status {MASKED} or {FAILED}, got {self.status!r}")
        if "/" in self.name or "\0" in self.name or self.name in {"", ".", ".."}:  # would lead out of the folder
            raise ValueError(f"expected the name of a file, got {self.name!r}")
        # Interned, since many pictures have the same strings: saves half of the memory per picture.
        force_setattr(self, "status", intern(self.status))
        force_setattr(self, "model", intern(self.model))
        force_setattr(self, "digest", intern(self.digest))
        force_setattr(self, "version", intern(self.version))
        if self.run is not None:
            force_setattr(self, "run", intern(self.run))
        if self.loaded is not None:
            force_setattr(self, "loaded", intern(self.loaded))


def state_folder(state_root: Path, folder: str) -> Path:
    """The folder with the state of the capture folder `folder` (a path below the input folder, with `/`)."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", folder)[-_READABLE_NAME_LENGTH:].strip("._") or "input"
    return state_root / "folders" / f"{readable}-{name_digest(folder)}"


def state_folders(state_root: Path) -> list[Path]:
    """The folders with the state of a capture folder, sorted; what else is there is left out. Looks into none of them.

    Raises:
        ShareUnavailableError: the state folder cannot be read.
    """
    base = state_root / "folders"
    with reported(base, "read"):
        try:
            with os.scandir(base) as entries:
                return sorted(Path(entry.path) for entry in entries if entry.is_dir())
        except FileNotFoundError:
            return []


def read_pictures(state_root: Path, folder: str, shard: Shard = WHOLE) -> dict[str, PictureState]:
    """The last known state of each picture (of the shard) by name; empty if none is known. Takes no lock.

    A picture whose last line this version cannot understand is not known.

    Raises:
        ShareUnavailableError: a journal is there and cannot be read.
    """
    known: dict[str, PictureState] = {}
    place = state_folder(state_root, folder)
    for line in journal_lines(place, lambda own: read_with_foreign(own / PICTURES, PictureState)):
        if isinstance(line, Foreign):
            known.pop(str(line.values.get("name")), None)
        elif shard.holds(line.name):
            known[line.name] = line
    return known


def read_detections(state_root: Path, folder: str) -> dict[str, dict[str, Any]]:
    """The detections of each picture by name: {"width", "height", "model", "detections": […]}. Takes no lock.

    Raises: as `read_pictures`.
    """
    found = journal_lines(state_folder(state_root, folder), lambda own: read_lines(own / DETECTIONS))
    return {str(values["name"]): values for _, values in found if "name" in values}


class _Name(msgspec.Struct):
    folder: str


def read_record(state_root: Path, folder: str, name: str) -> dict[str, Any] | None:
    """The record of a picture, or None if it is not known. Takes no lock.

    Raises:
        ShareUnavailableError: a journal is there and cannot be read.
    """
    record: dict[str, Any] | None = None
    for _, values in journal_lines(state_folder(state_root, folder), lambda own: read_lines(own / RECORDS)):
        if values.get("name") == name:
            record = _record_in(values) or record
    return record


def read_name(place: Path) -> str | None:
    """The capture folder of the state in `place`; None when its name cannot be read, or belongs to another place."""
    name = read_note(place / NAME_FILE, _Name)
    return None if name is None or state_folder(place.parent.parent, name.folder) != place else name.folder


def _keep_name(place: Path, folder: str) -> None:
    if read_name(place) != folder:
        with reported(place / NAME_FILE, "written"):
            write_atomically(place / NAME_FILE, to_line({"folder": folder}))


def journal_lines(place: Path, read: Callable[[Path], Iterable[T]]) -> Iterator[T]:
    """The lines of a folder's journal, then those of its running shards, which are newer.

    `read` yields the lines of the journal in a folder: `place`, or that of a shard. The shards are read first, so that
    no line is missed while their journals are merged into the folder's.
    """
    newer = [line for shard in shard_folders(place) for line in read(shard)]
    yield from read(place)
    yield from newer


class FolderState:
    """The state of a capture folder or a shard, writable while its lock is held.

    Its methods raise ShareUnavailableError if a journal cannot be read or written.
    """

    def __init__(self, place: Path, own: Path, shard: Shard, pictures: dict[str, PictureState]) -> None:
        self._pictures = pictures
        self._shard = shard
        self._pictures_journal = AppendLog(own / PICTURES)
        self._records_journal = AppendLog(own / RECORDS)
        self._detections_journal = AppendLog(own / DETECTIONS)
        self._journals = (self._records_journal, self._detections_journal, self._pictures_journal)
        self._known_records = place / RECORDS
        self._record_places: dict[str, tuple[Path, int]] | None = None
        self._indexing = Lock()  # several threads look up records

    @property
    def pictures(self) -> Mapping[str, PictureState]:
        """The last known state of each picture, by name."""
        return self._pictures

    def put(self, picture: PictureState) -> None:
        """Store the new state of a picture."""
        self._pictures[picture.name] = picture
        self._pictures_journal.append(msgspec.to_builtins(picture))

    def put_masked(
        self, picture: PictureState, record: Mapping[str, Any], detections: Sequence[Mapping[str, Any]] | None
    ) -> None:
        """Store the state of a masked picture, after its record and detections (None: not known)."""
        offset = self._records_journal.append({"name": picture.name, "record": record})
        with self._indexing:
            if self._record_places is not None:
                self._record_places[picture.name] = (self._records_journal.path, offset)
        if detections is not None:
            line = {"name": picture.name, "width": picture.width, "height": picture.height, "model": picture.model}
            self._detections_journal.append({**line, "detections": list(detections)})
        self.put(picture)

    def record(self, name: str) -> dict[str, Any] | None:
        """The record of a picture, or None if it is not known."""
        return next(self.records([name]))

    def records(self, names: Iterable[str]) -> Iterator[dict[str, Any] | None]:
        """The record of each picture, as `record`, with its journal opened once for all."""
        with ExitStack() as streams:
            opened: dict[Path, IO[bytes]] = {}
            for name in names:
                place = self._places().get(name)
                if place is None:
                    yield None
                    continue
                path, offset = place
                with reported(path, "read"):
                    if path not in opened:
                        opened[path] = streams.enter_context(open_plain(path))
                    opened[path].seek(offset)
                    values = parse_line(opened[path].readline())
                yield None if values is None else _record_in(values)

    def has_record(self, name: str) -> bool:
        """Whether the record of a picture is known."""
        return name in self._places()

    def _places(self) -> dict[str, tuple[Path, int]]:
        with self._indexing:
            if self._record_places is None:
                places: dict[str, tuple[Path, int]] = {}
                # Other shards only append to the folder's journal at the same time, so offsets stay valid.
                for path in dict.fromkeys((self._known_records, self._records_journal.path)):
                    for offset, values in read_lines(path):
                        if _record_in(values) is not None and self._shard.holds(name := str(values.get("name"))):
                            places[name] = (path, offset)
                self._record_places = places
            return self._record_places

    def close(self) -> None:
        """Flush the journals; for a whole folder, rewrite those that grew with one line per picture, sorted by name.

        The journals of a shard are merged into the folder's when its lock is released.
        """
        errors: list[AnonymisationError] = []
        for journal in [journal for journal in self._journals if journal.used]:
            try:
                journal.close()
                if self._shard.is_whole:
                    compact(journal.path)
            except AnonymisationError as error:
                errors.append(error)
        if errors:
            raise errors[0]


def _record_in(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record on a line of the records' journal."""
    record = values.get("record")
    return record if isinstance(record, dict) else None


def _nothing() -> None:
    """Do nothing."""


@contextmanager
def open_state(
    state_root: Path, folder: str, shard: Shard = WHOLE, *, tidy: Callable[[], None] = _nothing
) -> Iterator[FolderState]:
    """Lock the pictures of a folder or a shard and open their state for changes.

    The operating system releases the lock when the process ends, even after a kill. `tidy` is called at the start, or
    otherwise at the end, if no other process works on the folder then.

    Raises:
        FolderLockedError: another run works on these pictures.
        ShareUnavailableError: a file of the folder's state cannot be read or written; the message names it.
    """
    place = state_folder(state_root, folder)
    with holding(place, folder, shard, tidy) as own:
        _keep_name(place, folder)
        state = FolderState(place, own, shard, read_pictures(state_root, folder, shard))
        with at_the_end(state.close):
            yield state
