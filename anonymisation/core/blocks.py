"""Blocks of 8 × 8 pixels, as JPEG codes them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK_SIDE: Final = 8  # samples along each axis of a block (ITU-T T.81, A.1.3)


def marked_blocks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The squares of 8 × 8 pixels, from the upper left corner, that contain a masked pixel."""
    height, width = mask.shape
    rows, columns = -(-height // BLOCK_SIDE), -(-width // BLOCK_SIDE)
    if (height, width) != (BLOCK_SIDE * rows, BLOCK_SIDE * columns):
        whole = np.zeros((BLOCK_SIDE * rows, BLOCK_SIDE * columns), np.bool_)
        whole[:height, :width] = mask
        mask = whole
    eights = np.ascontiguousarray(mask).view(np.uint64).reshape(rows, BLOCK_SIDE, columns)
    return np.asarray(np.bitwise_or.reduce(eights, axis=1) != 0, np.bool_)
