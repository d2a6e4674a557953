"""Replace a hidden region by one of a few tones, so that it reveals almost nothing of its content.

Later steps, such as a blur that mixes in the surroundings, work only on that tone and on pixels that are published
anyway; they cannot restore more than the tone contains. So the published pixels of a region depend only on the pixels
around it and on the choice of one tone:

| appearance | tones | what a region reveals at most |
|---|---|---|
| normalised gray blur | 1 | nothing |
| gray blur | 4 | 2 bits |
| colour blur | 4 · 5 · 5 | 6.7 bits |
| one colour, or one per class | 1 | nothing |

By the data processing inequality (Cover and Thomas, "Elements of Information Theory", section 2.8) nothing more can be
recovered: the right one of N equally likely candidates is found with a probability of at most tones / N, and of about
1 / N for text or a face that changes the region's average by a small part of a step. docs/privacy.md has the argument
and the attacks that test it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import PixelBox, pixel_box
from anonymisation.masking.labels import RGB
from anonymisation.masking.marked import fill_marked

# Steps so wide that the text of a number plate rarely moves a region's average across one: text on a plate that takes
# up half of a cut-off car moves it by about 3 of 255 levels.
_LUMA_STEP: Final = 64
_CHROMA_STEP: Final = 48
_CHROMA_LIMIT: Final = 2 * _CHROMA_STEP
_SAMPLES: Final = 1 << 14  # approximate number of pixels in an average
_CENTRE: Final = 128  # centre of the chroma axes: no colour
_LUMA_WEIGHTS: Final = np.array([0.299, 0.587, 0.114])  # from ITU-R BT.601, which JFIF uses
_BLUE_TO_CB: Final = 0.5 / (1 - 0.114)  # JFIF 1.02: Cb = 128 + this · (B - Y)
_RED_TO_CR: Final = 0.5 / (1 - 0.299)


def regions(detections: Detections, height: int, width: int, dilation: int) -> list[PixelBox]:
    """Boxes of the hidden regions in a picture of `height` × `width` pixels, with masks dilated by `dilation` pixels.

    All hidden pixels within a box are one region and share one tone; the boxes do not overlap.

    Objects whose boxes touch or nearly touch form one region: boxes are compared after growing by half of their shorter
    side on each side. Otherwise a model that detects one object as many small ones would reveal many tones of it.
    """
    merged: list[tuple[PixelBox, PixelBox]] = []
    for corners in (part for parts in detections.object_parts().values() for part in parts):
        inner = pixel_box(corners, height, width)
        near = min(inner.height, inner.width) // 2
        box, reach = (inner.grown(margin, height, width) for margin in (dilation, dilation + near))
        while (found := next((pair for pair in merged if reach.common(pair[1]) is not None), None)) is not None:
            merged.remove(found)
            box, reach = box.hull(found[0]), reach.hull(found[1])
        merged.append((box, reach))
    return [box for box, _ in merged]


@dataclass(frozen=True, slots=True)
class Tones:
    """The hidden regions of a picture, each with its tone."""

    found: tuple[tuple[PixelBox, RGB], ...]

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], hidden: NDArray[np.bool_], boxes: list[PixelBox], *, gray: bool) -> Self:
        """Compute the tones of a picture's regions.

        Args:
            pixels: (H, W, 3) uint8 RGB, before anything is hidden.
            hidden: (H, W), the hidden pixels.
            boxes: the boxes of the regions.
            gray: gray tones; otherwise colours.
        """
        return cls(tuple((box, tone_of(pixels[box.window], hidden[box.window], gray=gray)) for box in boxes))

    def cover(self, part: NDArray[np.uint8], hidden: NDArray[np.bool_], box: PixelBox) -> None:
        """Replace the hidden pixels of a part of the picture by the tones.

        Args:
            part: (h, w) uint8 gray levels, or (h, w, 3) RGB; written to.
            hidden: (h, w), the pixels to replace.
            box: the position of the part in the picture.
        """
        for region, tone in self.found:
            common = region.common(box)
            if common is not None:
                window = common.within(box)
                fill_marked(tone if part.ndim == 3 else tone[:1], hidden[window], part[window])


def tone_of(pixels: NDArray[np.uint8], hidden: NDArray[np.bool_], *, gray: bool) -> RGB:
    """The tone of a region: the quantised average of its hidden pixels, or of a sample of them.

    Args:
        pixels: (h, w, 3) uint8 RGB, before anything is hidden.
        hidden: (h, w), the hidden pixels, at least one.
        gray: one of 4 gray levels, without colour; otherwise one of 4 · 5 · 5 colours.
    """
    step = max(1, math.isqrt(hidden.size // _SAMPLES))
    if not hidden[::step, ::step].any():
        step = 1
    sample = np.ascontiguousarray(hidden[::step, ::step]).view(np.uint8)
    mean = np.array(cv2.mean(np.ascontiguousarray(pixels[::step, ::step]), sample)[:3])
    return quantised(mean, gray=gray)


def quantised(mean: NDArray[np.float64], *, gray: bool) -> RGB:
    """The tone for an average colour (red, green, blue; 0 to 255): the middle of its step on each axis of YCbCr."""
    luma = float(mean @ _LUMA_WEIGHTS)
    level = min(int(luma // _LUMA_STEP), 3) * _LUMA_STEP + _LUMA_STEP // 2
    if gray:
        return level, level, level
    blue, red = (_chroma(weight * (mean[axis] - luma)) for weight, axis in ((_BLUE_TO_CB, 2), (_RED_TO_CR, 0)))
    coded = np.array([[[level, _CENTRE + red, _CENTRE + blue]]]).clip(0, 255).astype(np.uint8)
    first, second, third = cv2.cvtColor(coded, cv2.COLOR_YCrCb2RGB)[0, 0].tolist()
    return first, second, third


def _chroma(offset: float) -> int:
    """The nearest of five steps around no colour."""
    return max(-_CHROMA_LIMIT, min(_CHROMA_LIMIT, round(offset / _CHROMA_STEP) * _CHROMA_STEP))
