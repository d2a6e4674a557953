"""Detections of the starting network for unlabelled classes: confident ones become objects, the others regions that the
loss ignores. Where no class is labelled, a second network has to agree."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253 - resizes pictures
import keras  # noqa: TID253
import numpy as np
import tensorflow as tf  # noqa: TID253 - runs the second network
from numpy.typing import NDArray

from training.data import Sample
from training.export import MULTIPLE, ExportOptions, ObjectDetector
from training.nanodet import Convolution, NanoDet, decode
from training.network import COCO80_ROWS, COCO_IDS
from training.opinion import PADDING

LONGER_SIDES: Final = (416, 832, 1248)
"""Longer sides of a picture in network pixels; sizes that enlarge it more than MOST_ENLARGED are skipped."""
MOST_ENLARGED: Final = 1.4
LARGEST_CLOSELY: Final = 200.0
"""Network pixels: longer boxes are used only at the first size. At larger sizes, asphalt is detected as a car."""


SURE_SCORE: Final = 0.6
"""Detections with at least this score become objects, at all scales: so distant objects are learnt from near ones."""
SAME_IOU: Final = 0.45
"""Boxes with a higher IoU are the same object."""


AGREED_SCORES: Final = (0.5, 0.3)
"""From these scores of the better and of the other network on, what both detect is an object. Below, it is unknown."""


@dataclass(frozen=True, slots=True)
class Detected:
    """Boxes (N, 4) x0, y0, x1, y1 in pixels, scores (N,), classes (N,) as rows of COCO_IDS."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def sure(self, known: NDArray[np.float32]) -> list[int]:
        """Rows of the confident detections, best first, without duplicates and without the known boxes (M, 4)."""
        taken, rows = list(known), []
        for row in np.argsort(-self.scores, kind="stable"):
            if self.scores[row] >= SURE_SCORE and all(_iou(self.boxes[row], box) < SAME_IOU for box in taken):
                taken.append(self.boxes[row])
                rows.append(int(row))
        return rows

    def joined(self, other: Detected) -> tuple[list[int], NDArray[np.float32]]:
        """Rows of what another network detects too, and the scores that decide whether it is an object: 1 if both are
        high enough, else 0."""
        rows, sure = [], []
        for row, box in enumerate(self.boxes):
            same = [float(score) for b, score in zip(other.boxes, other.scores, strict=True) if _iou(b, box) > SAME_IOU]
            if same:
                pair = sorted((max(same), float(self.scores[row])))
                rows.append(row)
                sure.append(float(pair[1] >= AGREED_SCORES[0] and pair[0] >= AGREED_SCORES[1]))
        return rows, np.array(sure, np.float32)


class SecondTeacher:
    """NanoDet, run on each picture at one size."""

    def __init__(self, convolutions: Mapping[str, Convolution], floor: float) -> None:
        self._floor = floor
        self._run = tf.function(lambda x: decode(NanoDet(convolutions)(x), tf.shape(x)[1], tf.shape(x)[2]))

    def detect(self, pixels: NDArray[np.uint8]) -> Detected:
        """The detections in an RGB picture."""
        scale = LONGER_SIDES[1] / max(pixels.shape[:2])
        scores, boxes = self._run(tf.constant(_view(pixels, scale)[None], tf.float32))
        six = scores.numpy()[0][:, COCO80_ROWS]
        rows = np.flatnonzero(six.max(axis=1) >= self._floor)
        corners = boxes.numpy()[0][rows][:, [1, 0, 3, 2]] / scale
        return Detected(corners.astype(np.float32), six[rows].max(axis=1), six[rows].argmax(axis=1))


class Teacher:
    """The starting network, run on each picture at several sizes."""

    def __init__(self, network: keras.Model, floor: float) -> None:
        self._detect = ObjectDetector(
            network, ExportOptions(score_floor=floor, score_powers=(1.0, 1.0), box_margin=0.0)
        )

    def marked(self, samples: Sequence[Sample], labelled: Collection[int]) -> list[Sample]:
        """The samples, with detections of classes other than `labelled` (rows of COCO_IDS): confident ones as objects
        without outlines, and all of them as regions to ignore."""
        marked = []
        for sample in samples:
            detected = self.detect(sample.pixels(), labelled)
            sure = detected.sure(sample.boxes)
            # The new objects are ignored too, except for the anchors that are matched to them.
            marked.append(sample.ignoring(detected.boxes).adding(detected.boxes[sure], detected.classes[sure]))
        return marked

    def agreed(self, samples: Sequence[Sample], second: SecondTeacher) -> list[Sample]:
        """The samples of which no class is labelled: what both networks detect are objects or regions to ignore,
        what only one of them detects is neither."""
        marked = []
        for sample in samples:
            others = second.detect(sample.pixels())  # first: it is the faster one, and nearly always finds nothing
            if not len(others.scores):
                marked.append(sample)
                continue
            detected = self.detect(sample.pixels(), ())
            rows, sure = detected.joined(others)
            both = Detected(detected.boxes[rows], sure, detected.classes[rows])
            kept = both.sure(sample.boxes)
            marked.append(sample.ignoring(both.boxes).adding(both.boxes[kept], both.classes[kept]))
        return marked

    def detect(self, pixels: NDArray[np.uint8], labelled: Collection[int]) -> Detected:
        """The detections in an RGB picture, without the classes `labelled`."""
        found = [Detected(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))]
        for side in LONGER_SIDES:
            if side > MOST_ENLARGED * max(pixels.shape[:2]):
                continue
            scale = side / max(pixels.shape[:2])
            outputs = {key: value.numpy()[0] for key, value in self._detect(_view(pixels, scale)[None]).items()}
            count = int(outputs["num_detections"])
            rows = np.array([COCO_IDS.index(int(name)) for name in outputs["detection_classes"][:count]], np.int64)
            height, width = (_padded(round(n * scale)) for n in pixels.shape[:2])
            boxes = outputs["detection_boxes"][:count][:, [1, 0, 3, 2]] * [width, height, width, height]
            keep = ~np.isin(rows, list(labelled))
            if side != LONGER_SIDES[0]:
                keep &= (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) <= LARGEST_CLOSELY
            scores = outputs["detection_scores"][:count]
            found.append(Detected((boxes[keep] / scale).astype(np.float32), scores[keep], rows[keep]))
        parts = ([getattr(part, name) for part in found] for name in ("boxes", "scores", "classes"))
        return Detected(*(np.concatenate(part) for part in parts))


def _iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    sides = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)
    both = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - sides.prod())
    return float(sides.prod()) / max(both, 1e-6)


def _view(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    height, width = (round(n * scale) for n in pixels.shape[:2])
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    gap = [(0, _padded(height) - height), (0, _padded(width) - width), (0, 0)]
    return np.pad(small, gap, constant_values=PADDING)


def _padded(length: int) -> int:
    return -(-length // MULTIPLE) * MULTIPLE
