"""Visible pixels that a JPEG file codes together with an object are not used, and not published as they are.

A block of 8 × 8 samples is coded as a whole: the rounding of its coefficients spreads traces of every pixel over all of
them. A block of brightness stands for 8 × 8 pixels, one of colour for up to 16 × 16. An attack on text at a mask's edge
identified it by these traces. So where visible pixels share a block with pixels of an object, their brightness, or
their colour, is replaced by a smooth field. It is made from pixels that share no block with any.

The margin by which masks are dilated shows surroundings: blocks that hold nothing but margin and surroundings stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.backdrop import Backdrop
from anonymisation.masking.geometry import PixelBox, Window

APART: Final = (1, 1)
"""The unit of a picture in which every pixel is coded by itself."""
_BLOCK: Final = 8  # pixels along each side of what a block of brightness stands for


@dataclass(frozen=True, slots=True, eq=False)
class _SharedPixels:
    """Visible pixels within `box` that share a block with pixels of an object.

    `where` (n,) are their indices in the box, row by row; `lit` (n,) says which share no block of brightness.
    """

    box: PixelBox
    where: NDArray[np.intp]
    lit: NDArray[np.bool_]

    @classmethod
    def of(cls, box: PixelBox, around: NDArray[np.bool_], blocks: NDArray[np.bool_]) -> Self:
        """Those that `around` (height, width) marks, where `blocks` says which blocks hold pixels of an object."""
        where = np.flatnonzero(around)
        rows, columns = np.divmod(where, box.width)
        return cls(box, where, ~blocks[rows // _BLOCK, columns // _BLOCK])

    def replace(self, pixels: NDArray[np.uint8], field: Backdrop) -> None:
        if not len(self.where):
            return
        part = pixels[self.box.window]
        smooth = np.ascontiguousarray(field.under(self.box)).reshape(-1, 3).take(self.where, axis=0)
        coded = np.asarray(cv2.cvtColor(smooth[None], cv2.COLOR_RGB2YCrCb), np.uint8)
        brightness = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), np.uint8).ravel()  # the same Y
        np.copyto(coded[0, :, 0], brightness.take(self.where), where=self.lit)
        part[np.divmod(self.where, self.box.width)] = cv2.cvtColor(coded, cv2.COLOR_YCrCb2RGB)[0]


@dataclass(frozen=True, slots=True, eq=False)
class SharedBlocks:
    """What a picture's blocks hold of both objects and surroundings.

    `unusable` (H, W): the pixels of which nothing may be used to make others: those of the mask, those that share a
    block, and their neighbours.
    """

    unusable: NDArray[np.bool_]
    _shared: tuple[_SharedPixels, ...] = ()

    @classmethod
    def of(cls, mask: NDArray[np.bool_], boxes: Iterable[PixelBox], unit: tuple[int, int], margin: int) -> Self:
        """Find them.

        Args:
            mask: (H, W), what is hidden: objects, and a margin around each.
            boxes: around all pixels of the mask.
            unit: rows and columns of pixels that a block stands for, at most, from the upper left of the picture.
            margin: pixels by which the masks of objects were dilated.
        """
        if unit == APART:
            return cls(mask)
        whole = [_aligned(box.grown(margin, *mask.shape), unit, mask.shape) for box in boxes]
        blocks = [_blocks(_without_margin(mask[box.window], margin)) for box in whole]
        units = np.zeros([-(-side // cell) for side, cell in zip(mask.shape, unit, strict=True)], np.bool_)
        for box, found in zip(whole, blocks, strict=True):
            units[_units(box, unit)] |= _merged(found, unit)
        unusable, shared = mask.copy(), []
        for box, found in zip(whole, blocks, strict=True):
            outer = _aligned(box.grown(1, *mask.shape), unit, mask.shape)
            touched = _pixels(units[_units(outer, unit)], unit, outer)
            shared.append(_SharedPixels.of(box, touched[box.within(outer)] > mask[box.window], found))
            unusable[outer.window] |= _with_neighbours(touched)
        return cls(unusable, tuple(shared))

    def replace(self, pixels: NDArray[np.uint8], field: Backdrop) -> None:
        """Replace what visible pixels share with an object.

        Args:
            pixels: (H, W, 3) uint8 RGB; written to.
            field: made from the usable ones of these pixels.
        """
        for part in self._shared:
            part.replace(pixels, field)


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


def _units(box: PixelBox, unit: tuple[int, int]) -> Window:
    """The units that make up an aligned box."""
    return slice(box.top // unit[0], -(-box.bottom // unit[0])), slice(box.left // unit[1], -(-box.right // unit[1]))


def _blocks(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(rows, columns) of the blocks of 8 × 8 pixels: which hold a marked one. The first pixel begins a block."""
    height, width = marked.shape
    rows, columns = -(-height // _BLOCK), -(-width // _BLOCK)
    whole = np.zeros((rows * _BLOCK, columns * _BLOCK), np.bool_)
    whole[:height, :width] = marked
    eights = whole.view(np.uint64).reshape(rows, _BLOCK, columns)  # a row of a block in one number
    return np.asarray(np.bitwise_or.reduce(eights, axis=1) != 0, np.bool_)


def _merged(blocks: NDArray[np.bool_], unit: tuple[int, int]) -> NDArray[np.bool_]:
    """(rows, columns) of the units: which hold a block that is set."""
    for axis, side in enumerate(unit):
        starts = np.arange(0, blocks.shape[axis], side // _BLOCK)
        blocks = np.logical_or.reduceat(blocks, starts, axis=axis)
    return blocks


def _pixels(cells: NDArray[np.bool_], unit: tuple[int, int], box: PixelBox) -> NDArray[np.bool_]:
    """(height, width) of the box: the pixels of the units that are set."""
    rows, columns = cells.shape
    size = (columns * unit[1], rows * unit[0])
    found = np.asarray(cv2.resize(cells.view(np.uint8), size, interpolation=cv2.INTER_NEAREST), np.uint8)
    return found.view(np.bool_)[: box.height, : box.width]
