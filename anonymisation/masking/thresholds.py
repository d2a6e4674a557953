"""The least score of a detection, by class and by the size of the whole object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.score_thresholds import SIZES, size_of, threshold_of
from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import CLASSES, label_of

Given = Mapping[str, float | Mapping[str, float]]
"""The setting `score_thresholds`: class or group → least score, or → {size: least score}."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The settings `score_threshold`, `score_thresholds` and `hidden_classes`; numbers 0 to 1.

    Attributes:
        default: the least score of everything that `given` does not name.
        given: as in the settings, checked there.
        hidden: the labels of the classes that are hidden; None: all. No score is enough for the others.
    """

    default: float
    given: Given = field(default_factory=dict)
    hidden: frozenset[str] | None = None

    def least(self, label: str, size: str) -> float:
        """The least score of an object of a class (a label) and size (small, medium or large)."""
        if self.hidden is not None and label not in self.hidden:
            return math.inf
        return threshold_of(label, size, self.default, self.given)

    def floors(self) -> dict[int, float]:
        """Per COCO id of the kept classes, the least score of any size: what is below it is never used."""
        return {kind.coco_id: min(self.least(kind.label, size) for size in SIZES) for kind in CLASSES}

    @property
    def by_size(self) -> bool:
        """Whether the least score of any class depends on the size."""
        return any(len({self.least(kind.label, size) for size in SIZES}) > 1 for kind in CLASSES)

    def applied(self, found: Detections, height: int, width: int) -> Detections:
        """The instances of the objects that are sure enough for their class and size.

        An object counts as a whole: its best score and that instance's class, and the pixels that its instances mark
        together, without dilation, in a picture of `height` × `width`. So it is hidden whole or not at all. Instances
        below the floor of their class are left out first.
        """
        found = self.above_floors(found)
        if not self.by_size:
            return found
        best = found.best_instances()
        kept = [number for number, row in best.items() if self._is_sure(found, number, row, height, width)]
        return found if len(kept) == len(best) else found.rows(np.isin(found.objects, kept))

    def above_floors(self, found: Detections) -> Detections:
        """The instances that reach the floor of their class; whether they reach that of their size, `applied` says."""
        sure = above_floors(found.scores, found.classes, self.floors(), self.default)
        return found if sure.all() else found.rows(sure)

    def _is_sure(self, found: Detections, number: int, row: int, height: int, width: int) -> bool:
        label, score = label_of(int(found.classes[row])), found.scores[row]
        least = np.array([self.least(label, size) for size in SIZES], np.float32)
        if score >= least.max() or score < least.min():  # the size does not matter, and measuring it takes time
            return bool(score >= least.max())
        size = size_of(marked_pixels(found, number, height, width))
        return bool(score >= np.float32(self.least(label, size)))


def above_floors(
    scores: NDArray[np.floating], classes: NDArray[np.number], floors: Mapping[int, float], default: float
) -> NDArray[np.bool_]:
    """(N,) bool: whether each score reaches the floor of its class (COCO ids, rounded), else `default`.

    Compared as float32, the precision of the models.
    """
    least = np.full(len(scores), np.float32(default), np.float32)
    kinds = np.rint(classes)
    for kind, floor in floors.items():
        least[kinds == kind] = np.float32(floor)
    return np.asarray(scores.astype(np.float32) >= least, np.bool_)


_ENOUGH: Final = 96**2  # more pixels than this are large, whatever follows


def marked_pixels(found: Detections, number: int, height: int, width: int) -> int:
    """The pixels that the instances of an object mark together, without dilation; counting stops when they are large.

    Each pixel counts once, in a picture of `height` × `width` pixels.
    """
    from anonymisation.masking.geometry import patches, pixel_box  # imports OpenCV, which settings do not need

    rows = np.flatnonzero(found.objects == number)
    boxes = [pixel_box(found.boxes[row], height, width) for row in rows]
    hull = boxes[0]
    for box in boxes[1:]:
        hull = hull.hull(box)
    marked = np.zeros((hull.height, hull.width), np.bool_)
    for row in rows:
        for patch in patches(found.boxes[row], found.masks[row], height, width):
            rows_down, columns = patch.marked.shape
            top, left = patch.top - hull.top, patch.left - hull.left
            marked[top : top + rows_down, left : left + columns] |= patch.marked
            if (count := np.count_nonzero(patch.marked)) > _ENOUGH:
                return int(count)
    return int(np.count_nonzero(marked))
