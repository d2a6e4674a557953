"""Join what the looks at a panorama found: every instance is kept, and each object counts once.

The rules are those of `masking.merging`, on a picture whose right edge meets its left one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from anonymisation.masking.merging import PIECE_INSIDE, SAME_IOU, whole_objects
from anonymisation.masking.panoramas.looks import Extent, Look
from anonymisation.masking.panoramas.mapping import finer, mapped

_CUT_MARGIN: Final = 0.02  # a box that ends this close to the edge of its look (as a share of it) is cut by it
_SEAM_MARGIN: Final = 0.003  # the same for the edges of the whole picture, which is much wider
_GRID: Final = (180, 360)  # rows and columns on which the footprints of two cut objects are compared
_SHIFTS: Final = (-1.0, 0.0, 1.0)  # of a box in widths of the picture, to compare it with one on the other side

Boxes = NDArray[np.float64]


@dataclass(frozen=True)
class Find:
    """An object that one look found.

    Attributes:
        source: number of the look; 0 is the whole picture.
        extent: the box around it.
        kind: COCO id.
        score: the best of its instances.
        cut: whether the edge of the look cuts it.
        marked: its footprint on _GRID, made when it is asked for.
        covered: what its look shows of _GRID, likewise.
    """

    source: int
    extent: Extent
    kind: int
    score: float
    cut: bool
    marked: Callable[[], NDArray[np.bool_]]
    covered: Callable[[], NDArray[np.bool_]]

    @cached_property
    def footprint(self) -> NDArray[np.bool_]:
        """See `marked`."""
        return self.marked()

    @cached_property
    def window(self) -> NDArray[np.bool_]:
        """See `covered`."""
        return self.covered()


def joined(
    whole: Detections, looks: Sequence[tuple[Look, Detections]], size: tuple[int, int], *, wraps: bool
) -> Detections:
    """All instances in the panorama, with one number per object.

    Args:
        whole: detections in the whole picture.
        looks: each look with the detections in it.
        size: height and width of the panorama, in pixels.
        wraps: whether the right edge of the picture meets the left one.
    """
    filled = [(look, found) for look, found in looks if len(found)]
    if not filled:
        return whole
    parts, finds = [finer(whole)], [*_finds_in_whole(whole, wraps)]
    numbers = [_numbered(whole.objects, 0)]
    for source, (look, found) in enumerate(filled, start=1):
        part, rows = mapped(found, look, size)
        numbers.append(_numbered(found.objects, len(finds))[rows])
        finds += _finds_in_look(source, look, found, part)
        parts.append(part)
    objects = _objects(finds)
    return Detections.concatenate(parts).with_objects(objects[np.concatenate(numbers)])


def _numbered(objects: NDArray[np.int32], first: int) -> NDArray[np.intp]:
    """The objects' numbers in ascending order, counted from `first` on."""
    return np.asarray(np.unique(objects, return_inverse=True)[1], np.intp) + first


def _finds_in_whole(found: Detections, wraps: bool) -> Iterator[Find]:
    best = found.best_instances()
    for number, box in found.object_boxes().items():
        top, left, bottom, right = (float(side) for side in box)
        cut = wraps and (left <= _SEAM_MARGIN or right >= 1 - _SEAM_MARGIN)
        extent, kind, score = Extent(top, left, bottom, right), found.classes[best[number]], found.scores[best[number]]
        yield Find(0, extent, int(kind), float(score), cut, _footprint(found, number), _everything)


def _finds_in_look(source: int, look: Look, found: Detections, part: Detections) -> Iterator[Find]:
    """The objects of `found`; `part` are its instances in the panorama."""
    best = found.best_instances()
    for number, box in found.object_boxes().items():
        cut = bool((box[:2] <= _CUT_MARGIN).any() or (box[2:] >= 1 - _CUT_MARGIN).any())
        extent, kind, score = look.extent(box), found.classes[best[number]], found.scores[best[number]]
        yield Find(source, extent, int(kind), float(score), cut, _footprint(part, number), _window(look))


def _everything() -> NDArray[np.bool_]:
    return np.ones(_GRID, np.bool_)


def _footprint(found: Detections, number: int) -> Callable[[], NDArray[np.bool_]]:
    return lambda: union(found.rows(found.objects == number), *_GRID)


def _window(look: Look) -> Callable[[], NDArray[np.bool_]]:
    def covered() -> NDArray[np.bool_]:
        rows, columns = _GRID
        u, v = look.places(*np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows))
        return np.asarray((u >= 0) & (u <= 1) & (v >= 0) & (v <= 1), np.bool_)

    return covered


def _objects(finds: Sequence[Find]) -> NDArray[np.int32]:
    """The number of the object that each find shows; parts of a larger object have its number."""
    groups = _groups(finds)
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    best = [max(rows.tolist(), key=lambda row: finds[row].score) for rows in members]
    hulls = np.array([_hull([finds[row].extent for row in rows]) for rows in members])
    kinds = np.array([finds[row].kind for row in best], np.int32)
    scores = np.array([finds[row].score for row in best], np.float32)
    own = whole_objects(_rolled(hulls, 0.0), kinds, scores)
    # The same with the seam in the middle, for what lies nearer to it than to the picture's centre.
    near_seam = np.abs(np.mod(hulls[:, [1, 3]].mean(axis=1), 1) - 0.5) > 0.25
    across = whole_objects(_rolled(hulls, 0.5), kinds, scores)
    return np.where(near_seam, across, own).astype(np.int32)[groups]


def _groups(finds: Sequence[Find]) -> NDArray[np.intp]:
    """Number the finds that show one object, from 0: the same class, other looks, and the same place."""
    boxes = np.array([[find.extent.top, find.extent.left, find.extent.bottom, find.extent.right] for find in finds])
    kinds, sources = np.array([find.kind for find in finds]), np.array([find.source for find in finds])
    cut = np.array([find.cut for find in finds])
    group = np.arange(len(finds))
    for row in range(len(finds) - 1):
        rest = np.arange(row + 1, len(finds))
        rest = rest[(kinds[rest] == kinds[row]) & (sources[rest] != sources[row])]
        common, mine, theirs = _common(boxes[row], boxes[rest]), _area(boxes[row]), _area(boxes[rest])
        iou = common / np.maximum(mine + theirs - common, 1e-12)
        inside = common / np.maximum(np.minimum(mine, theirs), 1e-12)
        smaller_is_cut = np.where(mine < theirs, cut[row], cut[rest])
        same = (iou >= SAME_IOU) | (smaller_is_cut & (inside >= PIECE_INSIDE))
        unsure = ~same & (common > 0) & cut[row] & cut[rest]
        same[unsure] = [_agree(finds[row], finds[other]) for other in rest[unsure].tolist()]
        for other in rest[same].tolist():
            low, high = sorted((group[row], group[other]))
            group[group == high] = low
    return np.asarray(np.unique(group, return_inverse=True)[1], np.intp)


def _agree(one: Find, other: Find) -> bool:
    """Whether two finds cover the same in what both looks show."""
    weight = np.cos(np.deg2rad(90 - (np.arange(_GRID[0]) + 0.5) * 180 / _GRID[0]))[:, None]
    mine, theirs = one.footprint & other.window, other.footprint & one.window
    together = float(((mine | theirs) * weight).sum())
    return together > 0 and float(((mine & theirs) * weight).sum()) >= SAME_IOU * together


def _common(box: Boxes, boxes: Boxes) -> Boxes:
    """The area that a box shares with each of (N, 4) others, on whichever side of the seam they are."""
    down = np.clip(np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0]), 0, None)
    across = [
        np.clip(np.minimum(box[3], boxes[:, 3] + shift) - np.maximum(box[1], boxes[:, 1] + shift), 0, None)
        for shift in _SHIFTS
    ]
    return np.asarray(down * np.max(across, axis=0), np.float64)


def _area(boxes: Boxes) -> Boxes:
    return np.asarray((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]), np.float64)


def _hull(extents: Sequence[Extent]) -> tuple[float, float, float, float]:
    """The box around several, on one side of the seam where that is shorter."""
    first = extents[0]
    top, left, bottom, right = first.top, first.left, first.bottom, first.right
    for other in extents[1:]:
        shift = min(_SHIFTS, key=lambda shift: max(right, other.right + shift) - min(left, other.left + shift))
        left, right = min(left, other.left + shift), max(right, other.right + shift)
        top, bottom = min(top, other.top), max(bottom, other.bottom)
    return top, left, bottom, min(right, left + 1)


def _rolled(hulls: Boxes, turn: float) -> Boxes:
    """The boxes after turning the panorama to the right by `turn` widths, each in one piece."""
    rolled = hulls.copy()
    rolled[:, 1] = np.mod(hulls[:, 1] + turn, 1)
    rolled[:, 3] = rolled[:, 1] + hulls[:, 3] - hulls[:, 1]
    return rolled
