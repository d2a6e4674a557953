"""What the starting network finds by itself: regions of which nothing is taught, where nobody labelled them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import cv2  # noqa: TID253 - resizes pictures
import keras  # noqa: TID253
import numpy as np
from numpy.typing import NDArray

from training.data import Sample
from training.export import MULTIPLE, PADDING, ExportOptions, ObjectDetector
from training.network import COCO_IDS

LONGER_SIDES: Final = (416, 832, 1248)
"""Network pixels of a picture's longer side, to look at it with; none enlarges it more than MOST_ENLARGED."""
MOST_ENLARGED: Final = 1.4
LARGEST_CLOSELY: Final = 200.0
"""Network pixels: longer boxes are believed only of the first look. Closely, asphalt is taken for a car."""


class Teacher:
    """The starting network, looking at each picture at several sizes."""

    def __init__(self, network: keras.Model, floor: float) -> None:
        self._detect = ObjectDetector(
            network, ExportOptions(score_floor=floor, score_powers=(1.0, 1.0), box_margin=0.0)
        )

    def marked(self, samples: Sequence[Sample], labelled: Collection[int]) -> list[Sample]:
        """The samples, with what is found there of other classes than `labelled` (rows of COCO_IDS) to be ignored."""
        return [sample.ignoring(self.boxes(sample.pixels(), labelled)) for sample in samples]

    def boxes(self, pixels: NDArray[np.uint8], labelled: Collection[int]) -> NDArray[np.float32]:
        """(N, 4) x0, y0, x1, y1 in pixels of an RGB picture."""
        found = [np.zeros((0, 4), np.float32)]
        for side in LONGER_SIDES:
            if side > MOST_ENLARGED * max(pixels.shape[:2]):
                continue
            scale = side / max(pixels.shape[:2])
            outputs = {key: value.numpy()[0] for key, value in self._detect(_view(pixels, scale)[None]).items()}
            count = int(outputs["num_detections"])
            rows = [COCO_IDS.index(int(name)) for name in outputs["detection_classes"][:count]]
            height, width = (_padded(round(n * scale)) for n in pixels.shape[:2])
            boxes = outputs["detection_boxes"][:count][:, [1, 0, 3, 2]] * [width, height, width, height]
            keep = ~np.isin(rows, list(labelled))
            if side != LONGER_SIDES[0]:
                keep &= (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) <= LARGEST_CLOSELY
            found.append((boxes[keep] / scale).astype(np.float32))
        return np.concatenate(found)


def _view(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    height, width = (round(n * scale) for n in pixels.shape[:2])
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    gap = [(0, _padded(height) - height), (0, _padded(width) - width), (0, 0)]
    return np.pad(small, gap, constant_values=PADDING)


def _padded(length: int) -> int:
    return -(-length // MULTIPLE) * MULTIPLE
