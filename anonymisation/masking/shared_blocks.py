"""Visible pixels that a JPEG file codes together with hidden ones are not used, and not published as they are.

A block of 8 × 8 samples is coded as a whole: the rounding of its coefficients spreads traces of every pixel over all of
them. A block of brightness stands for 8 × 8 pixels, one of colour for up to 16 × 16. An attack on text at a mask's edge
identified it by these traces. So visible pixels that share a block with hidden ones are replaced by a smooth field. It
is made from pixels that share no block with any, so all that is published was coded apart from what is hidden.

Where blocks are kept (`imaging.jpeg.keep_blocks`), blocks of brightness without a hidden pixel stay as they are. Of the
replaced pixels only the colour is seen there.
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


def replace_shared_blocks(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], boxes: Iterable[PixelBox], unit: tuple[int, int]
) -> NDArray[np.bool_]:
    """Replace visible pixels that share a block with hidden ones, in place.

    Returns:
        (H, W): the pixels of which nothing may be used to make others: those of the mask, those that share a block,
        and their neighbours.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        mask: (H, W), what is hidden.
        boxes: around all pixels of the mask.
        unit: rows and columns of pixels that a block stands for, at most, from the upper left of the picture.
    """
    if unit == APART:
        return mask
    whole = [_aligned(box, unit, mask.shape) for box in boxes]
    shared = np.zeros(mask.shape, np.bool_)
    for box in whole:
        shared[box.window] |= _touched(mask[box.window], unit)
    unusable = shared.copy()
    for box in whole:
        window = box.grown(1, *mask.shape).window
        unusable[window] |= _with_neighbours(shared[window])
    field = Backdrop.of_colours(pixels, unusable)
    for box in whole:
        field.cover(pixels[box.window], shared[box.window] & ~mask[box.window], box)
    return unusable


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
