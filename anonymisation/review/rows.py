"""Reads the state of a folder's pictures for the review pages: fast, 100 000 pictures at once, in little memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Final

import msgspec

from anonymisation.files.append_log import read_as
from anonymisation.files.digests import name_digest
from anonymisation.workspace.folder_state import FAILED, FileStamp, journal_lines, state_folder
from anonymisation.workspace.locks import DETECTIONS, PICTURES

LOW_SCORE: Final = 0.5
LARGE_SHARE: Final = 0.25  # of the picture


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """One detected object; `box` is ymin, xmin, ymax, xmax as shares of the picture as its file stores it.

    `beyond` is the box of its other part, if the seam of a panorama cuts it.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    beyond: tuple[float, float, float, float] | None = None

    @property
    def boxes(self) -> list[tuple[float, float, float, float]]:
        """The boxes of all its parts, one or two."""
        return [self.box] if self.beyond is None else [self.box, self.beyond]


@dataclass(frozen=True, slots=True)
class Row:
    """One picture.

    `key` replaces its name in addresses. `doubt` is higher the less certain its masks are. `lowest` is the lowest score
    of its objects (1 without objects), `covered` the share of the picture in their boxes. `digest` is the digest of the
    settings, `software` the version tag of its record. Only failed pictures have a `source`, since they have no
    checksum.
    """

    name: str
    key: str
    failed: bool
    reason: str
    width: int
    height: int
    model: str
    digest: str
    software: str
    source: FileStamp | None
    sha256: str
    released: bool
    labels: frozenset[str]
    lowest: float
    doubt: float
    covered: float
    found: bytes

    @property
    def version(self) -> str:
        """The identity of the masked picture that a reviewer sees: the original's bytes, status, model and settings."""
        original = self.sha256 or (f"{self.source.size} {self.source.mtime_ns}" if self.source else "")
        return _version(original, self.model, self.digest, failed=self.failed)

    @property
    def objects(self) -> tuple[Seen, ...]:
        """The detected objects, the least certain first."""
        return tuple(sorted(msgspec.json.decode(self.found, type=list[Seen]), key=attrgetter("score")))

    def why(self) -> list[str]:
        """The reasons to review the picture, in words."""
        if self.failed:
            return [f"failed: {self.reason}"]
        low = [seen.score for seen in self.objects if seen.score < LOW_SCORE]
        reasons = []
        if low:
            several = "1 object" if len(low) == 1 else f"{len(low)} objects"
            reasons.append(f"{several} with a low score, the lowest {min(low):.2f}")
        if self.covered >= LARGE_SHARE:
            reasons.append(f"masks over about {self.covered:.0%} of the picture")
        return reasons or [f"lowest score {self.lowest:.2f}" if self.labels else "nothing was found"]


class _Stamp(msgspec.Struct):
    size: int
    mtime_ns: int


class _Picture(msgspec.Struct):
    """The needed keys of a line of the pictures' journal."""

    name: str
    status: str
    source: _Stamp
    sha256: str
    model: str
    digest: str = ""
    version: str = ""
    width: int = 0
    height: int = 0
    reason: str | None = None
    released: bool = False


class _Detections(msgspec.Struct):
    """The needed keys of a line of the detections' journal."""

    name: str
    detections: list[Seen]


@dataclass(frozen=True, slots=True)
class _Found:
    labels: frozenset[str]
    lowest: float
    doubt: float
    covered: float
    found: bytes


_NOTHING_FOUND: Final = _Found(frozenset(), 1.0, 0.0, 0.0, b"[]")


def read_rows(place: Path) -> Iterator[Row]:
    """Every picture that the state in `place` knows, running shards included. Takes no lock."""
    labels: dict[frozenset[str], frozenset[str]] = {}
    found: dict[str, _Found] = {}
    for line in journal_lines(place, lambda own: read_as(own / DETECTIONS, _Detections, warn=False)):
        summed = _summed(line.detections, labels)
        found[line.name] = summed
    lines = journal_lines(place, lambda own: read_as(own / PICTURES, _Picture, warn=False))
    for name, picture in {picture.name: picture for picture in lines}.items():
        yield _row(picture, found.get(name, _NOTHING_FOUND))


def read_versions(place: Path) -> dict[str, str]:
    """The `version` of every masked picture that the state in `place` knows, by name. Takes no lock."""
    lines = journal_lines(place, lambda own: read_as(own / PICTURES, _Picture, warn=False))
    return {
        name: _version(picture.sha256, picture.model, picture.digest, failed=False)
        for name, picture in {picture.name: picture for picture in lines}.items()
        if picture.status != FAILED
    }


def _version(original: str, model: str, digest: str, *, failed: bool) -> str:
    return name_digest(f"{original} {failed} {model} {digest}")


class KnownRows:
    """What the state knows of single pictures; each folder is read once, when its first picture is asked for."""

    def __init__(self, state_root: Path) -> None:
        self._state_root = state_root
        self._known: dict[str, dict[str, Row]] = {}

    def of(self, folder: str, name: str) -> Row | None:
        """The row of a picture; None where there is none."""
        if folder not in self._known:
            self._known[folder] = {row.name: row for row in read_rows(state_folder(self._state_root, folder))}
        return self._known[folder].get(name)


def _summed(objects: list[Seen], labels: dict[frozenset[str], frozenset[str]]) -> _Found:
    """The values that pages sort and filter by. `labels` shares equal sets, to save memory."""
    own = frozenset(seen.label for seen in objects)
    boxes = [box for seen in objects for box in seen.boxes]
    covered = min(1.0, sum((bottom - top) * (right - left) for top, left, bottom, right in boxes))
    # Where scores are probabilities, the sum is the expected number of wrong objects. Large masks add to the doubt.
    doubt = sum(1 - seen.score for seen in objects) + (covered if covered >= LARGE_SHARE else 0.0)
    lowest = min((seen.score for seen in objects), default=1.0)
    return _Found(labels.setdefault(own, own), lowest, doubt, covered, msgspec.json.encode(objects))


def _row(picture: _Picture, found: _Found) -> Row:
    failed = picture.status == FAILED
    if failed:
        found = _NOTHING_FOUND
    return Row(
        name=picture.name,
        key=name_digest(picture.name),
        failed=failed,
        reason=picture.reason or "",
        width=picture.width,
        height=picture.height,
        model=sys.intern(picture.model),
        digest=sys.intern(picture.digest),
        software=sys.intern(picture.version),
        source=FileStamp(picture.source.size, picture.source.mtime_ns) if failed else None,
        sha256=picture.sha256,
        released=picture.released,
        labels=found.labels,
        lowest=found.lowest,
        doubt=found.doubt,
        covered=found.covered,
        found=found.found,
    )
