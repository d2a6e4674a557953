"""Bytes after the coded data of a scan, or before a restart marker, that hold nothing of the picture.

Some cameras leave bytes there. They look the same to a decoder as the end of a damaged scan: where a damaged code hides
the following ones, the decoder has all of its blocks too early. So the coefficients that the decoder found are counted
in bits of the file's own codes (ITU-T T.81, F.1.2). This gives the exact end of the coded data. Bytes after it are
surplus only if both hold:

- the last byte ends in ones, as T.81, F.1.2.3 requires of the end of coded data;
- the bytes are not further blocks, up to an end in ones: this is what the decoder leaves over of a damaged scan.

Tried on 1,200 scans damaged so that bytes are left over: all were refused. Of random bytes after a whole scan, 1 % are
refused, too. Damage that leaves no bytes over is found by the decoder alone, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.errors import UnreadableImageError
from anonymisation.imaging.jpeg.dct_blocks import grids_of
from anonymisation.imaging.jpeg.harmless import codes_each_component_once
from anonymisation.imaging.jpeg.keep_blocks import ZIGZAG
from anonymisation.imaging.jpeg.libjpeg import BlocksUnusableError, Grid, Pieces, with_coefficients
from anonymisation.imaging.jpeg.proof import known_picture
from anonymisation.imaging.jpeg.segments import DHT, DRI, SOS, JpegStructure, Segment, is_progressive, segments_of

MAX_SURPLUS: Final = 1 << 16
"""Most bytes of surplus in a picture: each is read bit by bit, which takes half a second for these."""
_RESTART: Final = re.compile(rb"\xff+[\xd0-\xd7]")
_FILLED_STUFFING: Final = re.compile(rb"\xff+\0")
_COEFFICIENTS_AT_ONCE: Final = 1 << 20  # limits memory
_LONG_RUN: Final = 0xF0  # stands for sixteen zeros
_SIZES: Final = np.repeat(np.arange(18), [1, *(1 << size for size in range(17))])  # bits of 0 to 2 ** 17 - 1


class _DamagedError(Exception):
    """The bytes are not shown to be surplus."""


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """A Huffman table: lengths in bits by symbol (256,), 0 for symbols without a code; symbols by code, as "0110"."""

    lengths: NDArray[np.int64]
    symbols: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Part:
    """A component's part of a scan: its place in the frame, blocks of a coded unit, and tables for DC and AC."""

    component: int
    rows: int
    columns: int
    dc: _Table
    ac: _Table


@dataclass(frozen=True, slots=True)
class _Scan:
    """A scan: its segment, parts, and restart interval in coded units (0: none)."""

    segment: Segment
    parts: tuple[_Part, ...]
    interval: int


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """The blocks of a component, (rows, columns): bits of the AC coefficients, and the DC coefficients."""

    bits: NDArray[np.int64]
    dc: NDArray[np.int64]


def without_surplus(structure: JpegStructure, refusal: str) -> JpegStructure:
    """The same picture without surplus bytes in its scans.

    Args:
        structure: a picture that decodes without an error, in rare subsampling too.
        refusal: what to say where the bytes are not shown to be surplus; it quotes the decoder's warning.

    Raises:
        UnreadableImageError: the picture is progressive, or the bytes are not shown to be surplus.
    """
    refused = UnreadableImageError(refusal)
    if is_progressive(structure.frame) or not codes_each_component_once(structure):
        raise refused
    try:
        scans = _scans(structure)
        grids = grids_of(structure) if len(structure.components) == 1 else _whole_units(structure)
        tables = {part.component: part.ac for scan in scans for part in scan.parts}
        counted = with_coefficients(
            structure.stream(), grids, lambda all_of: [_counted(all_of[i], tables[i]) for i in range(len(all_of))]
        )
        trimmed = {id(scan.segment): _trimmed(scan, structure, counted) for scan in scans}
    except BlocksUnusableError as error:
        raise UnreadableImageError(f"{refusal}; this cannot be examined: {error}") from error
    except (_DamagedError, KeyError, IndexError):  # a table or component is missing
        raise refused from None
    return replace(structure, segments=tuple(trimmed.get(id(segment), segment) for segment in structure.segments))


def _whole_units(structure: JpegStructure) -> tuple[Grid, ...]:
    """The blocks of each component, with those that fill up the coded units of several components."""
    high, wide = (max(getattr(c, axis) for c in structure.components) for axis in ("vertical", "horizontal"))
    down, across = -(-structure.height // (8 * high)), -(-structure.width // (8 * wide))
    return tuple(Grid(down * c.vertical, across * c.horizontal) for c in structure.components)


def _scans(structure: JpegStructure) -> list[_Scan]:
    numbers = [component.number for component in structure.components]
    standard = (s for s in segments_of(known_picture()) if isinstance(s, Segment) and s.marker == DHT)
    tables = {key: table for segment in standard for key, table in _tables(segment.payload)}  # as MJPEG leaves them out
    scans, interval = [], 0
    for segment in structure.segments:
        if segment.marker == DHT:
            tables |= _tables(segment.payload)
        elif segment.marker == DRI:
            interval = int.from_bytes(segment.payload[:2], "big")
        elif segment.marker == SOS:
            chosen = list(zip(segment.payload[1:-3:2], segment.payload[2:-3:2], strict=True))
            parts = []
            for number, choice in chosen:
                place = numbers.index(number)
                component = structure.components[place]
                size = (component.vertical, component.horizontal) if len(chosen) > 1 else (1, 1)
                parts.append(_Part(place, *size, tables[0, choice >> 4], tables[1, choice & 15]))
            scans.append(_Scan(segment, tuple(parts), interval))
    return scans


def _tables(payload: bytes) -> list[tuple[tuple[int, int], _Table]]:
    """Class (0 for DC, 1 for AC) and number of each table with its codes (T.81, B.2.4.2 and C.2)."""
    found = []
    while len(payload) > 16:
        counts, code, symbols = payload[1:17], 0, {}
        lengths = np.zeros(256, np.int64)
        values = iter(payload[17:])
        for length, number in enumerate(counts, start=1):
            for _, symbol in zip(range(number), values, strict=False):
                symbols[f"{code:0{length}b}"] = symbol
                lengths[symbol] = length
                code += 1
            code <<= 1
        found.append(((payload[0] >> 4, payload[0] & 15), _Table(lengths, symbols)))
        payload = payload[17 + sum(counts) :]
    return found


def _counted(pieces: Pieces, table: _Table) -> _Counted:
    bits, dc = [], []
    for piece in pieces:
        rows = max(1, _COEFFICIENTS_AT_ONCE // (64 * piece.shape[1]))
        for start in range(0, len(piece), rows):
            some = piece[start : start + rows]
            dc.append(some[..., 0].astype(np.int64))
            bits.append(_ac_bits(some.reshape(-1, 64), table).reshape(some.shape[:2]))
    return _Counted(np.concatenate(bits), np.concatenate(dc))


def _ac_bits(blocks: NDArray[np.int16], table: _Table) -> NDArray[np.int64]:
    """The bits that the AC coefficients of each block (n, 64) take (T.81, F.1.2.2)."""
    ordered = blocks[:, ZIGZAG[1:]]
    block, place = np.nonzero(ordered)
    size = _SIZES[np.abs(ordered[block, place].astype(np.int64))]
    before = np.full(len(place), -1)
    np.copyto(before[1:], place[:-1], where=block[1:] == block[:-1])
    run = place - before - 1
    symbol = (run & 15) << 4 | np.minimum(size, 15)
    ends = np.full(len(blocks), -1)
    ends[block] = place  # the last of a block counts
    open_ends = ends < ordered.shape[1] - 1
    _require_codes(table, symbol, run >= 16, open_ends)
    bits = table.lengths[symbol] + size + (run >> 4) * table.lengths[_LONG_RUN]
    found = np.bincount(block, bits, len(blocks)).astype(np.int64)
    return np.asarray(found + open_ends * table.lengths[0], np.int64)


def _require_codes(
    table: _Table, symbols: NDArray[np.int64], long: NDArray[np.bool_], open_ends: NDArray[np.bool_]
) -> None:
    """Refuse coefficients without a code in the file: the decoder has read some other code as these."""
    used = np.bincount(symbols, minlength=256) > 0
    used[_LONG_RUN] |= bool(long.any())
    used[0] |= bool(open_ends.any())
    if (used & (table.lengths == 0)).any():
        raise _DamagedError


def _trimmed(scan: _Scan, structure: JpegStructure, counted: Sequence[_Counted]) -> Segment:
    bits = _unit_bits(scan, structure, counted)
    starts = np.arange(0, len(bits), scan.interval or len(bits))
    ends = np.add.reduceat(bits, starts).tolist()
    pieces = _RESTART.split(scan.segment.scan.rstrip(b"\xff"))  # 0xFF at the end fills up, as before a marker
    if len(pieces) < len(ends) or (scan.interval and any(pieces[len(ends) :])):
        raise _DamagedError
    left = MAX_SURPLUS
    coded = []
    for number, (piece, end) in enumerate(zip(pieces, ends, strict=False)):
        plain = _FILLED_STUFFING.sub(b"\xff", piece)
        size = -(-end // 8)
        left -= len(plain) - size
        if left < 0 or len(plain) < size or (len(plain) > size and not _is_surplus(plain, end, scan)):
            raise _DamagedError
        marker = bytes((0xFF, 0xD0 + number % 8)) if number < len(ends) - 1 else b""
        coded.append(plain[:size].replace(b"\xff", b"\xff\0") + marker)
    return replace(scan.segment, scan=b"".join(coded))


def _unit_bits(scan: _Scan, structure: JpegStructure, counted: Sequence[_Counted]) -> NDArray[np.int64]:
    """The bits of each coded unit of the scan, in the order of the file."""
    total: NDArray[np.int64] | None = None
    for part in scan.parts:
        blocks, grid = counted[part.component], grids_of(structure)[part.component]
        shown = (slice(grid.rows), slice(grid.columns)) if len(scan.parts) == 1 else (slice(None), slice(None))
        bits, dc = (_by_unit(array[shown], part) for array in (blocks.bits, blocks.dc))
        before = np.concatenate([[0], dc.ravel()[:-1]])
        if scan.interval:
            before[:: scan.interval * dc.shape[1]] = 0
        size = _SIZES[np.abs(dc.ravel() - before)]
        if (part.dc.lengths[size] == 0).any():
            raise _DamagedError
        bits = (bits + (part.dc.lengths[size] + size).reshape(bits.shape)).sum(axis=1)
        total = bits if total is None else total + bits
    if total is None:
        raise _DamagedError
    return total


def _by_unit(blocks: NDArray[np.int64], part: _Part) -> NDArray[np.int64]:
    """(units, blocks of a unit) from (rows, columns)."""
    down, across = blocks.shape[0] // part.rows, blocks.shape[1] // part.columns
    return blocks.reshape(down, part.rows, across, part.columns).swapaxes(1, 2).reshape(down * across, -1)


def _is_surplus(plain: bytes, end: int, scan: _Scan) -> bool:
    """Whether the bytes after bit `end` of an interval's data hold nothing of the picture."""
    first = end // 8
    bits = f"{int.from_bytes(plain[first:], 'big'):0{8 * (len(plain) - first)}b}"
    rest = bits[end % 8 :]
    blocks = [(part.dc, part.ac) for part in scan.parts for _ in range(part.rows * part.columns)]
    # Zeros can be read as blocks of 63 coefficients that are all -1: no picture repeats these, but cameras fill up so.
    filler = len(set(plain[-(-end // 8) :])) == 1
    return "0" not in rest[: -end % 8] and not any(
        _holds_units(rest, blocks, first, filler) for first in range(len(blocks))
    )


def _holds_units(bits: str, blocks: Sequence[tuple[_Table, _Table]], first: int, filler: bool) -> bool:
    """Whether `bits` are the end of a coded unit from its block `first` on, or that and whole units, then under 8 ones.

    After damage, the decoder may stand within the file's unit when it ends its own. In a `filler`, blocks without an
    end code do not count.
    """
    place = 0
    for number in count(first):
        place = _after_block(bits, place, *blocks[number % len(blocks)], ends=filler)
        if place < 0:
            return False
        if (number + 1) % len(blocks) == 0 and len(bits) - place < 8 and "0" not in bits[place:]:
            return True
    raise AssertionError("never reached: the count does not end")


def _after_block(bits: str, place: int, dc: _Table, ac: _Table, *, ends: bool) -> int:
    """The place after the block that begins at `place`; -1 where there is none, or none with an end code if `ends`."""
    index = 0
    while index < 64:
        symbols = (ac if index else dc).symbols
        code = next((bits[place : place + n] for n in range(1, 17) if bits[place : place + n] in symbols), None)
        if code is None:
            return -1
        symbol = symbols[code]
        place += len(code) + (symbol & 15)
        if place > len(bits):
            return -1
        if index and not symbol:
            return place
        index += (symbol >> 4) + 1 if index else 1
    return place if index == 64 and not ends else -1
