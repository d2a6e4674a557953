"""What each threshold would hide: recall over the clean pixels hidden, from one pass of the model.

The detector says what it would return at each threshold, so every point has the figures of a run at its threshold. The
highest score that marks a pixel does not say so: the second look draws a mask by what other detections there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from anonymisation.evaluation.classes import ALL_SIZES, GROUPS, group_of
from anonymisation.evaluation.tally import Figures, Tally, clean_pixels
from anonymisation.evaluation.truth import Mask, Truth
from anonymisation.masking.detections import Detections

LOWEST: Final = 0.02
"""The lowest threshold of the curve; what a model is less sure of is hardly ever right, and takes long to draw."""
_USUAL: Final = (
    LOWEST, 0.03, 0.05, 0.07, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9,
)  # fmt: skip
_SAME: Final = 1e-6  # thresholds this close are one: the models' scores have 24 binary digits

Hides = Callable[[Detections], tuple[Mask, Mask]]
"""From detections to all pixels that they hide, and those that they hide as annotated classes; both (H, W) bool."""


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
    """Counts the hidden pixels of pictures at several thresholds. `thresholds`: rising, 0 to 1."""

    thresholds: tuple[float, ...]
    lowest_score: float | None = None
    _tallies: dict[str, list[Tally]] = field(default_factory=dict)

    def add(self, truth: Truth, found_at: Sequence[Detections], hides: Hides) -> None:
        """Add a picture: its detections at each of the thresholds, and what detections hide."""
        if len(found_at) != len(self.thresholds):
            raise ValueError(f"found_at: expected detections at {len(self.thresholds)} thresholds, got {len(found_at)}")
        if len(found_at[0]):
            lowest = float(found_at[0].scores.min())
            self.lowest_score = lowest if self.lowest_score is None else min(lowest, self.lowest_score)
        wanted = {group: _claimed(truth, group) for group in GROUPS}
        sought = truth.nothing()
        for claimed in wanted.values():
            sought |= claimed
        for place, (hidden, as_labelled) in enumerate(_hidden_at(found_at, hides)):
            own = {**wanted, "clean": clean_pixels(truth, sought, hidden, as_labelled)}
            for name, pixels in own.items():
                self._tallies_of(name)[place] += Tally.of(pixels, hidden)

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

    def _tallies_of(self, name: str) -> list[Tally]:
        return self._tallies.setdefault(name, [Tally() for _ in self.thresholds])


def _claimed(truth: Truth, group: str) -> Mask:
    """(H, W) bool: the pixels of a group that must be hidden."""
    claimed = truth.nothing()
    for region in truth.regions:
        if group in (region.label, group_of(region.label)):
            claimed |= region.pixels.mask()
    return claimed


def _hidden_at(found_at: Sequence[Detections], hides: Hides) -> Iterator[tuple[Mask, Mask]]:
    """What is hidden at each threshold; it is computed again only where the detections differ."""
    hidden = None
    for place, found in enumerate(found_at):
        if hidden is None or found is not found_at[place - 1]:
            hidden = hides(found)
        yield hidden
