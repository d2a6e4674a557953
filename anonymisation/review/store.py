"""The journal of reviews: the boxes that reviewers added, and the pictures that they called ok.

    <state>/folders/<folder>/reviews.jsonl      one line per finding, appended; no line is ever removed

Every later masking of a picture hides its boxes, whatever the model finds: the mask step reads `ReviewedBoxes`, and
`review.apply` hides them on the current masked picture. A later masking does not hide a withdrawn box, but on the
current masked picture the box stays hidden. This module changes no pixels.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from filelock import FileLock, Timeout

from anonymisation.core.errors import FolderLockedError
from anonymisation.files.append_log import AppendLog, read_entries
from anonymisation.files.folders import make_folders
from anonymisation.files.reported import reported
from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import KEPT_IDS
from anonymisation.review.model import NOTHING, AddedBox, Box, Review
from anonymisation.workspace.folder_state import FileStamp, read_name, state_folder, state_folders
from anonymisation.workspace.locks import PICTURES

FILE_NAME: Final = "reviews.jsonl"
MAX_BOXES: Final = 200  # on one picture; a sensible review needs fewer
MAX_REASON: Final = 300  # characters
_LOCK_SECONDS: Final = 10.0


def reviews_file(state_root: Path, folder: str) -> Path:
    """The journal of the reviews of the capture folder `folder`."""
    return state_folder(state_root, folder) / FILE_NAME


def read_reviews(state_root: Path, folder: str) -> dict[str, Review]:
    """The review of every picture of `folder` that has one, by name. Takes no lock.

    Raises:
        ShareUnavailableError: the journal is there and cannot be read.
    """
    reviews: dict[str, Review] = {}

    def add(line: dict[str, Any]) -> None:
        name = line["name"]
        if not isinstance(name, str):
            raise TypeError(f"expected a name, got {name!r}")
        reviews[name] = reviews.get(name, NOTHING).with_line(line)

    for _ in read_entries(reviews_file(state_root, folder), add):
        pass
    return reviews


def known_folders(state_root: Path) -> Iterator[str]:
    """Every capture folder that has a state, sorted by path.

    Raises:
        ShareUnavailableError: the state folder cannot be read.
    """
    names = (read_name(place) for place in state_folders(state_root))
    yield from sorted(name for name in names if name is not None)


def latest_folders(state_root: Path, number: int) -> list[str]:
    """The `number` capture folders whose pictures changed last, the newest first. Reads only their names.

    Raises:
        ShareUnavailableError: the state folder cannot be read.
    """
    changed = []
    for place in state_folders(state_root):
        with suppress(OSError):  # no state, or one that cannot be read, which the next run reports
            changed.append(((place / PICTURES).stat().st_mtime_ns, place))
    names = (read_name(place) for _, place in sorted(changed, reverse=True))
    return list(islice((name for name in names if name is not None), number))


def folder_with_key(state_root: Path, key: str) -> str | None:
    """The capture folder whose state folder's name ends in `key` (16 hexadecimal digits); None where there is none.

    Raises:
        ShareUnavailableError: the state folder cannot be read.
    """
    names = (read_name(place) for place in state_folders(state_root) if place.name.endswith(f"-{key}"))
    return next((name for name in names if name is not None), None)


def add_box(state_root: Path, folder: str, name: str, box: Box, by: str, seen: str = "") -> AddedBox:
    """Store a box that `by` drew on the version `seen` of the picture; later maskings hide it, too.

    Raises:
        ValueError: the picture has MAX_BOXES boxes already.
        FolderLockedError: other writers hold the journal's lock for too long.
        ShareUnavailableError: the journal cannot be read or written.
    """
    with _journal(state_root, folder) as journal:
        review = read_reviews(state_root, folder).get(name, NOTHING)
        if len(review.active) >= MAX_BOXES:
            raise ValueError(f"{name} has {MAX_BOXES} added boxes already")
        line = {"name": name, "number": review.next_number, "box": list(box.as_tuple()), "of": seen, "by": by}
        line["at"] = _now()
        journal.append(line)
        return review.with_line(line).boxes[-1]


def withdraw_box(state_root: Path, folder: str, name: str, number: int, by: str, reason: str) -> AddedBox:
    """Store that `by` withdrew a box: later maskings do not hide it, but the current masked picture still does.

    Raises:
        ValueError: the box does not exist or is withdrawn already, or the reason is not of 1 to MAX_REASON characters.
        FolderLockedError: other writers hold the journal's lock for too long.
        ShareUnavailableError: the journal cannot be read or written.
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
        return next(added for added in review.with_line(line).boxes if added.number == number)


def mark_ok(state_root: Path, folder: str, name: str, seen: str, by: str) -> None:
    """Store that `by` looked at the version `seen` of the picture and found nothing missing.

    Raises:
        FolderLockedError: other writers hold the journal's lock for too long.
        ShareUnavailableError: the journal cannot be read or written.
    """
    with _journal(state_root, folder) as journal:
        journal.append({"name": name, "ok": seen, "by": by, "at": _now()})


def mark_hidden(state_root: Path, folder: str, name: str, numbers: Iterable[int]) -> None:
    """Store the numbers of all boxes that the masked picture hides now. The caller holds the lock of the picture.

    Raises:
        FolderLockedError: other writers hold the journal's lock for too long.
        ShareUnavailableError: the journal cannot be read or written.
    """
    with _journal(state_root, folder) as journal:
        journal.append({"name": name, "hidden": sorted(numbers)})


def with_boxes(detections: Detections, added: Iterable[AddedBox]) -> Detections:
    """The detections and the added boxes, as wholly hidden boxes; both in the orientation of the stored picture.

    An added box has no class of its own. It counts as a person, whose fill is on top of all others.
    """
    boxes = [one.box.as_tuple() for one in added]
    if not boxes:
        return detections
    size = detections.masks.shape[1:] if len(detections) else (1, 1)
    count = len(boxes)
    whole = Detections.of(boxes, np.ones(count), [KEPT_IDS[0]] * count, np.ones((count, *size), np.float32))
    return Detections.concatenate([detections, whole])


class ReviewedBoxes:
    """The current reviews of one folder's pictures; the journal is read again when it changes. Thread-safe.

    Its methods raise ShareUnavailableError if the journal is there and cannot be read: then no one knows which regions
    are to be hidden, so no picture of the folder may be published.
    """

    def __init__(self, state_root: Path, folder: str) -> None:
        self._state_root = state_root
        self._folder = folder
        self._file = reviews_file(state_root, folder)
        self._lock = threading.Lock()
        self._stamp: FileStamp | None = None
        self._reviews: dict[str, Review] = {}

    def of(self, name: str) -> Review:
        """The review of the picture."""
        return self._current().get(name, NOTHING)

    def waiting(self) -> Iterator[tuple[str, Review]]:
        """The pictures with boxes that are not hidden yet, sorted by name."""
        yield from ((name, review) for name, review in sorted(self._current().items()) if review.waiting)

    def _current(self) -> dict[str, Review]:
        with self._lock:
            stamp = stamp_of_reviews(self._file)
            if stamp is None:
                return {}
            if stamp != self._stamp:
                self._reviews = read_reviews(self._state_root, self._folder)
                self._stamp = stamp
            return self._reviews


@contextmanager
def _journal(state_root: Path, folder: str) -> Iterator[AppendLog]:
    """The journal of the folder, locked against other writers and flushed to disk at the end."""
    path = reviews_file(state_root, folder)
    lock = FileLock(path.with_suffix(".lock"), timeout=_LOCK_SECONDS)
    with reported(Path(lock.lock_file), "locked"):
        make_folders(path.parent)
        try:
            lock.acquire()
        except Timeout:  # an OSError, too
            raise FolderLockedError(f"{folder}: its reviews are being written; try again") from None
    try:
        with closing(AppendLog(path)) as journal:
            yield journal
    finally:
        lock.release()


def stamp_of_reviews(file: Path) -> FileStamp | None:
    """The stamp of a journal of reviews; None if there is none.

    Raises:
        ShareUnavailableError: the file cannot be looked at.
    """
    with reported(file, "read"):
        try:
            return FileStamp.of(file)
        except FileNotFoundError:
            return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
