"""Small upright copies of pictures, without their metadata."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from anonymisation.core.errors import UnreadableImageError
from anonymisation.imaging.jpeg.codec import jpeg_size
from anonymisation.imaging.jpeg.segments import MAX_PIXELS

_BROKEN: Final = (OSError, ValueError, SyntaxError, UnreadableImageError)


def thumbnail(data: bytes, side: int, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a JPEG to an upright RGB picture whose longer side is at most `side` pixels.

    Raises:
        UnreadableImageError: it cannot be decoded, or has more than `max_pixels` pixels.
    """
    upright = upright_picture(data, max_pixels=max_pixels, least_side=2 * side)
    upright.thumbnail((side, side))
    return upright


def upright_picture(data: bytes, *, max_pixels: int, least_side: int | None = None) -> Image.Image:
    """Decode a JPEG to an upright RGB picture without its metadata.

    With `least_side`, it may be a fraction of its size with sides of at least so many pixels: decoding is several times
    faster then.

    Raises:
        UnreadableImageError: it cannot be decoded, or has more than `max_pixels` pixels.
    """
    try:
        jpeg_size(data, max_pixels=max_pixels)
        with JpegImageFile(io.BytesIO(data)) as picture:  # not Image.open, which has a limit of its own
            if least_side is not None:
                picture.draft("RGB", (least_side, least_side))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except _BROKEN as error:
        raise UnreadableImageError(f"cannot be decoded: {error}") from error
    upright.info.clear()  # EXIF, colour profile, comments
    return upright
