"""A smooth field that takes the place of hidden pixels, made from the pixels that are shown and from no others.

The averages of what is shown in the cells of a coarse grid are carried into the cells that are hidden, from coarser and
coarser grids ("pull-push": Gortler et al. 1996, "The Lumigraph", section 3.6.2), and interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.geometry import PixelBox
from anonymisation.masking.marked import copy_marked

NEUTRAL: Final = 100
"""The gray level where nothing at all is shown: that of the original program's normalised blur."""

_SAMPLES: Final = 4  # of a cell along each axis: more would not change its average by much
_CELLS: Final = 80  # about so many cells along the longer side: a third of a percent of the picture, and soft

_Grid = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """The field: `levels` uint8 (rows, columns) gray or (rows, columns, 3) RGB, in cells of `cell` × `cell` pixels from
    the upper left."""

    levels: NDArray[np.uint8]
    cell: int

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> Self:
        """Make it, in colour, for a picture (H, W, 3) uint8 RGB of which nothing may be used where `hidden` (H, W) is
        set."""
        step = max(1, max(hidden.shape) // (_CELLS * _SAMPLES))
        shown = ~hidden[::step, ::step]
        samples = cv2.copyTo(pixels[::step, ::step].copy(), shown.view(np.uint8))
        sums, shares = (_reduced(np.asarray(values, np.float32)) for values in (samples, shown))
        filled = _filled(sums, shares) if shown.any() else np.full_like(sums, NEUTRAL)
        return cls(np.rint(filled).clip(0, 255).astype(np.uint8), step * _SAMPLES)

    def gray(self) -> Self:
        """The same in gray, as ITU-R BT.601 weighs the colours."""
        return type(self)(np.asarray(cv2.cvtColor(self.levels, cv2.COLOR_RGB2GRAY), np.uint8), self.cell)

    def under(self, box: PixelBox) -> NDArray[np.uint8]:
        """The field within a box of the picture, in pixels: (height, width) or (height, width, 3) uint8."""
        rows, top = self._cells(box.top, box.bottom, 0)
        columns, left = self._cells(box.left, box.right, 1)
        cells = self.levels[rows, columns]
        size = (cells.shape[1] * self.cell, cells.shape[0] * self.cell)
        field = np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        return field[top : top + box.height, left : left + box.width]

    def cover(self, part: NDArray[np.uint8], hidden: NDArray[np.bool_], box: PixelBox) -> None:
        """Put the field in place of the hidden pixels of a part of the picture.

        Args:
            part: (h, w) uint8 gray levels, or (h, w, 3) RGB for a field in colour; written to.
            hidden: (h, w).
            box: where the part lies in the picture.
        """
        copy_marked(self.under(box), hidden, part)

    def _cells(self, low: int, high: int, axis: int) -> tuple[slice, int]:
        """The cells under the pixels low to high - 1 and their neighbours; where the first pixel lies in them."""
        first = max(0, low // self.cell - 1)
        last = min(self.levels.shape[axis], -(-high // self.cell) + 1)
        return slice(first, last), low - first * self.cell


def _reduced(values: _Grid) -> _Grid:
    """Averages over the cells of _SAMPLES × _SAMPLES values of (h, w) or (h, w, 3); beyond the edges all is 0."""
    height, width = values.shape[:2]
    rows, columns = -(-height // _SAMPLES), -(-width // _SAMPLES)
    whole = np.zeros((rows * _SAMPLES, columns * _SAMPLES, *values.shape[2:]), np.float32)
    whole[:height, :width] = values
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _filled(sums: _Grid, shares: _Grid) -> _Grid:
    """The average in each cell: of what is shown there, as far as anything is, else of what coarser cells show.

    `sums` (rows, columns, 3) are averages of levels of which those hidden count as 0, `shares` (rows, columns) how much
    of each cell is shown, 0 to 1.
    """
    rows, columns = shares.shape
    means = sums / np.maximum(shares, np.float32(1e-6))[..., None]
    if shares.size == 1:
        return np.asarray(means, np.float32)
    half = (-(-columns // 2), -(-rows // 2))
    coarser = [np.asarray(cv2.resize(grid, half, interpolation=cv2.INTER_AREA), np.float32) for grid in (sums, shares)]
    around = cv2.resize(_filled(*coarser), (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(around + shares[..., None] * (means - around), np.float32)
