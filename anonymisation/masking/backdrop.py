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

_NO_COLOUR: Final = 128
_AT_ONCE: Final = 1 << 14  # pixels: OpenCV's maps have at most 32767 columns
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
    def of_channels(cls, pixels: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> tuple[Self, Self, Self]:
        """The same for each channel of the picture as JFIF codes it: fields of Y, Cr and Cb."""
        step = _step(hidden.shape)
        coded = np.asarray(cv2.cvtColor(pixels[::step, ::step].copy(), cv2.COLOR_RGB2YCrCb), np.uint8)
        shown = ~hidden[::step, ::step]
        nothing = (NEUTRAL, _NO_COLOUR, _NO_COLOUR)
        luma, red, blue = (cls._of_samples(coded[..., index], shown, step, nothing[index]) for index in range(3))
        return luma, red, blue

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
            part: (h, w) uint8, gray levels; written to.
            hidden: (h, w).
            box: where the part lies in the picture.
        """
        rows, top = self._cells(box.top, box.bottom, 0)
        columns, left = self._cells(box.left, box.right, 1)
        cells = self.levels[rows, columns]
        size = (cells.shape[1] * self.cell, cells.shape[0] * self.cell)
        field = np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        copy_marked(field[top : top + box.height, left : left + box.width], hidden, part)

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.uint8]:
        """The levels (n,) of single pixels, by their rows and columns (n,) in the picture."""
        found = np.empty(len(rows), np.uint8)
        for start in range(0, len(rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            down, across = ((places[None, part] + 0.5) / self.cell - 0.5 for places in (rows, columns))
            maps = (across.astype(np.float32), down.astype(np.float32))
            found[part] = cv2.remap(self.levels, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        return found

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
