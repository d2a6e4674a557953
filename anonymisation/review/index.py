"""The pictures of a folder as a person pages through them: kept in memory, built from the state when that changed.

Reading the state of 100 000 pictures takes seconds, so that no request does it anew: see `IndexCache`.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Final

from anonymisation.files.digests import name_digest
from anonymisation.masking.labels import CLASSES
from anonymisation.review.model import NOTHING, Review
from anonymisation.review.rows import Row, read_rows
from anonymisation.review.store import read_reviews, reviews_file
from anonymisation.workspace.folder_state import FileStamp, state_folder

LABELS: Final = tuple(kind.label for kind in CLASSES)
TOP: Final = 200  # of a folder's least certain pictures, remembered longer than the folder itself
MAX_PICTURES: Final = 200_000  # in memory at once, each about 1.6 kB
_PATIENCE: Final = 20.0  # a folder that took a second to read is not read again for so many seconds


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pictures to show: `show` is all, failed, marked or reviewed; of a `label`; with a score `below`."""

    show: str = "all"
    label: str = ""
    below: float = 0.0

    def __post_init__(self) -> None:
        if self.show not in SHOWS or self.label not in {"", *LABELS} or not 0 <= self.below <= 1:
            raise ValueError(f"expected one of {SHOWS}, a label and a score, got {self}")

    def matches(self, row: Row, review: Review) -> bool:
        """Whether the picture is wanted."""
        if self.show == "failed" and not row.failed:
            return False
        if self.show == "marked" and not review.active:
            return False
        if self.show == "reviewed" and not is_reviewed(row, review):
            return False
        if self.label and self.label not in row.labels:
            return False
        if not self.below:
            return True
        if row.lowest >= self.below:
            return False
        return not self.label or any(o.label == self.label and o.score < self.below for o in row.objects)


SHOWS: Final = ("all", "failed", "marked", "reviewed")


def is_reviewed(row: Row, review: Review) -> bool:
    """Whether a person has looked at what this model made of these bytes: called it ok, or marked more on it."""
    return bool(review.seen) and review.is_judged(row.version)  # few are; a row's version takes a checksum to make


def edition(row: Row, review: Review) -> str:
    """What stands for the masked picture as it is now, added boxes and all; 16 hexadecimal digits."""
    return name_digest(f"{row.version} {sorted(review.hidden)}")


class FolderIndex:
    """All pictures of a folder by name, and the ways through them; as it was when it was read."""

    def __init__(self, folder: str, rows: Iterable[Row]) -> None:
        self.folder = folder
        self.rows: Sequence[Row] = sorted(rows, key=attrgetter("name"))
        self._places = {row.key: place for place, row in enumerate(self.rows)}
        self._selected: dict[tuple[Wanted, FileStamp | None], list[int]] = {}
        self._by_doubt: list[int] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, key: str) -> Row | None:
        """The picture that the key stands for."""
        place = self._places.get(key)
        return None if place is None else self.rows[place]

    def select(self, wanted: Wanted, reviews: Mapping[str, Review], stamp: FileStamp | None) -> Sequence[int]:
        """The places in `rows` of the wanted pictures; `stamp` is that of the file of the reviews."""
        if wanted == Wanted():
            return range(len(self.rows))
        known = self._selected.get((wanted, stamp))
        if known is None:
            if len(self._selected) > 20:
                self._selected.clear()
            matches = (wanted.matches(row, reviews.get(row.name, NOTHING)) for row in self.rows)
            known = self._selected[wanted, stamp] = [place for place, match in enumerate(matches) if match]
        return known

    def doubtful(self) -> list[Row]:
        """All pictures that are not beyond doubt: failed ones, then the least certain first."""
        if self._by_doubt is None:
            order = sorted(range(len(self.rows)), key=lambda place: _rank(self.rows[place]))
            self._by_doubt = [place for place in order if self.rows[place].failed or self.rows[place].doubt > 0]
        return [self.rows[place] for place in self._by_doubt]

    def neighbours(self, key: str, places: Sequence[int]) -> tuple[Row | None, Row | None]:
        """The pictures before and after one, among those at `places`."""
        here = self._places[key]
        before = max((p for p in _around(places, here) if p < here), default=None)
        after = min((p for p in _around(places, here) if p > here), default=None)
        return tuple(None if p is None else self.rows[p] for p in (before, after))  # type: ignore[return-value]


def _around(places: Sequence[int], here: int) -> Iterable[int]:
    at = bisect_left(places, here)
    return places[max(0, at - 1) : at + 2]


def _rank(row: Row) -> tuple[bool, float, str]:
    return (not row.failed, -row.doubt, row.name)


def read_index(state_root: Path, folder: str) -> FolderIndex:
    """Read the state of a folder; takes no lock, and some seconds for 100 000 pictures."""
    return FolderIndex(folder, read_rows(state_folder(state_root, folder)))


@dataclass(slots=True)
class _Entry:
    index: FolderIndex
    stamp: tuple[tuple[str, int, int], ...]
    read_at: float
    took: float


class IndexCache:
    """The indexes of the folders that were looked at last; for many threads, each folder read by one of them."""

    def __init__(
        self, state_root: Path, *, max_pictures: int = MAX_PICTURES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._state_root = state_root
        self._max_pictures = max_pictures
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._tops: dict[str, tuple[tuple[tuple[str, int, int], ...], list[Row]]] = {}
        self._reviews: dict[str, tuple[FileStamp | None, Mapping[str, Review]]] = {}
        self._lock = threading.Lock()
        self._reading: dict[str, threading.Lock] = {}

    def index(self, folder: str) -> FolderIndex:
        """The index of a folder, read again when its state changed and the last reading is some time ago."""
        with self._lock:
            reading = self._reading.setdefault(folder, threading.Lock())
        with reading:
            stamp = _stamp(state_folder(self._state_root, folder))
            entry = self._entries.get(folder)
            now = self._clock()
            if entry is None or (stamp != entry.stamp and now - entry.read_at >= _PATIENCE * entry.took):
                index = read_index(self._state_root, folder)
                entry = _Entry(index, stamp, self._clock(), self._clock() - now)
                self._keep(folder, entry)
            return entry.index

    def doubtful(self, folder: str) -> list[Row]:
        """The TOP least certain pictures of a folder, without reading what did not change since they were asked for."""
        known = self._tops.get(folder)
        if known is not None and known[0] == _stamp(state_folder(self._state_root, folder)):
            return known[1]
        rows = self.index(folder).doubtful()[:TOP]
        self._tops[folder] = (self._entries[folder].stamp, rows) if folder in self._entries else ((), rows)
        return rows

    def reviews(self, folder: str) -> tuple[FileStamp | None, Mapping[str, Review]]:
        """The reviews of a folder and the stamp of their file, as they are now."""
        try:
            stamp: FileStamp | None = FileStamp.of(reviews_file(self._state_root, folder))
        except FileNotFoundError:
            stamp = None
        known = self._reviews.get(folder)
        if known is None or known[0] != stamp:
            known = self._reviews[folder] = (stamp, read_reviews(self._state_root, folder))
        return known

    def _keep(self, folder: str, entry: _Entry) -> None:
        """Keep the entry, and forget the oldest others that there is no room for."""
        with self._lock:
            self._entries.pop(folder, None)
            self._entries[folder] = entry
            while len(self._entries) > 1 and sum(len(e.index) for e in self._entries.values()) > self._max_pictures:
                self._entries.pop(next(iter(self._entries)))


def _stamp(place: Path) -> tuple[tuple[str, int, int], ...]:
    """Size and time of every journal of the pictures, those of shards too."""
    found = []
    for name in ("pictures.jsonl", "detections.jsonl"):
        for path in (place / name, *sorted(place.glob(f"*/{name}"))):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            found.append((str(path), stat.st_size, stat.st_mtime_ns))
    return tuple(found)
