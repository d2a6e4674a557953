"""Hiding what was detected: blur or fill inside the union of all masks, everything else bit for bit as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking import geometry
from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import KEPT_IDS, RGB, colour_of
from anonymisation.settings import Settings

MIN_BLUR_SIDE: Final = 3  # a box of 1 is the picture itself, and one of 2 leaves all but the finest detail
# A blur hides an object only while its box is not small against the object: along the shorter side of the object's box
# at most so many boxes may fit. Two measures give about the same number. Faces: people recognise known faces from
# 7 × 10 samples (Sinha et al. 2006, "Face recognition by humans", result 1), and a head-and-shoulders detection is half
# face. Number plates: EU plates carry characters 75 mm high on a car some 1500 mm high, a twentieth of the shorter
# side; with twelve boxes per side the box is 1.7 times as high as a character, which leaves no stroke of it.
MAX_BOXES_PER_OBJECT: Final = 12

# Where a blur was asked for and a fill is needed, a class colour would be a surprise in the picture. This is the level
# to which the normalised blur brings everything, and the original program's colour for what has none of its own.
FALLBACK_COLOUR: Final[RGB] = (100, 100, 100)

_NORMALISED_WIDTH: Final = 1.2  # of the original program: the second blur is so many times as wide as the first
_NORMALISED_LEVEL: Final = 100  # of the original program: the gray level everything is brought to
_BLOCK_PIXELS: Final = 1024  # side of the squares worked on at once: bounds memory, and keeps the halo a small share


@dataclass(frozen=True, slots=True)
class Appearance:
    """What hidden pixels look like.

    `blur` set: a box blur whose side is so many thousandths of the picture's width; `gray` blurs the luma only, and
    `normalised` takes its level away as well (needs `gray`). Otherwise `colour` as one fill, otherwise one per class.
    A blur that is too small to hide something becomes a fill: `colour`, otherwise a neutral gray.
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
        """The fill of an object of that class, where it is filled."""
        if self.colour is not None:
            return self.colour
        return colour_of(coco_id) if self.blur is None else FALLBACK_COLOUR

    def blur_side(self, width: int) -> int | None:
        """Side of the blur's box on a picture of that width, in pixels; None where a fill is needed instead."""
        if self.blur is None:
            return None
        side = int(self.blur / 1000 * width)
        return side if side >= MIN_BLUR_SIDE else None


@dataclass(frozen=True, slots=True, eq=False)
class Redaction:
    """A picture with its detections hidden: `pixels` (H, W, 3) uint8, `mask` (H, W) bool where they may differ."""

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
) -> Redaction:
    """Hide `detections` in a picture.

    An object against which the blur is too small to hide it (see MAX_BOXES_PER_OBJECT) is filled. Fills lie over blur,
    and where fills of different classes overlap, the class with the lower COCO id is on top.

    Args:
        pixels: (H, W, 3) uint8 RGB, oriented as the detections are; not changed unless `in_place`.
        detections: what to hide.
        appearance: how.
        dilation: margin around every mask, in pixels.
        in_place: hide them in `pixels` itself, which must be writable, instead of in a copy.

    Raises:
        ValueError: pixels of another shape or dtype.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels: expected uint8 (H, W, 3), got {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape[:2]
    mask = geometry.union(detections, height, width, dilation)
    redacted = pixels if in_place else pixels.copy()
    side = appearance.blur_side(width)
    if side is not None:
        _blur(pixels, redacted, mask, _boxes(detections, height, width, dilation), side, appearance)
    for index in _to_fill(detections, height, width, side):
        colour = appearance.fill_of(int(detections.classes[index]))
        for patch in geometry.patches(detections.boxes[index], detections.masks[index], height, width, dilation):
            _put(np.full((*patch.marked.shape, 3), colour, np.uint8), patch.marked, redacted[patch.window])
    return Redaction(redacted, mask)


def _to_fill(detections: Detections, height: int, width: int, side: int | None) -> list[int]:
    """The instances to fill, in painting order: by class from the highest id, each class in the order of detection."""
    too_large = set()
    for number, box in detections.object_boxes().items():
        pixels = geometry.pixel_box(box, height, width)
        if side is None or min(pixels.height, pixels.width) > MAX_BOXES_PER_OBJECT * side:
            too_large.add(number)
    order = sorted(range(len(detections)), key=lambda index: -KEPT_IDS.index(int(detections.classes[index])))
    return [index for index in order if int(detections.objects[index]) in too_large]


def _blur(
    pixels: NDArray[np.uint8],
    redacted: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    boxes: list[geometry.PixelBox],
    side: int,
    appearance: Appearance,
) -> None:
    """Put the blurred picture into `redacted` where `mask` is set, equal to blurring the whole picture.

    Every set pixel lies in one of the boxes at least; in several of them it gets the same value each time. All is
    blurred before anything is put: `redacted` may be `pixels`.
    """
    for window, blurred in [*_blurs(pixels, boxes, side, appearance)]:
        colours = blurred if blurred.ndim == 3 else np.asarray(cv2.cvtColor(blurred, cv2.COLOR_GRAY2RGB), np.uint8)
        _put(colours, mask[window], redacted[window])


def _blurs(
    pixels: NDArray[np.uint8], boxes: list[geometry.PixelBox], side: int, appearance: Appearance
) -> Iterator[tuple[tuple[slice, slice], NDArray[np.uint8]]]:
    """Where to put what was blurred, block by block."""
    height, width = pixels.shape[:2]
    wide = int(_NORMALISED_WIDTH * side)
    halo = wide // 2 + 1
    for box in _blocks(boxes):
        outer = box.grown(halo, height, width)
        crop = pixels[outer.top : outer.bottom, outer.left : outer.right]
        blurred = _blurred(crop, side, wide, appearance)
        rows = slice(box.top - outer.top, box.bottom - outer.top)
        columns = slice(box.left - outer.left, box.right - outer.left)
        yield (slice(box.top, box.bottom), slice(box.left, box.right)), blurred[rows, columns]


def _put(pixels: NDArray[np.uint8], where: NDArray[np.bool_], target: NDArray[np.uint8]) -> None:
    """Copy pixels (h, w, 3) into `target` where `where` (h, w) is set."""
    put = np.asarray(cv2.copyTo(pixels, where.view(np.uint8), target), np.uint8)
    if not np.may_share_memory(put, target):  # should OpenCV ever work on a copy of a part: nothing may stay unhidden
        target[...] = put


def _boxes(detections: Detections, height: int, width: int, dilation: int) -> list[geometry.PixelBox]:
    """The dilated boxes of the instances; those whose common hull is no larger than both together are made one.

    So crowds of overlapping instances cost no more than the place they take, and few far apart only their own.
    """
    boxes: list[geometry.PixelBox] = []
    for corners in detections.boxes:
        box = geometry.pixel_box(corners, height, width).grown(dilation, height, width)
        while (found := next((other for other in boxes if _worth_joining(box, other)), None)) is not None:
            boxes.remove(found)
            box = box.hull(found)
        boxes.append(box)
    return boxes


def _worth_joining(one: geometry.PixelBox, other: geometry.PixelBox) -> bool:
    hull = one.hull(other)
    return hull.height * hull.width <= one.height * one.width + other.height * other.width


def _blocks(boxes: list[geometry.PixelBox]) -> Iterator[geometry.PixelBox]:
    """The boxes in parts of at most _BLOCK_PIXELS a side."""
    for box in boxes:
        for top in range(box.top, box.bottom, _BLOCK_PIXELS):
            for left in range(box.left, box.right, _BLOCK_PIXELS):
                bottom, right = min(box.bottom, top + _BLOCK_PIXELS), min(box.right, left + _BLOCK_PIXELS)
                yield geometry.PixelBox(top, left, bottom, right)


def _blurred(crop: NDArray[np.uint8], side: int, wide: int, appearance: Appearance) -> NDArray[np.uint8]:
    """(h, w, 3), or (h, w) where it is gray: the crop blurred, its edge mirrored without repeating the edge pixel."""
    if not appearance.gray:
        return np.asarray(cv2.blur(crop, (side, side)), np.uint8)
    # OpenCV's weights are 0.299, 0.587, 0.114: the luma of ITU-R BT.601, which is also JFIF's Y.
    luma = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)
    blurred = np.asarray(cv2.blur(luma, (side, side)), np.uint8)
    if appearance.normalised:
        level = cv2.addWeighted(blurred, 1, cv2.blur(luma, (wide, wide)), -1, _NORMALISED_LEVEL)
        blurred = np.asarray(level, np.uint8)  # it is cut at 0 and 255
    return blurred
