"""Reports of the steps of the chain: frozen values that can be merged, and converted to plain JSON."""

from __future__ import annotations

import dataclasses
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from anonymisation.database.loading.limits import Collision

MAX_EXAMPLES: Final = 6  # pictures that a report shows


MAX_LISTED: Final = 50  # failures that a report lists by name; its counts are exact


# With so many road pictures and no detection at all, an error of the model is more likely than empty roads.
SUSPICIOUS_FROM: Final = 300


class Status(StrEnum):
    """The outcome of one picture in the mask step."""

    MASKED = "masked"
    ALREADY_DONE = "already done"
    FAILED = "failed"
    KNOWN_FAILED = "known failed"


@dataclass(frozen=True, slots=True)
class ImageOutcome:
    """The outcome of one picture; `picture` is its path below the input folder, `reason` is set if it failed.

    `encoded_anew`: blocks without mask should have been kept (jpeg_quality: keep), and could not be.
    """

    picture: str
    status: Status
    reason: str | None = None
    objects: Mapping[str, int] = field(default_factory=dict)
    encoded_anew: bool = False

    def __post_init__(self) -> None:
        if (self.reason is not None) != (self.status in {Status.FAILED, Status.KNOWN_FAILED}):
            raise ValueError(f"expected a reason for a failed picture only, got {self.status} and {self.reason!r}")


@dataclass(frozen=True, slots=True)
class Failure:
    """One picture that failed in a step; an earlier run has already reported a `known` failure."""

    picture: str
    reason: str
    known: bool = False


@dataclass(frozen=True, slots=True)
class ExamplePicture:
    """A masked picture, and the number of objects detected on it."""

    picture: str
    objects: int


@dataclass(frozen=True, slots=True)
class _Report:
    """Shared by all step reports: conversion to and from plain JSON values (for XCom and files)."""

    folder: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, which JSON does not change: lists instead of tuples."""
        return plain_fields(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The report that `to_dict` was called on; keys that this version does not know are ignored."""
        content = _known(cls, values)
        for name in _ITEMS:
            if name in content:
                content[name] = tuple(_ITEMS[name](**_known(_ITEMS[name], item)) for item in content[name])
        return cls(**content)

    @classmethod
    def merged(cls, reports: Sequence[Self]) -> Self:
        """One report of a folder's work units: counts are added, lists joined (and cut), flags combined by `or`."""
        names = [item.name for item in dataclasses.fields(cls) if item.name != "folder"]
        content = {name: _merged([getattr(item, name) for item in reports]) for name in names}
        if "examples" in content:
            content["examples"] = _most(example for item in reports for example in getattr(item, "examples"))  # noqa: B009
        return cls(reports[0].folder, **content)


def plain_fields(report: Any) -> dict[str, Any]:
    return {name: _plain(value) for name, value in dataclasses.asdict(report).items()}


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {item.name: values[item.name] for item in dataclasses.fields(kind) if item.name in values}


def _plain(value: Any) -> Any:
    """Tuples become lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _most(examples: Iterable[ExamplePicture]) -> tuple[ExamplePicture, ...]:
    return tuple(heapq.nlargest(MAX_EXAMPLES, examples, key=lambda example: example.objects))


def _merged(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, bool):
        return any(values)
    if isinstance(first, tuple):
        return tuple(item for value in values for item in value)[:MAX_LISTED]
    if isinstance(first, Mapping):
        labels = sorted({label for value in values for label in value})
        return {label: sum(value.get(label, 0) for value in values) for label in labels}
    return sum(values)


@dataclass(frozen=True, slots=True)
class MaskReport(_Report):
    """Counts of pictures: found = masked + already_done + failed + known_failed + left. `seconds` of wall time.

    `left` are the pictures that the step did not reach, since an error ended it. In a report of several work units,
    `seconds` is their sum. `examples` are the pictures masked now with most detections. `encoded_anew` counts the
    pictures masked now of which no block could be kept.
    """

    found: int
    masked: int
    already_done: int
    failed: int
    known_failed: int
    failures: tuple[Failure, ...] = ()
    objects: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    examples: tuple[ExamplePicture, ...] = ()
    encoded_anew: int = 0
    left: int = 0

    def __post_init__(self) -> None:
        accounted = self.masked + self.already_done + self.failed + self.known_failed + self.left
        if accounted != self.found:
            raise ValueError(f"{self.folder}: expected {self.found} pictures accounted for, got {accounted}")

    @classmethod
    def of(cls, folder: str, outcomes: Iterable[ImageOutcome], seconds: float) -> MaskReport:
        """Count the outcomes of a folder's pictures."""
        tally = MaskTally(folder)
        for outcome in outcomes:
            tally.add(outcome)
        return tally.report(seconds)


class MaskTally:
    """Counts the outcomes of a folder's pictures one by one, so that the counts are known whenever the step ends."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._counts = dict.fromkeys(Status, 0)
        self._objects: Counter[str] = Counter()
        self._failures: list[Failure] = []
        self._examples: tuple[ExamplePicture, ...] = ()
        self._encoded_again = 0

    def add(self, outcome: ImageOutcome) -> None:
        """Count one more picture."""
        self._counts[outcome.status] += 1
        self._encoded_again += outcome.encoded_anew
        self._objects.update(outcome.objects)
        if outcome.reason is not None and len(self._failures) < MAX_LISTED:
            self._failures.append(Failure(outcome.picture, outcome.reason, outcome.status is Status.KNOWN_FAILED))
        if outcome.status is Status.MASKED and outcome.objects:
            self._examples = _most((*self._examples, ExamplePicture(outcome.picture, sum(outcome.objects.values()))))

    def report(self, seconds: float, found: int = 0) -> MaskReport:
        """The report so far; of `found` pictures, those that are not counted are left."""
        counted = sum(self._counts.values())
        return MaskReport(
            folder=self._folder,
            found=max(found, counted),
            masked=self._counts[Status.MASKED],
            already_done=self._counts[Status.ALREADY_DONE],
            failed=self._counts[Status.FAILED],
            known_failed=self._counts[Status.KNOWN_FAILED],
            failures=tuple(self._failures),
            objects=dict(sorted(self._objects.items())),
            seconds=seconds,
            examples=self._examples,
            encoded_anew=self._encoded_again,
            left=max(0, found - counted),
        )


@dataclass(frozen=True, slots=True)
class ArchiveReport(_Report):
    """Originals copied and verified now, archived earlier, and failed; `size` in copied bytes."""

    archived: int = 0
    already_archived: int = 0
    failed: int = 0
    size: int = 0
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadSummary(_Report):
    """Rows inserted, updated, loaded earlier, refused by the database, and waiting in the spool.

    `collided` counts the pairs of pictures with one ID that the load met; `collisions` lists the first of them.
    """

    inserted: int = 0
    updated: int = 0
    already_loaded: int = 0
    failed: int = 0
    waiting: int = 0
    failures: tuple[Failure, ...] = ()
    collisions: tuple[Collision, ...] = ()
    collided: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """A file or row that is missing or does not agree: its picture, its place, and the problem."""

    picture: str
    place: str
    problem: str


@dataclass(frozen=True, slots=True)
class CheckReport(_Report):
    """Files and rows expected, and gaps (`missing` counts all, `gaps` lists the first).

    `known_failed` counts the pictures in the input that failed before, of which nothing is expected; `failures` lists
    the first of them. `collided` counts the pictures whose ID has the row of another picture; `collisions` lists the
    first of them.
    """

    expected: int = 0
    missing: int = 0
    gaps: tuple[Gap, ...] = ()
    known_failed: int = 0
    failures: tuple[Failure, ...] = ()
    collided: int = 0
    collisions: tuple[Collision, ...] = ()


@dataclass(frozen=True, slots=True)
class ReleaseReport(_Report):
    """Originals removed from the input, originals kept (`failed` of them not verified), and `folder_removed`."""

    released: int = 0
    kept: int = 0
    failed: int = 0
    folder_removed: bool = False
    failures: tuple[Failure, ...] = ()


_ITEMS: Final[Mapping[str, type]] = {
    "failures": Failure,
    "gaps": Gap,
    "collisions": Collision,
    "examples": ExamplePicture,
}
