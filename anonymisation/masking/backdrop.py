"""A smooth gray field that takes the place of hidden pixels, made from the pixels that are shown and from no others.

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
    """The field: its gray levels (rows, columns) uint8, in cells of `cell` × `cell` pixels from the upper left."""

    levels: NDArray[np.uint8]
    cell: int

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> Self:
        """Make it for a picture (H, W, 3) uint8 RGB of which nothing may be used where `hidden` (H, W) is set."""
        step = _step(hidden.shape)
        luma = np.asarray(cv2.cvtColor(pixels[::step, ::step].copy(), cv2.COLOR_RGB2GRAY), np.uint8)
        return cls._of_samples(luma, ~hidden[::step, ::step], step, NEUTRAL)

    @classmethod
    def of_colours(cls, pixels: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> Self:
        """The same in colour, with levels (rows, columns, 3) RGB."""
        step = _step(hidden.shape)
        shown = ~hidden[::step, ::step]
        fields = [cls._of_samples(pixels[::step, ::step, channel], shown, step, NEUTRAL) for channel in range(3)]
        return cls(np.stack([field.levels for field in fields], axis=-1), step * _SAMPLES)

    @classmethod
    def _of_samples(cls, samples: NDArray[np.uint8], shown: NDArray[np.bool_], step: int, nothing: int) -> Self:
        """From every `step`-th pixel; `nothing` is the level where none is shown."""
        shares = _reduced(shown.astype(np.float32))
        sums = _reduced(np.where(shown, samples, np.uint8(0)).astype(np.float32))
        filled = _filled(sums, shares) if shown.any() else np.full_like(sums, nothing)
        return cls(np.rint(filled).clip(0, 255).astype(np.uint8), step * _SAMPLES)

    def cover(self, part: NDArray[np.uint8], hidden: NDArray[np.bool_], box: PixelBox) -> None:
        """Put the field in place of the hidden pixels of a part of the picture.

        Args:
            part: (h, w) uint8 gray levels, or (h, w, 3) RGB for a field in colour; written to.
            hidden: (h, w).
            box: where the part lies in the picture.
        """
        rows, top = self._cells(box.top, box.bottom, 0)
        columns, left = self._cells(box.left, box.right, 1)
        cells = self.levels[rows, columns]
        size = (cells.shape[1] * self.cell, cells.shape[0] * self.cell)
        field = np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        copy_marked(field[top : top + box.height, left : left + box.width], hidden, part)

    def _cells(self, low: int, high: int, axis: int) -> tuple[slice, int]:
        """The cells under the pixels low to high - 1 and their neighbours; where the first pixel lies in them."""
        first = max(0, low // self.cell - 1)
        last = min(self.levels.shape[axis], -(-high // self.cell) + 1)
        return slice(first, last), low - first * self.cell


def _step(shape: tuple[int, ...]) -> int:
    """Every so many pixels of a picture are looked at, along each axis."""
    return max(1, max(shape) // (_CELLS * _SAMPLES))


def _reduced(values: _Grid) -> _Grid:
    """Averages over the cells of _SAMPLES × _SAMPLES values; beyond the edges all is 0."""
    rows, columns = (-(-side // _SAMPLES) for side in values.shape)
    gaps = (rows * _SAMPLES - values.shape[0], columns * _SAMPLES - values.shape[1])
    whole = np.pad(values, ((0, gaps[0]), (0, gaps[1])))
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _filled(sums: _Grid, shares: _Grid) -> _Grid:
    """The average in each cell: of what is shown there, as far as anything is, else of what coarser cells show.

    `sums` are averages of levels of which those hidden count as 0, `shares` how much of each cell is shown, 0 to 1.
    """
    means = sums / np.maximum(shares, np.float32(1e-6))
    if sums.size == 1:
        return np.asarray(means, np.float32)
    rows, columns = sums.shape
    half = (-(-columns // 2), -(-rows // 2))
    coarser = [np.asarray(cv2.resize(grid, half, interpolation=cv2.INTER_AREA), np.float32) for grid in (sums, shares)]
    around = cv2.resize(_filled(*coarser), (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(shares * means + (1 - shares) * around, np.float32)
