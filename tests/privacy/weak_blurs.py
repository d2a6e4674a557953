"""Blurs that do not hide: the controls of the attacks.

These blurs were published before regions got tones: a box blur of the hidden pixels themselves, and its normalised
form, the difference of two box blurs, as in the original program. An attack that cannot undo them proves nothing when
it fails on the product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import cv2  # noqa: TID253 - the same blur as in production
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from anonymisation.masking.rendering import Redaction

WeakKind = Literal["colour", "gray", "normalised"]

_WIDER: Final = 1.2  # size of the second box of the normalised blur, relative to the first
_LEVEL: Final = 100.0  # level of the normalised blur where both boxes agree


def weakly_blurred(pixels: NDArray[np.float32], side: int, kind: WeakKind) -> NDArray[np.float32]:
    """(H, W) or (H, W, C) float32 after a box blur with this side in pixels; not rounded, so that it is linear."""
    narrow = np.asarray(cv2.blur(pixels, (side, side)), np.float32)
    if kind != "normalised":
        return narrow
    wide = max(side + 1, int(_WIDER * side))
    return narrow - np.asarray(cv2.blur(pixels, (wide, wide)), np.float32) + np.float32(_LEVEL)


@dataclass(frozen=True, slots=True)
class WeakBlur:
    """A weak way of hiding, called like the product's `redact`, with the side of its box in pixels."""

    side: int
    kind: WeakKind

    def __call__(
        self, pixels: NDArray[np.uint8], detections: Detections, dilation: int, coded_unit: tuple[int, int] = (1, 1)
    ) -> Redaction:
        """Blur the pixels to hide, and leave the rest unchanged."""
        height, width = pixels.shape[:2]
        mask = union(detections, height, width, dilation)
        if self.kind == "colour":
            blurred = weakly_blurred(pixels.astype(np.float32), self.side, self.kind)
        else:
            luma = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)
            blurred = weakly_blurred(luma, self.side, self.kind)[..., None].repeat(3, axis=2)
        hidden = np.where(mask[..., None], np.rint(blurred).clip(0, 255), pixels).astype(np.uint8)
        return Redaction(hidden, mask)
