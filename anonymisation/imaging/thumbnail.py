"""Small upright copies of pictures, without their metadata."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageOps

from anonymisation.core.errors import UnreadableImageError

_BROKEN: Final = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def thumbnail(data: bytes, side: int) -> Image.Image:
    """Decode a JPEG to an upright RGB picture whose longer side is at most `side` pixels.

    Raises:
        UnreadableImageError: it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            picture.draft("RGB", (2 * side, 2 * side))  # decoding at a fraction of the size is several times faster
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except _BROKEN as error:
        raise UnreadableImageError(f"cannot be decoded: {error}") from error
    upright.thumbnail((side, side))
    upright.info.clear()  # EXIF, colour profile, comments
    return upright
