"""What people found when they looked at masked pictures: the boxes that they added, and the pictures they called ok.

    <state>/folders/<folder>/reviews.jsonl      one line per finding, appended; nothing is ever taken out

The boxes are hidden at every later masking of their picture, whatever the model finds by then: the mask step asks
`ReviewedBoxes`, `review_remask` hides them on the masked picture that stands. A box that was withdrawn is hidden at no
later masking, and that is all: on the masked picture that stands it stays hidden. No pixel is touched here.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from filelock import FileLock, Timeout

from anonymisation.core.errors import FolderLockedError
from anonymisation.files.append_log import AppendLog, read_entries
from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import KEPT_IDS
from anonymisation.review.model import NOTHING, AddedBox, Box, Review
from anonymisation.workspace.folder_state import FileStamp, state_folder

FILE_NAME: Final = "reviews.jsonl"
NAME_FILE: Final = "folder.json"  # which folder a state belongs to
MAX_BOXES: Final = 200  # on one picture; more of them than this is no review
MAX_REASON: Final = 300  # characters
_LOCK_SECONDS: Final = 10.0


def reviews_file(state_root: Path, folder: str) -> Path:
    """Where the reviews of the capture folder `folder` are kept."""
    return state_folder(state_root, folder) / FILE_NAME


def read_reviews(state_root: Path, folder: str) -> dict[str, Review]:
    """The review of every picture of `folder` that has one, by name. Takes no lock."""
    reviews: dict[str, Review] = {}

    def add(line: dict[str, Any]) -> None:
        name = str(line.get("name"))
        reviews[name] = reviews.get(name, NOTHING).with_line(line)

    for _ in read_entries(reviews_file(state_root, folder), add):
        pass
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


def add_box(state_root: Path, folder: str, name: str, box: Box, by: str, seen: str = "") -> AddedBox:
    """Keep a box that `by` drew on what `seen` stands for; it stays whatever happens to the picture.

    Raises:
        ValueError: the picture has MAX_BOXES already.
        FolderLockedError: the journal is being written by others all the time.
    """
    with _journal(state_root, folder) as journal:
        review = read_reviews(state_root, folder).get(name, NOTHING)
        if len(review.active) >= MAX_BOXES:
            raise ValueError(f"{name} has {MAX_BOXES} added boxes already")
        line = {"name": name, "box": list(box.as_tuple()), "of": seen, "by": by, "at": _now()}
        journal.append(line)
        return review.with_line(line).boxes[-1]


def withdraw_box(state_root: Path, folder: str, name: str, number: int, by: str, reason: str) -> AddedBox:
    """Keep that `by` took the box back: it is hidden at no later masking, and stays where it is hidden by now.

    Raises:
        ValueError: there is no such box, it is withdrawn already, or no reason (of MAX_REASON characters) is given.
        FolderLockedError: the journal is being written by others all the time.
    """
    reason = " ".join(reason.split())
    if not reason or len(reason) > MAX_REASON:
        raise ValueError(f"expected a reason of 1 to {MAX_REASON} characters, got {len(reason)}")
    with _journal(state_root, folder) as journal:
        review = read_reviews(state_root, folder).get(name, NOTHING)
        if number not in {added.number for added in review.active}:
            raise ValueError(f"{name} has no region {number + 1} that is not withdrawn")
        line = {"name": name, "withdrawn": number, "reason": reason, "by": by, "at": _now()}
        journal.append(line)
        return review.with_line(line).boxes[number]


def mark_ok(state_root: Path, folder: str, name: str, seen: str, by: str) -> None:
    """Keep that `by` looked at what `seen` stands for and found nothing missing."""
    with _journal(state_root, folder) as journal:
        journal.append({"name": name, "ok": seen, "by": by, "at": _now()})


def mark_hidden(state_root: Path, folder: str, name: str, numbers: Iterable[int]) -> None:
    """Keep which boxes the masked picture hides now: these, and no other. For who holds the lock of the picture."""
    with _journal(state_root, folder) as journal:
        journal.append({"name": name, "hidden": sorted(numbers)})


def with_boxes(detections: Detections, added: Iterable[AddedBox]) -> Detections:
    """The detections and, as whole boxes, what people added; both in the orientation of the stored picture.

    What a person marks has no class of its own: it is drawn as a person, the class on top of all others.
    """
    boxes = [one.box.as_tuple() for one in added]
    if not boxes:
        return detections
    size = detections.masks.shape[1:] if len(detections) else (1, 1)
    count = len(boxes)
    whole = Detections.of(boxes, np.ones(count), [KEPT_IDS[0]] * count, np.ones((count, *size), np.float32))
    return Detections.concatenate([detections, whole])


class ReviewedBoxes:
    """The reviews of one folder's pictures as they stand now, read again when somebody added one; for many threads."""

    def __init__(self, state_root: Path, folder: str) -> None:
        self._state_root = state_root
        self._folder = folder
        self._file = reviews_file(state_root, folder)
        self._lock = threading.Lock()
        self._stamp: FileStamp | None = None
        self._reviews: dict[str, Review] = {}

    def of(self, name: str) -> Review:
        """What people found on the picture."""
        return self._current().get(name, NOTHING)

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


@contextmanager
def _journal(state_root: Path, folder: str) -> Iterator[AppendLog]:
    """The journal of the folder, while no one else writes to it; flushed to disk in the end."""
    path = reviews_file(state_root, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"), timeout=_LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise FolderLockedError(f"{folder}: its reviews are being written; try again") from None
    try:
        with closing(AppendLog(path)) as journal:
            yield journal
    finally:
        lock.release()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
