"""Finds out what ends the process: a note of the pictures in flight, which outlives a kill or a crash.

    <state of the folder>/
        in_flight             of the process that works on the whole folder
        in_flight-2-of-5      of the process that works on this shard

The note has one slot of 4 KiB for each picture in flight. It is written in place and never flushed: after the end of a
process, the operating system still has it; after a power cut, there is nothing to find out. A process that ends in
order removes its note. So the pictures in a note that is found are suspects:

- A suspect is tried alone in flight, after the other pictures. (Before them, as long as no picture of the folder has
  got through: then the model itself may be at fault.)
- If one picture alone was in flight when the process ended, its deaths are counted. After MAX_DEATHS it fails.
- The loading of the model is a suspect like a picture. Its deaths are the model's fault, and so are those of three
  pictures if none gets through. The model is then refused for this run, and tried again by the next one.

A kill by an operator or a power cut condemns no picture: whatever was in flight passes when it is tried again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from anonymisation.core.errors import ImageError, ModelUnavailableError
from anonymisation.files.atomic import write_atomically
from anonymisation.files.plain import read_plain
from anonymisation.files.reported import reported
from anonymisation.workspace.folder_state import FAILED, MASKED, FileStamp, PictureState, state_folder
from anonymisation.workspace.listing import PictureFile
from anonymisation.workspace.shards import Shard

MAX_DEATHS: Final = 2
"""How often the process may end while it works on a picture alone, before the picture fails."""
PICTURES_TO_BLAME_THE_MODEL: Final = 3  # as for a model that raises, see `masking.guard`
DEADLY: Final = "the process ended"
"""How the reason begins why a picture failed that ends the process."""

_SLOT_BYTES: Final = 4096  # a page: written as a whole, and more than the longest name takes
_NOTE: Final = re.compile(r"in_flight(?:-(?P<number>[0-9]+)-of-(?P<count>[0-9]+))?")
_MODEL: Final = ""  # instead of a picture's name: the model is being loaded
_NO_STAMP: Final = FileStamp(0, 0)


class DeadlyPictureError(ImageError):
    """The process ended, more than once, while it worked on this picture alone."""

    lasting = True


class _Slot(msgspec.Struct, forbid_unknown_fields=True):
    """A picture in flight, or a suspect that waits (`in_flight` is false); `model` is the identity of the model."""

    name: str
    stamp: FileStamp
    model: str
    deaths: int = 0
    in_flight: bool = True


class InFlight:
    """The note of the pictures that this process works on. Thread-safe."""

    def __init__(self, path: Path, model: str, suspects: Iterable[_Slot], states: Iterable[PictureState]) -> None:
        self._path = path
        self._model = model
        self._lock = Lock()
        self._stream: int | None = None
        self._places: dict[str, int] = {}
        self._free: list[int] = []
        self._suspects = {slot.name: slot for slot in suspects}
        self._got_through, self._condemned = False, 0
        for state in states:
            if state.model == model:
                self._got_through |= state.status == MASKED
                self._condemned += state.status == FAILED and (state.reason or "").startswith(DEADLY)
        if self._suspects:
            for slot in self._suspects.values():
                slot.in_flight = False
            with reported(path, "used"):
                write_atomically(path, b"".join(map(_encoded, self._suspects.values())))
            self._places = {name: place for place, name in enumerate(self._suspects)}
        else:
            with reported(path, "used"):
                path.unlink(missing_ok=True)

    def groups(self, files: Sequence[PictureFile]) -> Iterator[Iterable[PictureFile]]:
        """All of the files, in groups of those that may be in flight together; a group ends before the next begins."""
        suspects = [file for file in files if file.name in self._suspects]
        suspects.sort(key=lambda file: self._suspects[file.name].deaths)
        names = {file.name for file in suspects}
        others = iter([file for file in files if file.name not in names])
        while suspects and not self._got_through:
            yield [suspects.pop(0)]
        while _MODEL in self._suspects and (file := next(others, None)) is not None:
            yield [file]
        yield others
        for file in suspects:
            yield [file]

    def begin(self, file: PictureFile) -> None:
        """Note that work on the picture begins.

        Raises:
            DeadlyPictureError: the picture has ended the process before.
            ShareUnavailableError: the state folder cannot be written.
        """
        with self._lock:
            slot = self._suspects.get(file.name)
            same = slot is not None and (slot.stamp, slot.model) == (file.stamp, self._model)
            deaths = slot.deaths if slot is not None and same else 0
            if deaths >= MAX_DEATHS:
                raise DeadlyPictureError(
                    f"{DEADLY} {deaths} times while it worked on this picture alone: it crashed, was killed "
                    "(out of memory?), or was ended because it made no progress; look at the picture"
                )
            self._write(_Slot(file.name, file.stamp, self._model, deaths))

    def end(self, name: str, *, got_through: bool = False) -> None:
        """Note that work on the picture has ended, whatever the outcome; `got_through` if the model had no trouble.

        Raises:
            ShareUnavailableError: the state folder cannot be written.
        """
        with self._lock:
            self._got_through |= got_through
            self._suspects.pop(name, None)
            place = self._places.pop(name, None)
            if place is not None:
                self._put(place, b" " * _SLOT_BYTES)
                self._free.append(place)

    @contextmanager
    def loading_model(self) -> Iterator[None]:
        """Note that the model is loaded within the `with` block.

        Raises:
            ModelUnavailableError: the model has ended the process before.
            ShareUnavailableError: the state folder cannot be written.
        """
        with self._lock:
            known = self._suspects.get(_MODEL)
            self._require_harmless(known)
            self._write(_Slot(_MODEL, _NO_STAMP, self._model, known.deaths if known else 0))
        yield
        self.end(_MODEL)

    def _require_harmless(self, known: _Slot | None) -> None:
        killers = [slot for name, slot in self._suspects.items() if name != _MODEL and slot.deaths]
        reason = None
        if known is not None and known.deaths >= MAX_DEATHS:
            reason = f"{known.deaths} times while it loaded the model"
            known.deaths = MAX_DEATHS - 1  # the next run tries once more
            self._write(known)
        elif not self._got_through and len(killers) + self._condemned >= PICTURES_TO_BLAME_THE_MODEL:
            reason = f"while it worked on each of {len(killers) + self._condemned} pictures alone, and none got through"
            for number, slot in enumerate(killers, start=self._condemned + 1):
                slot.deaths = int(number < PICTURES_TO_BLAME_THE_MODEL)  # the next run tries one of them once more
                slot.in_flight = False
                self._write(slot)
        if reason is not None:
            raise ModelUnavailableError(
                f"{DEADLY} {reason}; the model {self._model} is at fault, or there is too little memory for it. The "
                "next run tries again"
            )

    def _write(self, slot: _Slot) -> None:
        if slot.name not in self._places:
            # Numbers are given out without gaps, so the next one is the number of slots.
            self._places[slot.name] = self._free.pop() if self._free else len(self._places) + len(self._free)
        self._put(self._places[slot.name], _encoded(slot))

    def _put(self, place: int, content: bytes) -> None:
        with reported(self._path, "used"):
            if self._stream is None:
                # Not blocking: a pipe in its place must not be waited for.
                self._stream = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
            if os.pwrite(self._stream, content, place * _SLOT_BYTES) != len(content):
                raise OSError(None, "no space left")

    def close(self, *, finished: bool) -> None:
        """Remove the note; if the step is not `finished`, keep the suspects that were not tried to their end."""
        with self._lock, reported(self._path, "used"):
            if self._stream is not None:
                os.close(self._stream)
                self._stream = None
            if finished or not self._suspects:
                self._path.unlink(missing_ok=True)
                return
            for slot in self._suspects.values():
                slot.in_flight = False
            write_atomically(self._path, b"".join(map(_encoded, self._suspects.values())))


@contextmanager
def pictures_in_flight(
    state_root: Path, folder: str, shard: Shard, model: str, states: Iterable[PictureState]
) -> Iterator[InFlight]:
    """The note of this process, which holds the lock of these pictures, with the suspects that dead ones left.

    Args:
        model: the identity of the model.
        states: what is known of the pictures.

    Raises:
        ShareUnavailableError: the state folder cannot be written.
    """
    place = state_folder(state_root, folder)
    own = place / ("in_flight" if shard.is_whole else f"in_flight-{shard.number}-of-{shard.count}")
    suspects: dict[str, _Slot] = {}
    others: list[Path] = []
    for path in _notes(place, shard):
        slots = _read(path)
        if path != own and all(shard.holds(slot.name) for slot in slots if slot.name != _MODEL):
            others.append(path)
        for slot in _judged(slots, model):
            if slot.name == _MODEL or shard.holds(slot.name):
                before = suspects.setdefault(slot.name, slot)
                before.deaths = max(before.deaths, slot.deaths)
    note = InFlight(own, model, suspects.values(), states)
    for path in others:
        with reported(path, "used"):
            path.unlink(missing_ok=True)
    finished = False
    try:
        yield note
        finished = True
    finally:
        note.close(finished=finished)


def has_suspects(state_root: Path, folder: str) -> bool:
    """Whether a process ended while it worked on pictures of the folder, or works on them now."""
    try:
        with os.scandir(state_folder(state_root, folder)) as entries:
            return any(_NOTE.fullmatch(entry.name) for entry in entries)
    except OSError:
        return False


def _notes(place: Path, shard: Shard) -> list[Path]:
    """The notes that can name pictures of the shard. No process works on those, since this one holds their lock."""
    found = []
    for path in sorted(place.glob("in_flight*")):
        match = _NOTE.fullmatch(path.name)
        if match and shard.meets(Shard(int(match["number"] or 1), int(match["count"] or 1))):
            found.append(path)
    return found


def _read(path: Path) -> list[_Slot]:
    """The slots of a note; what cannot be read is no slot."""
    decode = msgspec.json.Decoder(_Slot).decode
    slots = []
    with reported(path, "used"):
        try:
            content = read_plain(path)
        except FileNotFoundError:  # another shard has just taken it over
            return []
    for start in range(0, len(content), _SLOT_BYTES):
        try:
            slots.append(decode(content[start : start + _SLOT_BYTES]))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
    return slots


def _judged(slots: Sequence[_Slot], model: str) -> Iterator[_Slot]:
    """The suspects among the slots of a dead process, with their deaths."""
    flying = [slot for slot in slots if slot.in_flight and slot.name != _MODEL]
    loading = any(slot.in_flight and slot.name == _MODEL for slot in slots)
    for slot in slots:
        if slot.name == _MODEL:
            if slot.model == model:
                # With one picture in flight, no other thread worked: that picture waited for the model.
                slot.deaths += slot.in_flight and len(flying) <= 1
                yield slot
        elif slot.in_flight and len(flying) == 1:
            if not loading:
                slot.deaths += 1
            if slot.deaths:
                yield slot
        else:
            yield slot


def _encoded(slot: _Slot) -> bytes:
    return msgspec.json.encode(slot).ljust(_SLOT_BYTES)
