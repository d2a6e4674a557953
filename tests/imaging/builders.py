"""JPEG files and EXIF made byte by byte, independently of the code under test."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RawEntry = tuple[int, int, bytes]  # type, count, value in the byte order of the file


def scene(height: int = 96, width: int = 144, seed: int = 1) -> NDArray[np.uint8]:
    """A smooth colourful picture, (H, W, 3) RGB, as photographs are: JPEG hardly changes it."""
    small = np.random.default_rng(seed).integers(20, 236, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def photograph(height: int = 90, width: int = 141, seed: int = 1) -> NDArray[np.uint8]:
    """A scene with grain, so that every block has many coefficients."""
    grain = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
    return np.clip(scene(height, width, seed) + grain, 0, 255).astype(np.uint8)


def jpeg(pixels: NDArray[np.uint8] | None = None, mode: str = "RGB", **options: Any) -> bytes:
    """A JPEG file made by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(scene() if pixels is None else pixels).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """`data` with further segments right behind its start-of-image marker (and JFIF segment, if any)."""
    at = 2
    if data[2:4] == b"\xff\xe0":
        at = 4 + int.from_bytes(data[4:6], "big")
    return data[:at] + b"".join(segments) + data[at:]


def with_exif(data: bytes, tiff: bytes) -> bytes:
    return with_segments(data, segment(0xE1, b"Exif\0\0" + tiff))


class TiffBuilder:
    """Values and structures of a TIFF file in one byte order: "<" little-endian, ">" big-endian."""

    def __init__(self, order: str = ">") -> None:
        self.order = order

    def ascii(self, text: str | bytes) -> RawEntry:
        raw = (text.encode() if isinstance(text, str) else text) + b"\0"
        return 2, len(raw), raw

    def raw(self, value: bytes, kind: int = 1) -> RawEntry:
        return kind, len(value), value

    def short(self, *values: int) -> RawEntry:
        return 3, len(values), struct.pack(f"{self.order}{len(values)}H", *values)

    def long(self, *values: int) -> RawEntry:
        return 4, len(values), struct.pack(f"{self.order}{len(values)}I", *values)

    def ratio(self, *values: tuple[int, int], kind: int = 5) -> RawEntry:
        flat = [number for pair in values for number in pair]
        return kind, len(values), struct.pack(f"{self.order}{len(flat)}{'i' if kind == 10 else 'I'}", *flat)

    def double(self, *values: float) -> RawEntry:
        return 12, len(values), struct.pack(f"{self.order}{len(values)}d", *values)

    def float(self, *values: float) -> RawEntry:
        return 11, len(values), struct.pack(f"{self.order}{len(values)}f", *values)

    def build(
        self,
        main: Mapping[int, RawEntry],
        exif: Mapping[int, RawEntry] | None = None,
        gps: Mapping[int, RawEntry] | None = None,
        thumbnail: bytes = b"",
    ) -> bytes:
        """A TIFF structure; with `thumbnail`, a second directory (IFD1) that holds it as JPEG."""
        main = dict(main)
        inner = [(tag, part) for tag, part in ((0x8769, exif), (0x8825, gps)) if part is not None]
        for tag, _ in inner:
            main[tag] = self.long(0)
        end = 8 + len(self._directory(main, 8, 0))
        parts: list[bytes] = []
        for tag, part in inner:
            main[tag] = self.long(end)
            parts.append(self._directory(part, end, 0))
            end += len(parts[-1])
        if thumbnail:
            second = {0x0201: self.long(end + 2 + 24 + 4), 0x0202: self.long(len(thumbnail))}
            parts.append(self._directory(second, end, 0) + thumbnail)
        head = (b"II" if self.order == "<" else b"MM") + struct.pack(f"{self.order}HI", 42, 8)
        return head + self._directory(main, 8, end if thumbnail else 0) + b"".join(parts)

    def _directory(self, entries: Mapping[int, RawEntry], offset: int, following: int) -> bytes:
        table, values = b"", b""
        start = offset + 2 + 12 * len(entries) + 4
        for tag, (kind, count, raw) in sorted(entries.items()):
            field = raw.ljust(4, b"\0")
            if len(raw) > 4:
                field = struct.pack(f"{self.order}I", start + len(values))
                values += raw
            table += struct.pack(f"{self.order}HHI", tag, kind, count) + field
        return struct.pack(f"{self.order}H", len(entries)) + table + struct.pack(f"{self.order}I", following) + values


def icc_profile(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """An ICC profile with the given tags and every text field of its header filled in."""
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(value))
        body += value
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"LEAK", 0x02100000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acspLEAK" + bytes(4) + b"LEAKLEAK" + bytes(8) + bytes(4)
    head += struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D) + b"LEAK" + b"LEAKLEAKLEAKLEAK" + bytes(28)
    return head + table + body


def icc_segments(profile: bytes, size: int = 65000) -> list[bytes]:
    """The APP2 segments of a profile, in chunks of at most `size` bytes."""
    chunks: Sequence[bytes] = [profile[i : i + size] for i in range(0, len(profile), size)]
    return [
        segment(0xE2, b"ICC_PROFILE\0" + bytes((number, len(chunks))) + chunk)
        for number, chunk in enumerate(chunks, start=1)
    ]


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB; 99 for equal pictures."""
    error = float(((one.astype(np.float64) - other.astype(np.float64)) ** 2).mean())
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))
