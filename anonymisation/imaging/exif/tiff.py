"""The TIFF structure inside EXIF: a reader that accepts any broken data, and a writer for four directories.

The cost of reading is bounded before any value is read: entries of a file may all refer to the same bytes, and a small
file could claim gigabytes. Only the entries that are asked for are decoded. Directories are never followed further than
from the main one to those of EXIF and GPS, and from EXIF to interoperability, so that chains and loops cost nothing.

Layout and type numbers: TIFF 6.0 (1992), section 2; the inner directories: CIPA DC-008 (EXIF 2.32), section 4.6.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

BYTE: Final = 1
ASCII: Final = 2
SHORT: Final = 3
LONG: Final = 4
RATIONAL: Final = 5
UNDEFINED: Final = 7
SRATIONAL: Final = 10
UTF8: Final = 129  # since EXIF 3.0 (CIPA DC-008-2023), section 4.6.2
_UNREADABLE: Final = 0  # in place of a type
_FORMATS: Final = {3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I"}
_BYTES: Final = frozenset((BYTE, ASCII, UNDEFINED, UTF8))

TAG_ORIENTATION: Final = 0x0112
EXIF_DIRECTORY: Final = 0x8769
GPS_DIRECTORY: Final = 0x8825
INTEROP_DIRECTORY: Final = 0xA005

TIFF_MARKS: Final = (b"II*\0", b"MM\0*")
"""The first bytes of a TIFF structure: little-endian and big-endian."""
MAX_ENTRIES: Final = 512
"""Most entries of a directory; EXIF 2.32 names about 150 tags."""
MAX_NUMBERS: Final = 1024
"""Most numbers of an entry; no tag that this package reads has more than four."""
_SHARED_BYTES: Final = 1 << 16  # entries may share some bytes, as two equal resolutions do

Number = int | float
Value = bytes | tuple[Number, ...] | tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a directory: bytes for BYTE, ASCII, UTF-8 and UNDEFINED, pairs for rationals, else plain numbers.

    Without any number where the value is there and cannot be read.
    """

    kind: int
    value: Value

    @property
    def is_readable(self) -> bool:
        """Whether the value lies inside the EXIF and is of a known type."""
        return self.value != ()

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
        """Whole or real numbers, BYTE included; empty for rationals and text, and for more than MAX_NUMBERS bytes."""
        if isinstance(self.value, bytes):
            return tuple(self.value) if self.kind == BYTE and len(self.value) <= MAX_NUMBERS else ()
        return tuple(v for v in self.value if not isinstance(v, tuple))

    @property
    def ratios(self) -> tuple[tuple[int, int], ...]:
        """Numerator and denominator of each rational; empty for other types."""
        return () if isinstance(self.value, bytes) else tuple(v for v in self.value if isinstance(v, tuple))


Directory = Mapping[int, Entry]
DirectoryName = Literal["main", "exif", "gps", "interop"]


@dataclass(frozen=True, slots=True)
class Tiff:
    """The directories of a TIFF structure that EXIF uses for the main picture; never those of thumbnails.

    `cut` names the directories that are there and cannot be read, or not to their end: some tags may be missing.
    """

    main: Directory
    exif: Directory
    gps: Directory
    interop: Directory = field(default_factory=dict)
    cut: frozenset[DirectoryName] = frozenset()


class _ReadDirectory(Mapping[int, Entry]):
    """A directory in `data` whose entries are decoded when they are asked for."""

    def __init__(
        self, data: bytes, order: str, places: Mapping[int, tuple[int, int, int]], *, is_cut: bool = False
    ) -> None:
        """`places` holds the type, the number of values, and the offset of the value of each tag."""
        self._data = data
        self._order = order
        self._places = places
        self.is_cut = is_cut

    def __getitem__(self, tag: int) -> Entry:
        kind, count, start = self._places[tag]
        if kind == _UNREADABLE:
            return Entry(kind, ())
        if kind in _BYTES:
            return Entry(kind, self._data[start : start + count])
        form = _FORMATS[kind]
        values = struct.unpack_from(f"{self._order}{form * count}", self._data, start)
        if len(form) == 2:
            return Entry(kind, tuple(zip(values[::2], values[1::2], strict=True)))
        return Entry(kind, values)

    def __contains__(self, tag: object) -> bool:
        return tag in self._places

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def has_values(self) -> bool:
        """Whether any value can be read."""
        return any(kind != _UNREADABLE for kind, _, _ in self._places.values())

    @property
    def size(self) -> int:
        """The bytes of all values; bytes that several entries share count for each of them."""
        return sum(count * _value_size(kind) for kind, count, _ in self._places.values())


def read_tiff(data: bytes) -> Tiff | None:
    """Read the entries of a TIFF structure; None without a readable main directory.

    Values outside the data, of an unknown type, or of more than MAX_NUMBERS numbers are there without a value, and
    directories of more than MAX_ENTRIES entries are not read. None also if the entries claim far more bytes than there
    are, as those of an attack do. Broken data never raises.
    """
    if not data.startswith(TIFF_MARKS):
        return None
    order: Literal["<", ">"] = "<" if data.startswith(TIFF_MARKS[0]) else ">"
    main = _read_directory(data, int.from_bytes(data[4:8], "little" if order == "<" else "big"), order)
    if not main.has_values:
        return None
    exif = _inner(data, main, EXIF_DIRECTORY, order)
    gps = _inner(data, main if GPS_DIRECTORY in main else exif, GPS_DIRECTORY, order)  # some writers put it into EXIF's
    interop = _inner(data, exif, INTEROP_DIRECTORY, order)
    found: dict[DirectoryName, _ReadDirectory] = {"main": main, "exif": exif, "gps": gps, "interop": interop}
    if sum(directory.size for directory in found.values()) > 2 * len(data) + _SHARED_BYTES:
        return None
    return Tiff(main, exif, gps, interop, frozenset(name for name, directory in found.items() if directory.is_cut))


def _inner(data: bytes, outer: Directory, tag: int, order: str) -> _ReadDirectory:
    if tag not in outer or outer[tag].numbers == (0,):
        return _ReadDirectory(data, order, {})
    numbers = outer[tag].numbers
    if len(numbers) != 1 or not isinstance(numbers[0], int):
        return _ReadDirectory(data, order, {}, is_cut=True)
    return _read_directory(data, numbers[0], order)


def _read_directory(data: bytes, offset: int, order: str) -> _ReadDirectory:
    places: dict[int, tuple[int, int, int]] = {}
    if not 8 <= offset <= len(data) - 2:
        return _ReadDirectory(data, order, places, is_cut=True)
    count = struct.unpack_from(f"{order}H", data, offset)[0]
    if count > MAX_ENTRIES:
        return _ReadDirectory(data, order, places, is_cut=True)
    end = offset + 2 + 12 * count
    for position in range(offset + 2, min(end, len(data) - 11), 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, position)
        start = _place_of(data, position + 8, kind, length, order)
        if start is None and length:
            places.setdefault(tag, (_UNREADABLE, 0, 0))
        elif start is not None and places.get(tag, (_UNREADABLE,))[0] == _UNREADABLE:
            places[tag] = (kind, length, start)
    return _ReadDirectory(data, order, places, is_cut=end > len(data))


def _place_of(data: bytes, field: int, kind: int, count: int, order: str) -> int | None:
    """The offset of an entry's value; None if the entry is not readable. Bytes and text may be empty."""
    if kind not in _BYTES and (kind not in _FORMATS or not 0 < count <= MAX_NUMBERS):
        return None
    size = count * _value_size(kind)
    start: int = field if size <= 4 else struct.unpack_from(f"{order}I", data, field)[0]
    return None if start + size > len(data) else start


def _value_size(kind: int) -> int:
    return struct.calcsize(f"={_FORMATS.get(kind, 'B')}")


def write_tiff(tiff: Tiff) -> bytes:
    """Encode the directories, big-endian, with entries in the order of their tags, as TIFF requires."""
    exif = dict(tiff.exif)
    if tiff.interop:
        exif[INTEROP_DIRECTORY] = _PLACEHOLDER
    inner = {tag: part for tag, part in ((EXIF_DIRECTORY, exif), (GPS_DIRECTORY, tiff.gps)) if part}
    main = dict(tiff.main) | dict.fromkeys(inner, _PLACEHOLDER)
    offset = 8 + len(_encode_directory(main, 8))
    for tag, directory in inner.items():
        main[tag] = Entry(LONG, (offset,))
        offset += len(_encode_directory(directory, 0))
    parts = [_encode_directory(main, 8)]
    if tiff.interop:
        exif[INTEROP_DIRECTORY] = Entry(LONG, (offset,))
    for tag, directory in inner.items():
        parts.append(_encode_directory(directory, int(main[tag].numbers[0])))
    if tiff.interop:
        parts.append(_encode_directory(tiff.interop, offset))
    return b"MM\0*\0\0\0\x08" + b"".join(parts)


_PLACEHOLDER: Final = Entry(LONG, (0,))  # a real offset takes the same room


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
