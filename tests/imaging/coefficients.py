"""The coefficients of a baseline JPEG file, read bit by bit: slow, and independent of the code under test.

ITU-T T.81: B.2.2 (frame header), B.2.4.2 (Huffman tables), F.2.2 (decoding), A.2 (order of the blocks).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Planes = list[NDArray[np.int64]]


@dataclass
class _Component:
    horizontal: int
    vertical: int
    blocks: NDArray[np.int64]
    shown: tuple[int, int]
    tables: tuple[int, int] = (0, 0)


@dataclass
class _File:
    width: int = 0
    height: int = 0
    interval: int = 0
    components: dict[int, _Component] = field(default_factory=dict)
    codes: dict[int, dict[tuple[int, int], int]] = field(default_factory=dict)


def coefficients(data: bytes, *, padding: bool = False) -> Planes:
    """Of each component (rows, columns, 64) in zigzag order; with `padding`, to whole coded units."""
    file = _File()
    position = 2
    while True:
        marker = data[position + 1]
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        payload = data[position + 4 : position + 2 + length]
        position += 2 + length
        if marker in {0xC0, 0xC1}:
            _frame(file, payload)
        elif marker == 0xC4:
            _huffman(file, payload)
        elif marker == 0xDD:
            file.interval = int.from_bytes(payload, "big")
        elif marker == 0xDA:
            _scan(file, payload, data[position : data.rindex(b"\xff\xd9")])
            break
        else:
            assert marker == 0xDB or marker >= 0xE0, f"no baseline file: marker {marker:02X}"
    return [c.blocks if padding else c.blocks[: c.shown[0], : c.shown[1]] for c in file.components.values()]


def _frame(file: _File, payload: bytes) -> None:
    file.height, file.width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    parts = [payload[i : i + 3] for i in range(6, len(payload), 3)]
    wide, high = max(p[1] >> 4 for p in parts), max(p[1] & 15 for p in parts)
    for number, factors, _ in parts:
        h, v = factors >> 4, factors & 15
        units = -(-file.height // (8 * high)), -(-file.width // (8 * wide))
        shown = -(-file.height * v // (8 * high)), -(-file.width * h // (8 * wide))
        size = shown if len(parts) == 1 else (units[0] * v, units[1] * h)
        file.components[number] = _Component(h, v, np.zeros((*size, 64), np.int64), shown)


def _huffman(file: _File, payload: bytes) -> None:
    while payload:
        counts, symbols = payload[1:17], iter(payload[17:])
        code, table = 0, {}
        for length, count in enumerate(counts, start=1):
            for _ in range(count):
                table[length, code] = next(symbols)
                code += 1
            code <<= 1
        file.codes[payload[0]] = table
        payload = payload[17 + sum(counts) :]


def _scan(file: _File, header: bytes, coded: bytes) -> None:
    for i in range(1, 1 + 2 * header[0], 2):
        file.components[header[i]].tables = (header[i + 1] >> 4, 0x10 | (header[i + 1] & 15))
    intervals = [part.replace(b"\xff\0", b"\xff") for part in re.split(rb"\xff[\xd0-\xd7]", coded)]
    units = list(_units(file))
    step = file.interval or len(units)
    for first, part in zip(range(0, len(units), step), intervals, strict=True):
        bits = "".join(f"{byte:08b}" for byte in part)
        place = 0
        before = dict.fromkeys(file.components, 0)
        for unit in units[first : first + step]:
            for number, row, column in unit:
                component = file.components[number]
                place = _block(file, component, bits, place, component.blocks[row, column])
                component.blocks[row, column, 0] += before[number]
                before[number] = component.blocks[row, column, 0]


def _units(file: _File) -> Iterator[list[tuple[int, int, int]]]:
    if len(file.components) == 1:
        ((number, component),) = file.components.items()
        for row, column in np.ndindex(component.blocks.shape[:2]):
            yield [(number, row, column)]
        return
    first = next(iter(file.components.values()))
    for row in range(first.blocks.shape[0] // first.vertical):
        for column in range(first.blocks.shape[1] // first.horizontal):
            yield [
                (number, row * c.vertical + y, column * c.horizontal + x)
                for number, c in file.components.items()
                for y in range(c.vertical)
                for x in range(c.horizontal)
            ]


def _block(file: _File, component: _Component, bits: str, place: int, block: NDArray[np.int64]) -> int:
    index = 0
    while index < 64:
        table = file.codes[component.tables[index > 0]]
        length = next(n for n in range(1, 17) if (n, int(bits[place : place + n], 2)) in table)
        symbol = table[length, int(bits[place : place + length], 2)]
        place += length
        run, size = (symbol >> 4, symbol & 15) if index else (0, symbol)
        if index and symbol == 0:
            break
        index += run
        if size:
            value = int(bits[place : place + size], 2)
            block[index] = value if value >> (size - 1) else value - (1 << size) + 1
            place += size
        index += 1
    return place
