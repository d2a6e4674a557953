"""The 8 × 8 blocks of a JPEG file that a mask touches, and their coefficients after redaction.

A block belongs to one colour component. A block of a subsampled component covers more of the picture, such as 16 × 16
pixels for the chroma of 4:2:0. A mask touches the block if it covers any of these pixels. So no sample made from a
masked pixel remains: an encoder averages a chroma sample only from the pixels that the sample covers. Some decoders
smooth chroma with samples of the neighbouring block; these were made from shown pixels only.

Formulas: ITU-T T.81, A.1.1 (sizes of components), A.3.3 (transform), A.3.4 (quantisation); colours: JFIF 1.02, which
takes them from ITU-R BT.601.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.blocks import BLOCK_SIDE, marked_blocks
from anonymisation.core.matmul import product_in_pieces
from anonymisation.imaging.jpeg.libjpeg import GREATEST, Blocks, Grid
from anonymisation.imaging.jpeg.segments import JpegStructure

_PIXELS_AT_ONCE: Final = 1 << 17  # limits memory, and fits the cache
_CENTRE: Final = 128  # samples are centred on zero before the transform
_FREQUENCIES: Final = np.arange(BLOCK_SIDE)[:, None]
_COSINES: Final = np.cos((2 * np.arange(BLOCK_SIDE) + 1) * _FREQUENCIES * np.pi / 16) * np.where(
    _FREQUENCIES, 0.5, np.sqrt(0.125)
)


@dataclass(frozen=True, slots=True, eq=False)
class _Units:
    """Coded units (MCU; T.81, A.2) by row and column (n,), each of `high` × `wide` squares of 8 × 8 pixels."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    high: int
    wide: int

    def parts(self) -> Iterator[_Units]:
        """All units, in parts whose pixels fit the cache."""
        step = max(1, _PIXELS_AT_ONCE // (BLOCK_SIDE * BLOCK_SIDE * self.high * self.wide))
        for start in range(0, len(self.rows), step):
            yield replace(self, rows=self.rows[start : start + step], columns=self.columns[start : start + step])


@dataclass(frozen=True, slots=True)
class _Share:
    """A component's part of each coded unit: rows and columns of blocks, and one sample per `down` × `across` pixels.

    Decoders refuse files in which these are not whole numbers.
    """

    rows: int
    columns: int
    down: int
    across: int

    def places(self, units: _Units) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of the blocks in the component, each (n, rows, columns)."""
        rows = units.rows[:, None, None] * self.rows + np.arange(self.rows)[:, None]
        columns = units.columns[:, None, None] * self.columns + np.arange(self.columns)
        return np.broadcast_arrays(rows, columns)  # type: ignore[return-value]  # a pair for a pair


def grids_of(structure: JpegStructure) -> tuple[Grid, ...]:
    """The blocks of each component."""
    high, wide = _greatest_factors(structure)
    return tuple(
        Grid(
            -(-structure.height * component.vertical // (BLOCK_SIDE * high)),
            -(-structure.width * component.horizontal // (BLOCK_SIDE * wide)),
        )
        for component in structure.components
    )


def redacted_blocks(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    structure: JpegStructure,
    tables: Sequence[NDArray[np.int64]],
) -> Iterator[tuple[Blocks, ...]]:
    """The blocks of each component that `mask` touches, made from the redacted `pixels`, in parts.

    Args:
        pixels: (H, W, 3) RGB, redacted where `mask` is set, and as decoded elsewhere. For a gray picture, only the
            first channel counts.
        mask: (H, W), True where the picture is hidden.
        structure: the original's structure; gray, YCbCr or RGB.
        tables: the quantisation table of each component, 64 steps row by row.
    """
    cells = marked_blocks(mask)
    high, wide = _greatest_factors(structure)
    shares = [_Share(c.vertical, c.horizontal, high // c.vertical, wide // c.horizontal) for c in structure.components]
    touched = [
        _coarser(cells, share.down, share.across)[: grid.rows, : grid.columns]
        for share, grid in zip(shares, grids_of(structure), strict=True)
    ]
    steps = [_steps(table) for table in tables]
    rows, columns = np.nonzero(_coarser(cells, high, wide))
    for units in _Units(rows, columns, high, wide).parts():
        planes = _planes(_colours(pixels, units), structure.colour)
        part = zip(planes, shares, touched, steps, strict=True)
        yield tuple(_made(plane, share, hit, step, units) for plane, share, hit, step in part)


def _made(
    plane: NDArray[np.uint8], share: _Share, touched: NDArray[np.bool_], steps: NDArray[np.float32], units: _Units
) -> Blocks:
    """The touched blocks of one component in these units, from its plane of full size."""
    rows, columns = share.places(units)
    hit = _hits(touched, rows, columns)
    return Blocks(rows[hit], columns[hit], _quantised(_blocks(plane, share)[hit.ravel()], steps))


def _greatest_factors(structure: JpegStructure) -> tuple[int, int]:
    return max(c.vertical for c in structure.components), max(c.horizontal for c in structure.components)


def _coarser(cells: NDArray[np.bool_], down: int, across: int) -> NDArray[np.bool_]:
    """The groups of `down` × `across` cells that contain a set cell."""
    if (down, across) == (1, 1):
        return cells
    rows, columns = -(-cells.shape[0] // down), -(-cells.shape[1] // across)
    whole = np.zeros((rows * down, columns * across), np.bool_)
    whole[: cells.shape[0], : cells.shape[1]] = cells
    groups = np.zeros((rows, columns), np.bool_)
    for row in range(down):
        for column in range(across):
            groups |= whole[row::down, column::across]
    return groups


def _hits(touched: NDArray[np.bool_], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the blocks at these places are touched; blocks that only fill up units never are."""
    inside = (rows < touched.shape[0]) & (columns < touched.shape[1])
    hits = np.zeros(rows.shape, np.bool_)
    hits[inside] = touched[rows[inside], columns[inside]]
    return hits


def _colours(pixels: NDArray[np.uint8], units: _Units) -> NDArray[np.uint8]:
    """(n, 8 · high, 8 · wide, 3): pixels of the units; beyond the picture's edge, the last row or column repeats."""
    rows, columns = units.rows, units.columns
    high, wide = BLOCK_SIDE * units.high, BLOCK_SIDE * units.wide
    whole = (pixels.shape[0] // high, pixels.shape[1] // wide)
    inside = (rows < whole[0]) & (columns < whole[1])
    found = np.empty((len(rows), high, wide, 3), np.uint8)
    every = pixels[: whole[0] * high, : whole[1] * wide].reshape(whole[0], high, whole[1], wide, 3).swapaxes(1, 2)
    found[inside] = every[rows[inside], columns[inside]]
    below = np.minimum(rows[~inside, None] * high + np.arange(high), pixels.shape[0] - 1)
    across = np.minimum(columns[~inside, None] * wide + np.arange(wide), pixels.shape[1] - 1)
    found[~inside] = pixels[below[:, :, None], across[:, None, :]]
    return found


def _planes(colours: NDArray[np.uint8], colour: str) -> Sequence[NDArray[np.uint8]]:
    """The components of (n, h, w, 3) RGB at full size, each (n, h, w), rounded as encoders do it."""
    import cv2  # imported here, since most readers of pictures never redact

    number, high, wide, _ = colours.shape
    if colour == "gray":
        return [np.ascontiguousarray(colours[..., 0])]
    flat = colours.reshape(number, high * wide, 3)  # long rows: OpenCV has a cost per row
    if colour == "ycc":
        flat = np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2YCrCb), np.uint8)
    first, second, third = (np.asarray(plane, np.uint8).reshape(number, high, wide) for plane in cv2.split(flat))
    return (first, third, second) if colour == "ycc" else (first, second, third)


def _blocks(plane: NDArray[np.uint8], share: _Share) -> NDArray[np.uint8]:
    """(m, 64): the samples of one component's blocks, unit by unit, from its plane of full size (n, h, w)."""
    number, high, wide = plane.shape
    if (share.down, share.across) != (1, 1):
        import cv2  # see above

        high, wide = high // share.down, wide // share.across
        tall = plane.reshape(-1, plane.shape[2])
        plane = np.asarray(cv2.resize(tall, (wide, number * high), interpolation=cv2.INTER_AREA), np.uint8)
    rows = plane.reshape(-1).view(np.uint64).reshape(number, share.rows, BLOCK_SIDE, share.columns)
    return np.ascontiguousarray(rows.swapaxes(2, 3)).view(np.uint8).reshape(-1, BLOCK_SIDE * BLOCK_SIDE)


def _steps(table: NDArray[np.int64]) -> NDArray[np.float32]:
    """(64, 64): the matrix from the samples of a block to its coefficients, in steps of the table."""
    return np.ascontiguousarray((np.kron(_COSINES, _COSINES) / table[:, None]).T, np.float32)


def _quantised(samples: NDArray[np.uint8], steps: NDArray[np.float32]) -> NDArray[np.int16]:
    """(n, 64): the coefficients of blocks of samples (n, 64)."""
    values = product_in_pieces(samples.astype(np.float32) - _CENTRE, steps)
    np.rint(values, out=values)
    return np.clip(values, -GREATEST, GREATEST, out=values).astype(np.int16)
