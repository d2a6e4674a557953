"""Where two detectors differ on one picture: the objects that one of them hides and the other leaves visible."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.fixed_regions import FixedRegions
from anonymisation.masking.labels import label_of

Side = Literal["a", "b"]
COVERED: Final = 0.5  # an object of which the other side hides at least this share is hidden by both


class Difference(msgspec.Struct, frozen=True):
    """An object that one side alone hides.

    `box` is top, left, bottom, right as shares of the upright picture. `pixels` are those that this side alone hides.
    """

    side: Side
    label: str
    score: float
    box: tuple[float, float, float, float]
    pixels: int


def differences(
    a: Detections,
    b: Detections,
    size: tuple[int, int],
    dilation: tuple[int, int],
    fixed: tuple[FixedRegions, FixedRegions] = (FixedRegions(), FixedRegions()),
) -> list[Difference]:
    """The objects that one side hides and the other does not, those of `a` first.

    Args:
        a: what one side found in the upright picture.
        b: what the other side found in it.
        size: height and width of the picture in pixels.
        dilation: in pixels, of `a` and of `b`.
        fixed: the regions of `a` and of `b`; what lies in one that is always hidden is hidden. No such region is itself
            a difference, since no model found it.
    """
    from anonymisation.masking.geometry import union  # imports OpenCV, which pages that show the result do not need

    sides = zip((a, b), dilation, fixed, strict=True)
    hidden_a, hidden_b = (union(regions.with_hidden(found), *size, margin) for found, margin, regions in sides)
    return [*_alone("a", a, hidden_b, dilation[0]), *_alone("b", b, hidden_a, dilation[1])]


def _alone(side: Side, found: Detections, other: NDArray[np.bool_], dilation: int) -> list[Difference]:
    """The objects of `found` that the pixels hidden by the other side do not cover."""
    from anonymisation.masking.geometry import patches

    height, width = other.shape
    best, parts = found.best_instances(), found.object_parts()
    alone = []
    for number, row in best.items():
        own = np.zeros_like(other)
        for instance in np.flatnonzero(found.objects == number).tolist():
            for patch in patches(found.boxes[instance], found.masks[instance], height, width, dilation):
                own[patch.window] |= patch.marked
        pixels = int(np.count_nonzero(own & ~other))
        if pixels > (1 - COVERED) * np.count_nonzero(own):
            top, left, bottom, right = (round(float(edge), 5) for edge in parts[number][0])
            label, score = label_of(int(found.classes[row])), round(float(found.scores[row]), 4)
            alone.append(Difference(side, label, score, (top, left, bottom, right), pixels))
    return alone
