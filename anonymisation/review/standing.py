"""Finds that stand at the same place of the picture through a whole drive: the camera car's own bonnet, a mirror, dirt.

Only reported: it changes nothing of what is hidden. `training/EXPERIMENTS.md`, section 12, has the figures behind the
numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.fixed_regions import FixedRegions
from anonymisation.masking.labels import CLASSES
from anonymisation.review.rows import Row, Seen

LEAST_PICTURES: Final = 20
"""Of a drive, 400 m at 20 m: in fewer pictures, other traffic stands still, too."""
LEAST_SHARE: Final = 0.5
SAME_IOU: Final = 0.8
"""With the median box: finds of things fixed to the camera have .9 and more, of a vehicle ahead mostly .5 to .8."""
_SAME_THING: Final = 0.5  # the usual threshold of a match (PASCAL VOC): nothing is reported twice
_SOURCES: Final = 16  # pictures whose finds are tried; what stands in half of all is in none of them once in 65 000
_TRIED: Final = 100  # finds of such a picture
_SAMPLE: Final = 200  # pictures that sort out most of them before all are looked at
_SLACK: Final = 0.15  # below LEAST_SHARE, in the sample: four standard deviations
_COVERED: Final = 0.9  # as for a find in a region that is never searched
_LABELS: Final = tuple(kind.label for kind in CLASSES)

Boxes = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standing:
    """A find at the same place in `pictures` of `total` pictures of a folder.

    `label` is what most of them were taken for. `box` is the median, ymin, xmin, ymax, xmax as shares of the picture as
    its file stores it. `example` is the index of one of these pictures.
    """

    label: str
    box: tuple[float, float, float, float]
    pictures: int
    total: int
    example: int

    def __str__(self) -> str:
        top, left, bottom, right = (round(100 * side) for side in self.box)
        place = f"{left} to {right} % from the left, {top} to {bottom} % from the top"
        return f"a {self.label} at the same place in {self.pictures} of {self.total} pictures ({place})"


def standing_in(rows: Sequence[Row]) -> list[Standing]:
    """The standing finds of a folder; `example` is an index in `rows`. Failed pictures do not count.

    Takes hundredths of a second if nothing stands still, else about a second for 100 000 pictures.
    """
    masked = [index for index, row in enumerate(rows) if not row.failed]
    decoder = msgspec.json.Decoder(list[Seen])
    found = standing_finds(len(masked), lambda place: decoder.decode(rows[masked[place]].found))
    return [replace(one, example=masked[one.example]) for one in found]


def standing_finds(total: int, seen: Callable[[int], Sequence[Seen]]) -> list[Standing]:
    """The finds at the same place in at least LEAST_SHARE of the pictures of a drive, those in most pictures first.

    `seen` returns the finds of a picture, 0 to `total` - 1. None stands still in less than LEAST_PICTURES pictures.
    """
    if total < LEAST_PICTURES:
        return []
    sample = _Finds.of(_spread(total, _SAMPLE), seen)
    everything: _Finds | None = None  # 100 000 pictures take a second, so only if something may stand still
    standing: list[Standing] = []
    for box in _Finds.of(_spread(total, _SOURCES), lambda place: seen(place)[:_TRIED]).boxes:
        if any(_iou(np.array([known.box]), box)[0] >= _SAME_THING for known in standing):
            continue
        if sample.share(box) >= LEAST_SHARE - _SLACK:
            everything = everything or _Finds.of(range(total), seen)
            if (found := everything.standing(box)) is not None:
                standing.append(found)
    return sorted(standing, key=lambda one: (-one.pictures, one.box))


def without_region(found: Iterable[Standing], regions: FixedRegions) -> list[Standing]:
    """Those that no fixed region covers, always hidden or never searched, by at least 0.9 of their box."""
    return [one for one in found if _covered(one.box, regions) < _COVERED]


def _covered(box: tuple[float, float, float, float], regions: FixedRegions) -> float:
    """The share of a box that lies in the regions, from 400 points."""
    steps = (np.arange(20) + 0.5) / 20
    top, left, bottom, right = box
    y, x = np.meshgrid(top + (bottom - top) * steps, left + (right - left) * steps)
    inside = np.zeros(x.shape, np.bool_)
    for polygon in (*regions.hidden, *regions.unsearched):
        inside |= polygon.holds(x, y)
    return float(inside.mean())


@dataclass(frozen=True, slots=True, eq=False)
class _Finds:
    """The finds of `total` pictures: `boxes` (n, 4), the number of their picture and that of their label (n,)."""

    boxes: Boxes
    pictures: NDArray[np.int64]
    labels: NDArray[np.int64]
    total: int

    @classmethod
    def of(cls, places: Sequence[int], seen: Callable[[int], Sequence[Seen]]) -> Self:
        """The finds of these pictures, in flat arrays: 50 bytes per find."""
        boxes, pictures, labels = array("d"), array("q"), array("q")
        for place in places:
            for one in seen(place):
                boxes.extend(one.box)
                pictures.append(place)
                labels.append(_LABELS.index(one.label) if one.label in _LABELS else 0)
        return cls(np.array(boxes).reshape(-1, 4), np.array(pictures), np.array(labels), len(places))

    def share(self, box: Boxes) -> float:
        """The share of the pictures with a find at the place of `box`."""
        return len(np.unique(self.pictures[_iou(self.boxes, box) >= SAME_IOU])) / self.total

    def standing(self, box: Boxes) -> Standing | None:
        """What stands there, if it does so in enough pictures. The median is closer to it than any one find."""
        middle = np.median(self.boxes[_iou(self.boxes, box) >= SAME_IOU], axis=0)
        near = _iou(self.boxes, middle) >= SAME_IOU
        places = np.unique(self.pictures[near])
        if len(places) < LEAST_SHARE * self.total:
            return None
        label = _LABELS[int(np.bincount(self.labels[near]).argmax())]
        top, left, bottom, right = middle.tolist()
        return Standing(label, (top, left, bottom, right), len(places), self.total, int(places[len(places) // 2]))


def _spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of the numbers below `count`, evenly spread."""
    wanted = min(count, wanted)
    return [(2 * index + 1) * count // (2 * wanted) for index in range(wanted)]


def _iou(boxes: Boxes, box: Boxes) -> Boxes:
    """(n,) the IoU of boxes (n, 4) with a box (4,); 0 for boxes without area."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    common = np.maximum(sides, 0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return np.asarray(common / np.maximum(areas - common, 1e-12), np.float64)
