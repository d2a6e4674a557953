"""A check, on a small known picture, that libjpeg replaces blocks correctly.

The module `libjpeg` uses fixed offsets in structures of the library. The library checks the sizes of these structures,
but not the offsets. So the offsets are tried once per process, before any picture depends on them. An independent
decoder (simplejpeg) decodes the result.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

_SIDE: Final = 48  # pixels: three coded units of 16 in each direction
_BLOCK: Final = (slice(24, 32), slice(16, 24))  # of the replaced block: row 3, column 2
_MIDDLE: Final = 128  # the gray level of a luma block without coefficients
_QUALITY: Final = 80

PLACE: Final = (3, 2)
"""Row and column of the luma block to replace."""
GRIDS: Final = ((6, 6), (3, 3), (3, 3))
"""Rows and columns of blocks of each component of the picture."""

Replace = Callable[[bytes, bool], bytes]
"""Clears the luma block at PLACE in a JPEG file. The flag asks for Huffman tables made for the picture."""
Warnings = Callable[[bytes], list[str]]
"""Returns the library's warnings while it reads a JPEG file."""


def known_picture() -> bytes:
    """The JPEG file: 48 × 48 pixels, 4:2:0, with structure in every block."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    planes = (rows * 5 + columns * 3, rows * 2 + (columns // 3) * 17, (rows // 5) * 29 + columns)
    pixels = (np.stack(planes, axis=-1) % 256).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return buffer.getvalue()


def problem_of(replace: Replace, warnings: Warnings) -> str | None:
    """The first problem found, or None where both functions work. Errors of the two functions pass through."""
    known = known_picture()
    standard, own = replace(known, False), replace(known, True)
    expected = _luma(known).copy()
    expected[_BLOCK] = _MIDDLE
    for written in (standard, own):
        if not np.array_equal(_luma(written), expected):
            return "a block of a known picture is not replaced correctly"
    if len(own) >= len(standard):
        return "Huffman tables are not made for a known picture, although they are requested"
    if warnings(known) or not warnings(known[: len(known) * 2 // 3]):
        return "the warnings do not distinguish a torn copy of a known picture from the whole picture"
    return None


def _luma(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(simplejpeg.decode_jpeg(data, colorspace="GRAY"), np.uint8)[..., 0]
