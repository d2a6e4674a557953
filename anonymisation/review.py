"""What people found when they looked at masked pictures: the boxes that they added, and the pictures they called ok.

    <state>/folders/<folder>/reviews.jsonl      one line per finding, appended; nothing is ever taken out

The boxes are hidden at every later masking of their picture, whatever the model finds by then: the mask step asks
`ReviewedBoxes`, `review_remask` hides them on the masked picture that stands. No pixel is touched here.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from filelock import FileLock, Timeout

from anonymisation.errors import FolderLockedError
from anonymisation.journal import JournalWriter, read_lines
from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import KEPT_IDS
from anonymisation.state import FileStamp, state_folder

FILE_NAME: Final = "reviews.jsonl"
NAME_FILE: Final = "folder.json"  # which folder a state belongs to
MAX_BOXES: Final = 200  # on one picture; more of them than this is no review
SMALLEST_SIDE: Final = 1e-4  # of the picture; less is a slip of the hand
_LOCK_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Box:
    """A region to hide: edges as shares (0 to 1) of the height and width of the picture as its file stores it.

    Raises:
        ValueError: on making, when an edge lies outside the picture, or nothing lies between two of them.
    """

    top: float
    left: float
    bottom: float
    right: float

    def __post_init__(self) -> None:
        if not all(0 <= side <= 1 for side in self.as_tuple()):  # NaN fails the comparison as well
            raise ValueError(f"expected edges from 0 to 1, got {self.as_tuple()}")
        if self.bottom - self.top < SMALLEST_SIDE or self.right - self.left < SMALLEST_SIDE:
            raise ValueError(f"expected top < bottom and left < right, got {self.as_tuple()}")

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Top, left, bottom, right."""
        return self.top, self.left, self.bottom, self.right


@dataclass(frozen=True, slots=True)
class Review:
    """What is known of one picture: the boxes in the order they were drawn, and how many of them are hidden by now.

    `ok_model` is the model whose work a person called ok; with another model the picture is to be looked at again.
    """

    boxes: tuple[Box, ...] = ()
    hidden: int = 0
    ok_model: str | None = None
    by: str = ""
    at: str = ""

    @property
    def waiting(self) -> tuple[Box, ...]:
        """The boxes that the masked picture does not hide yet."""
        return self.boxes[self.hidden :]

    def with_line(self, line: Mapping[str, Any]) -> Self:
        """The review after one more line of the journal.

        Raises:
            KeyError, TypeError, ValueError: the line is of another version of the software.
        """
        if "box" in line:
            return replace(self, boxes=(*self.boxes, Box(*line["box"])), ok_model=None, by=line["by"], at=line["at"])
        if "hidden" in line:
            return replace(self, hidden=min(int(line["hidden"]), len(self.boxes)))
        return replace(self, ok_model=str(line["ok"]), by=line["by"], at=line["at"])


NOTHING: Final = Review()


def reviews_file(state_root: Path, folder: str) -> Path:
    """Where the reviews of the capture folder `folder` are kept."""
    return state_folder(state_root, folder) / FILE_NAME


def read_reviews(state_root: Path, folder: str) -> dict[str, Review]:
    """The review of every picture of `folder` that has one, by name. Takes no lock."""
    reviews: dict[str, Review] = {}
    for _, line in read_lines(reviews_file(state_root, folder)):
        name = str(line.get("name"))
        reviews[name] = reviews.get(name, NOTHING).with_line(line)
    return reviews


def known_folders(state_root: Path) -> Iterator[str]:
    """Every capture folder that a state is kept for, sorted by path."""
    places = sorted((state_root / "folders").glob(f"*/{NAME_FILE}"))
    names = (read_name(place.parent) for place in places)
    yield from sorted(name for name in names if name is not None)


def read_name(place: Path) -> str | None:
    """Which capture folder the state in `place` belongs to; None when it does not say so, or lies elsewhere."""
    try:
        name = json.loads((place / NAME_FILE).read_bytes())["folder"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) and state_folder(place.parent.parent, name) == place else None


def add_box(state_root: Path, folder: str, name: str, box: Box, by: str) -> Review:
    """Keep a box that `by` drew; it stays whatever happens to the picture. The picture's review with it.

    Raises:
        ValueError: the picture has MAX_BOXES already.
        FolderLockedError: the journal is being written by others all the time.
    """
    if len(read_reviews(state_root, folder).get(name, NOTHING).boxes) >= MAX_BOXES:
        raise ValueError(f"{name} has {MAX_BOXES} added boxes already")
    _append(state_root, folder, {"name": name, "box": list(box.as_tuple()), "by": by, "at": _now()})
    return read_reviews(state_root, folder)[name]


def mark_ok(state_root: Path, folder: str, name: str, model: str, by: str) -> None:
    """Keep that `by` looked at what `model` masked and found nothing missing."""
    _append(state_root, folder, {"name": name, "ok": model, "by": by, "at": _now()})


def mark_hidden(state_root: Path, folder: str, name: str, count: int) -> None:
    """Keep that the masked picture hides the first `count` boxes."""
    _append(state_root, folder, {"name": name, "hidden": count})


def with_boxes(detections: Detections, boxes: tuple[Box, ...]) -> Detections:
    """The detections and, as whole boxes, what people added; both in the orientation of the stored picture.

    What a person marks has no class of its own: it is drawn as a person, the class on top of all others.
    """
    if not boxes:
        return detections
    size = detections.masks.shape[1:] if len(detections) else (1, 1)
    count = len(boxes)
    added = Detections.of(
        [box.as_tuple() for box in boxes], np.ones(count), [KEPT_IDS[0]] * count, np.ones((count, *size), np.float32)
    )
    return Detections.concatenate([detections, added])


class ReviewedBoxes:
    """The boxes of one folder's pictures as they stand now, read again when somebody added one; for many threads."""

    def __init__(self, state_root: Path, folder: str) -> None:
        self._state_root = state_root
        self._folder = folder
        self._file = reviews_file(state_root, folder)
        self._lock = threading.Lock()
        self._stamp: FileStamp | None = None
        self._reviews: dict[str, Review] = {}

    def of(self, name: str) -> tuple[Box, ...]:
        """Every box that was ever added to the picture."""
        return self._current().get(name, NOTHING).boxes

    def waiting(self) -> Iterator[tuple[str, Review]]:
        """Pictures with boxes that are not hidden yet."""
        yield from ((name, review) for name, review in sorted(self._current().items()) if review.waiting)

    def _current(self) -> dict[str, Review]:
        with self._lock:
            try:
                stamp = FileStamp.of(self._file)
            except FileNotFoundError:
                return {}
            if stamp != self._stamp:
                self._reviews = read_reviews(self._state_root, self._folder)
                self._stamp = stamp
            return self._reviews


def _append(state_root: Path, folder: str, line: Mapping[str, Any]) -> None:
    path = reviews_file(state_root, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            journal = JournalWriter(path)
            journal.append(line)
            journal.close()
    except Timeout:
        raise FolderLockedError(f"{folder}: its reviews are being written; try again") from None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
