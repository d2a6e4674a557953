"""Tiny real SavedModels that load and run, but have implausible outputs; all but one detect a car."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.captures import CAR_BOX, HEIGHT, WIDTH

NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True)
class Nonsense:
    """Changed outputs of a model that detects the car of `tests.captures`, and a part of the expected message."""

    changes: Mapping[str, Any]
    told: str


def _box(*sides: float, expected: str = "") -> Nonsense:
    value = ", ".join(f"{side:.6g}" for side in sides)
    return Nonsense({"detection_boxes": sides}, f"detection_boxes [{value}] in row 0, expected {expected}")


def _class(kind: float) -> Nonsense:
    return Nonsense({"detection_classes": kind}, f"detection_classes {kind:.6g} in row 0, expected a whole number")


def _score(score: float) -> Nonsense:
    return Nonsense({"detection_scores": score}, f"detection_scores {score:.6g} in row 0, expected 0 to 1")


def _masks(low: float, high: float) -> Nonsense:
    mask = np.linspace(low, high, 25).reshape(5, 5) if np.isfinite(low + high) else np.full((5, 5), low)
    return Nonsense({"detection_masks": mask}, f"detection_masks with values from {low:.6g} to {high:.6g} in row 0")


def _count(count: float) -> Nonsense:
    return Nonsense({"num_detections": count}, f"num_detections {count:.6g}, expected a whole number from 0 to 2")


_TOP, _LEFT, _BOTTOM, _RIGHT = CAR_BOX
_SIZE: Final = (HEIGHT, WIDTH, HEIGHT, WIDTH)

NONSENSE: Final[Mapping[str, Nonsense]] = {
    "boxes in pixels": _box(*(side * length for side, length in zip(CAR_BOX, _SIZE, strict=True)), expected="ymin, x"),
    "boxes left of the picture": _box(_TOP, _LEFT - 1, _BOTTOM, _RIGHT - 1, expected="a box that overlaps"),
    "boxes above the picture": _box(_TOP - 1, _LEFT, _BOTTOM - 1, _RIGHT, expected="a box that overlaps"),
    "boxes right of the picture": _box(_TOP, _LEFT + 1, _BOTTOM, _RIGHT + 1, expected="a box that overlaps"),
    "boxes below the picture": _box(_TOP + 1, _LEFT, _BOTTOM + 1, _RIGHT, expected="a box that overlaps"),
    "boxes far beyond the picture": _box(-3, -3, 4, 4, expected="ymin, xmin, ymax, xmax as fractions of the picture"),
    "boxes with swapped corners": _box(_BOTTOM, _RIGHT, _TOP, _LEFT, expected="ymin, xmin, ymax, xmax with ymin <="),
    "boxes as centre and size": _box(0.7, 0.6, 0.2, 0.3, expected="ymin, xmin, ymax, xmax with ymin <= ymax"),
    "boxes of zeros": _box(0, 0, 0, 0, expected="a box of at least one pixel in an input of 144 x 96"),
    "boxes as shares of shares": _box(
        *(float(np.float32(side / length)) for side, length in zip(CAR_BOX, _SIZE, strict=True)),
        expected="a box of at least one pixel",
    ),
    "boxes that are no numbers": _box(NAN, NAN, NAN, NAN, expected="finite numbers"),
    "boxes without end": _box(0, 0, INF, INF, expected="finite numbers"),
    "class 0": _class(0),
    "class 91": _class(91),
    "class 1.5": _class(1.5),
    "class 1e12": _class(1e12),
    "class that is no number": Nonsense({"detection_classes": NAN}, "detection_classes nan in row 0"),
    "scores in percent": _score(90),
    "scores below 0": _score(-1),
    "scores that are no numbers": _score(NAN),
    "masks as logits": _masks(-4, 8),
    "masks that are no numbers": _masks(NAN, NAN),
    "masks without end": _masks(INF, INF),
    "two and a half detections": _count(2.5),
    "less than no detections": _count(-1),
    "more detections than rows": _count(1000),
    "detections that are no number": _count(NAN),
    "an operation that raises": Nonsense({}, "fails on this picture: "),
}


def save_nonsense(folder: Path, name: str) -> Path:
    """Save the model of this name."""
    from tests.masking.scripted_models import save_constant, save_raising

    if name == "an operation that raises":
        return save_raising(folder, car_outputs())
    return save_constant(folder, car_outputs(**NONSENSE[name].changes))


def car_outputs(**changes: Any) -> dict[str, Any]:
    """Outputs that detect the car, with changed values in the first row; the second is below any threshold."""
    values: dict[str, Any] = {
        "num_detections": np.array([1], np.float32),
        "detection_boxes": np.array([[CAR_BOX, CAR_BOX]], np.float32),
        "detection_scores": np.array([[0.9, 0]], np.float32),
        "detection_classes": np.array([[3, 3]], np.float32),
        "detection_masks": np.ones((1, 2, 5, 5), np.float32),
    }
    for name, value in changes.items():
        if name == "num_detections":
            values[name][0] = value
        else:
            values[name][0, 0] = value
    return values
