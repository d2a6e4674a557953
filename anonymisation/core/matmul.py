"""Matrix products that run on the calling thread only."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Multiplications in one piece: from 2¹⁸ on OpenBLAS starts more threads, which would only spin.
_AT_ONCE: Final = 3 << 16


def product_in_pieces(rows: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """`rows` (n, k) @ `matrix` (k, m), computed in pieces so small that OpenBLAS starts no threads."""
    number, width = rows.shape
    rows_at_once = max(1, _AT_ONCE // matrix.size)
    whole = number - number % rows_at_once
    product = np.empty((number, matrix.shape[1]), np.float32)
    pieces = rows[:whole].reshape(-1, rows_at_once, width)
    np.matmul(pieces, matrix, out=product[:whole].reshape(-1, rows_at_once, matrix.shape[1]))
    np.matmul(rows[whole:], matrix, out=product[whole:])
    return product
