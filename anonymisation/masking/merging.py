"""Decide which detections show the same object. For counting only: no instance is removed, and each stays hidden."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Two boxes of one object, detected twice: the usual threshold for a match (PASCAL VOC; the loosest of COCO's).
SAME_IOU: Final = 0.5
# A crop's edge may cut an object, so that only a part of it is detected there. That part lies almost completely inside
# the object's other box; not 1, since both boxes are estimates.
PIECE_INSIDE: Final = 0.8
# Only doubtful detections are parts of a larger object: one with at least this score is an object of its own, such as a
# pedestrian in front of a bus.
SURE_SCORE: Final = 0.5
# A driver or a reflection is at most this tall, as a fraction of the vehicle; a person next to it is taller.
_INMATE: Final = 0.5
# A mirror fills less of its vehicle's box than this; a vehicle in front of another one fills more.
_TINY: Final = 1 / 25
_PERSON: Final = 1
_CYCLES: Final = (2, 4)
_MOTOR_VEHICLES: Final = (3, 6, 8)
# A box that ends this close to a crop's edge (as a fraction of the crop's side) counts as cut by it.
_CUT_MARGIN: Final = 0.02

Boxes = NDArray[np.float64]


def same_objects(
    boxes: Boxes, classes: NDArray[np.int32], crops: Boxes, sources: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Number the objects that N detections show, from 0 in the order of their first detection.

    Two detections are the same object if they have the same class, come from different crops (within a crop the model
    has already separated objects), and agree in the overlap of the crops: there the IoU of their boxes is at least
    SAME_IOU, or one of them, cut by its crop's edge, has a fraction PIECE_INSIDE of its area inside the other. Because
    only the overlap is compared, the two ends of a long lorry in neighbouring tiles are one object. Agreement is
    transitive.

    Args:
        boxes: (N, 4) ymin, xmin, ymax, xmax as fractions of the picture.
        classes: (N,) COCO ids.
        crops: (N, 4) the crop of each detection, in the same coordinates.
        sources: (N,) the number of that crop.
    """
    count = len(boxes)
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    cut = _cut_by_crop(boxes, crops)
    for index in range(count - 1):
        rest = slice(index + 1, None)
        candidates = (classes[rest] == classes[index]) & (sources[rest] != sources[index])
        agree = candidates & _agree(boxes[index], crops[index], bool(cut[index]), boxes[rest], crops[rest], cut[rest])
        for other in (np.flatnonzero(agree) + index + 1).tolist():
            low, high = sorted((root(index), root(other)))
            parent[high] = low
    _, numbers = np.unique([root(index) for index in range(count)], return_inverse=True)
    return np.asarray(numbers, np.int32)


def whole_objects(boxes: Boxes, classes: NDArray[np.int32], scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """The row of the object that each of N objects belongs to: its own, or that of a larger object.

    A model detects one vehicle as a car and as a lorry, its mirror as another car, its driver or a reflection as a
    person, and a rider's legs as another person. An object belongs to a larger one if it is

    - of another class of the same kind (car, bus and truck; bicycle and motorcycle), with an IoU of at least SAME_IOU;
    - doubtful, with a fraction PIECE_INSIDE of its area inside, and of a kind that may be a part of the larger one: any
      kind of itself; of a motor vehicle also a cycle, and a person at most half as tall;
    - a motor vehicle, tiny and less sure, with as much of it inside a motor vehicle: a mirror or a headlight.

    Also, a doubtful object is the same again as surer ones of its kind that cover as much of it together, such as a box
    around a lorry and its trailer; it belongs to the one that covers most of it.

    A person is never a part of a cycle, nor a cycle of a person: a rider and a bicycle are two objects.

    Args:
        boxes: (N, 4) ymin, xmin, ymax, xmax as fractions of the picture.
        classes: (N,) COCO ids.
        scores: (N,) 0 to 1.
    """
    areas, heights = _area(boxes), boxes[:, 2] - boxes[:, 0]
    whole = np.arange(len(boxes))
    # From the largest on, so that the larger object's own place is known.
    order = np.lexsort((np.arange(len(boxes)), -areas))
    for place, row in enumerate(order):
        larger = order[:place]
        common = _area(_intersection(boxes[row], boxes[larger]))
        inside = common / max(float(areas[row]), 1e-12)
        iou = common / np.maximum(areas[row] + areas[larger] - common, 1e-12)
        kinds = classes[larger]
        twice = _same_kind(int(classes[row]), kinds) & (kinds != classes[row]) & (iou >= SAME_IOU)
        small = heights[row] <= _INMATE * heights[larger]
        part = _may_be_part(int(classes[row]), kinds, small) & (inside >= PIECE_INSIDE) & (scores[row] < SURE_SCORE)
        tiny = (areas[row] <= _TINY * areas[larger]) & (scores[row] < scores[larger]) & (inside >= PIECE_INSIDE)
        part |= tiny & np.isin(kinds, _MOTOR_VEHICLES) & (classes[row] in _MOTOR_VEHICLES)
        if (twice | part).any():
            whole[row] = whole[larger[np.argmax(np.where(twice | part, inside, -1))]]
    for row in order[::-1]:
        if (
            whole[row] == row
            and scores[row] < SURE_SCORE
            and (same := _covering(row, boxes, classes, scores, whole)) >= 0
        ):
            whole[whole == row] = same
    return whole


def _covering(
    row: int, boxes: Boxes, classes: NDArray[np.int32], scores: NDArray[np.float32], whole: NDArray[np.intp]
) -> int:
    """The row of what covers most of a doubtful object, if surer ones of its kind cover it together; else -1."""
    surer = _same_kind(int(classes[row]), classes) & (scores > scores[row]) & (whole == np.arange(len(whole)))
    own, parts = float(_area(boxes[row])), _intersection(boxes[row], boxes)
    areas = np.where(surer, _area(parts), 0)
    if not own or areas.sum() < PIECE_INSIDE * own:
        return -1
    return int(np.argmax(areas)) if _common_area(parts[areas > 0]) >= PIECE_INSIDE * own else -1


def _common_area(boxes: Boxes) -> float:
    """The area that boxes (N, 4) cover together, counted on the grid of all their edges."""
    down, across = np.unique(boxes[:, ::2]), np.unique(boxes[:, 1::2])
    y, x = (down[1:] + down[:-1]) / 2, (across[1:] + across[:-1]) / 2
    rows, columns = (boxes[:, :1] <= y) & (y <= boxes[:, 2:3]), (boxes[:, 1:2] <= x) & (x <= boxes[:, 3:])
    covered = (rows[:, :, None] & columns[:, None, :]).any(axis=0)
    return float((covered * np.diff(down)[:, None] * np.diff(across)).sum())


def _same_kind(kind: int, kinds: NDArray[np.int32]) -> NDArray[np.bool_]:
    group = next((group for group in (_CYCLES, _MOTOR_VEHICLES) if kind in group), (kind,))
    return np.isin(kinds, group)


def _may_be_part(kind: int, kinds: NDArray[np.int32], small: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether an object of `kind` may be a part of larger ones of `kinds`; `small`: it is at most half as tall."""
    of_vehicle = np.isin(kinds, _MOTOR_VEHICLES) & (small if kind == _PERSON else True)
    return np.asarray(_same_kind(kind, kinds) | of_vehicle, np.bool_)


def _agree(
    box: Boxes, crop: Boxes, is_cut: bool, boxes: Boxes, crops: Boxes, cut: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether one detection agrees with each of several in the overlap of their crops."""
    shared = _intersection(crop, crops)
    mine, theirs = _intersection(box, shared), _intersection(boxes, shared)
    common = _area(_intersection(mine, theirs))
    my_area, their_area = _area(mine), _area(theirs)
    with np.errstate(divide="ignore", invalid="ignore"):
        iou = common / (my_area + their_area - common)
        inside = np.where(my_area < their_area, common / my_area, common / their_area)
    smaller_is_cut = np.where(my_area < their_area, is_cut, cut)
    same = (iou >= SAME_IOU) | (smaller_is_cut & (inside >= PIECE_INSIDE))
    return np.asarray((common > 0) & same, np.bool_)


def _cut_by_crop(boxes: Boxes, crops: Boxes) -> NDArray[np.bool_]:
    """Whether a box ends at an edge of its crop that is not the picture's edge."""
    size = crops[:, 2:] - crops[:, :2]
    low = (boxes[:, :2] - crops[:, :2] <= _CUT_MARGIN * size) & (crops[:, :2] > 0)
    high = (crops[:, 2:] - boxes[:, 2:] <= _CUT_MARGIN * size) & (crops[:, 2:] < 1)
    return np.asarray(np.any(low | high, axis=1), np.bool_)


def _intersection(one: Boxes, other: Boxes) -> Boxes:
    low = np.maximum(one[..., :2], other[..., :2])
    return np.concatenate([low, np.maximum(np.minimum(one[..., 2:], other[..., 2:]), low)], axis=-1)


def _area(boxes: Boxes) -> Boxes:
    return np.asarray(np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1))
