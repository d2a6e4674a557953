"""Encodes a redacted picture as a JPEG file that keeps the coefficients of every block that no mask touches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.imaging.jpeg.dct_blocks import grids_of, redacted_blocks
from anonymisation.imaging.jpeg.libjpeg import BlocksUnusableError, replace_blocks
from anonymisation.imaging.jpeg.segments import ADOBE_RGB, APP0, DHT, DQT, JFIF, JpegStructure

ZIGZAG: Final = sorted(range(64), key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8))
"""The order of coefficients and quantisation tables in a file (ITU-T T.81, figure A.6)."""
_MOST_BLOCKS: Final = 10  # of a coded unit, where a scan holds several components (ITU-T T.81, B.2.3)
_ALL_SYMBOLS: Final = 162  # of a Huffman table for AC coefficients that lacks none, as the standard ones


def keep_untouched(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], structure: JpegStructure, metadata: bytes
) -> bytes:
    """Encode `pixels` as a baseline JPEG file, with the original's blocks wherever `mask` does not touch them.

    Args:
        pixels: (H, W, 3) RGB, as decoded wherever `mask` is not set.
        mask: (H, W), True where the picture is redacted.
        structure: the original, which decodes without a warning.
        metadata: encoded segments to write; the original's metadata is not written.

    Raises:
        BlocksUnusableError: the form of the file does not allow this; the message gives the reason.
    """
    if structure.colour == "cmyk":
        raise BlocksUnusableError("its four-channel colours are converted")
    if not structure.is_complete:  # decoders smooth missing detail: the blocks would show more than the model saw
        raise BlocksUnusableError("its scans do not hold all of the detail")
    # Checked before libjpeg is called: each libjpeg error costs a thread, and a few errors end its use.
    if len(structure.components) > 1 and sum(c.horizontal * c.vertical for c in structure.components) > _MOST_BLOCKS:
        raise BlocksUnusableError("its coded units would be too large for one scan")
    if structure.colour == "gray" and not is_gray(pixels):
        raise BlocksUnusableError("its single channel cannot hold colours")
    tables = quantisation_tables(structure)
    if tables is None:
        raise BlocksUnusableError("its quantisation tables change within the file")
    try:
        steps = [np.array(tables[component.table]) for component in structure.components]
    except KeyError as error:
        raise BlocksUnusableError(f"quantisation table {error} is missing") from None
    if any((table == 0).any() for table in steps):  # decoders accept these, and encoders write 1 instead
        raise BlocksUnusableError("its quantisation tables hold steps of 0")
    blocks = redacted_blocks(pixels, mask, structure, steps)
    coded = replace_blocks(structure.stream(), grids_of(structure), blocks, optimise=_has_tables_of_its_own(structure))
    mark = ADOBE_RGB if structure.colour == "rgb" else JFIF
    return b"\xff\xd8" + mark + metadata + coded[_tables_start(coded) :]


def is_gray(pixels: NDArray[np.uint8]) -> bool:
    """Whether the three channels of (H, W, 3) are equal."""
    return np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])


def quantisation_tables(structure: JpegStructure) -> Mapping[int, tuple[int, ...]] | None:
    """Quantisation tables by number, 64 steps row by row (ITU-T T.81, B.2.4.1); None where one is redefined."""
    tables: dict[int, tuple[int, ...]] = {}
    for number, table in quantisation_definitions(structure):
        if tables.setdefault(number, table) != table:
            return None
    return tables


def quantisation_definitions(structure: JpegStructure) -> list[tuple[int, tuple[int, ...]]]:
    """Number and steps of each quantisation table, in the order of the file."""
    found = []
    for segment in structure.segments:
        rest = segment.payload if segment.marker == DQT else b""
        while rest:
            width = 2 if rest[0] >> 4 else 1
            values = np.frombuffer(rest[1 : 1 + 64 * width].ljust(64 * width, b"\1"), ">u2" if width == 2 else "u1")
            natural = np.empty(64, np.int64)
            natural[ZIGZAG] = values
            found.append((rest[0] & 15, tuple(natural.tolist())))
            rest = rest[1 + 64 * width :]
    return found


def _has_tables_of_its_own(structure: JpegStructure) -> bool:
    """Whether the Huffman tables were made for this picture: such tables lack the codes that the picture never uses."""
    for segment in structure.segments:
        rest = segment.payload if segment.marker == DHT else b""
        while len(rest) > 16:
            symbols = sum(rest[1:17])
            if rest[0] >> 4 and symbols < _ALL_SYMBOLS:
                return True
            rest = rest[17 + symbols :]
    return False


def _tables_start(coded: bytes) -> int:
    """The position of the first segment that is not an APPn segment."""
    position = 2
    while APP0 <= coded[position + 1] <= APP0 + 15:
        position += 2 + int.from_bytes(coded[position + 2 : position + 4], "big")
    return position
