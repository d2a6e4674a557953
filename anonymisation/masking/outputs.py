"""Convert the raw outputs of an Object Detection API model to detections; implausible outputs raise an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.errors import ModelUnavailableError
from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import KEPT_IDS
from anonymisation.masking.plausibility import ROUNDING, Plausibility
from anonymisation.masking.thresholds import above_floors

REQUIRED_OUTPUTS: Final = ("num_detections", "detection_boxes", "detection_classes", "detection_scores")
OPTIONAL_OUTPUT: Final = "detection_masks"

_AXES: Final = {"num_detections": 1, "detection_boxes": 3, "detection_classes": 2, "detection_scores": 2} | {
    OPTIONAL_OUTPUT: 4
}
_KINDS: Final = {"num_detections": "fiu", "detection_classes": "fiu"}  # kinds of numpy dtype; "f" for other outputs

Arrays = Mapping[str, NDArray[Any]]


def read_outputs(
    outputs: Arrays,
    batch: int,
    score_threshold: float,
    plausibility: Plausibility,
    floors: Mapping[int, float] | None = None,
) -> list[Detections]:
    """Detections of the six kept classes with a score of at least `score_threshold`, per picture of a batch.

    Boxes that extend beyond the picture are clipped.

    Args:
        outputs: `num_detections` (B,), `detection_boxes` (B, N, 4), `detection_classes` (B, N), 1-based COCO ids,
            `detection_scores` (B, N) and optionally `detection_masks` (B, N, h, w); the first `num_detections` rows of
            each picture count. Without masks, every box is completely marked.
        batch: B.
        score_threshold: 0 to 1. Rows with a score of 0 are padding and always ignored.
        plausibility: checks the outputs, and holds the model's name for messages.
        floors: COCO id → least score of this class instead of `score_threshold`.

    Raises:
        ModelUnavailableError: the shapes or dtypes are those of another kind of model.
        ImplausibleOutputError: the numbers are implausible; dropping them could leave an object readable.
    """
    _check_shapes(outputs, batch, plausibility.model)
    return [
        _read_picture({name: array[index] for name, array in outputs.items()}, score_threshold, plausibility, floors)
        for index in range(batch)
    ]


def _check_shapes(outputs: Arrays, batch: int, model: str) -> None:
    rows = outputs["detection_scores"].shape[-1] if outputs["detection_scores"].ndim else 0
    for name, array in outputs.items():
        right = array.ndim == _AXES[name] and array.shape[0] == batch
        right = right and (name == "num_detections" or array.shape[1] == rows) and 0 not in array.shape[2:]
        if not right or (name == "detection_boxes" and array.shape[2] != 4):
            form = f"expected {_AXES[name]} axes for {batch} pictures, got {array.shape}"
            raise ModelUnavailableError(f"{model} cannot be used: {name}: {form}")
        if array.dtype.kind not in _KINDS.get(name, "f"):
            form = f"expected {'numbers' if name in _KINDS else 'floating-point numbers'}, got {array.dtype}"
            raise ModelUnavailableError(f"{model} cannot be used: {name}: {form}")


def _read_picture(
    picture: Arrays, score_threshold: float, plausibility: Plausibility, floors: Mapping[int, float] | None
) -> Detections:
    count = plausibility.count(float(picture["num_detections"]), len(picture["detection_scores"]))
    boxes, scores, classes = (
        picture[f"detection_{name}"][:count].astype(np.float64) for name in ("boxes", "scores", "classes")
    )
    plausibility.require_numbers(boxes, scores, classes)
    acted_on = above_floors(scores, classes, floors or {}, score_threshold) & (scores > 0)
    plausibility.require_objects(boxes, classes, acted_on)
    keep = np.flatnonzero(acted_on & np.isin(np.rint(classes), KEPT_IDS) & _inside(boxes))
    if OPTIONAL_OUTPUT in picture:
        given = picture[OPTIONAL_OUTPUT][:count][keep]
        plausibility.require_masks(given, keep)
        masks = np.clip(given, 0, 1).astype(np.float32)
    else:
        masks = np.ones((len(keep), 1, 1), np.float32)
    clipped, masks = _clipped(boxes[keep], masks)
    return Detections.of(clipped, np.clip(scores[keep], 0, 1), np.rint(classes[keep]), masks)


def _inside(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether any part of a box lies on the picture; after clipping or rounding by the model, none may."""
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    return np.asarray(np.all((low < 1) & (high > 0), axis=1), np.bool_)


def _clipped(boxes: NDArray[np.float64], masks: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Boxes clipped to the picture. The mask of a changed box no longer fits, so the whole box is marked instead."""
    ordered = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    clipped = np.clip(ordered, 0, 1)
    changed = np.any(np.abs(clipped - boxes) > ROUNDING, axis=1)
    masks[changed] = 1
    return clipped, masks
