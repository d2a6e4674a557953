"""Masks survive their file bit for bit."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from anonymisation.core.errors import ImageWriteError, UnreadableImageError
from anonymisation.imaging.mask_file import MAX_SIDE, decode_mask, encode_mask


@settings(max_examples=60)
@given(mask=arrays.arrays(np.bool_, st.tuples(st.integers(1, 70), st.integers(1, 70))))
def test_mask_comes_back(mask: np.ndarray) -> None:
    assert np.array_equal(decode_mask(encode_mask(mask)), mask)


def test_file_is_three_equal_channels_of_0_and_1() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[10:20, 30:] = True
    with Image.open(BytesIO(encode_mask(mask))) as picture:
        assert (picture.format, picture.mode) == ("WEBP", "RGB")
        assert np.array_equal(np.asarray(picture), np.repeat(mask[..., None], 3, axis=2).astype(np.uint8))


def test_longest_side() -> None:
    assert decode_mask(encode_mask(np.ones((1, MAX_SIDE), np.bool_))).all()
    with pytest.raises(ImageWriteError, match=r"16384 × 1 .*remote_mask"):
        encode_mask(np.ones((1, MAX_SIDE + 1), np.bool_))


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ImageWriteError, match="uint8"):
        encode_mask(np.ones((4, 4), np.uint8))
    with pytest.raises(ImageWriteError, match="0 × 4"):
        encode_mask(np.ones((4, 0), np.bool_))


def _webp(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "WEBP", lossless=True, exact=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF\0\0\0\0WEBP",
        encode_mask(np.eye(300, dtype=np.bool_))[:-30],
        _webp(np.full((4, 4, 3), 255)),
        _webp(np.stack([np.ones((4, 4)), np.zeros((4, 4)), np.ones((4, 4))], axis=2)),
    ],
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="mask"):
        decode_mask(data)
