"""A redacted picture as a JPEG file in which every block that no mask touches is the original's, coefficient by
coefficient: nothing is decoded and encoded again but what had to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.imaging.jpeg.dct_blocks import grids_of, redacted_blocks
from anonymisation.imaging.jpeg.libjpeg import BlocksUnusableError, replace_blocks
from anonymisation.imaging.jpeg.segments import ADOBE_RGB, APP0, DHT, DQT, JFIF, JpegStructure

# Order of a quantisation table in a file (ITU-T T.81, figure A.6): diagonal by diagonal, turning each time.
_ZIGZAG: Final = sorted(range(64), key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8))
_MOST_BLOCKS: Final = 10  # of a coded unit, where a scan holds several components (ITU-T T.81, B.2.3)
_ALL_SYMBOLS: Final = 162  # of a Huffman table for AC coefficients that lacks none, as the standard ones


def keep_untouched(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], structure: JpegStructure, metadata: bytes
) -> bytes:
    """Encode `pixels` with the blocks of the original wherever `mask` leaves them alone, as a baseline JPEG file.

    Args:
        pixels: (H, W, 3) RGB, as they were decoded wherever `mask` is not set.
        mask: (H, W), what has been redacted.
        structure: the original, which decodes without complaint.
        metadata: segments to write; none of the original's are.

    Raises:
        BlocksUnusableError: the file's form does not allow it; the message says why.
    """
    if structure.colour == "cmyk":
        raise BlocksUnusableError("its four-channel colours are converted")
    if not structure.is_complete:  # a decoder smooths what is missing: blocks would show more than was looked at
        raise BlocksUnusableError("its scans end before all of the detail")
    # Asked before libjpeg is, whose errors cost a thread each and end its use after a few.
    if len(structure.components) > 1 and sum(c.horizontal * c.vertical for c in structure.components) > _MOST_BLOCKS:
        raise BlocksUnusableError("its coded units would be too large for one scan")
    if structure.colour == "gray" and not is_gray(pixels):
        raise BlocksUnusableError("its single channel cannot hold colours")
    tables = quantisation_tables(structure)
    if tables is None:
        raise BlocksUnusableError("its quantisation tables change on the way")
    try:
        steps = [np.array(tables[component.table]) for component in structure.components]
    except KeyError as error:
        raise BlocksUnusableError(f"quantisation table {error} is missing") from None
    if any((table == 0).any() for table in steps):  # decoders take them, and encoders write 1 in their place
        raise BlocksUnusableError("its quantisation tables hold steps of 0")
    blocks = redacted_blocks(pixels, mask, structure, steps)
    coded = replace_blocks(structure.stream(), grids_of(structure), blocks, optimise=_has_tables_of_its_own(structure))
    mark = ADOBE_RGB if structure.colour == "rgb" else JFIF
    return b"\xff\xd8" + mark + metadata + coded[_tables_start(coded) :]


def is_gray(pixels: NDArray[np.uint8]) -> bool:
    """Whether the three channels of (H, W, 3) are equal."""
    return np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])


def quantisation_tables(structure: JpegStructure) -> Mapping[int, tuple[int, ...]] | None:
    """Quantisation tables by number, 64 steps row by row (ITU-T T.81, B.2.4.1); None where one is defined anew."""
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
            natural[_ZIGZAG] = values
            found.append((rest[0] & 15, tuple(natural.tolist())))
            rest = rest[1 + 64 * width :]
    return found


def _has_tables_of_its_own(structure: JpegStructure) -> bool:
    """Whether the Huffman tables were made for this picture: such tables lack the codes it does not need."""
    for segment in structure.segments:
        rest = segment.payload if segment.marker == DHT else b""
        while len(rest) > 16:
            symbols = sum(rest[1:17])
            if rest[0] >> 4 and symbols < _ALL_SYMBOLS:
                return True
            rest = rest[17 + symbols :]
    return False


def _tables_start(coded: bytes) -> int:
    """Where the first segment begins that is not an APPn segment."""
    position = 2
    while APP0 <= coded[position + 1] <= APP0 + 15:
        position += 2 + int.from_bytes(coded[position + 2 : position + 4], "big")
    return position
