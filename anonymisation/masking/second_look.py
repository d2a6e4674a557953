"""A second opinion on the large detections in a picture, from a segmentation network.

A small detector mistakes close-ups of an animal, a telephone or asphalt for a person or a car. Each such mistake hides
half a picture, and the masks of large objects are coarse. If something large is detected, the segmentation network of
the model runs on the whole picture, and

- detections with a doubtful score are dropped if the network sees no such object;
- masks follow the network's outlines if it sees the object too, and most of what the mask marked. If the network tells
  persons and vehicles apart, a rider is not part of the bus's outline, as far as a detection of the rider hides him.

Small detections, and cases between the two, stay as detected.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cache
from typing import Final

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import MASK_THRESHOLD

Segment = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From a picture (H, W, 3) uint8 RGB to log odds (rows, columns, groups) of each group of classes, evenly spaced from
edge to edge; two groups are persons and vehicles, in this order. In a SavedModel: a signature `segmentation` from
`input_tensor` uint8 [1, H, W, 3] to `log_odds` float32 [1, rows, columns, groups]; its `serving_default` must have
`detection_masks`."""

Look = Callable[[Detections], Detections]
"""The second look at one picture: from its detections to the remaining ones."""

Box = NDArray[np.float32]
Mask = NDArray[np.float32]
_PERSON: Final = 1  # the COCO id
_GROUPS: Final = (True, False)  # whether the group is persons, in the order of the log odds
_WHOLE: Final = np.array([0, 0, 1, 1], np.float32)
_MOST_PIXELS: Final = 1 << 24  # more than a whole survey picture; larger inputs only need more memory
_CLEAR: Final = 30.0  # larger log odds mean a probability of 1 in float32
# An outline that drops more than half of the marked pixels is not used. On pictures that were not trained on, every
# outline kept at least 0.6.
_LEAST_KEPT: Final = 0.5
_CERTAIN: Final = 1e-6  # probabilities are kept at least this far from 0 and 1


@dataclass(frozen=True, slots=True)
class SecondLook:
    """The input size of the segmentation network, and the rules for using its output.

    Attributes:
        pixels: the picture is scaled to about this number of pixels.
        step: each side of the input is a multiple of this plus one pixel.
        least_side: only detections of at least this size are checked: the square root of the box's area, in pixels of
            the input.
        judged_share: a detection is judged by the log odds (the highest of all groups) that this fraction, 0 to 1, of
            its marked pixels reaches.
        least_odds: a detection is dropped if these log odds plus the log odds of its score (two independent opinions)
            are lower than this.
        sure_score: detections with at least this score, 0 to 1, are never dropped.
        seen_odds: if the log odds are at least this, the mask is drawn again, from the weighted sum of its own log odds
            and the network's.
        mask_weight: weight of the mask's own log odds.
        odds_weight: weight of the network's log odds.
        odds_bias: added to the sum; higher values hide more.
        reach: how far such a mask may extend beyond its box, as a fraction of the box's sides.
        outside_odds: the mask's own log odds beyond its box; with lower values, the network must be surer.
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
        """(height, width) of the input for a picture of this size, with its aspect unless it is extremely long."""
        scale = math.sqrt(self.pixels / (height * width))
        most = self.pixels // self.step**2  # so that even a strip one step high has no more than `pixels` pixels
        steps = (min(max(1, round(length * scale / self.step)), most) for length in (height, width))
        rows, columns = (count * self.step + 1 for count in steps)
        return rows, columns

    def large(self, found: Detections, height: int, width: int) -> NDArray[np.intp]:
        """Rows of the detections to check, in a picture of this size; none if masks have a single sample."""
        if min(found.masks.shape[1:]) < 2:
            return np.zeros(0, np.intp)
        scale = math.sqrt(self.pixels / (height * width))
        sides = (found.boxes[:, 2:] - found.boxes[:, :2]) * [height * scale, width * scale]
        return np.flatnonzero(np.sqrt(sides.prod(axis=1)) >= self.least_side)

    def look_at(self, pixels: NDArray[np.uint8], segment: Segment) -> Look:
        """A look at an upright picture (H, W, 3): from detections to the remaining ones, with new masks.

        It raises the errors of `segment`, which runs when the first large detection is checked, and only once.
        """
        height, width = pixels.shape[:2]

        @cache
        def odds() -> NDArray[np.float32]:
            shown = self.shown(height, width)
            method = cv2.INTER_AREA if shown[0] * shown[1] < height * width else cv2.INTER_LINEAR
            return segment(np.asarray(cv2.resize(pixels, shown[::-1], interpolation=method)))

        def look(found: Detections) -> Detections:
            rows = self.large(found, height, width)
            return self.judged(found, rows, odds()) if len(rows) else found

        return look

    def judged(self, found: Detections, rows: NDArray[np.intp], odds: NDArray[np.float32]) -> Detections:
        """The remaining detections, after checking `rows` of them with the picture's log odds (h, w, groups)."""
        boxes, masks = found.boxes.copy(), found.masks.copy()
        keep, seen = np.ones(len(found), np.bool_), []
        anything = odds.max(axis=2)
        for row in rows:
            mask, score = found.masks[row], found.scores[row]
            there, marked = _sampled(anything, found.boxes[row], mask.shape), mask > MASK_THRESHOLD
            judged = np.quantile(there[marked] if marked.any() else there, 1 - self.judged_share)
            if judged >= self.seen_odds:
                seen.append(row)
            elif score < self.sure_score and judged + _log_odds(score) < self.least_odds:
                keep[row] = False
        for row in seen:
            box, mask, own = found.boxes[row], found.masks[row], self._own_odds(found, row, keep, odds)
            if self._still_marked(mask, _sampled(own, box, mask.shape), mask > MASK_THRESHOLD) >= _LEAST_KEPT:
                boxes[row], masks[row] = self._outlined(box, mask, own)
        return Detections(boxes[keep], found.scores[keep], found.classes[keep], masks[keep], found.objects[keep])

    def _own_odds(
        self, found: Detections, row: np.intp, keep: NDArray[np.bool_], odds: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The log odds (h, w) for the outline of a detection: the highest of all groups, but those of its own group
        where a detection of the other group hides the sample in any case.

        That is where its mask marks the sample, and the log odds of its group are not low enough to uncover it.
        """
        anything = odds.max(axis=2)
        person = found.classes == _PERSON
        others = np.flatnonzero(keep & (person != person[row]))
        if odds.shape[2] != len(_GROUPS) or not len(others):
            return np.asarray(anything, np.float32)
        group = _GROUPS.index(bool(person[row]))
        hidden = np.zeros(anything.shape, np.bool_)
        for other in others:
            hidden |= _marked_samples(found.boxes[other], found.masks[other], anything.shape)
        # A marked sample has log odds of its own mask above 0, so that the sum is, too.
        hidden &= self.odds_weight * odds[..., 1 - group] + self.odds_bias > 0
        return np.asarray(np.where(hidden, odds[..., group], anything), np.float32)

    def _still_marked(self, mask: Mask, odds: NDArray[np.float32], marked: NDArray[np.bool_]) -> float:
        """The fraction of a mask's marked pixels that the new mask would still mark; 0 if it marks none."""
        return float(np.mean(self._total(_log_odds(mask), odds)[marked] > 0)) if marked.any() else 0.0

    def _total(self, own: NDArray[np.float32], odds: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self.mask_weight * own + self.odds_weight * odds + self.odds_bias, np.float32)

    def _outlined(self, box: Box, mask: Mask, odds: NDArray[np.float32]) -> tuple[Box, Mask]:
        """The box around the new mask, and the mask."""
        margin = (box[2:] - box[:2]) * np.float32(self.reach)
        wide = np.clip(np.concatenate([box[:2] - margin, box[2:] + margin]), 0, 1).astype(np.float32)
        own = _log_odds(mask)

        def drawn(part: Box) -> Mask:
            inside = _sampled(own, part, mask.shape, extent=box, beyond=self.outside_odds)
            total = self._total(inside, _sampled(odds, part, mask.shape))
            return _filled(np.asarray(1 / (1 + np.exp(-np.clip(total, -_CLEAR, _CLEAR))), np.float32))

        marked = drawn(wide) > MASK_THRESHOLD
        if not marked.any():  # the object falls between the samples of the wider box
            return box, mask
        tight = _around(wide, marked)
        return tight, drawn(tight)


def _marked_samples(box: Box, mask: Mask, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(h, w) bool: whether a mask marks each sample; they are evenly spaced from edge to edge of the picture."""
    lines = []
    for axis, count in enumerate(shape):
        places = np.linspace(0, 1, count, dtype=np.float32)
        inside = np.flatnonzero((places >= box[axis]) & (places <= box[axis + 2]))
        length = max(float(box[axis + 2] - box[axis]), 1e-6)
        steps = (places[inside] - box[axis]) / length * (mask.shape[axis] - 1)
        lines.append((inside, np.rint(steps).astype(np.intp)))
    marked = np.zeros(shape, np.bool_)
    marked[np.ix_(lines[0][0], lines[1][0])] = mask[np.ix_(lines[0][1], lines[1][1])] > MASK_THRESHOLD
    return marked


def _around(box: Box, marked: NDArray[np.bool_]) -> Box:
    """The part of a box that contains the marked samples and one unmarked row or column on each side."""
    ends = np.empty(4, np.float32)
    for axis in (0, 1):
        lines = np.flatnonzero(marked.any(axis=1 - axis))
        count = marked.shape[axis] - 1
        places = np.array([max(lines[0] - 1, 0), min(lines[-1] + 1, count)]) / count
        ends[axis::2] = box[axis] + (box[axis + 2] - box[axis]) * places
    return np.clip(ends, 0, 1)


def _filled(mask: Mask) -> Mask:
    """The mask (h, w) with its holes filled."""
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
    """Interpolate values (h, w), evenly spaced from edge to edge of `extent`, at points evenly spaced from edge to edge
    of `box`, (rows, columns) as in `shape`. Both boxes are fractions of the picture; outside `extent` is `beyond`."""
    places = []
    for axis, count in enumerate(shape):
        steps = (values.shape[axis] - 1) / max(float(extent[axis + 2] - extent[axis]), 1e-6)
        samples = np.linspace(box[axis], box[axis + 2], count) - extent[axis]
        places.append((samples * steps).astype(np.float32))
    across, down = np.meshgrid(places[1], places[0])
    sampled = cv2.remap(values, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=beyond)
    return np.asarray(sampled, np.float32)
