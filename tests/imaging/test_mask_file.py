"""Masks survive their file bit for bit."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from anonymisation.core.errors import ImageWriteError, UnreadableImageError
from anonymisation.imaging.mask_file import MAX_SIDE, decode_mask, encode_mask
from anonymisation.imaging.vp8l import encode_two_colours


@settings(max_examples=60)
@given(mask=arrays.arrays(np.bool_, st.tuples(st.integers(1, 70), st.integers(1, 70))))
def test_mask_comes_back(mask: np.ndarray) -> None:
    assert np.array_equal(decode_mask(encode_mask(mask)), mask)


def test_file_is_three_equal_channels_of_0_and_255() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[10:20, 30:] = True
    with Image.open(BytesIO(encode_mask(mask))) as picture:
        assert (picture.format, picture.mode) == ("WEBP", "RGB")
        assert np.array_equal(np.asarray(picture), np.repeat(mask[..., None], 3, axis=2) * np.uint8(255))


@pytest.mark.parametrize("shape", [(1, MAX_SIDE), (MAX_SIDE, 1), (1, MAX_SIDE + 1), (MAX_SIDE + 1, 2), (1, 65535)])
def test_a_mask_that_is_too_large_for_webp_is_a_gray_png(shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(1).integers(0, 2, shape).astype(np.bool_)
    data = encode_mask(mask)
    assert np.array_equal(decode_mask(data), mask)
    with Image.open(BytesIO(data)) as picture:
        assert (picture.format, picture.mode) == (("PNG", "L") if max(shape) > MAX_SIDE else ("WEBP", "RGB"))
        assert np.array_equal(np.asarray(picture.convert("L")), mask * np.uint8(255))


@pytest.mark.parametrize("hidden", [1, 255])
@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_masks_of_the_original_program_are_read(hidden: int, share: float) -> None:
    mask = np.random.default_rng(1).random((37, 51)) < share
    pixels = np.repeat(mask[..., None], 3, axis=2) * np.uint8(hidden)
    assert np.array_equal(decode_mask(_webp(pixels)), mask)
    assert np.array_equal(decode_mask(_png(pixels[..., 0])), mask)
    assert np.array_equal(decode_mask(encode_two_colours(mask, (0, hidden))), mask)
    assert np.array_equal(decode_mask(_webp(pixels, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")), mask)


def test_a_mask_with_more_pixels_than_expected_is_refused_before_it_is_decoded() -> None:
    for shape in ((40, 60), (1, MAX_SIDE + 1)):
        data = encode_mask(np.ones(shape, np.bool_))
        assert decode_mask(data, max_pixels=shape[0] * shape[1]).all()
        with pytest.raises(UnreadableImageError, match=f"{shape[1]} × {shape[0]} pixels, expected at most 1000"):
            decode_mask(data, max_pixels=1000)


def test_masks_above_the_limit_of_pillow_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for shape in ((40, 60), (1, MAX_SIDE + 1)):
        assert decode_mask(encode_mask(np.ones(shape, np.bool_))).all()


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ImageWriteError, match="uint8"):
        encode_mask(np.ones((4, 4), np.uint8))
    with pytest.raises(ImageWriteError, match="0 × 4"):
        encode_mask(np.ones((4, 0), np.bool_))


def _webp(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "WEBP", lossless=True, exact=True, **options)
    return buffer.getvalue()


def _png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


LARGE = encode_mask(np.random.default_rng(1).random((3, MAX_SIDE + 1)) < 0.5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF\0\0\0\0WEBP",
        encode_mask(np.eye(300, dtype=np.bool_))[:-30],
        encode_mask(np.eye(300, dtype=np.bool_))[:40],
        LARGE[:-30],
        LARGE[:40],
        LARGE[: len(LARGE) // 2],
        LARGE[:2000] + bytes(100) + LARGE[2100:],
        b"\xff\xd8\xff\xe0" + bytes(100),
        _webp(np.full((4, 4, 3), 254)),
        _webp(np.stack([np.full((4, 4), level) for level in (1, 255, 1)], axis=2)),
        _webp(np.arange(16).reshape(4, 4, 1).repeat(3, axis=2) // 8 * 254 + 1),  # 1 and 255
        _png(np.arange(16, dtype=np.uint8).reshape(4, 4) // 6),  # 0, 1 and 2
        _webp(np.stack([np.ones((4, 4)), np.zeros((4, 4)), np.ones((4, 4))], axis=2)),
    ],
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="mask"):
        decode_mask(data)
