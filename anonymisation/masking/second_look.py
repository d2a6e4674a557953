"""A second opinion on large finds in a picture, from a segmentation network.

A small detector takes close-ups of an animal, a telephone or asphalt for a person or a car, and these mistakes hide
half a picture each; its masks of what is large are coarse. A segmentation network that comes with a model sees the
whole picture once more where something large was found, and

- finds of doubtful score are left out where it sees nothing of the kind at all;
- masks follow its outlines where it sees the thing as well, and most of what was marked before.

What is small, and all between the two, is hidden as it was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Final

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import MASK_THRESHOLD

Segment = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From a picture (H, W, 3) uint8 RGB to log odds (rows, columns, groups) of what is there, samples evenly from edge to
edge. In a SavedModel: a signature `segmentation` from `input_tensor` uint8 [1, H, W, 3] to `log_odds` float32 [1, rows,
columns, groups], next to a `serving_default` that gives `detection_masks`."""

Box = NDArray[np.float32]
Mask = NDArray[np.float32]
_WHOLE: Final = np.array([0, 0, 1, 1], np.float32)
_MOST_PIXELS: Final = 1 << 24  # a whole survey picture; beyond it only memory grows
_CLEAR: Final = 30.0  # log odds beyond these mean 0 or 1
# An outline that gives up more than half of what was marked is not believed. Of the finds outlined on pictures that
# were not trained on, none kept less than 0.6.
_LEAST_KEPT: Final = 0.5
_CERTAIN: Final = 1e-6  # what is nearer to 0 or 1 than this counts as so near


@dataclass(frozen=True, slots=True)
class SecondLook:
    """How the segmentation network is shown a picture, and how far it is believed.

    Attributes:
        pixels: about so many the picture is scaled to.
        step: the sides of what it is shown are multiples of this and one pixel more.
        least_side: finds are looked at from this side on: the square root of their box's area, in pixels of what it is
            shown.
        judged_share: a find is judged by the log odds (of whichever group has more) that this share of what its mask
            marks, 0 to 1, reaches.
        least_odds: a find is left out if these and the log odds of its score add up to less: two opinions, each formed
            without the other.
        sure_score: but from this score on, 0 to 1, it never is.
        seen_odds: the mask of a find judged this high or higher is drawn again, from the sum of its own log odds and
            those of the network.
        mask_weight: of the first of these.
        odds_weight: of the second.
        odds_bias: added to the sum; the higher, the more is hidden.
        reach: so far around its box such a mask goes, as a share of the box's sides.
        outside_odds: the mask's own log odds there; the lower, the surer must the network be.
    """

    pixels: int
    step: int
    least_side: float
    judged_share: float
    least_odds: float
    sure_score: float
    seen_odds: float
    mask_weight: float
    odds_weight: float
    odds_bias: float
    reach: float
    outside_odds: float

    def __post_init__(self) -> None:
        if self.step < 1 or not self.step**2 <= self.pixels <= _MOST_PIXELS or self.least_side <= 0:
            form = f"pixels for at least one step, no more than {_MOST_PIXELS}, and a positive least_side"
            raise ValueError(f"expected {form}, got {self}")
        if not all(math.isfinite(value) for value in astuple(self)):
            raise ValueError(f"expected finite numbers, got {self}")
        if not (0 < self.judged_share < 1 and 0 <= self.sure_score <= 1):
            raise ValueError(f"expected a judged_share and a sure_score between 0 and 1, got {self}")
        if min(self.reach, self.mask_weight, self.odds_weight) < 0:
            raise ValueError(f"expected a reach and weights of 0 or more, got {self}")

    def shown(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) at which a picture of that size is shown: in its own aspect, but for extremely long ones."""
        scale = math.sqrt(self.pixels / (height * width))
        most = self.pixels // self.step**2  # a strip of one step is not longer than has that many pixels
        steps = (min(max(1, round(length * scale / self.step)), most) for length in (height, width))
        rows, columns = (count * self.step + 1 for count in steps)
        return rows, columns

    def large(self, found: Detections, height: int, width: int) -> NDArray[np.intp]:
        """Rows of the finds that are worth it, in a picture of that size; a mask of one sample knows no outline."""
        if min(found.masks.shape[1:]) < 2:
            return np.zeros(0, np.intp)
        scale = math.sqrt(self.pixels / (height * width))
        sides = (found.boxes[:, 2:] - found.boxes[:, :2]) * [height * scale, width * scale]
        return np.flatnonzero(np.sqrt(sides.prod(axis=1)) >= self.least_side)

    def at(self, pixels: NDArray[np.uint8], found: Detections, segment: Segment) -> Detections:
        """What remains of the finds in an upright picture (H, W, 3), and their masks; raises what `segment` raises."""
        height, width = pixels.shape[:2]
        rows = self.large(found, height, width)
        if not len(rows):
            return found
        shown = self.shown(height, width)
        method = cv2.INTER_AREA if shown[0] * shown[1] < height * width else cv2.INTER_LINEAR
        odds = segment(np.asarray(cv2.resize(pixels, shown[::-1], interpolation=method), np.uint8)).max(axis=2)
        return self.judged(found, rows, odds)

    def judged(self, found: Detections, rows: NDArray[np.intp], odds: NDArray[np.float32]) -> Detections:
        """The finds with `rows` of them judged by the log odds (h, w) of any group in the whole picture."""
        boxes, masks = found.boxes.copy(), found.masks.copy()
        keep = np.ones(len(found), np.bool_)
        for row in rows:
            box, mask, score = boxes[row], masks[row], found.scores[row]
            there = _sampled(odds, box, mask.shape)
            marked = mask > MASK_THRESHOLD
            judged = np.quantile(there[marked] if marked.any() else there, 1 - self.judged_share)
            if judged >= self.seen_odds:
                if self._still_marked(mask, there, marked) >= _LEAST_KEPT:
                    boxes[row], masks[row] = self._outlined(box, mask, odds)
            elif score < self.sure_score and judged + _log_odds(score) < self.least_odds:
                keep[row] = False
        return Detections(boxes[keep], found.scores[keep], found.classes[keep], masks[keep], found.objects[keep])

    def _still_marked(self, mask: Mask, odds: NDArray[np.float32], marked: NDArray[np.bool_]) -> float:
        """The share of what a mask marks that would still be marked; 0 where it marks nothing."""
        return float(np.mean(self._total(_log_odds(mask), odds)[marked] > 0)) if marked.any() else 0.0

    def _total(self, own: NDArray[np.float32], odds: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self.mask_weight * own + self.odds_weight * odds + self.odds_bias, np.float32)

    def _outlined(self, box: Box, mask: Mask, odds: NDArray[np.float32]) -> tuple[Box, Mask]:
        """The new mask, and the box around it."""
        margin = (box[2:] - box[:2]) * np.float32(self.reach)
        wide = np.clip(np.concatenate([box[:2] - margin, box[2:] + margin]), 0, 1).astype(np.float32)
        own = _log_odds(mask)

        def drawn(part: Box) -> Mask:
            inside = _sampled(own, part, mask.shape, extent=box, beyond=self.outside_odds)
            total = self._total(inside, _sampled(odds, part, mask.shape))
            return _filled(np.asarray(1 / (1 + np.exp(-np.clip(total, -_CLEAR, _CLEAR))), np.float32))

        marked = drawn(wide) > MASK_THRESHOLD
        if not marked.any():  # too little to be met by the samples of the wider box
            return box, mask
        tight = _around(wide, marked)
        return tight, drawn(tight)


def _around(box: Box, marked: NDArray[np.bool_]) -> Box:
    """The part of a box from the last row and column before what is marked to the first behind it."""
    ends = np.empty(4, np.float32)
    for axis in (0, 1):
        lines = np.flatnonzero(marked.any(axis=1 - axis))
        count = marked.shape[axis] - 1
        places = np.array([max(lines[0] - 1, 0), min(lines[-1] + 1, count)]) / count
        ends[axis::2] = box[axis] + (box[axis + 2] - box[axis]) * places
    return np.clip(ends, 0, 1)


def _filled(mask: Mask) -> Mask:
    """The mask (h, w) without holes: what it surrounds is hidden too."""
    left_open = np.pad((mask <= MASK_THRESHOLD).astype(np.uint8), 1, constant_values=1)
    _, parts = cv2.connectedComponents(left_open, connectivity=4)
    outside = parts == parts[0, 0]
    return np.where((left_open == 1) & ~outside, np.float32(1), np.pad(mask, 1))[1:-1, 1:-1]


def _log_odds(values: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    inside = np.clip(values, _CERTAIN, 1 - _CERTAIN)
    return np.asarray(np.log(inside / (1 - inside)), np.float32)


def _sampled(
    values: NDArray[np.float32], box: Box, shape: tuple[int, ...], extent: Box = _WHOLE, beyond: float = 0.0
) -> NDArray[np.float32]:
    """(rows, columns) as in `shape`: samples evenly from edge to edge of `box`, of values (h, w) that lie evenly from
    edge to edge of `extent`; both are shares of the picture. What lies outside of that has the value `beyond`."""
    places = []
    for axis, count in enumerate(shape):
        steps = (values.shape[axis] - 1) / max(float(extent[axis + 2] - extent[axis]), 1e-6)
        samples = np.linspace(box[axis], box[axis + 2], count) - extent[axis]
        places.append((samples * steps).astype(np.float32))
    across, down = np.meshgrid(places[1], places[0])
    sampled = cv2.remap(values, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=beyond)
    return np.asarray(sampled, np.float32)
