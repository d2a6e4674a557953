"""The preview of a masked picture: a part of it at full size, cut out around a fixed place, without metadata."""

from __future__ import annotations

import io
from typing import Final

from anonymisation.core.errors import UnreadableImageError
from anonymisation.imaging.thumbnail import upright_picture

QUALITY: Final = 75  # of the JPEG, as the original program's 2022 version has it


def preview_box(
    size: tuple[int, int], dimensions: tuple[int, int], centre: tuple[float, float]
) -> tuple[int, int, int, int]:
    """The part of a picture that its preview shows, as left, top, right, bottom in pixels.

    As in the original's 2022 version: `dimensions` around int(width · x), int(height · y), with odd sides a pixel less.
    A part that would reach beyond the picture is moved inside, and has at most the picture's size.

    Args:
        size: width and height of the upright picture.
        dimensions: width and height of the preview.
        centre: y and x, as shares of height and width.
    """
    spans = []
    for length, wanted, share in zip(size, dimensions, reversed(centre), strict=True):
        half = min(wanted, length) // 2
        part = min(length, 2 * half) if wanted < length else length
        start = min(max(0, int(length * share) - half), length - part)
        spans.append((start, start + part))
    (left, right), (top, bottom) = spans
    return left, top, right, bottom


def preview_of(
    masked: bytes, dimensions: tuple[int, int], centre: tuple[float, float], *, max_pixels: int, source: str
) -> bytes:
    """The preview of a masked picture as JPEG, upright, without EXIF.

    Args:
        masked: the bytes of the masked picture; an original has no preview.
        dimensions: width and height in pixels, see `preview_box`.
        centre: y and x, see `preview_box`.
        max_pixels: the most pixels that the picture may have.
        source: names the picture in messages.

    Raises:
        UnreadableImageError: the picture cannot be decoded, or has more than `max_pixels` pixels.
    """
    try:
        upright = upright_picture(masked, max_pixels=max_pixels)
    except UnreadableImageError as error:
        raise UnreadableImageError(f"{source}: no preview can be made of it: {error}") from error
    buffer = io.BytesIO()
    upright.crop(preview_box(upright.size, dimensions, centre)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
