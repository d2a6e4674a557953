"""The truth about a picture: regions that must be hidden, clean pixels, and unknown regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle_codec

from anonymisation.evaluation.classes import LABELS, ROWS

Mask = NDArray[np.bool_]
Kind = Literal["coco", "rasters", "empty"]
KIND_TEXTS: Final[dict[Kind, str]] = {
    "coco": "{} (COCO instances)",
    "rasters": "{} (class rasters)",
    "empty": "none; the pictures are assumed to show nothing to hide",
}


@dataclass(frozen=True, slots=True, eq=False)
class Rle:
    """A mask as run lengths in COCO's coding: some hundred bytes instead of megabytes."""

    height: int
    width: int
    counts: bytes

    @classmethod
    def of(cls, mask: Mask) -> Rle:
        """Encode a mask (H, W) bool."""
        coded: dict[str, Any] = rle_codec.encode(np.asfortranarray(mask).view(np.uint8))
        return cls(mask.shape[0], mask.shape[1], coded["counts"])

    def mask(self) -> Mask:
        """(H, W) bool."""
        return np.asarray(rle_codec.decode(self.as_coco()).view(np.bool_))

    def area(self) -> int:
        """Number of pixels."""
        return int(rle_codec.area(self.as_coco()))

    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the mask's bounding box."""
        left, top, width, height = (int(value) for value in rle_codec.toBbox(self.as_coco()))
        return slice(top, top + height), slice(left, left + width)

    def as_coco(self) -> dict[str, Any]:
        """The mask in the form of pycocotools."""
        return {"size": [self.height, self.width], "counts": self.counts}


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A region that must be hidden. `area`: annotated pixels; None for all pixels of a class together."""

    label: str
    pixels: Rle
    area: float | None = None

    def __post_init__(self) -> None:
        if self.label not in ROWS:
            raise ValueError(f"label: expected one of {ROWS}, got {self.label!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The annotations of one picture of `height` × `width` pixels.

    `ignored` are regions without known truth (crowds, unlabelled classes), with their label if it is one of ours.
    Pixels of a region are known, also inside an ignored region.
    """

    height: int
    width: int
    regions: tuple[Region, ...] = ()
    ignored: tuple[tuple[str | None, Rle], ...] = ()

    def __post_init__(self) -> None:
        for rle in (*(region.pixels for region in self.regions), *(rle for _, rle in self.ignored)):
            if (rle.height, rle.width) != (self.height, self.width):
                raise ValueError(f"expected regions of {self.height} × {self.width}, got {rle.height} × {rle.width}")

    def nothing(self) -> Mask:
        """(H, W) False, in column order like decoded run lengths: mixing the orders is slow."""
        return np.zeros((self.height, self.width), np.bool_, order="F")

    def must_hide(self) -> Mask:
        """(H, W) bool: the pixels of all regions."""
        return _union(self.nothing(), [region.pixels for region in self.regions])

    def unknown(self) -> Mask:
        """(H, W) bool: the pixels of all ignored regions."""
        return _union(self.nothing(), [rle for _, rle in self.ignored])


@dataclass(frozen=True, slots=True)
class AnnotatedPicture:
    """A picture with annotations.

    `size` returns the (height, width) of its annotations, None stands for that of the file. `truth` returns the truth
    for a picture of this size. Both raise ImageError if the annotations of this picture cannot be used.
    """

    name: str
    path: Path
    truth: Callable[[int, int], Truth]
    size: Callable[[], tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that could not be measured, and the reason."""

    picture: str
    reason: str

    def __str__(self) -> str:
        return f"{self.picture}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Source:
    """Annotated pictures of one kind. `labels`: the classes that are annotated on every picture.

    `failures` are pictures without annotations or annotations without pictures; `notes` are remarks for the report.
    """

    kind: Kind
    images: Path
    annotations: Path | None
    labels: frozenset[str]
    pictures: tuple[AnnotatedPicture, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def unlabelled(self) -> tuple[str, ...]:
        """The classes that are not annotated."""
        return tuple(label for label in LABELS if label not in self.labels)

    def thinned(self, limit: int) -> Source:
        """A source of at most `limit` of the pictures, evenly spread over their names."""
        count = min(limit, len(self.pictures))
        chosen = tuple(self.pictures[index * len(self.pictures) // count] for index in range(count))
        note = f"{count} of {len(self.pictures)} pictures, evenly chosen."
        return replace(self, pictures=chosen, notes=(*self.notes, note) if count < len(self.pictures) else self.notes)


def _union(mask: Mask, parts: list[Rle]) -> Mask:
    for part in parts:
        mask |= part.mask()
    return mask
