"""The pictures of a folder for the review pages: kept in memory, and read again when the folder's state changes.

Reading the state of 100 000 pictures takes seconds. So requests share one index per folder: see `IndexCache`.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Final, TypeVar

from anonymisation.files.digests import name_digest
from anonymisation.files.reported import reported
from anonymisation.masking.labels import CLASSES
from anonymisation.review.model import NOTHING, Review
from anonymisation.review.rows import Row, read_rows
from anonymisation.review.standing import Standing, standing_in
from anonymisation.review.store import read_reviews, reviews_file, stamp_of_reviews
from anonymisation.workspace.folder_state import FileStamp, state_folder

T = TypeVar("T")
LABELS: Final = tuple(kind.label for kind in CLASSES)
TOP: Final = 200  # least certain pictures of a folder; kept in memory longer than its index
MAX_FOLDERS: Final = 200  # of which the least certain pictures, and the reviews, are kept in memory
MAX_PICTURES: Final = 200_000  # in memory at once; a picture takes about 1.6 kB
_REST: Final = 20.0  # a folder that takes 1 s to read is read again after 20 s at the earliest


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pictures to show: `show` is one of SHOWS; with an object of `label`; with a score below `below`.

    Raises:
        ValueError: an unknown `show` or `label`, or `below` is not 0 to 1.
    """

    show: str = "all"
    label: str = ""
    below: float = 0.0

    def __post_init__(self) -> None:
        if self.show not in SHOWS or self.label not in {"", *LABELS} or not 0 <= self.below <= 1:
            raise ValueError(f"expected one of {SHOWS}, a label and a score, got {self}")

    def matches(self, row: Row, review: Review) -> bool:
        """Whether the picture is to be shown."""
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
    """Whether a reviewer called this version of the picture ok, or drew boxes on it."""
    return bool(review.seen) and review.is_judged(row.version)  # `seen` first: few have it, and `version` is slow


def edition(row: Row, review: Review) -> str:
    """The identity of the masked picture as it is now, added boxes included; 16 hexadecimal digits."""
    return name_digest(f"{row.version} {sorted(review.hidden)}")


class FolderIndex:
    """All pictures of a folder, sorted by name, at the time of reading."""

    def __init__(self, folder: str, rows: Iterable[Row]) -> None:
        self.folder = folder
        self.rows: Sequence[Row] = sorted(rows, key=attrgetter("name"))
        self._places = {row.key: place for place, row in enumerate(self.rows)}
        self._selected: dict[tuple[Wanted, FileStamp | None], list[int]] = {}
        self._by_doubt: list[int] | None = None
        self._standing: Sequence[Standing] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, key: str) -> Row | None:
        """The picture with this key; None where there is none."""
        place = self._places.get(key)
        return None if place is None else self.rows[place]

    def select(self, wanted: Wanted, reviews: Mapping[str, Review], stamp: FileStamp | None) -> Sequence[int]:
        """The indexes in `rows` of the wanted pictures; `stamp` is the stamp of the reviews file."""
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
        """All pictures with a doubt: failed ones first, then the others, the least certain first."""
        if self._by_doubt is None:
            order = sorted(range(len(self.rows)), key=lambda place: _rank(self.rows[place]))
            self._by_doubt = [place for place in order if self.rows[place].failed or self.rows[place].doubt > 0]
        return [self.rows[place] for place in self._by_doubt]

    def standing(self) -> Sequence[Standing]:
        """The finds at the same place in most pictures; computed once. `example` is an index in `rows`."""
        if self._standing is None:
            self._standing = standing_in(self.rows)
        return self._standing

    def neighbours(self, key: str, places: Sequence[int]) -> tuple[Row | None, Row | None]:
        """The pictures before and after the picture `key`, among those at the indexes `places`."""
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
    """Read the state of a folder, without a lock. 100 000 pictures take some seconds."""
    return FolderIndex(folder, read_rows(state_folder(state_root, folder)))


@dataclass(slots=True)
class _Entry:
    index: FolderIndex
    stamp: tuple[tuple[str, int, int], ...]
    read_at: float
    took: float


class IndexCache:
    """The indexes of the folders last used. Thread-safe: one thread reads a folder while the others wait.

    Its methods raise ShareUnavailableError if the state of the folder cannot be read.
    """

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
        """The index of a folder; it is read again when its state changed and the last reading is old enough."""
        with self._lock:
            reading = self._reading.setdefault(folder, threading.Lock())
        with reading:
            stamp = _stamp(state_folder(self._state_root, folder))
            entry = self._entries.get(folder)
            now = self._clock()
            if entry is None or (stamp != entry.stamp and now - entry.read_at >= _REST * entry.took):
                index = read_index(self._state_root, folder)
                entry = _Entry(index, stamp, self._clock(), self._clock() - now)
                self._keep(folder, entry)
            return entry.index

    def doubtful(self, folder: str) -> list[Row]:
        """The TOP least certain pictures of a folder; an unchanged folder is not read again."""
        known = self._tops.get(folder)
        if known is not None and known[0] == _stamp(state_folder(self._state_root, folder)):
            return known[1]
        rows = self.index(folder).doubtful()[:TOP]
        stamp = self._entries[folder].stamp if folder in self._entries else ()
        self._remember(self._tops, folder, (stamp, rows))
        return rows

    def reviews(self, folder: str) -> tuple[FileStamp | None, Mapping[str, Review]]:
        """The current reviews of a folder and the stamp of their file; the stamp is None without a file."""
        stamp = stamp_of_reviews(reviews_file(self._state_root, folder))
        known = self._reviews.get(folder)
        if known is None or known[0] != stamp:
            known = (stamp, read_reviews(self._state_root, folder))
            self._remember(self._reviews, folder, known)
        return known

    def _remember(self, cache: dict[str, T], folder: str, value: T) -> None:
        """Store the value, and drop the oldest values while there are those of too many folders."""
        with self._lock:
            cache.pop(folder, None)
            cache[folder] = value
            while len(cache) > MAX_FOLDERS:
                cache.pop(next(iter(cache)))

    def _keep(self, folder: str, entry: _Entry) -> None:
        """Store the entry, and drop the oldest entries while there are too many pictures in memory."""
        with self._lock:
            self._entries.pop(folder, None)
            self._entries[folder] = entry
            while len(self._entries) > 1 and sum(len(e.index) for e in self._entries.values()) > self._max_pictures:
                self._entries.pop(next(iter(self._entries)))


def _stamp(place: Path) -> tuple[tuple[str, int, int], ...]:
    """Path, size and time of every journal of the folder, shards included."""
    found = []
    with reported(place, "read"):
        for name in ("pictures.jsonl", "detections.jsonl"):
            for path in (place / name, *sorted(place.glob(f"*/{name}"))):
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue
                found.append((str(path), stat.st_size, stat.st_mtime_ns))
    return tuple(found)
