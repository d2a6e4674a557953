"""Masks as lossless WebP (VP8L). A general encoder would need more time for the mask than for the photograph.

A picture of two colours takes one bit per pixel, eight pixels per byte. Bytes equal to the row above are stored as
copies, the others as literals. A mask has few edges, so there are few literals. Any WebP decoder reads the file.
Format: RFC 9649, section 3.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_LONGEST_COPY: Final = 4096
_LITERALS: Final = 256
_GREEN_SYMBOLS: Final = _LITERALS + 24  # and the lengths of copies; no colour cache
_LONGEST_CODE: Final = 15
_COLOUR_INDEXING: Final = 3
# Code lengths are coded, too: here 0 to 15 take four bits each, and 16 to 18 (repetitions) are unused. The format lists
# them in the order 17, 18, 0 to 5, 16, 6 to 15.
_CODE_LENGTH_LENGTHS: Final = (0, 0, *(4,) * 6, 0, *(4,) * 10)


class _Bits:
    """The fields of a header: each has a value and a number of bits, lowest bit first."""

    def __init__(self) -> None:
        self._fields: list[tuple[int, int]] = []

    def add(self, value: int, number: int) -> None:
        self._fields.append((value, number))

    def array(self) -> NDArray[np.uint8]:
        """One element per bit."""
        return np.array([value >> place & 1 for value, number in self._fields for place in range(number)], np.uint8)


def encode_two_colours(mask: NDArray[np.bool_], colours: tuple[int, int]) -> bytes:
    """Encode a mask (H, W) as a WebP file of two gray levels: `colours[1]` where `mask` is set, else `colours[0]`.

    Raises:
        ValueError: a side is 0 or above 16384 pixels.
    """
    height, width = mask.shape
    if not 0 < height <= 1 << 14 or not 0 < width <= 1 << 14:
        raise ValueError(f"expected 1 to 16384 pixels on each side, got {width} × {height}")
    symbols, extra, extra_bits = _tokens(np.packbits(mask, axis=1, bitorder="little"))
    lengths = _code_lengths(np.bincount(symbols, minlength=_GREEN_SYMBOLS))
    header = _header(width, height, colours)
    header.add(0, 2)  # neither a colour cache nor several groups of codes
    _add_code(header, lengths)
    for _ in range(3):
        _add_single(header, 0)  # red, blue and alpha are not used
    _add_single(header, 0)  # the only distance: 1, the pixel above
    codes = _codes(lengths)
    values = codes[symbols] | extra << lengths[symbols]
    data = np.packbits(
        np.concatenate([header.array(), _spread(values, lengths[symbols] + extra_bits)]), bitorder="little"
    )
    return _riff(data.tobytes())


def _tokens(packed: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Symbols of the green code, with the value and number of their extra bits: literal bytes, copies from above."""
    flat = packed.ravel()
    width = packed.shape[1]
    literal = np.ones(len(flat), np.bool_)
    np.not_equal(flat[width:], flat[:-width], out=literal[width:])
    places = np.flatnonzero(literal)
    gaps = np.diff(places, prepend=-1, append=len(flat)) - 1  # bytes to copy before each literal, and after the last
    whole, rest = np.divmod(gaps, _LONGEST_COPY)
    ends = np.cumsum(whole + (rest > 0) + 1)
    copied = np.full(ends[-1], _LONGEST_COPY)
    copied[ends[rest > 0] - 2] = rest[rest > 0]
    copied[ends - 1] = 1  # stands for the literal, replaced below
    symbols, extra, extra_bits = _length_symbols(copied)
    symbols[ends[:-1] - 1] = flat[places]
    return symbols[:-1], extra[:-1], extra_bits[:-1]  # nothing stands after the last gap


def _length_symbols(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Prefix coding of lengths from 1 (RFC 9649, 4.2.2)."""
    below = lengths - 1
    high = np.zeros(len(below), np.int64)
    high[below > 0] = np.log2(below[below > 0]).astype(np.int64)
    extra_bits = np.where(below < 4, 0, high - 1)
    prefix = np.where(below < 4, below, 2 * high + (below >> np.maximum(high - 1, 0) & 1))
    return _LITERALS + prefix, below & ((1 << extra_bits) - 1), extra_bits


def _header(width: int, height: int, colours: tuple[int, int]) -> _Bits:
    bits = _Bits()
    bits.add(0x2F, 8)
    bits.add(width - 1, 14)
    bits.add(height - 1, 14)
    bits.add(0, 4)  # opaque, version 0
    bits.add(1, 1)
    bits.add(_COLOUR_INDEXING, 2)
    bits.add(len(colours) - 1, 8)
    bits.add(0, 1)  # the colours are a picture of two pixels, the second less the first; no colour cache
    first, second = colours[0], (colours[1] - colours[0]) & 0xFF
    grays = sorted({first, second})
    for _ in range(3):
        _add_pair(bits, grays)
    _add_pair(bits, [0, 255])
    _add_single(bits, 0)
    for gray, alpha in ((first, 1), (second, 0)):
        if len(grays) == 2:
            for _ in range(3):
                bits.add(grays.index(gray), 1)
        bits.add(alpha, 1)
    bits.add(0, 1)  # no further transform
    return bits


def _add_pair(bits: _Bits, symbols: Sequence[int]) -> None:
    """A code of one or two symbols, given in their order; one alone takes no bits, two take one each."""
    bits.add(1, 1)
    bits.add(len(symbols) - 1, 1)
    bits.add(1, 1)
    for symbol in symbols:
        bits.add(symbol, 8)


def _add_single(bits: _Bits, symbol: int) -> None:
    _add_pair(bits, [symbol])


def _add_code(bits: _Bits, lengths: NDArray[np.int64]) -> None:
    bits.add(0, 1)
    bits.add(len(_CODE_LENGTH_LENGTHS) - 4, 4)
    for length in _CODE_LENGTH_LENGTHS:
        bits.add(length, 3)
    bits.add(0, 1)  # all symbols follow
    for length in lengths.tolist():
        bits.add(int(f"{length:04b}"[::-1], 2), 4)


def _code_lengths(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lengths of a Huffman code; of at least two symbols, so that the code is complete."""
    counts = counts.copy()
    for spare in np.flatnonzero(counts == 0)[: max(0, 2 - np.count_nonzero(counts))]:
        counts[spare] = 1
    while True:
        lengths = _huffman(counts)
        if lengths.max() <= _LONGEST_CODE:
            return lengths
        counts = np.where(counts > 0, counts // 4 + 1, 0)  # flatter, until the rarest symbol is short enough


def _huffman(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    lengths = np.zeros(len(counts), np.int64)
    heap = [(int(counts[symbol]), int(symbol), [int(symbol)]) for symbol in np.flatnonzero(counts)]
    heapq.heapify(heap)
    while len(heap) > 1:
        one, other = heapq.heappop(heap), heapq.heappop(heap)
        below = one[2] + other[2]
        lengths[below] += 1
        heapq.heappush(heap, (one[0] + other[0], min(one[1], other[1]), below))
    return lengths


def _codes(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Canonical codes (RFC 1951, 3.2.2), first bit lowest."""
    codes = np.zeros(len(lengths), np.int64)
    code = 0
    for length in range(1, _LONGEST_CODE + 1):
        for symbol in np.flatnonzero(lengths == length):
            codes[symbol] = int(f"{code:0{length}b}"[::-1], 2)
            code += 1
        code <<= 1
    return codes


def _spread(values: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The `numbers` lowest bits of each of the values, one after another, one element per bit."""
    ends = np.cumsum(numbers)
    place = np.arange(ends[-1]) - np.repeat(ends - numbers, numbers)
    return np.asarray(np.repeat(values, numbers) >> place & 1, np.uint8)


def _riff(data: bytes) -> bytes:
    chunk = b"VP8L" + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk
