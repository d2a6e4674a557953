"""The detections in one picture, as a frozen value that is validated on creation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonymisation.masking.labels import KEPT_IDS, label_of

_DTYPES: Final = (
    ("boxes", np.float32, 2), ("scores", np.float32, 1), ("classes", np.int32, 1), ("masks", np.float32, 3),
    ("objects", np.int32, 1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Turn:
    """How the upright picture becomes the stored one: swap the axes first, then mirror along them."""

    swap: bool = False
    mirror_y: bool = False
    mirror_x: bool = False


# The inverse of each EXIF orientation (Exif 2.32, tag 0x0112), which says how to turn the stored picture upright: 6 is
# 90° clockwise, so the inverse is 90° counterclockwise, that is swap, then mirror along y.
_TO_STORED: Final[Mapping[int, _Turn]] = {
    1: _Turn(),
    2: _Turn(mirror_x=True),
    3: _Turn(mirror_y=True, mirror_x=True),
    4: _Turn(mirror_y=True),
    5: _Turn(swap=True),
    6: _Turn(swap=True, mirror_y=True),
    7: _Turn(swap=True, mirror_y=True, mirror_x=True),
    8: _Turn(swap=True, mirror_x=True),
}


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """N detected instances; the arrays are read-only.

    Attributes:
        boxes: (N, 4) float32, ymin, xmin, ymax, xmax as fractions of the picture's height and width, 0 to 1.
        scores: (N,) float32, 0 to 1.
        classes: (N,) int32, COCO ids of the six kept classes.
        masks: (N, h, w) float32, 0 to 1, relative to the box; the corner samples lie on the box's corner pixels.
        objects: (N,) int32, not negative. Instances of one object (detected in several tiles, or in parts) share a
            number; the object has the class of its best instance. The numbers are for counting only; every instance is
            hidden, whatever its number.

    Raises:
        ValueError: on creation, for a wrong dtype, shape or range.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int32]
    masks: NDArray[np.float32]
    objects: NDArray[np.int32]

    def __post_init__(self) -> None:
        self._check_arrays()
        self._check_ranges()
        for name, _, _ in _DTYPES:
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def _check_arrays(self) -> None:
        for name, dtype, axes in _DTYPES:
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != axes:
                actual = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
                raise ValueError(f"{name}: expected a {np.dtype(dtype)} array of {axes} axes, got {actual}")
            if len(array) != len(self.boxes):
                raise ValueError(f"{name}: expected {len(self.boxes)} instances as in boxes, got {len(array)}")
        if self.boxes.shape[1] != 4:
            raise ValueError(f"boxes: expected (N, 4), got {self.boxes.shape}")
        if 0 in self.masks.shape[1:]:
            raise ValueError(f"masks: expected (N, h, w) with h and w of at least 1, got {self.masks.shape}")

    def _check_ranges(self) -> None:
        for name in ("boxes", "scores", "masks"):
            array = getattr(self, name)
            # NaN fails this comparison too.
            if array.size and not (array.min() >= 0 and array.max() <= 1):
                raise ValueError(f"{name}: expected values from 0 to 1, got {array.min()} to {array.max()}")
        if np.any(self.boxes[:, :2] > self.boxes[:, 2:]):
            raise ValueError("boxes: expected ymin <= ymax and xmin <= xmax")
        if unknown := set(self.classes.tolist()) - set(KEPT_IDS):
            raise ValueError(f"classes: expected only {KEPT_IDS}, got {sorted(unknown)}")
        if np.any(self.objects < 0):
            raise ValueError(f"objects: expected no negative number, got {self.objects.min()}")

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def of(
        cls,
        boxes: ArrayLike,
        scores: ArrayLike,
        classes: ArrayLike,
        masks: ArrayLike | None = None,
        objects: ArrayLike | None = None,
    ) -> Detections:
        """Create detections from array-likes, converted to the right dtypes.

        Without `masks`, every box is completely marked; without `objects`, every instance is a separate object.
        """
        ids = np.asarray(classes, np.int32).reshape(-1)
        return cls(
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            scores=np.array(scores, np.float32).reshape(-1),
            classes=ids.copy(),
            masks=np.ones((len(ids), 1, 1), np.float32) if masks is None else np.array(masks, np.float32),
            objects=np.arange(len(ids), dtype=np.int32) if objects is None else np.array(objects, np.int32),
        )

    @classmethod
    def empty(cls) -> Detections:
        """No detections."""
        return cls.of([], [], [])

    @classmethod
    def concatenate(cls, parts: Iterable[Detections]) -> Detections:
        """All instances of `parts`, in order; objects of different parts stay different objects.

        Raises:
            ValueError: the mask sizes differ; resampling them could hide less.
        """
        filled = [part for part in parts if len(part)]
        if not filled:
            return cls.empty()
        if len(sizes := {part.masks.shape[1:] for part in filled}) > 1:
            raise ValueError(f"masks: expected one size to concatenate, got {sorted(sizes)}")
        objects, used = [], 0
        for part in filled:
            _, numbers = np.unique(part.objects, return_inverse=True)
            objects.append(numbers.astype(np.int32) + np.int32(used))
            used += int(numbers.max()) + 1
        joined = {name: np.concatenate([getattr(part, name) for part in filled]) for name, _, _ in _DTYPES[:-1]}
        return cls(**joined, objects=np.concatenate(objects))

    def with_objects(self, objects: NDArray[np.int32]) -> Detections:
        """The same instances with other object numbers."""
        return Detections(self.boxes, self.scores, self.classes, self.masks, objects)

    def rows(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Detections:
        """Some of the instances: those that (N,) bool marks, or those with the row numbers `which`, in that order."""
        return Detections(**{name: getattr(self, name)[which] for name, _, _ in _DTYPES})

    def to_stored(self, orientation: int) -> Detections:
        """The detections in the upright picture, turned to the orientation of the pixels in the file.

        `orientation` is the EXIF orientation, 1 to 8, that makes the stored picture upright.

        Raises:
            ValueError: for any other number.
        """
        if orientation not in _TO_STORED:
            raise ValueError(f"orientation: expected 1 to 8, got {orientation}")
        turn = _TO_STORED[orientation]
        boxes, masks = self.boxes, self.masks
        if turn.swap:
            boxes, masks = boxes[:, [1, 0, 3, 2]], masks.transpose(0, 2, 1)
        if turn.mirror_y:
            boxes, masks = _mirrored(boxes, 0), masks[:, ::-1, :]
        if turn.mirror_x:
            boxes, masks = _mirrored(boxes, 1), masks[:, :, ::-1]
        return Detections(boxes, self.scores, self.classes, np.ascontiguousarray(masks), self.objects)

    def counts(self) -> dict[str, int]:
        """Number of distinct objects per label, sorted by label; labels without objects are left out."""
        labels = sorted(label_of(int(self.classes[row])) for row in self.best_instances().values())
        return {label: labels.count(label) for label in dict.fromkeys(labels)}

    def best_instances(self) -> dict[int, int]:
        """Per object number, in ascending order, the row of its instance with the highest score (the first of equals);
        the object has its class."""
        best: dict[int, int] = {}
        for row in np.argsort(-self.scores, kind="stable").tolist():
            best.setdefault(int(self.objects[row]), row)
        return dict(sorted(best.items()))

    def object_boxes(self) -> dict[int, NDArray[np.float32]]:
        """Per object number, in ascending order, the smallest box (ymin, xmin, ymax, xmax) around its instances."""
        boxes = {}
        for number in np.unique(self.objects).tolist():
            own = self.boxes[self.objects == number]
            boxes[number] = np.concatenate([own[:, :2].min(axis=0), own[:, 2:].max(axis=0)])
        return boxes

    def object_parts(self) -> dict[int, list[NDArray[np.float32]]]:
        """Per object number, in ascending order, the boxes around its parts, the largest first: one, or two if the seam
        of a panorama cuts the object, so that instances end at both the left and the right edge of the picture."""
        return {
            number: [hull] if hull[1] > 0 or hull[3] < 1 else _parts_at_seam(self.boxes[self.objects == number], hull)
            for number, hull in self.object_boxes().items()
        }

    def as_json(self) -> list[dict[str, Any]]:
        """One dict per distinct object: label, best score (4 digits), box around its instances (5 digits).

        An object that the seam of a panorama cuts has the box of its larger part, and that of the other as `beyond`.
        """
        parts, result = self.object_parts(), []
        for number, row in self.best_instances().items():
            label, score = label_of(int(self.classes[row])), round(float(self.scores[row]), 4)
            box, *others = ([round(float(side), 5) for side in part] for part in parts[number])
            result.append({"label": label, "score": score, "box": box} | ({"beyond": others[0]} if others else {}))
        return result


def _parts_at_seam(boxes: NDArray[np.float32], hull: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The hulls (ymin, xmin, ymax, xmax) of the boxes (N, 4) on either side of the widest gap between them, the larger
    first; only `hull`, which is around all of them, if there is no gap."""
    order = boxes[np.argsort(boxes[:, 1], kind="stable")]
    reached = np.maximum.accumulate(order[:, 3])
    gaps = order[1:, 1] - reached[:-1]
    if not len(gaps) or gaps.max() <= 0:
        return [hull]
    cut = int(np.argmax(gaps)) + 1
    parts = [np.concatenate([part[:, :2].min(axis=0), part[:, 2:].max(axis=0)]) for part in (order[:cut], order[cut:])]
    return sorted(parts, key=lambda part: -float(np.prod(part[2:] - part[:2])))


def _mirrored(boxes: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    mirrored = boxes.copy()
    mirrored[:, axis] = 1 - boxes[:, axis + 2]
    mirrored[:, axis + 2] = 1 - boxes[:, axis]
    return mirrored
