"""Damaged pictures: the same seed gives the same damage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from tests.captures import capture, plain
from tests.imaging.builders import jpeg, photograph

_INTERESTING: Final = (0, 1, 0x7F, 0x80, 0xC0, 0xC2, 0xC4, 0xD0, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xE1, 0xFE, 0xFF)
_HEADER: Final = 700  # bytes: most of what is read before the scan


def _changed(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 4, 8, 32))):
        place = random.randrange(min(len(data), random.choice((_HEADER, len(data)))))
        data[place] = random.choice((random.choice(_INTERESTING), random.randrange(256)))


def _flipped(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 2, 8))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _removed(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data))
    del data[start : start + random.choice((1, 2, 64, 512))]


def _repeated(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data))
    data[start:start] = data[start : start + random.choice((2, 18, 64, 512))] * random.choice((1, 2, 50))


def _zeroed(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data))
    size = len(data[start : start + random.choice((2, 16, 512))])
    data[start : start + size] = bytes((random.choice((0, 0xFF)),)) * size


def _ended(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data)) :]
    data += random.choice((b"", b"\xff\xd9", b"\xff", b"\0" * 600))


def _swapped(data: bytearray, random: Random) -> None:
    size = random.choice((2, 16, 256))
    one, other = sorted(random.randrange(len(data) - size) for _ in range(2))
    first, second = bytes(data[one : one + size]), bytes(data[other : other + size])
    data[one : one + size] = second
    data[other : other + size] = first


_WAYS: Final[Sequence[Callable[[bytearray, Random], None]]] = (
    _changed, _changed, _changed, _flipped, _removed, _repeated, _zeroed, _ended, _swapped,
)  # fmt: skip
_ORIGINALS: Final[Sequence[Callable[[int], bytes]]] = (
    capture,
    capture,
    plain,
    lambda seed: jpeg(photograph(seed=seed), progressive=True),
    lambda seed: jpeg(photograph(seed=seed), restart_marker_blocks=3, subsampling="4:2:0"),
    lambda seed: jpeg(photograph(seed=seed), mode="L"),
    lambda seed: jpeg(photograph(seed=seed), mode="CMYK"),
)


def mutation(seed: int) -> bytes:
    """One of several kinds of pictures, damaged in one or two ways."""
    random = Random(seed)
    data = bytearray(random.choice(_ORIGINALS)(random.randrange(20)))
    for _ in range(random.choice((1, 1, 2))):
        if len(data) > 1000:
            random.choice(_WAYS)(data, random)
    return bytes(data)
