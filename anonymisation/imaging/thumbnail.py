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
    try:
        jpeg_size(data, max_pixels=max_pixels)
        with JpegImageFile(io.BytesIO(data)) as picture:  # not Image.open, which has a limit of its own
            picture.draft("RGB", (2 * side, 2 * side))  # decoding at a fraction of the size is several times faster
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except _BROKEN as error:
        raise UnreadableImageError(f"cannot be decoded: {error}") from error
    upright.thumbnail((side, side))
    upright.info.clear()  # EXIF, colour profile, comments
    return upright
