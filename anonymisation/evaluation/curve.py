"""What each threshold would hide: recall over the clean pixels hidden, from one pass of the model.

A pixel is hidden at a threshold if any detection with at least this score marks it. So the highest score that marks a
pixel says at which thresholds it is hidden, and one count of these scores gives every point of the curve.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.evaluation.classes import ALL_SIZES, GROUPS, group_of
from anonymisation.evaluation.tally import Figures, Tally
from anonymisation.evaluation.truth import Mask, Truth
from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import patches

LOWEST: Final = 0.02
"""The lowest threshold of the curve; what a model is less sure of is hardly ever right, and takes long to draw."""
_USUAL: Final = (
    LOWEST, 0.03, 0.05, 0.07, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9,
)  # fmt: skip
_SAME: Final = 1e-6  # thresholds this close are one: the models' scores have 24 binary digits

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Point:
    """The figures at one threshold for all classes and sizes."""

    threshold: float
    person: Tally
    vehicle: Tally
    clean: Tally


@dataclass(frozen=True, slots=True)
class Curve:
    """The points by rising threshold, and the point in force.

    `in_force` has the figures with the settings, which may differ by class and size; its threshold is
    `score_threshold`. `lowest_score` is the lowest score that the model gave, None if it gave none. Points far below it
    are left out: what the model left out itself, no threshold brings back.
    """

    points: tuple[Point, ...]
    in_force: Point
    lowest_score: float | None

    @property
    def cut(self) -> bool:
        """Whether the model itself leaves out detections that the lowest threshold of the curve would take."""
        return self.lowest_score is not None and self.lowest_score > LOWEST + _SAME


def thresholds_around(in_force: float) -> tuple[float, ...]:
    """The thresholds of a curve, rising, with that in force (0 to 1) among them."""
    return tuple(sorted({*(value for value in _USUAL if abs(value - in_force) > _SAME), in_force}))


@dataclass(slots=True)
class CurveTally:
    """Counts the pixels of pictures by the highest score that marks them. `thresholds`: rising, 0 to 1."""

    thresholds: tuple[float, ...]
    lowest_score: float | None = None
    _tallies: dict[str, list[Tally]] = field(default_factory=dict)

    def add(self, truth: Truth, doubtful: Detections, labelled_ids: Iterable[int], dilation: int) -> None:
        """Add a picture with all its detections. `labelled_ids`: the COCO ids of the classes that are annotated."""
        if len(doubtful):
            lowest = float(doubtful.scores.min())
            self.lowest_score = lowest if self.lowest_score is None else min(lowest, self.lowest_score)
        scores = best_scores(doubtful, truth.height, truth.width, dilation)
        known = np.isin(doubtful.classes, [*labelled_ids])
        labelled = scores if known.all() else best_scores(doubtful.rows(known), truth.height, truth.width, dilation)
        sought = truth.nothing()
        for group in GROUPS:
            claimed = truth.nothing()
            for region in truth.regions:
                if group in (region.label, group_of(region.label)):
                    claimed |= region.pixels.mask()
            self._count(group, self._hidden(scores, claimed), int(np.count_nonzero(claimed)))
            sought |= claimed
        clean = ~(sought | truth.unknown())
        everything, total = self._hidden(scores, clean), int(np.count_nonzero(clean))
        by_labelled = self._hidden(labelled, clean)
        # What only classes without annotations hide may be right or wrong; see `tally.count`.
        totals = [total - anything + labels for anything, labels in zip(everything, by_labelled, strict=True)]
        self._count("clean", by_labelled, totals)

    def result(self, in_force: float, figures: Figures) -> Curve:
        """The curve. `in_force` is `score_threshold`, and `figures` are those of the settings in force."""
        empty = [Tally() for _ in self.thresholds]
        person, vehicle, clean = (self._tallies.get(name, empty) for name in (*GROUPS, "clean"))
        points = [Point(*values) for values in zip(self.thresholds, person, vehicle, clean, strict=True)]
        people, vehicles = (figures.pixels.get((group, ALL_SIZES), Tally()) for group in GROUPS)
        return Curve(
            tuple(self._known(points, in_force)), Point(in_force, people, vehicles, figures.clean), self.lowest_score
        )

    def _known(self, points: Sequence[Point], in_force: float) -> Sequence[Point]:
        """The point in force, and the points from the last one on that has everything the model gave."""
        if self.lowest_score is None:
            return points
        whole = [place for place, point in enumerate(points) if point.threshold <= self.lowest_score + _SAME]
        first = whole[-1] if whole else 0
        return [point for place, point in enumerate(points) if place >= first or point.threshold == in_force]

    def _hidden(self, scores: Scores, pixels: Mask) -> list[int]:
        """Per threshold, the number of `pixels` with at least this score."""
        levels = np.array(self.thresholds, np.float32)
        reached = np.searchsorted(levels, scores[pixels], side="right")
        return [int(count) for count in np.bincount(reached, minlength=len(levels) + 1)[::-1].cumsum()[::-1][1:]]

    def _count(self, name: str, hidden: Sequence[int], total: int | Sequence[int]) -> None:
        own = self._tallies.setdefault(name, [Tally() for _ in self.thresholds])
        totals = [total] * len(hidden) if isinstance(total, int) else total
        for tally, whole, part in zip(own, totals, hidden, strict=True):
            tally += Tally(whole, part)


def best_scores(found: Detections, height: int, width: int, dilation: int) -> Scores:
    """(height, width) float32: the highest score of the instances that mark a pixel after dilation; -1 for none."""
    best = np.full((height, width), -1, np.float32, order="F")
    for row in np.argsort(found.scores, kind="stable"):
        for patch in patches(found.boxes[row], found.masks[row], height, width, dilation):
            best[patch.window][patch.marked] = found.scores[row]
    return best
