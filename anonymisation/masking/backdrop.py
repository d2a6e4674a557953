"""A smooth field that replaces hidden pixels, computed from the visible pixels only.

Visible pixels are averaged in the cells of a coarse grid. Hidden cells are filled from coarser and coarser grids
("pull-push": Gortler et al. 1996, "The Lumigraph", section 3.6.2), and the grid is interpolated.
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
"""The gray level of a picture without visible pixels, as in the original program's normalised blur."""

_SAMPLES: Final = 4  # samples of a cell along each axis: more would not change its average by much
_CELLS: Final = 80  # approximate number of cells along the longer side: few enough for a smooth field

_Grid = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """The field: `levels` uint8 (rows, columns) gray or (rows, columns, 3) RGB, for cells of `cell` × `cell` pixels
    from the upper left corner."""

    levels: NDArray[np.uint8]
    cell: int

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> Self:
        """The field in colour, computed from the pixels (H, W, 3) uint8 RGB of a picture that `hidden` (H, W) does not
        mark."""
        step = max(1, max(hidden.shape) // (_CELLS * _SAMPLES))
        shown = ~hidden[::step, ::step]
        samples = cv2.copyTo(pixels[::step, ::step].copy(), shown.view(np.uint8))
        sums, shares = (_reduced(np.asarray(values, np.float32)) for values in (samples, shown))
        filled = _filled(sums, shares) if shown.any() else np.full_like(sums, NEUTRAL)
        return cls(np.rint(filled).clip(0, 255).astype(np.uint8), step * _SAMPLES)

    def gray(self) -> Self:
        """The field in gray, with the colour weights of ITU-R BT.601."""
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
        """Replace the hidden pixels of a part of the picture by the field.

        Args:
            part: (h, w) uint8 gray levels, or (h, w, 3) RGB for a field in colour; written to.
            hidden: (h, w), the pixels to replace.
            box: the position of the part in the picture.
        """
        copy_marked(self.under(box), hidden, part)

    def _cells(self, low: int, high: int, axis: int) -> tuple[slice, int]:
        """The cells of the pixels low to high - 1 and their neighbours, and the offset of the first pixel in them."""
        first = max(0, low // self.cell - 1)
        last = min(self.levels.shape[axis], -(-high // self.cell) + 1)
        return slice(first, last), low - first * self.cell


def _reduced(values: _Grid) -> _Grid:
    """Averages of (h, w) or (h, w, 3) over cells of _SAMPLES × _SAMPLES values; beyond the edges, values are 0."""
    height, width = values.shape[:2]
    rows, columns = -(-height // _SAMPLES), -(-width // _SAMPLES)
    whole = np.zeros((rows * _SAMPLES, columns * _SAMPLES, *values.shape[2:]), np.float32)
    whole[:height, :width] = values
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _filled(sums: _Grid, shares: _Grid) -> _Grid:
    """The average of the visible pixels of each cell, blended with coarser cells the more of the cell is hidden.

    `sums` (rows, columns, 3) are averages of levels, where hidden pixels count as 0; `shares` (rows, columns) is the
    visible fraction of each cell, 0 to 1.
    """
    rows, columns = shares.shape
    means = sums / np.maximum(shares, np.float32(1e-6))[..., None]
    if shares.size == 1:
        return np.asarray(means, np.float32)
    half = (-(-columns // 2), -(-rows // 2))
    coarser = [np.asarray(cv2.resize(grid, half, interpolation=cv2.INTER_AREA), np.float32) for grid in (sums, shares)]
    around = cv2.resize(_filled(*coarser), (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(around + shares[..., None] * (means - around), np.float32)
