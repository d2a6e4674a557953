"""Mask files: 0 where the picture is shown, 255 where it is hidden, without loss.

A mask is a WebP picture with three equal channels, since WebP has no gray. WebP takes up to 16383 pixels on a side; the
mask of a larger picture is a gray PNG. Files of the original program, and of earlier versions of this one, hold 1
instead of 255; both are read.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.errors import ImageWriteError, UnreadableImageError
from anonymisation.imaging.jpeg.segments import MAX_PIXELS
from anonymisation.imaging.vp8l import encode_two_colours

MAX_SIDE: Final = 16383
"""Greatest width and height of a WebP picture, in pixels: 14 bits each (WebP container specification)."""
SHOWN: Final = 0
HIDDEN: Final = 255
_HIDDEN_VALUES: Final = (1, HIDDEN)
_RIFF_HEADER: Final = 30  # bytes with the size of a WebP picture, whatever its kind
_PNG_MARK: Final = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER: Final = 24  # bytes with the size of a PNG picture


def needs_png(width: int, height: int) -> bool:
    """Whether the mask of a picture of this size, in pixels, is a PNG file."""
    return max(width, height) > MAX_SIDE


def encode_mask(mask: NDArray[np.bool_]) -> bytes:
    """Encode a mask (H, W), True where the picture is hidden; as PNG where `needs_png`, else as WebP.

    Raises:
        ImageWriteError: a side is 0, the array is not an (H, W) bool mask, or the encoder fails.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ImageWriteError(f"expected a mask of (H, W) bool, got {mask.shape} {mask.dtype}")
    height, width = mask.shape
    if not height or not width:
        raise ImageWriteError(f"a mask of {width} × {height} pixels cannot be written")
    return _png(mask) if needs_png(width, height) else encode_two_colours(mask, (SHOWN, HIDDEN))


def _png(mask: NDArray[np.bool_]) -> bytes:
    import cv2  # imported here, since most readers of pictures never write masks

    done, data = cv2.imencode(".png", mask.view(np.uint8) * np.uint8(HIDDEN))
    if not done:
        raise ImageWriteError("the mask cannot be encoded as PNG")
    return bytes(data)


def decode_mask(data: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.bool_]:
    """Decode a mask (H, W) from a file of `encode_mask`, or of the original program. Takes seven bytes a pixel.

    Raises:
        UnreadableImageError: neither WebP nor PNG, damaged, more than `max_pixels`, or values other than 0 and 255, or
            0 and 1, in equal channels.
    """
    import cv2  # see above

    width, height = _size(data)
    if width * height > max_pixels:
        raise UnreadableImageError(f"the mask has {width} × {height} pixels, expected at most {max_pixels}")
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableImageError(f"the mask is not a whole picture: {error.err}") from error
    if found is None or found.dtype != np.uint8 or found.shape[:2] != (height, width):
        raise UnreadableImageError("the mask is not a whole WebP or PNG picture")
    channels = [found] if found.ndim == 2 else [found[..., number] for number in range(3)]
    values = np.ascontiguousarray(channels[0])
    hidden = np.asarray(values != SHOWN, np.bool_)
    greatest = int(values.max())
    whole = greatest in {SHOWN, *_HIDDEN_VALUES} and (values[hidden] == greatest).all()
    if not whole or not all(np.array_equal(values, other) for other in channels[1:]):
        raise UnreadableImageError("the mask holds other values than 0 and 255 (or 0 and 1) in equal channels")
    return hidden


def _size(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels, from the header of a WebP file (RFC 9649, section 2) or a PNG file."""
    if data.startswith(_PNG_MARK) and len(data) >= _PNG_HEADER:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if len(data) < _RIFF_HEADER or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise UnreadableImageError("the mask is neither a whole WebP nor a PNG picture")
    match data[12:16]:
        case b"VP8L":  # the kind that this program writes
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8 ":
            width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
            return width, height
    raise UnreadableImageError("the mask is not a WebP picture of a known kind")
