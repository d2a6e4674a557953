"""Regions that do not depend on what a picture shows: polygons that are always hidden, and polygons never searched.

A reflection in the windscreen, or a mirror with a passenger in it, stands at the same place of every picture of a
camera. So does the camera car's own bonnet, which a model takes for a car. Coordinates are shares (0 to 1) of the
width (x) and height (y) of the upright picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import KEPT_IDS

Point = tuple[float, float]
"""x, y."""
MOST_POINTS: Final = 100  # of one polygon
_STRIPS: Final = 64  # boxes that cover a polygon, at most so many rows of them
_INSIDE: Final = 0.9  # a detection is of an unsearched region if at least this share of its pixels lies inside


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed polygon of 3 to MOST_POINTS corners; it may be concave.

    Where it crosses itself, as a star drawn in one go does, `boxes` covers all that it goes round, and `holds` leaves
    out what it goes round twice: in doubt more is hidden, and more is searched.

    Raises:
        ValueError: too few or too many corners, a corner outside the picture, or no area.
    """

    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        if not 3 <= len(self.points) <= MOST_POINTS:
            raise ValueError(f"expected a polygon of 3 to {MOST_POINTS} corners, got {len(self.points)}")
        if not all(len(point) == 2 and all(0 <= value <= 1 for value in point) for point in self.points):
            raise ValueError(f"expected corners (x, y) from 0 to 1, got {self.points}")
        if self.area < 1e-6:
            raise ValueError(f"expected a polygon with an area, got {self.points}")

    @property
    def area(self) -> float:
        """As a share of the picture, by the shoelace formula."""
        x, y = np.array(self.points).T
        return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)

    def boxes(self) -> list[tuple[float, float, float, float]]:
        """Boxes (top, left, bottom, right) that cover the polygon, and little more."""
        top, bottom = min(y for _, y in self.points), max(y for _, y in self.points)
        edges = np.unique([*np.linspace(top, bottom, _STRIPS + 1), *(y for _, y in self.points)])
        return [
            (low, left, high, right) for low, high in pairwise(edges.tolist()) for left, right in self._spans(low, high)
        ]

    def _spans(self, low: float, high: float) -> list[tuple[float, float]]:
        """The parts of the rows from `low` to `high` that the polygon goes round. No corner lies between the two."""
        middle = (low + high) / 2
        crossings = []
        for (x, y), (next_x, next_y) in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            if min(y, next_y) <= middle < max(y, next_y):
                at = [x + (next_x - x) * (row - y) / (next_y - y) for row in (low, middle, high)]
                crossings.append((at[1], min(at), max(at), 1 if next_y > y else -1))
        spans, open_edges, winding = list[tuple[float, float]](), list[tuple[float, float]](), 0
        for _, left, right, turn in sorted(crossings):
            open_edges.append((left, right))
            winding += turn
            if not winding:  # edges that cross each other within these rows are all covered
                spans.append((max(0.0, min(left for left, _ in open_edges)), min(1.0, max(r for _, r in open_edges))))
                open_edges = []
        return spans

    def holds(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether points lie inside, by the even-odd rule; x and y of any one shape."""
        inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.bool_)
        for (ax, ay), (bx, by) in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            crosses = (min(ay, by) <= y) & (y < max(ay, by))
            # Multiplied out, since the quotient overflows where a and b are almost on one row.
            beside, along = (x - ax) * (by - ay), (bx - ax) * (y - ay)
            inside ^= crosses & (beside < along if by > ay else beside > along)
        return inside


@dataclass(frozen=True, slots=True)
class FixedRegions:
    """The polygons of one camera: those always hidden, and those never searched."""

    hidden: tuple[Polygon, ...] = ()
    unsearched: tuple[Polygon, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hidden or self.unsearched)

    def searched(self, found: Detections, height: int, width: int) -> Detections:
        """The detections without the objects of an unsearched region.

        An object goes only if of each of its instances at least 0.9 of the pixels lie in one of these regions: who
        stands before the bonnet, and is seen partly above it, stays hidden.

        Args:
            found: detections in the upright picture.
            height: of the upright picture, in pixels.
            width: of the upright picture, in pixels.
        """
        if not self.unsearched or not len(found):
            return found
        stays = [row for row in range(len(found)) if not self._is_unsearched(found, row, height, width)]
        keep = np.isin(found.objects, found.objects[stays])
        return found if keep.all() else found.rows(keep)

    def with_hidden(self, found: Detections) -> Detections:
        """The detections and the polygons that are always hidden, as wholly hidden boxes. For hiding, not for counting.

        A polygon counts as a person, whose fill is on top of all others.
        """
        boxes = [box for polygon in self.hidden for box in polygon.boxes()]
        if not boxes:
            return found
        size = found.masks.shape[1:] if len(found) else (1, 1)
        whole = np.ones((len(boxes), *size), np.float32)
        added = Detections.of(np.clip(boxes, 0, 1), np.ones(len(boxes)), [KEPT_IDS[0]] * len(boxes), whole)
        return Detections.concatenate([found, added])

    def _is_unsearched(self, found: Detections, row: int, height: int, width: int) -> bool:
        from anonymisation.masking.geometry import patches  # imports OpenCV, which reading the regions does not need

        inside, pixels = 0, 0
        for patch in patches(found.boxes[row], found.masks[row], height, width):
            rows, columns = np.nonzero(patch.marked)
            x, y = (patch.left + columns + 0.5) / width, (patch.top + rows + 0.5) / height
            covered = np.zeros(len(rows), np.bool_)
            for polygon in self.unsearched:
                covered |= polygon.holds(x, y)
            inside, pixels = inside + int(np.count_nonzero(covered)), pixels + len(rows)
        return pixels > 0 and inside >= _INSIDE * pixels


def polygons(values: Iterable[Sequence[Sequence[float]]]) -> tuple[Polygon, ...]:
    """Polygons from lists of [x, y].

    Raises:
        ValueError: as `Polygon`.
    """
    return tuple(Polygon(tuple((float(x), float(y)) for x, y in points)) for points in values)
