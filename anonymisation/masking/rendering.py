"""Hides detections by a soft tone or a fill inside the union of all masks; all other pixels stay as they are.

A blur alone hides nothing: a blur can be undone, or applied to every candidate and compared. So each region is first
replaced by a tone that reveals almost nothing, or by a field that reveals nothing (see `tones`). The blur is applied to
the replaced picture. It only softens the region's edges, as wide as the blur.
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

_BLOCK_PIXELS: Final = 1024  # side of the squares worked on at once: bounds memory, and keeps the halo a small share
_BOX_WORK: Final = 1 << 14  # pixels that could be hidden in the time that a further box takes


@dataclass(frozen=True, slots=True)
class Appearance:
    """What hidden pixels look like.

    `blur` set: the region's tone, with edges softened by a box blur whose side is so many thousandths of the picture's
    width. `gray` takes the colour from tone and edges, and `normalised` also the tone's own level: the gray of the
    surroundings takes its place (needs `gray`). Otherwise `colour` as one fill, otherwise one per class.
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
        """The appearance that the settings ask for; `normalized_gray_blur` without `gray_blur` has no effect."""
        normalised = settings.gray_blur and settings.normalized_gray_blur
        return cls(settings.blur, settings.mask_color, settings.gray_blur, normalised)

    def fill_of(self, coco_id: int) -> RGB:
        """The fill of an object of that class, where there is no blur."""
        return self.colour if self.colour is not None else colour_of(coco_id)

    def blur_side(self, width: int) -> int | None:
        """Side of the blur's box on a picture of that width, in pixels (1: no blur, the tone alone); None for fills."""
        return None if self.blur is None else max(1, int(self.blur / 1000 * width))


@dataclass(frozen=True, slots=True, eq=False)
class Redaction:
    """A picture with its detections hidden: `pixels` (H, W, 3) uint8, `mask` (H, W) bool where they are hidden."""

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

    With a blur, the hidden pixels are a function of the pixels outside of the mask and of one tone per region, where
    the appearance has tones. Where fills of different classes overlap, the class with the lower COCO id is on top.

    Args:
        pixels: (H, W, 3) uint8 RGB, oriented as the detections are; not changed unless `in_place`.
        detections: what to hide.
        appearance: how.
        dilation: margin around every mask, in pixels.
        in_place: hide them in `pixels` itself, which must be writable, instead of in a copy.
        coded_unit: rows and columns of pixels that are coded together in the picture's file (`Frame.coded_unit`).
            Visible pixels that share a block with hidden ones change as well (see `shared_blocks`).

    Raises:
        ValueError: pixels of another shape or dtype.
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
    """Put each instance's colour where its mask is, by class from the highest id, each in the order of detection."""
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
    """Hide what is marked in a box, as if the whole picture had been covered with `content` where `mask` is set, and
    blurred.

    No hidden pixel is looked at, and so it does not matter which of several boxes that overlap comes first.

    Args:
        pixels: (H, W, 3) uint8 RGB; written to.
        mask: (H, W), all that is hidden.
        unusable: (H, W), all that is covered before the blur: the mask and more.
        box: where to hide it now.
        content: what takes the place of hidden pixels.
        side: of the blur's box, in pixels.
        gray: take the colour away.
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
    """The dilated boxes of the instances. Two become one when the work on their common hull is no more than on both.

    So crowds of overlapping instances cost no more than the place they take, and few far apart only their own.
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
    """The work of hiding what is in boxes (..., 4), in pixels."""
    height, width = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return np.asarray(height * width + _BOX_WORK, np.int64)


def _blocks(boxes: list[geometry.PixelBox]) -> Iterator[geometry.PixelBox]:
    """The boxes in parts of at most _BLOCK_PIXELS a side."""
    for box in boxes:
        for top in range(box.top, box.bottom, _BLOCK_PIXELS):
            for left in range(box.left, box.right, _BLOCK_PIXELS):
                bottom, right = min(box.bottom, top + _BLOCK_PIXELS), min(box.right, left + _BLOCK_PIXELS)
                yield geometry.PixelBox(top, left, bottom, right)
