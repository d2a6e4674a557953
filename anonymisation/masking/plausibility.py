"""Check that a model's outputs are plausible. Other outputs fail the picture, since their meaning is unknown.

- In the first `num_detections` rows, every number is finite, and scores are 0 to 1.
- In rows with a score of at least the threshold, the class is in the label map, and the box overlaps the picture and is
  larger than a pixel. Rows below the threshold are exempt: some exports count their padding.
- Masks that are used are 0 to 1.

A box may extend beyond the picture. If it extends by more than the picture's side, it is in pixels or another unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.errors import ImplausibleOutputError

ROUNDING: Final = 1e-3
"""Tolerance for sigmoids (0 to 1) and for classes (whole numbers); logits and percentages exceed it."""
LABEL_MAP: Final = (1, 90)
"""The first and last id in the label map of the TensorFlow detection zoo (mscoco_label_map.pbtxt)."""
BEYOND: Final = 1.0
"""How far a box may extend beyond the picture, in multiples of the picture's side."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plausibility:
    """Checks the outputs for one picture. `model` names the model in messages; `height` and `width` are the size of its
    input in pixels."""

    model: str
    height: int
    width: int

    def count(self, given: float, rows: int) -> int:
        """The number of detections, from the output `given` of a model with `rows` rows.

        Raises:
            ImplausibleOutputError: it is not a whole number from 0 to `rows`.
        """
        if not (_whole(np.float64(given)) and 0 <= round(given) <= rows):  # NaN and infinity are not whole either
            self._refuse("num_detections", _number(given), f"a whole number from 0 to {rows}")
        return round(given)

    def require_numbers(self, boxes: Values, scores: Values, classes: Values) -> None:
        """Check the numbers of every detection.

        Args:
            boxes: (N, 4) ymin, xmin, ymax, xmax as fractions of the picture.
            scores: (N,).
            classes: (N,).

        Raises:
            ImplausibleOutputError: a score is not 0 to 1, or another number is not finite.
        """
        self._rows("detection_scores", scores, _no_shares(scores, scores), "0 to 1")
        self._rows("detection_boxes", boxes, np.any(~np.isfinite(boxes), axis=1), "finite numbers")
        self._rows("detection_classes", classes, ~np.isfinite(classes), "finite numbers")

    def require_objects(self, boxes: Values, classes: Values, acted_on: NDArray[np.bool_]) -> None:
        """Check the classes and boxes of the detections that `acted_on` (N,) marks; all numbers must be finite.

        Raises:
            ImplausibleOutputError: no object can have such a class or box.
        """
        first, last = LABEL_MAP
        unknown = ~_whole(classes) | (np.rint(classes) < first) | (np.rint(classes) > last)
        form = f"a whole number from {first} to {last}, as in the label map of COCO"
        self._rows("detection_classes", classes, acted_on & unknown, form)
        for wrong, form in (
            (_far_off(boxes), "ymin, xmin, ymax, xmax as fractions of the picture, from -1 to 2"),
            (_swapped(boxes), "ymin, xmin, ymax, xmax with ymin <= ymax and xmin <= xmax"),
            (_outside(boxes), "a box that overlaps the picture, 0 to 1"),
            (self._tiny(boxes), f"a box of at least one pixel in an input of {self.width} x {self.height}"),
        ):
            self._rows("detection_boxes", boxes, acted_on & wrong, form)

    def require_masks(self, masks: NDArray[np.floating], rows: NDArray[np.intp]) -> None:
        """Check the masks (n, h, w) of the hidden `rows` (n,); h and w are at least 1.

        Raises:
            ImplausibleOutputError: a value is not 0 to 1.
        """
        low, high = (values.astype(np.float64) for values in (masks.min(axis=(1, 2)), masks.max(axis=(1, 2))))
        for row in np.flatnonzero(_no_shares(low, high)):
            values = f"with values from {_number(low[row])} to {_number(high[row])}"
            self._refuse("detection_masks", values, "0 to 1", int(rows[row]))

    def _tiny(self, boxes: Values) -> NDArray[np.bool_]:
        """Less than a pixel both ways: zeros, or divided twice by the size. A box clipped to a sliver is longer."""
        pixels = (boxes[:, 2:] - boxes[:, :2]) * [self.height, self.width]
        return np.asarray(np.all(pixels < 1 - ROUNDING, axis=1), np.bool_)

    def _rows(self, output: str, values: Values, wrong: NDArray[np.bool_], form: str) -> None:
        for row in np.flatnonzero(wrong):
            value = values[row]
            text = _number(value) if value.ndim == 0 else f"[{', '.join(map(_number, value))}]"
            self._refuse(output, text, form, int(row))

    def _refuse(self, output: str, value: str, form: str, row: int | None = None) -> NoReturn:
        place = "" if row is None else f" in row {row}"
        raise ImplausibleOutputError(f"{self.model} gives {output} {value}{place}, expected {form}")


def _number(value: float) -> str:
    return f"{value:.6g}"


def _whole(values: Values | np.float64) -> NDArray[np.bool_]:
    """Whether each number is whole, up to rounding."""
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return np.asarray(np.abs(values - np.rint(values)) <= ROUNDING, np.bool_)


def _no_shares(low: Values, high: Values) -> NDArray[np.bool_]:
    """Whether the range from `low` to `high` is not within 0 to 1, up to rounding; true for NaN."""
    return np.asarray(~((low >= -ROUNDING) & (high <= 1 + ROUNDING)), np.bool_)


def _far_off(boxes: Values) -> NDArray[np.bool_]:
    least, most = -BEYOND - ROUNDING, 1 + BEYOND + ROUNDING
    return np.asarray(np.any((boxes < least) | (boxes > most), axis=1), np.bool_)


def _swapped(boxes: Values) -> NDArray[np.bool_]:
    return np.asarray(np.any(boxes[:, :2] > boxes[:, 2:] + ROUNDING, axis=1), np.bool_)


def _outside(boxes: Values) -> NDArray[np.bool_]:
    """Whether a box lies completely beyond an edge, and is not a sliver on it, as after clipping."""
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    before = (high <= 0) & (low < -ROUNDING)
    behind = (low >= 1) & (high > 1 + ROUNDING)
    return np.asarray(np.any(before | behind, axis=1), np.bool_)
