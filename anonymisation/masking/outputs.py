"""From the raw outputs of an Object Detection API model to detections; nonsense is refused, not dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.errors import ImageError
from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import KEPT_IDS

REQUIRED_OUTPUTS: Final = ("num_detections", "detection_boxes", "detection_classes", "detection_scores")
OPTIONAL_OUTPUT: Final = "detection_masks"

_AXES: Final = {"num_detections": 1, "detection_boxes": 3, "detection_classes": 2, "detection_scores": 2} | {
    OPTIONAL_OUTPUT: 4
}
# Sigmoids end within 0 and 1, give or take rounding; logits and percentages do not.
_TOLERANCE: Final = 1e-3

Arrays = Mapping[str, NDArray[np.generic]]


class OutputError(Exception):
    """The outputs are not those of an Object Detection API model (caught where the model's name is known)."""


def read_outputs(outputs: Arrays, batch: int, score_threshold: float) -> list[Detections]:
    """Detections of the six kept classes with a score of at least `score_threshold`, per picture of a batch.

    Args:
        outputs: `num_detections` (B,), `detection_boxes` (B, N, 4), `detection_classes` (B, N), 1-based COCO ids,
            `detection_scores` (B, N) and optionally `detection_masks` (B, N, h, w); the first `num_detections` rows of
            each picture count. Without masks the whole of every box is marked.
        batch: B.
        score_threshold: 0 to 1.

    Raises:
        OutputError: shapes, dtypes or ranges of another kind of model.
        ImageError: numbers that are not finite; dropping them could leave an object readable.
    """
    _check_shapes(outputs, batch)
    return [
        _read_picture({name: array[index] for name, array in outputs.items()}, score_threshold)
        for index in range(batch)
    ]


def _check_shapes(outputs: Arrays, batch: int) -> None:
    rows = outputs["detection_scores"].shape[-1] if outputs["detection_scores"].ndim else 0
    for name, array in outputs.items():
        right = array.ndim == _AXES[name] and array.shape[0] == batch
        right = right and (name == "num_detections" or array.shape[1] == rows)
        if not right or (name == "detection_boxes" and array.shape[2] != 4):
            raise OutputError(f"{name}: expected {_AXES[name]} axes for {batch} pictures, got {array.shape}")
        if name in ("detection_boxes", "detection_scores", OPTIONAL_OUTPUT) and array.dtype.kind != "f":
            raise OutputError(f"{name}: expected floating-point numbers, got {array.dtype}")


def _read_picture(picture: Arrays, score_threshold: float) -> Detections:
    values = {name: np.asarray(array, np.float32) for name, array in picture.items()}
    counted = float(values["num_detections"])
    rows = len(values["detection_scores"])
    if not 0 <= counted <= rows:  # NaN as well
        raise ImageError(f"the model gives num_detections {counted}, expected 0 to {rows}")
    count = round(counted)
    scores = _finite(values["detection_scores"][:count], "detection_scores")
    boxes = _finite(values["detection_boxes"][:count], "detection_boxes")
    classes = np.rint(_finite(values["detection_classes"][:count], "detection_classes")).astype(np.int32)
    scores = _shares(scores, "detection_scores")
    keep = np.flatnonzero((scores >= np.float32(score_threshold)) & np.isin(classes, KEPT_IDS) & _inside(boxes))
    if OPTIONAL_OUTPUT in values:
        masks = _shares(_finite(values[OPTIONAL_OUTPUT][:count][keep], OPTIONAL_OUTPUT), OPTIONAL_OUTPUT)
    else:
        masks = np.ones((len(keep), 1, 1), np.float32)
    clipped, masks = _clipped(boxes[keep], masks)
    return Detections.of(clipped, scores[keep], classes[keep], masks)


def _finite(array: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if not np.isfinite(array).all():
        raise ImageError(f"the model gives {name} that are not finite numbers for this picture")
    return array


def _shares(array: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if array.size and not (array.min() >= -_TOLERANCE and array.max() <= 1 + _TOLERANCE):
        raise OutputError(f"{name}: expected values from 0 to 1, got {array.min()} to {array.max()}")
    return np.clip(array, 0, 1)


def _inside(boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether any of a box lies on the picture, whichever of its corners comes first."""
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    return np.asarray(np.all((low < 1) & (high > 0), axis=1), np.bool_)


def _clipped(boxes: NDArray[np.float32], masks: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes within the picture. A mask whose box was another one no longer fits: the whole box is marked instead."""
    ordered = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    clipped = np.clip(ordered, 0, 1)
    changed = np.any(np.abs(clipped - boxes) > _TOLERANCE, axis=1)
    masks = masks.copy()
    masks[changed] = 1
    return clipped, masks
