"""The product in pieces equals the product, whatever the size of the last piece."""

from __future__ import annotations

import numpy as np
import pytest

from anonymisation.core.matmul import product_in_pieces


@pytest.mark.parametrize("shape", [(64, 64), (28, 1500), (3, 1), (600, 700)])
@pytest.mark.parametrize("number", [0, 1, 47, 48, 49, 200])
def test_a_product_in_pieces_is_the_product(number: int, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(number)
    rows = random.normal(size=(number, shape[0])).astype(np.float32)
    matrix = random.normal(size=shape).astype(np.float32)
    found = product_in_pieces(rows, matrix)
    assert (found.dtype, found.shape) == (np.dtype(np.float32), (number, shape[1]))
    assert np.allclose(found, rows.astype(np.float64) @ matrix.astype(np.float64), atol=1e-3)
