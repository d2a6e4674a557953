"""Mask files: a lossless WebP picture with three equal channels of 0 (shown) and 1 (hidden)."""

from __future__ import annotations

import hashlib
import io
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymisation.core.errors import ImageWriteError, UnreadableImageError
from anonymisation.imaging.vp8l import encode_two_colours

MAX_SIDE: Final = 16383
"""Greatest width and height of a WebP picture, in pixels: 14 bits each (WebP container specification)."""


def encode_mask(mask: NDArray[np.bool_]) -> bytes:
    """Encode a mask (H, W), True where the picture is hidden.

    Raises:
        ImageWriteError: a side is 0 or above 16383 pixels, or the array is not an (H, W) bool mask.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ImageWriteError(f"expected a mask of (H, W) bool, got {mask.shape} {mask.dtype}")
    height, width = mask.shape
    if not 0 < height <= MAX_SIDE or not 0 < width <= MAX_SIDE:
        raise ImageWriteError(
            f"a mask of {width} × {height} pixels cannot be written: WebP takes 1 to {MAX_SIDE} on each side; "
            "turn remote_mask and local_mask off for such pictures"
        )
    return encode_two_colours(mask, (0, 1))


def mask_digest(data: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a mask file, to recognise the file by."""
    return hashlib.sha256(data).hexdigest()[:16]


def decode_mask(data: bytes) -> NDArray[np.bool_]:
    """Decode a mask (H, W) from a file of `encode_mask`.

    Raises:
        UnreadableImageError: not a WebP picture, damaged, or values other than 0 and 1 in three equal channels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("WEBP",)) as picture:
            red, green, blue = (channel.tobytes() for channel in picture.convert("RGB").split())
            width, height = picture.size
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise UnreadableImageError(f"the mask is not a whole WebP picture: {error}") from error
    values = np.frombuffer(red, np.uint8)
    if values.max() > 1 or not red == green == blue:
        raise UnreadableImageError("the mask holds other values than 0 and 1 in three equal channels")
    return values.reshape(height, width).astype(np.bool_)
