"""The TIFF structure inside EXIF: a reader that accepts any broken data, and a writer for three directories.

Layout and type numbers: TIFF 6.0 (1992), section 2; the two inner directories: CIPA DC-008 (EXIF 2.32), section 4.6.3.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

BYTE: Final = 1
ASCII: Final = 2
SHORT: Final = 3
LONG: Final = 4
RATIONAL: Final = 5
UNDEFINED: Final = 7
SRATIONAL: Final = 10
_FORMATS: Final = {3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I"}
_BYTES: Final = frozenset((BYTE, ASCII, UNDEFINED))

TAG_ORIENTATION: Final = 0x0112
EXIF_DIRECTORY: Final = 0x8769
GPS_DIRECTORY: Final = 0x8825

Number = int | float
Value = bytes | tuple[Number, ...] | tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a directory: bytes for BYTE, ASCII and UNDEFINED, pairs for rationals, plain numbers otherwise."""

    kind: int
    value: Value

    @property
    def raw(self) -> bytes | None:
        """The value if it consists of bytes, else None."""
        return self.value if isinstance(self.value, bytes) else None

    @property
    def text(self) -> str | None:
        """The value as text up to its first NUL, stripped of outer spaces; None where it is not ASCII."""
        if not isinstance(self.value, bytes):
            return None
        try:
            return self.value.split(b"\0", 1)[0].decode("ascii").strip()
        except UnicodeDecodeError:
            return None

    @property
    def numbers(self) -> tuple[Number, ...]:
        """Whole or real numbers, BYTE included; empty for rationals and text."""
        if isinstance(self.value, bytes):
            return tuple(self.value) if self.kind == BYTE else ()
        return tuple(v for v in self.value if not isinstance(v, tuple))

    @property
    def ratios(self) -> tuple[tuple[int, int], ...]:
        """Numerator and denominator of each rational; empty for other types."""
        return () if isinstance(self.value, bytes) else tuple(v for v in self.value if isinstance(v, tuple))


Directory = Mapping[int, Entry]


@dataclass(frozen=True, slots=True)
class Tiff:
    """The directories of a TIFF structure that EXIF uses for the main picture; never those of thumbnails."""

    main: Directory
    exif: Directory
    gps: Directory


def read_tiff(data: bytes) -> Tiff | None:
    """Read the readable entries of a TIFF structure; None without a readable main directory.

    Entries outside the data and entries of an unknown type are left out. Broken data never raises.
    """
    order: Literal["<", ">"]
    if data[:4] == b"II*\0":
        order = "<"
    elif data[:4] == b"MM\0*":
        order = ">"
    else:
        return None
    main = _read_directory(data, int.from_bytes(data[4:8], "little" if order == "<" else "big"), order)
    if not main:
        return None
    return Tiff(main, _inner(data, main, EXIF_DIRECTORY, order), _inner(data, main, GPS_DIRECTORY, order))


def _inner(data: bytes, main: Directory, tag: int, order: str) -> Directory:
    numbers = main[tag].numbers if tag in main else ()
    if len(numbers) != 1 or not isinstance(numbers[0], int):
        return {}
    return _read_directory(data, numbers[0], order)


def _read_directory(data: bytes, offset: int, order: str) -> dict[int, Entry]:
    if offset < 8 or offset + 2 > len(data):
        return {}
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    entries: dict[int, Entry] = {}
    for position in range(offset + 2, min(offset + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, position)
        entry = _read_entry(data, position + 8, kind, length, order)
        if entry is not None:
            entries.setdefault(tag, entry)
    return entries


def _read_entry(data: bytes, field: int, kind: int, count: int, order: str) -> Entry | None:
    if kind not in _BYTES and kind not in _FORMATS:
        return None
    form = _FORMATS.get(kind, "B")
    size = count * struct.calcsize(f"={form}")
    start = field if size <= 4 else struct.unpack_from(f"{order}I", data, field)[0]
    if count == 0 or start + size > len(data):
        return None
    if kind in _BYTES:
        return Entry(kind, data[start : start + size])
    values = struct.unpack_from(f"{order}{form * count}", data, start)
    if len(form) == 2:
        return Entry(kind, tuple(zip(values[::2], values[1::2], strict=True)))
    return Entry(kind, values)


def write_tiff(tiff: Tiff) -> bytes:
    """Encode the directories, big-endian, with entries in the order of their tags, as TIFF requires."""
    main = dict(tiff.main)
    inner = {tag: part for tag, part in ((EXIF_DIRECTORY, tiff.exif), (GPS_DIRECTORY, tiff.gps)) if part}
    main.update(dict.fromkeys(inner, Entry(LONG, (0,))))  # placeholders; real offsets take the same room
    offset = 8 + len(_encode_directory(main, 8))
    parts: list[bytes] = []
    for tag, directory in inner.items():
        main[tag] = Entry(LONG, (offset,))
        parts.append(_encode_directory(directory, offset))
        offset += len(parts[-1])
    return b"MM\0*\0\0\0\x08" + _encode_directory(main, 8) + b"".join(parts)


def _encode_directory(directory: Directory, offset: int) -> bytes:
    entries, values = b"", b""
    after = offset + 2 + 12 * len(directory) + 4
    for tag in sorted(directory):
        count, encoded = _encode_value(directory[tag])
        field = encoded.ljust(4, b"\0")
        if len(encoded) > 4:
            field = struct.pack(">I", after + len(values))
            values += encoded + b"\0" * (len(encoded) % 2)  # values begin on even offsets
        entries += struct.pack(">HHI", tag, directory[tag].kind, count) + field
    return struct.pack(">H", len(directory)) + entries + b"\0\0\0\0" + values


def _encode_value(entry: Entry) -> tuple[int, bytes]:
    if isinstance(entry.value, bytes):
        return len(entry.value), entry.value
    flat = [number for value in entry.value for number in (value if isinstance(value, tuple) else (value,))]
    return len(entry.value), struct.pack(f">{_FORMATS[entry.kind][0] * len(flat)}", *flat)


def orientation_of(main: Directory) -> int:
    """The EXIF orientation, 1 to 8; 1 when it is absent or invalid. Of several numbers, the first counts."""
    numbers = main[TAG_ORIENTATION].numbers if TAG_ORIENTATION in main else ()
    return int(numbers[0]) if numbers and numbers[0] in range(1, 9) else 1
