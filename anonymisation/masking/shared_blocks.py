"""Replace visible pixels that a JPEG file codes in the same block as an object.

A block of 8 × 8 samples is coded as a whole: the rounding of its coefficients spreads traces of every pixel over the
block. A luma block covers 8 × 8 pixels, a chroma block up to 16 × 16. An attack on text at a mask's edge identified the
text by these traces. So the luma or chroma of visible pixels that share a block with an object is replaced by a smooth
field, computed from pixels that share no block with an object.

The margin added by dilation shows surroundings: blocks with only margin and surroundings stay unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.core.blocks import BLOCK_SIDE, marked_blocks
from anonymisation.masking.backdrop import Backdrop
from anonymisation.masking.geometry import PixelBox, Window

APART: Final = (1, 1)
"""The coded unit of a picture in which every pixel is coded separately."""


@dataclass(frozen=True, slots=True, eq=False)
class _SharedPixels:
    """Visible pixels within `box` that share a block with pixels of an object.

    `where` (n,) are their indices in the box, row by row; `lit` (n,) marks those that share no luma block.
    """

    box: PixelBox
    where: NDArray[np.intp]
    lit: NDArray[np.bool_]

    @classmethod
    def of(cls, box: PixelBox, around: NDArray[np.bool_], blocks: NDArray[np.bool_]) -> Self:
        """The pixels that `around` (height, width) marks; `blocks` marks the luma blocks with pixels of an object."""
        where = np.flatnonzero(around)
        rows, columns = np.divmod(where, box.width)
        return cls(box, where, ~blocks[rows // BLOCK_SIDE, columns // BLOCK_SIDE])

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
    """The blocks of a picture that contain both objects and surroundings.

    `unusable` (H, W) marks the pixels that must not affect the published picture: the mask, the pixels that share a
    block with an object, and their neighbours.
    """

    unusable: NDArray[np.bool_]
    _shared: tuple[_SharedPixels, ...] = ()

    @classmethod
    def of(cls, mask: NDArray[np.bool_], boxes: Iterable[PixelBox], unit: tuple[int, int], margin: int) -> Self:
        """Find the shared blocks of a picture.

        Args:
            mask: (H, W), the hidden pixels: objects, and a margin around each.
            boxes: boxes that together contain all pixels of the mask.
            unit: rows and columns of pixels that the largest block covers, counted from the upper left corner.
            margin: pixels by which the masks of objects were dilated.
        """
        if unit == APART:
            return cls(mask)
        whole = [_aligned(box.grown(margin, *mask.shape), unit, mask.shape) for box in boxes]
        blocks = [marked_blocks(_without_margin(mask[box.window], margin)) for box in whole]
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
        """Replace the luma or chroma that visible pixels share with an object.

        Args:
            pixels: (H, W, 3) uint8 RGB; written to.
            field: computed from the pixels that are not `unusable`.
        """
        for part in self._shared:
            part.replace(pixels, field)


def _without_margin(mask: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """The mask eroded by the margin: it contains every pixel that was marked before the dilation."""
    side = 2 * margin + 1
    return np.asarray(cv2.erode(mask.view(np.uint8), np.ones((side, side), np.uint8)), np.uint8).view(np.bool_)


def _with_neighbours(shared: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels and their neighbours: decoders smooth chroma by one pixel across the edge of a block."""
    return np.asarray(cv2.dilate(shared.view(np.uint8), np.ones((3, 3), np.uint8)), np.uint8).view(np.bool_)


def _aligned(box: PixelBox, unit: tuple[int, int], shape: tuple[int, ...]) -> PixelBox:
    """The box, grown to whole units and clipped to the picture."""
    (high, wide), (height, width) = unit, shape
    top, left = box.top // high * high, box.left // wide * wide
    return PixelBox(top, left, min(height, -(-box.bottom // high) * high), min(width, -(-box.right // wide) * wide))


def _units(box: PixelBox, unit: tuple[int, int]) -> Window:
    """The units that make up an aligned box."""
    return slice(box.top // unit[0], -(-box.bottom // unit[0])), slice(box.left // unit[1], -(-box.right // unit[1]))


def _merged(blocks: NDArray[np.bool_], unit: tuple[int, int]) -> NDArray[np.bool_]:
    """(rows, columns): which units contain a block that is set."""
    for axis, side in enumerate(unit):
        starts = np.arange(0, blocks.shape[axis], side // BLOCK_SIDE)
        blocks = np.logical_or.reduceat(blocks, starts, axis=axis)
    return blocks


def _pixels(cells: NDArray[np.bool_], unit: tuple[int, int], box: PixelBox) -> NDArray[np.bool_]:
    """(height, width): the pixels of the box that lie in a unit that is set."""
    rows, columns = cells.shape
    size = (columns * unit[1], rows * unit[0])
    found = np.asarray(cv2.resize(cells.view(np.uint8), size, interpolation=cv2.INTER_NEAREST), np.uint8)
    return found.view(np.bool_)[: box.height, : box.width]
