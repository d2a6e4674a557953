"""Small files that ask for much work: JPEG files and EXIF made byte by byte."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from tests.imaging.builders import icc_profile, icc_segments, jpeg, photograph, segment, with_segments

SOS: Final = 0xDA
DHT: Final = 0xC4


def shared_bytes(entries: int, kind: int = 1, order: str = ">") -> bytes:
    """A TIFF structure with so many entries, each of which refers to all of the bytes."""
    size = {1: 1, 3: 2, 5: 8, 7: 1, 12: 8}[kind]
    length = 2 + 8 + 12 * entries + 4
    table = b"".join(struct.pack(f"{order}HHII", 256 + n, kind, length // size, 0) for n in range(entries))
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return head + struct.pack(f"{order}H", entries) + table + bytes(4)


def directories(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A TIFF structure with one directory of raw entries: tag, type, count, value or offset."""
    table = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    return struct.pack(">2sHIH", b"MM", 42, 8, len(entries)) + table + struct.pack(">I", following)


def chain(links: int) -> bytes:
    """A chain of directories, each of one entry, whose last one leads to the first."""
    made = b"MM\0*\0\0\0\x08"
    for number in range(links):
        following = 8 + 18 * (number + 1) if number + 1 < links else 8
        made += struct.pack(">HHHIIIxx", 1, 0x8769, 4, 1, 8, following)[:18]
    return made


def sub_directories(number: int) -> bytes:
    """A directory with thousands of SubIFDs, each of which is the directory itself."""
    entries = [(0x014A, 4, number, 8), (0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8)]
    return directories(*entries) + struct.pack(">I", 8) * number


def exif_segments(tiff: bytes, size: int = 65000) -> list[bytes]:
    """EXIF over several segments, as cameras write more than 64 KiB."""
    return [segment(0xE1, b"Exif\0\0" + tiff[start : start + size]) for start in range(0, len(tiff), size)]


def vendor_xml(xml: bytes) -> bytes:
    """A picture whose tag 40055 is `xml`, over as many segments as it takes."""
    tiff = directories((40055, 7, len(xml), 26)) + xml
    return with_segments(jpeg(), *exif_segments(tiff))


def many_scans(side: int, scans: int) -> bytes:
    """A gray progressive picture of so many pixels a side whose scans hold nothing, each valid by itself."""
    blocks = (-(-side // 8)) ** 2
    frame = segment(0xC2, struct.pack(">BHHBBBB", 8, side, side, 1, 1, 0x11, 0))
    tables = segment(0xDB, bytes(1) + bytes([1] * 64))
    # One code per table, of one bit: for DC a difference of 0; for AC an end of band of 2^14 to 2^15 - 1 blocks.
    tables += segment(DHT, b"\x00" + b"\1" + bytes(15) + b"\0") + segment(DHT, b"\x10" + b"\1" + bytes(15) + b"\xe0")
    dc = bytes(-(-blocks // 8))
    bands = -(-blocks // 0x7FFF)
    # The code 0, and 14 further bits all set: 2^15 - 1 blocks.
    bits = "".join("0" + "1" * 14 for _ in range(bands))
    bits += "1" * (-len(bits) % 8)
    ac = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    body = frame + tables + segment(SOS, b"\1\1\0\0\0\0") + dc
    steps = [(place, high, low) for low in range(8) for place in range(1, 64) for high in [8 - low if low else 0]]
    for place, high, low in steps[: scans - 1]:
        body += segment(SOS, bytes((1, 1, 0, place, place, high << 4 | (7 - low)))) + ac
    return b"\xff\xd8" + body + b"\xff\xd9"


def colour_profile(tags: int) -> bytes:
    """A picture with a profile of 4 MiB and so many tags, which refer to nearly the same megabytes of it."""
    start = 132 + 12 * tags
    size = (4 << 20) - start - 4 * tags
    names = b"A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 rTRC gTRC bTRC kTRC".split()
    table = b"".join(struct.pack(">4sII", names[n % len(names)], start + 4 * n, size) for n in range(tags))
    body = b"mft2" * ((size + 4 * tags) // 4)
    profile = icc_profile(b"RGB ", {})[:128] + struct.pack(">I", tags) + table + body
    return with_segments(jpeg(), *icc_segments(profile))


def padded_intervals(number: int) -> bytes:
    """A baseline picture with padding before a restart marker, as some cameras write it, and then before many more."""
    data = jpeg(np.zeros((64, 65_000, 3), np.uint8), restart_marker_blocks=2000)
    mark = data.index(b"\xff\xd0", data.index(b"\xff\xda"))
    more = b"".join(b"\0\xff\0" + bytes((0xFF, 0xD0 + n % 8)) for n in range(1, 9)) * (number // 8)
    return data[:mark] + b"\xff\0" * 16 + data[mark : mark + 2] + more + b"\xff\xd9"


def rare_sampling_of_restarts(number: int) -> bytes:
    """A picture of rare subsampling (4:1:0) whose scan is restart markers only."""
    frame = segment(0xC0, struct.pack(">BHHB", 8, 64, 64, 3) + bytes.fromhex("014200021100031100"))
    data = jpeg(photograph(64, 64))
    quantisation = data[data.index(b"\xff\xdb") : data.index(b"\xff\xc0")]
    tables = data[data.index(b"\xff\xc4") : data.index(b"\xff\xda")]
    scan = segment(SOS, bytes.fromhex("03010002110311003f00"))
    marks = b"".join(b"\xff" + bytes((0xD0 + n % 8,)) for n in range(8)) * (number // 8)
    return b"\xff\xd8" + quantisation + frame + tables + segment(0xDD, b"\0\1") + scan + marks + b"\xff\xd9"
