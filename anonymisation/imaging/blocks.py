"""Which 8 × 8 blocks of a JPEG file a mask touches, and what stands in them once the picture is redacted.

A block belongs to one colour component. Where a component is subsampled its block stands for more of the picture, for
16 × 16 pixels with the chroma of 4:2:0; it is touched where any of these is masked. So nothing that was made from a
masked pixel is left: an encoder averages a chroma sample from the pixels below it and no others. What a decoder takes
from the neighbouring block to smooth the chroma along the edge was made from pixels that are shown anyway.

Formulas: ITU-T T.81, A.1.1 (sizes of components), A.3.3 (transform), A.3.4 (quantisation); colours: JFIF 1.02, which
takes them from ITU-R BT.601.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.imaging.libjpeg import GREATEST, Blocks, Grid
from anonymisation.imaging.segments import Component, JpegStructure

_SIDE: Final = 8
_PIXELS_AT_ONCE: Final = 1 << 17  # bounds memory, and stays in the cache
_ROWS_AT_ONCE: Final = 16  # times 192 × 64 are below the 2¹⁸ products from which OpenBLAS uses threads
_FREQUENCIES: Final = np.arange(_SIDE)[:, None]
_COSINES: Final = np.cos((2 * np.arange(_SIDE) + 1) * _FREQUENCIES * np.pi / 16) * np.where(
    _FREQUENCIES, 0.5, np.sqrt(0.125)
)
# Of each component: the shares of red, green and blue.
_WEIGHTS: Final = {
    "ycc": ((0.299, 0.587, 0.114), (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411)),
    "rgb": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "gray": ((1.0, 0.0, 0.0),),
}


def grids_of(structure: JpegStructure) -> tuple[Grid, ...]:
    """The blocks of each component."""
    high, wide = _greatest_factors(structure)
    return tuple(
        Grid(
            -(-structure.height * component.vertical // (_SIDE * high)),
            -(-structure.width * component.horizontal // (_SIDE * wide)),
        )
        for component in structure.components
    )


def redacted_blocks(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    structure: JpegStructure,
    tables: Sequence[NDArray[np.int64]],
) -> tuple[Blocks, ...]:
    """The blocks of each component that `mask` touches, made from the redacted `pixels`.

    Args:
        pixels: (H, W, 3) RGB, redacted where `mask` is set and as they were decoded elsewhere. Of a gray picture the
            first channel counts.
        mask: (H, W).
        structure: of the original; gray, YCbCr or RGB.
        tables: the quantisation table of each component, 64 steps row by row.
    """
    cells = _cells(mask)
    grids = grids_of(structure)
    found: dict[int, Blocks] = {}
    for (down, across), numbers in _by_footprint(structure).items():
        grid = grids[numbers[0]]
        rows, columns = np.nonzero(_coarser(cells, down, across)[: grid.rows, : grid.columns])
        steps = [_steps(structure.colour, number, tables[number]) for number in numbers]
        coefficients = np.empty((len(numbers), len(rows), 64), np.int16)
        for part in _parts(len(rows), down * across):
            colours = _colours(pixels, rows[part], columns[part], down, across)
            for index, (transform, shift) in enumerate(steps):
                values = _product(colours, transform)
                values[:, 0] -= shift
                coefficients[index, part] = np.rint(values, out=values).clip(-GREATEST, GREATEST)
        found.update({n: Blocks(rows, columns, coefficients[index]) for index, n in enumerate(numbers)})
    return tuple(found[number] for number in range(len(grids)))


def _by_footprint(structure: JpegStructure) -> dict[tuple[int, int], list[int]]:
    """Components by how many rows and columns of pixels one sample stands for; those of one kind share their blocks."""
    found: dict[tuple[int, int], list[int]] = {}
    for number, component in enumerate(structure.components):
        found.setdefault(_footprint(structure, component), []).append(number)
    return found


def _steps(colour: str, number: int, table: NDArray[np.int64]) -> tuple[NDArray[np.float32], float]:
    """From the 8 × 8 × 3 colours of a block to its 64 coefficients in steps of the table: all of it is linear.

    (192, 64), and what to take from the first coefficient, since samples are centred on zero beforehand.
    """
    transform = np.kron(_COSINES, _COSINES) / table[:, None]
    mixed = np.einsum("ij,c->jci", transform, np.array(_WEIGHTS[colour][number]))
    shift = 8 * 128 / table[0] if sum(_WEIGHTS[colour][number]) > 0.5 else 0.0  # chroma is centred by its weights
    return np.ascontiguousarray(mixed.reshape(192, 64), np.float32), float(shift)


def _product(colours: NDArray[np.float32], transform: NDArray[np.float32]) -> NDArray[np.float32]:
    """`colours` @ `transform`, in pieces so small that OpenBLAS wakes no further threads, which would only spin."""
    number, width = colours.shape
    whole = number - number % _ROWS_AT_ONCE
    product = np.empty((number, transform.shape[1]), np.float32)
    pieces = colours[:whole].reshape(-1, _ROWS_AT_ONCE, width)
    np.matmul(pieces, transform, out=product[:whole].reshape(-1, _ROWS_AT_ONCE, transform.shape[1]))
    np.matmul(colours[whole:], transform, out=product[whole:])
    return product


def _greatest_factors(structure: JpegStructure) -> tuple[int, int]:
    return max(c.vertical for c in structure.components), max(c.horizontal for c in structure.components)


def _footprint(structure: JpegStructure, component: Component) -> tuple[int, int]:
    """How many rows and columns of pixels one sample of the component stands for.

    Decoders refuse files in which these are no whole numbers.
    """
    high, wide = _greatest_factors(structure)
    return -(-high // component.vertical), -(-wide // component.horizontal)


def _cells(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which squares of 8 × 8 pixels, from the upper left corner, hold a masked pixel."""
    height, width = mask.shape
    rows, columns = -(-height // _SIDE), -(-width // _SIDE)
    if (height, width) != (_SIDE * rows, _SIDE * columns):
        whole = np.zeros((_SIDE * rows, _SIDE * columns), np.bool_)
        whole[:height, :width] = mask
        mask = whole
    eights = np.ascontiguousarray(mask).view(np.uint64).reshape(rows, _SIDE, columns)
    return np.asarray(np.bitwise_or.reduce(eights, axis=1) != 0, np.bool_)


def _coarser(cells: NDArray[np.bool_], down: int, across: int) -> NDArray[np.bool_]:
    """Which groups of `down` × `across` cells hold a set one."""
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


def _parts(number: int, cells_each: int) -> Iterator[slice]:
    step = max(1, _PIXELS_AT_ONCE // (_SIDE * _SIDE * cells_each))
    for start in range(0, number, step):
        yield slice(start, min(start + step, number))


def _colours(
    pixels: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64], down: int, across: int
) -> NDArray[np.float32]:
    """(n, 192): the colours below the 8 × 8 samples; the picture's last row and column go on beyond its edge."""
    high, wide = _SIDE * down, _SIDE * across
    whole = (pixels.shape[0] // high, pixels.shape[1] // wide)
    inside = (rows < whole[0]) & (columns < whole[1])
    found = np.empty((len(rows), high, wide, 3), np.uint8)
    blocks = pixels[: whole[0] * high, : whole[1] * wide].reshape(whole[0], high, whole[1], wide, 3).swapaxes(1, 2)
    found[inside] = blocks[rows[inside], columns[inside]]
    below = np.minimum(rows[~inside, None] * high + np.arange(high), pixels.shape[0] - 1)
    beside = np.minimum(columns[~inside, None] * wide + np.arange(wide), pixels.shape[1] - 1)
    found[~inside] = pixels[below[:, :, None], beside[:, None, :]]
    return _means(found, down, across).reshape(len(rows), 192)


def _means(colours: NDArray[np.uint8], down: int, across: int) -> NDArray[np.float32]:
    """(n, 8, 8, 3) from (n, 8 · down, 8 · across, 3)."""
    if (down, across) == (1, 1):
        return colours.astype(np.float32)
    sums = colours[:, ::down].astype(np.uint16)
    for row in range(1, down):
        sums += colours[:, row::down]
    means = sums[:, :, ::across].astype(np.float32)
    for column in range(1, across):
        means += sums[:, :, column::across]
    means /= down * across
    return means
