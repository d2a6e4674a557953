"""Counts of pixels and instances, and of the hidden ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from anonymisation.core.score_thresholds import size_of
from anonymisation.evaluation.classes import ALL_SIZES, GROUPS, group_of
from anonymisation.evaluation.truth import Mask, Region, Truth

INSTANCE_SHARE: Final = 0.75  # an instance counts as hidden if at least this share of its pixels is hidden
Row = tuple[str, str]  # label or group; size or "all"


@dataclass(slots=True)
class Tally:
    """A number, and the number of the hidden ones."""

    total: int = 0
    hidden: int = 0

    def __iadd__(self, other: Tally) -> Tally:
        self.total += other.total
        self.hidden += other.hidden
        return self

    @property
    def share(self) -> float | None:
        """The hidden share, 0 to 1; None if the total is zero."""
        return self.hidden / self.total if self.total else None

    @property
    def missed(self) -> int:
        """The number of those that are not hidden."""
        return self.total - self.hidden

    @classmethod
    def of(cls, which: Mask, hidden: Mask) -> Tally:
        """Count the pixels of `which`, and the hidden ones among them; both (H, W) bool."""
        return cls(int(np.count_nonzero(which)), int(np.count_nonzero(which & hidden)))


@dataclass(slots=True)
class Figures:
    """The figures of one picture or many.

    Attributes:
        pixels: per row; a pixel in several instances of a row counts once.
        instances: per row; empty if the annotations have none.
        sought: pixels of everything that must be hidden.
        clean: pixels that must stay visible.
    """

    pixels: dict[Row, Tally] = field(default_factory=dict)
    instances: dict[Row, Tally] = field(default_factory=dict)
    sought: Tally = field(default_factory=Tally)
    clean: Tally = field(default_factory=Tally)

    def add(self, other: Figures) -> None:
        """Add the counts of `other`."""
        for own, others in ((self.pixels, other.pixels), (self.instances, other.instances)):
            for row, tally in others.items():
                own[row] = own.get(row, Tally())
                own[row] += tally
        self.sought += other.sought
        self.clean += other.clean

    def recall(self, label: str, size: str = ALL_SIZES) -> float | None:
        """Share of the pixels of a label or group that is hidden, 0 to 1; None if there are none."""
        return self.pixels.get((label, size), Tally()).share

    def hidden_instances(self, label: str, size: str = ALL_SIZES) -> float | None:
        """Share of the instances of a label or group that are at least 75 % hidden; None if there are none."""
        return self.instances.get((label, size), Tally()).share


def count(truth: Truth, hidden: Mask, hidden_as_labelled: Mask) -> Figures:
    """The figures of one picture.

    `hidden` (H, W) has all hidden pixels, `hidden_as_labelled` those hidden as one of the annotated classes. The other
    hidden pixels may be right or wrong: outside the regions they do not count. An outline without a pixel is not an
    instance.
    """
    figures = Figures()
    claimed: dict[Row, Mask] = {}
    for region in truth.regions:
        window = region.pixels.window()  # most regions are small, and pictures are large
        pixels = region.pixels.mask()[window]
        for row in _rows(region):
            if row not in claimed:
                claimed[row] = truth.nothing()
            claimed[row][window] |= pixels
        if region.area is not None and pixels.any():
            _count_instance(figures, region, Tally.of(pixels, hidden[window]))
    figures.pixels = {row: Tally.of(pixels, hidden) for row, pixels in claimed.items()}
    sought = truth.nothing()
    for label in GROUPS:
        sought |= claimed.get((label, ALL_SIZES), False)
    figures.sought = Tally.of(sought, hidden)
    figures.clean = Tally.of(clean_pixels(truth, sought, hidden, hidden_as_labelled), hidden)
    return figures


def clean_pixels(truth: Truth, sought: Mask, hidden: Mask, hidden_as_labelled: Mask) -> Mask:
    """(H, W) bool: pixels known to be clean. `sought` are pixels that must be hidden; the rest is as in `count`."""
    return np.asarray(~(sought | truth.unknown() | (hidden & ~hidden_as_labelled)), np.bool_)


def _rows(region: Region) -> Iterator[Row]:
    for label in dict.fromkeys((region.label, group_of(region.label))):
        yield label, ALL_SIZES
        if region.area is not None:
            yield label, size_of(region.area)


def _count_instance(figures: Figures, region: Region, covered: Tally) -> None:
    tally = Tally(1, int(covered.hidden >= INSTANCE_SHARE * covered.total))
    for row in _rows(region):
        figures.instances[row] = figures.instances.get(row, Tally())
        figures.instances[row] += tally
