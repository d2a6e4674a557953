"""Hide detections by a soft tone or a fill inside the union of all masks; all other pixels stay unchanged.

A blur alone hides nothing: it can be undone, or applied to every candidate and compared. So each region is first
replaced by a tone that reveals almost nothing, or by a field that reveals nothing (see `tones`). The blur then runs on
the replaced picture and only softens the region's edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Final

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.core.settings import Settings
from anonymisation.masking import geometry
from anonymisation.masking.backdrop import Backdrop
from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import KEPT_IDS, RGB, colour_of
from anonymisation.masking.marked import copy_marked, fill_marked
from anonymisation.masking.shared_blocks import APART, SharedBlocks
from anonymisation.masking.tones import Tones, regions

_BLOCK_PIXELS: Final = 1024  # side of the squares processed at once: bounds memory, and keeps the halo relatively small
_BOX_WORK: Final = 1 << 14  # the overhead of one box, as the number of pixels that could be hidden in that time


@dataclass(frozen=True, slots=True)
class Appearance:
    """The appearance of hidden pixels.

    With `blur`: the region's tone, with edges softened by a box blur whose side is `blur` thousandths of the picture's
    width. `gray` makes tone and edges gray; `normalised` (needs `gray`) also replaces the tone by the gray level of the
    surroundings. Without `blur`: the fill `colour`; if that is None too, one colour per class.
    """

    blur: float | None
    colour: RGB | None
    gray: bool
    normalised: bool

    def __post_init__(self) -> None:
        if self.blur is not None and not 0 < self.blur <= 1000:
            raise ValueError(f"blur: expected more than 0 and at most 1000 thousandths of the width, got {self.blur}")
        if self.colour is not None and (len(self.colour) != 3 or not all(0 <= level <= 255 for level in self.colour)):
            raise ValueError(f"colour: expected red, green, blue from 0 to 255, got {self.colour}")
        if self.normalised and not self.gray:
            raise ValueError("normalised: needs gray")

    @classmethod
    def from_settings(cls, settings: Settings) -> Appearance:
        """The appearance for these settings; `normalized_gray_blur` without `gray_blur` has no effect."""
        normalised = settings.gray_blur and settings.normalized_gray_blur
        return cls(settings.blur, settings.mask_color, settings.gray_blur, normalised)

    def fill_of(self, coco_id: int) -> RGB:
        """The fill colour of a class, for an appearance without blur."""
        return self.colour if self.colour is not None else colour_of(coco_id)

    def blur_side(self, width: int) -> int | None:
        """Side of the box blur in pixels, for a picture of this width (1: no blur, the tone only); None for fills."""
        return None if self.blur is None else max(1, int(self.blur / 1000 * width))


@dataclass(frozen=True, slots=True, eq=False)
class Redaction:
    """A picture with its detections hidden: `pixels` (H, W, 3) uint8, `mask` (H, W) bool marks the hidden pixels."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.pixels.shape[:2] != self.mask.shape:
            raise ValueError(f"expected pixels and mask of one size, got {self.pixels.shape} and {self.mask.shape}")


def redact(
    pixels: NDArray[np.uint8],
    detections: Detections,
    appearance: Appearance,
    dilation: int,
    *,
    in_place: bool = False,
    coded_unit: tuple[int, int] = APART,
) -> Redaction:
    """Hide `detections` in a picture.

    With a blur, the hidden pixels depend only on the pixels outside the mask and, if the appearance has tones, on one
    tone per region. Where fills of different classes overlap, the class with the lower COCO id is on top.

    Args:
        pixels: (H, W, 3) uint8 RGB, in the orientation of the detections; not changed unless `in_place`.
        detections: what to hide.
        appearance: how the hidden pixels look.
        dilation: margin around every mask, in pixels.
        in_place: hide them in `pixels` itself, which must be writable, instead of in a copy.
        coded_unit: rows and columns of pixels that are coded together in the picture's file (`Frame.coded_unit`).
            Visible pixels that share a block with hidden ones change too (see `shared_blocks`).

    Raises:
        ValueError: `pixels` has another shape or dtype.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels: expected uint8 (H, W, 3), got {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape[:2]
    mask = geometry.union(detections, height, width, dilation)
    redacted = pixels if in_place else pixels.copy()
    if not len(detections):
        return Redaction(redacted, mask)
    boxes = _boxes(detections, height, width, dilation)
    shared = SharedBlocks.of(mask, boxes, coded_unit, dilation)
    field = Backdrop.of(redacted, shared.unusable)
    shared.replace(redacted, field)
    side = appearance.blur_side(width)
    if side is None:
        _fill(redacted, detections, appearance, dilation)
        return Redaction(redacted, mask)
    content: Backdrop | Tones
    if appearance.normalised:
        content = field.gray()
    else:
        found = regions(detections, height, width, dilation)
        content = Tones.of(redacted, mask, found, gray=appearance.gray)
    for box in _blocks(boxes):
        _soften(redacted, mask, shared.unusable, box, content, side, appearance.gray)
    return Redaction(redacted, mask)


def _fill(redacted: NDArray[np.uint8], detections: Detections, appearance: Appearance, dilation: int) -> None:
    """Fill each mask with its colour, from the highest class id to the lowest; within a class in the given order."""
    height, width = redacted.shape[:2]
    for index in sorted(range(len(detections)), key=lambda index: -KEPT_IDS.index(int(detections.classes[index]))):
        colour = appearance.fill_of(int(detections.classes[index]))
        for patch in geometry.patches(detections.boxes[index], detections.masks[index], height, width, dilation):
            fill_marked(colour, patch.marked, redacted[patch.window])


def _soften(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    unusable: NDArray[np.bool_],
    box: geometry.PixelBox,
    content: Backdrop | Tones,
    side: int,
    gray: bool,
) -> None:
    """Hide the masked pixels in a box, as if the whole picture had been covered with `content` and blurred.

    No hidden pixel is read, so the order of overlapping boxes does not matter.

    Args:
        pixels: (H, W, 3) uint8 RGB; written to.
        mask: (H, W), all hidden pixels.
        unusable: (H, W), all pixels that are covered before the blur: the mask and more.
        box: the part of the picture to process.
        content: replaces the covered pixels.
        side: side of the box blur, in pixels.
        gray: remove the colour.
    """
    outer = box.grown(side // 2 + 1, *mask.shape)
    part = pixels[outer.window]
    # OpenCV's weights are 0.299, 0.587, 0.114: the luma of ITU-R BT.601, which is also JFIF's Y.
    part = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), np.uint8) if gray else part.copy()
    content.cover(part, unusable[outer.window], outer)
    inner = np.asarray(cv2.blur(part, (side, side)) if side > 1 else part, np.uint8)[box.within(outer)]
    colours = np.asarray(cv2.cvtColor(inner, cv2.COLOR_GRAY2RGB), np.uint8) if gray else inner
    copy_marked(colours, mask[box.window], pixels[box.window])


def _boxes(detections: Detections, height: int, width: int, dilation: int) -> list[geometry.PixelBox]:
    """The dilated boxes of the instances. Two boxes are merged if their hull is no more work than the two boxes.

    So a crowd of overlapping instances costs no more than its area, and distant instances are not joined.
    """
    boxes = np.empty((len(detections), 4), np.int64)  # top, left, bottom, right; the first `count` of them
    count = 0
    for corners in detections.boxes:
        box = np.array(astuple(geometry.pixel_box(corners, height, width).grown(dilation, height, width)))
        while True:
            hulls = np.hstack((np.minimum(boxes[:count, :2], box[:2]), np.maximum(boxes[:count, 2:], box[2:])))
            joined = np.flatnonzero(_work(hulls) <= _work(boxes[:count]) + _work(box))
            if not len(joined):
                break
            box, count = hulls[joined[0]], count - 1
            boxes[joined[0]] = boxes[count]
        boxes[count] = box
        count += 1
    return [geometry.PixelBox(*box) for box in boxes[:count].tolist()]


def _work(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The work to hide the content of boxes (..., 4), as a number of pixels."""
    height, width = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return np.asarray(height * width + _BOX_WORK, np.int64)


def _blocks(boxes: list[geometry.PixelBox]) -> Iterator[geometry.PixelBox]:
    """The boxes, split into parts with sides of at most _BLOCK_PIXELS."""
    for box in boxes:
        for top in range(box.top, box.bottom, _BLOCK_PIXELS):
            for left in range(box.left, box.right, _BLOCK_PIXELS):
                bottom, right = min(box.bottom, top + _BLOCK_PIXELS), min(box.right, left + _BLOCK_PIXELS)
                yield geometry.PixelBox(top, left, bottom, right)
