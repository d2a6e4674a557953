"""Visible pixels that a JPEG file codes together with an object are not used, and not published as they are.

A block of 8 × 8 samples is coded as a whole: the rounding of its coefficients spreads traces of every pixel over all of
them. A block of brightness stands for 8 × 8 pixels, one of colour for up to 16 × 16. An attack on text at a mask's edge
identified it by these traces. So where visible pixels share a block with pixels of an object, their brightness, or
their colour, is replaced by a smooth field. It is made from pixels that share no block with any.

The margin by which masks are dilated shows surroundings: blocks that hold nothing but margin and surroundings stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.backdrop import Backdrop
from anonymisation.masking.geometry import PixelBox

APART: Final = (1, 1)
"""The unit of a picture in which every pixel is coded by itself."""
_BLOCK: Final = (8, 8)  # pixels that a block of brightness stands for


def replace_shared_blocks(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], boxes: Iterable[PixelBox], unit: tuple[int, int], margin: int
) -> NDArray[np.bool_]:
    """Replace visible pixels that share a block with pixels of an object, in place.

    Returns:
        (H, W): the pixels of which nothing may be used to make others: those of the mask, those that share a block, and
        their neighbours.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        mask: (H, W), what is hidden: objects, and a margin around each.
        boxes: around all pixels of the mask.
        unit: rows and columns of pixels that a block stands for, at most, from the upper left of the picture.
        margin: pixels by which the masks of objects were dilated.
    """
    if unit == APART:
        return mask
    whole = [_aligned(box.grown(margin, *mask.shape), unit, mask.shape) for box in boxes]
    shared, unusable = np.zeros(mask.shape, np.bool_), mask.copy()
    objects = [_without_margin(mask[box.window], margin) for box in whole]
    for box, marked in zip(whole, objects, strict=True):
        shared[box.window] |= _touched(marked, unit)
    for box in whole:
        window = box.grown(1, *mask.shape).window
        unusable[window] |= _with_neighbours(shared[window])
    field = Backdrop.of_colours(pixels, unusable)
    for box, marked in zip(whole, objects, strict=True):
        part, around = pixels[box.window], shared[box.window] & ~mask[box.window]
        lit = np.nonzero(around & ~_touched(marked, _BLOCK))
        brightness = _coded(part[lit])[:, 0]
        field.cover(part, around, box)
        coloured = _coded(part[lit])
        coloured[:, 0] = brightness
        if len(coloured):
            part[lit] = cv2.cvtColor(coloured[None], cv2.COLOR_YCrCb2RGB)[0]
    return unusable


def _coded(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 3) as Y, Cr and Cb from RGB."""
    if not len(colours):
        return colours
    return np.asarray(cv2.cvtColor(colours[None], cv2.COLOR_RGB2YCrCb)[0], np.uint8)


def _without_margin(mask: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """The mask eroded by the margin: all that was marked before it was dilated, and no pixel less."""
    side = 2 * margin + 1
    return np.asarray(cv2.erode(mask.view(np.uint8), np.ones((side, side), np.uint8)), np.uint8).view(np.bool_)


def _with_neighbours(shared: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels and those next to them: decoders smooth colours over one pixel across the edge of a block."""
    return np.asarray(cv2.dilate(shared.view(np.uint8), np.ones((3, 3), np.uint8)), np.uint8).view(np.bool_)


def _aligned(box: PixelBox, unit: tuple[int, int], shape: tuple[int, ...]) -> PixelBox:
    """The box, grown to whole units within the picture."""
    (high, wide), (height, width) = unit, shape
    top, left = box.top // high * high, box.left // wide * wide
    return PixelBox(top, left, min(height, -(-box.bottom // high) * high), min(width, -(-box.right // wide) * wide))


def _touched(mask: NDArray[np.bool_], cell: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w): all pixels of the cells that hold a hidden one; the first pixel begins a cell."""
    (high, wide), (height, width) = cell, mask.shape
    rows, columns = -(-height // high), -(-width // wide)
    whole = np.zeros((rows * high, columns * wide), np.bool_)
    whole[:height, :width] = mask
    bands = whole.reshape(rows, high, columns * wide).any(axis=1)  # along memory, which is fast
    cells = np.asarray(bands.reshape(rows, columns, wide).any(axis=2), np.uint8)
    size = (columns * wide, rows * high)
    return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST), np.uint8).view(np.bool_)[
        :height, :width
    ]
