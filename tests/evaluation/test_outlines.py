"""Outlines in all of COCO's forms; native code never sees one that does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as rle_codec

from anonymisation.evaluation.outlines import CodedMask, Outline, outline_rle


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_run_lengths_as_text_and_as_numbers(height: int, width: int, seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    text = rle_codec.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    column_by_column = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(column_by_column)) + 1
    runs = np.diff([0, *changes, mask.size]).tolist()
    numbers = [0, *runs] if column_by_column[0] else runs
    for counts in (text, numbers):
        decoded = outline_rle(CodedMask((height, width), counts), height, width)
        assert np.array_equal(decoded.mask(), mask)
        assert decoded.area() == mask.sum()


def test_polygons_are_one_region() -> None:
    rle = outline_rle([[0, 0, 4, 0, 4, 4, 0, 4], [2, 2, 8, 2, 8, 4, 2, 4]], 10, 10)
    assert rle.area() == 16 + 12 - 4


def test_polygons_that_stray_beyond_the_edge_are_cut() -> None:
    assert outline_rle([[-3, -3, 4, -3, 4, 4, -3, 4]], 10, 10).area() == 16


@pytest.mark.parametrize(
    ("outline", "message"),
    [
        ([], "at least one polygon"),
        ([[0, 0, 5, 5]], "at least 3 points, got 4 numbers"),  # pycocotools would take it for a box
        ([[0, 0, 5, 5, 1, 1, 2]], "at least 3 points, got 7 numbers"),
        ([[0, 0, 5, 5, 1e9, 1]], "far outside"),
        ([[0, 0, 5, 5, 1, -11]], "far outside"),
        (CodedMask((10, 9), [90]), r"expected size \[10, 10\], got \[10, 9\]"),
        (CodedMask((10, 10), [99]), "expected runs of 100 pixels, got 99"),
        (CodedMask((10, 10), [10, 500]), "expected runs of 100 pixels, got 510"),
        (CodedMask((10, 10), [110, -10]), "expected runs of 0 pixels or more, got -10"),
        (CodedMask((10, 10), ""), "expected runs of 100 pixels, got 0"),
        (CodedMask((10, 10), "zzz"), "no part of coded run lengths"),
        (CodedMask((10, 10), "PP"), "break off"),
    ],
)
def test_outlines_that_do_not_fit(outline: Outline, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        outline_rle(outline, 10, 10)
