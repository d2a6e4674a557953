"""Blocks are put where they belong in a file that libjpeg reads and writes, and its errors are ours to tell."""

from __future__ import annotations

from importlib.metadata import files

import numpy as np
import pytest

from anonymisation.imaging.jpeg import libjpeg
from anonymisation.imaging.jpeg.libjpeg import Blocks, BlocksUnusableError, Grid, replace_blocks
from tests.imaging.builders import jpeg, photograph
from tests.imaging.coefficients import coefficients


def test_the_wheel_of_pillow_brings_the_library() -> None:
    assert any(file.name.startswith("libjpeg-") for file in files("pillow") or [])
    assert libjpeg.find_library() is not None


def _empty() -> Blocks:
    return Blocks(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 64), np.int16))


def _single(value: int, row: int = 0) -> Blocks:
    return Blocks(np.array([row]), np.array([0]), np.full((1, 64), value, np.int16))


GRAY = jpeg(photograph(32, 32), mode="L")


@pytest.mark.parametrize("value", [-2000, -1024, 1024, 32767])
def test_values_that_no_file_can_hold_are_refused_with_either_kind_of_tables(value: int) -> None:
    for optimise in (False, True):
        with pytest.raises(BlocksUnusableError, match="too large"):
            replace_blocks(GRAY, [Grid(4, 4)], [[_single(value)]], optimise=optimise)


def test_the_greatest_values_that_a_file_can_hold_are_written() -> None:
    block = np.full((1, 64), 1023, np.int16)
    block[0, 1::2] = -1023
    for first in (-1024, 1023):
        block[0, 0] = first
        blocks = Blocks(np.array([1]), np.array([2]), block)
        written = coefficients(replace_blocks(GRAY, [Grid(4, 4)], [[blocks]], optimise=False))[0][1, 2]
        assert written[0] == first
        assert sorted(written[1:]) == [-1023] * 32 + [1023] * 31


def test_blocks_are_put_where_they_belong_whatever_their_order_and_how_the_rows_lie_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = jpeg(photograph(45, 70), quality=90)  # with units that are filled up, so that rows are apart
    grids = [Grid(6, 9), Grid(3, 5), Grid(3, 5)]
    rows, columns = np.array([5, 0, 3, 5, 2]), np.array([8, 0, 4, 0, 1])
    values = np.arange(5 * 64, dtype=np.int16).reshape(5, 64)
    blocks = [Blocks(rows, columns, values), _empty(), _empty()]
    written = replace_blocks(data, grids, [blocks], optimise=False)
    found = coefficients(written)[0][rows, columns]
    assert [sorted(block) for block in found.tolist()] == values.tolist()
    # Should libjpeg's memory ever come in pieces:
    monkeypatch.setattr(libjpeg, "_stretches", lambda addresses: [(row, 1, 0) for row in range(len(addresses))])
    assert replace_blocks(data, grids, [blocks], optimise=False) == written


def test_stretches_of_even_distance_are_found() -> None:
    assert [*libjpeg._stretches([])] == []
    assert [*libjpeg._stretches([7])] == [(0, 1, 0)]
    addresses = [100, 110, 120, 500, 510, 520, 530, 90]
    covered = [
        start + number * step
        for first, many, step in libjpeg._stretches(addresses)
        for start in [addresses[first]]
        for number in range(many)
    ]
    assert covered == addresses


@pytest.mark.parametrize("data", [GRAY[:-60], GRAY[:300], b"\xff\xd8\xff\xd9", b"", b"GIF89a"])
def test_a_file_that_libjpeg_refuses_is_an_error_and_the_next_one_is_not(data: bytes) -> None:
    with pytest.raises(BlocksUnusableError):
        replace_blocks(data, [Grid(4, 4)], [[_empty()]], optimise=False)
    assert coefficients(replace_blocks(GRAY, [Grid(4, 4)], [[_empty()]], optimise=False))[0].shape == (4, 4, 64)


def test_after_too_many_errors_the_library_is_left_alone() -> None:
    library = libjpeg.find_library()
    assert library is not None
    before = library.errors
    try:
        library.errors = libjpeg.MAX_ERRORS
        with pytest.raises(BlocksUnusableError, match="is not used any more"):
            replace_blocks(GRAY, [Grid(4, 4)], [[_empty()]], optimise=False)
    finally:
        library.errors = before


@pytest.mark.parametrize("row", [-1, 4, 1000])
def test_blocks_outside_the_picture_are_refused(row: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        replace_blocks(GRAY, [Grid(4, 4)], [[_single(1, row)]], optimise=False)


def test_blocks_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match="columns and blocks"):
        Blocks(np.zeros(2, np.int64), np.zeros(1, np.int64), np.zeros((2, 64), np.int16))
    with pytest.raises(ValueError, match="int16"):
        Blocks(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros((1, 64), np.int64))
