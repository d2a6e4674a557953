"""Detections of the starting network for unlabelled classes: confident ones become objects, the others regions that the
loss ignores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253 - resizes pictures
import keras  # noqa: TID253
import numpy as np
from numpy.typing import NDArray

from training.data import Sample
from training.export import MULTIPLE, ExportOptions, ObjectDetector
from training.network import COCO_IDS
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
