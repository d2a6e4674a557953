"""Masks as WebP: every decoder reads them, and reads what was written."""

from __future__ import annotations

from io import BytesIO

import cv2  # noqa: TID253
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from anonymisation.imaging.vp8l import encode_two_colours


def decoded(data: bytes) -> NDArray[np.uint8]:
    with Image.open(BytesIO(data)) as picture:
        assert (picture.format, picture.mode) == ("WEBP", "RGB")
        pixels = np.asarray(picture)
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert other is not None
    assert (other == pixels).all()
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def written(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    values = decoded(encode_two_colours(mask, (0, 1)))
    assert values.max() <= 1
    return values.astype(np.bool_)


@settings(max_examples=300)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    share=st.sampled_from([0.0, 0.001, 0.1, 0.5, 1.0]),
    smooth=st.booleans(),
    seed=st.integers(0, 100),
)
def test_any_mask_comes_back(height: int, width: int, share: float, smooth: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((height, width)) < share
    if smooth:
        mask = np.zeros((height, width), np.bool_)
        mask[random.integers(0, height) :, random.integers(0, width) :] = True
    assert (written(mask) == mask).all()


@pytest.mark.parametrize("shape", [(1, 16384), (16384, 1), (8, 8), (9, 7), (1, 1), (700, 2000)])
@pytest.mark.parametrize("value", [False, True])
def test_masks_of_one_colour_and_long_copies(shape: tuple[int, int], value: bool) -> None:
    mask = np.full(shape, value)
    assert (written(mask) == mask).all()
    mask[-1, -1] = not value
    assert (written(mask) == mask).all()


def test_codes_are_never_longer_than_the_format_allows() -> None:
    # Bytes in Fibonacci numbers, whose Huffman code would need a bit more for each.
    rows = []
    one, other = 1, 1
    for value in range(24):
        rows += [value] * one
        one, other = other, one + other
    random = np.random.default_rng(3)
    shuffled = random.permutation(np.array(rows, np.uint8))[: 16384 // 8 * 40]
    mask = np.unpackbits(shuffled[: len(shuffled) // 64 * 64].reshape(-1, 64), axis=1, bitorder="little").astype(
        np.bool_
    )
    assert (written(mask) == mask).all()


@pytest.mark.parametrize("colours", [(0, 1), (255, 0), (7, 7), (200, 100)])
def test_other_colours(colours: tuple[int, int]) -> None:
    mask = np.eye(20, dtype=np.bool_)
    values = decoded(encode_two_colours(mask, colours))
    assert (values == np.where(mask, colours[1], colours[0])).all()


def test_masks_take_few_bytes() -> None:
    y, x = np.mgrid[:1032, :2692]
    mask = np.asarray((y - 500) ** 2 + (x - 900) ** 2 < 150**2, np.bool_)
    buffer = BytesIO()
    Image.fromarray(np.repeat(mask[..., None].astype(np.uint8), 3, axis=2)).save(
        buffer, "WEBP", lossless=True, method=4
    )
    assert len(encode_two_colours(mask, (0, 1))) < 1.5 * len(buffer.getvalue())


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 16385)])
def test_impossible_sizes_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="16384 pixels"):
        encode_two_colours(np.zeros(shape, np.bool_), (0, 1))
