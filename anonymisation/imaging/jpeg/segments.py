"""The segments of a JPEG file, and the cleaned stream that holds only the picture.

The decoder gets only this cleaned stream: signature, tables, frame, scans, end. So comments, previews, further pictures
and junk between the segments cannot disturb the decoder, and are not passed on. Marker codes and layouts: ITU-T T.81
(1992), annex B.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Literal

from anonymisation.core.errors import UnreadableImageError

DHT: Final = 0xC4
SOI: Final = 0xD8
EOI: Final = 0xD9
SOS: Final = 0xDA
DQT: Final = 0xDB
DNL: Final = 0xDC
DRI: Final = 0xDD
APP0: Final = 0xE0
APP1: Final = 0xE1
APP2: Final = 0xE2
APP14: Final = 0xEE
_TABLES: Final = frozenset((DHT, 0xCC, DQT, DRI))  # 0xCC: DAC
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_READABLE_FRAMES: Final = frozenset((0xC0, 0xC1, 0xC2))  # baseline, extended, progressive
_ARITHMETIC: Final = frozenset((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))
_JPEG_LS: Final = 0xF7  # ITU-T T.87
_PROGRESSIVE: Final = frozenset((0xC2,))
_RESTARTS: Final = frozenset(range(0xD0, 0xD8))
_STANDALONE: Final = frozenset((SOI, EOI))
_MEANINGLESS: Final = frozenset((0, 0x01)) | _RESTARTS  # between segments, as in libjpeg (jdmarker.c); 0x01: TEM
_IGNORED: Final = frozenset((*range(APP0, 0xF0), 0xFE, DNL))  # APPn, COM; DNL only repeats the height of the frame

MAX_PIXELS: Final = 250_000_000
"""Most pixels of a picture where the caller sets no limit; the default of the setting `max_picture_pixels`. The largest
cameras of phones give 200 million. A picture takes up to twelve bytes a pixel while it is masked."""
BYTES_A_PIXEL: Final = 12
"""Memory that masking a picture takes at most (progressive, 4:4:4), without the model: pixels 3, mask and blocks 3,
coefficients 6."""
MAX_PAYLOAD: Final = 65533
"""Most bytes in a segment: its length field counts itself, 65535 - 2."""
MAX_SEGMENTS: Final = 10_000
"""Most segments and runs of junk in a file. 4,000 hold 256 MiB of metadata; more cost Python much time and memory."""
MAX_TABLE_BYTES: Final = 1 << 20
"""Most bytes of tables: five hundred scans, each with new Huffman tables for four components."""
MAX_SCANS: Final = 500
"""The limit of libjpeg-turbo's tools. No encoder writes more scans; more are an attack on the decoder's time."""
MAX_PASSES: Final = 24
"""How often the scans of a large picture may code each block, on average; libjpeg's progressive files need 6 passes.
Each pass visits every block of its components (60 ns), even where the scan has hardly any data."""
FREE_VISITS: Final = 4_000_000
"""Blocks that the scans of any picture may visit: they take less than a second."""

_JFIF_BYTES: Final = 14
_FILL: Final = re.compile(rb"\xff*")
# Entropy-coded data ends at the first 0xFF without a stuffed zero, restart number or further 0xFF (fill byte) after it.
_END_OF_SCAN: Final = re.compile(rb"\xff(?=[\x01-\xcf\xd8-\xfe])")

JFIF: Final = bytes.fromhex("ffe000104a46494600010100000100010000")
"""The segment for gray or YCbCr colours: version 1.1, no density, no thumbnail."""
ADOBE_RGB: Final = bytes.fromhex("ffee000e41646f626500640000000000")
"""The segment for RGB colours: version 100, no flags, no transform."""
_OTHER_FORMATS: Final = (
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a WebP picture or another RIFF file"),
    (b"II*\0", "a TIFF or raw picture"),
    (b"MM\0*", "a TIFF or raw picture"),
    (b"BM", "a BMP picture"),
    (b"%PDF", "a PDF document"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0", "zero bytes, or a HEIC or AVIF picture"),
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker and the payload after its length field; for SOS, `scan` is the coded data after the header."""

    marker: int
    payload: bytes
    scan: bytes = b""

    def encoded(self) -> bytes:
        """The bytes of the segment in a file."""
        return bytes((0xFF, self.marker)) + (len(self.payload) + 2).to_bytes(2, "big") + self.payload + self.scan


@dataclass(frozen=True, slots=True)
class Component:
    """One colour component of the frame: its number, sampling factors and quantisation table."""

    number: int
    horizontal: int
    vertical: int
    table: int


@dataclass(frozen=True, slots=True)
class JpegStructure:
    """The parts of a JPEG file: `width` and `height` in pixels as stored, before any EXIF orientation."""

    width: int
    height: int
    components: tuple[Component, ...]
    frame: Segment
    segments: tuple[Segment, ...]
    """Every segment in order, scans included, without those that the picture does not need (see `metadata`)."""
    metadata: tuple[Segment, ...]
    """APPn and comment segments."""
    leftovers: int
    """Bytes of junk between the segments and bytes after the end of the picture."""

    def stream(self) -> bytes:
        """The cleaned file, which holds only the picture."""
        jfif = JFIF if self.has_jfif else b""
        body = b"".join(segment.encoded() for segment in self.segments)
        return b"\xff\xd8" + jfif + body + b"\xff\xd9"

    @property
    def is_complete(self) -> bool:
        """Whether the scans give every bit of every coefficient; a progressive file can lack some.

        A scan's header names its components, the first and last coefficient, and the lowest bit (T.81, B.2.3, G.1.1.1).
        """
        if not is_progressive(self.frame):
            return True
        whole = {(component.number, place) for component in self.components for place in range(64)}
        for payload in (segment.payload for segment in self.segments if segment.marker == SOS):
            first, last, bits = payload[-3:]
            if not bits & 15:
                numbers = payload[1:-3:2]
                whole -= {(number, place) for number in numbers for place in range(first, last + 1)}
        return not whole

    @property
    def has_jfif(self) -> bool:
        """Whether there is a JFIF segment, of the length that libjpeg asks for (jdmarker.c, examine_app0)."""
        jfif = (s.payload for s in self.metadata if s.marker == APP0 and s.payload.startswith(b"JFIF\0"))
        return any(len(payload) >= _JFIF_BYTES for payload in jfif)

    @property
    def adobe_transform(self) -> int | None:
        """The colour transform of the Adobe segment (0 none, 1 YCbCr, 2 YCCK); None without one.

        Of several segments, the last one before the first scan counts, as in libjpeg (jdmarker.c, examine_app14).
        """
        header = takewhile(lambda segment: segment.marker != SOS, self.segments)
        return next((segment.payload[11] for segment in reversed([*header]) if is_adobe(segment)), None)

    @property
    def colour(self) -> Literal["gray", "ycc", "rgb", "cmyk"]:
        """How the colours are stored, by the rules of libjpeg (jdapimin.c, default_decompress_parms)."""
        if len(self.components) != 3:
            return "gray" if len(self.components) == 1 else "cmyk"
        if self.has_jfif:
            return "ycc"
        if self.adobe_transform is not None:
            return "rgb" if self.adobe_transform == 0 else "ycc"
        return "rgb" if bytes(c.number for c in self.components) == b"RGB" else "ycc"


def is_adobe(segment: Segment) -> bool:
    """Whether the segment is Adobe's, which says how the colours are stored."""
    return segment.marker == APP14 and segment.payload.startswith(b"Adobe") and len(segment.payload) >= 12


def is_progressive(frame: Segment) -> bool:
    """Whether a frame header begins a picture of many scans that refine each other."""
    return frame.marker in _PROGRESSIVE


def is_frame(marker: int) -> bool:
    """Whether a marker begins a frame header (SOFn) of any process."""
    return marker in _FRAMES


def segments_of(data: bytes, *, header_only: bool = False) -> Iterator[Segment | int]:
    """Yield the segments of a JPEG file in order, and for every run of junk its length in bytes.

    With `header_only` the iteration ends before the first scan, and the file is not searched for the end of the scan.

    The iteration ends at the end-of-image marker, which is a segment without payload, or at the end of the data. An
    incomplete last segment is left out. `data` must begin with the start-of-image marker.

    Raises:
        UnreadableImageError: more than MAX_SEGMENTS segments and runs of junk.
    """
    position, rounds = 2, 0
    while position < len(data):
        rounds += 1
        if rounds > MAX_SEGMENTS:
            raise UnreadableImageError(f"corrupt: more than {MAX_SEGMENTS} segments and runs of junk in the file")
        start = data.find(b"\xff", position)
        if start != position:
            yield (start if start >= 0 else len(data)) - position
        if start < 0:
            return
        start = _end_of(_FILL, data, start)
        if start >= len(data):
            return
        marker = data[start]
        position = start + 1
        if marker in _MEANINGLESS:
            yield 2
        elif marker in _STANDALONE:
            yield Segment(marker, b"")
            if marker == EOI:
                return
        elif (header_only and marker == SOS) or (segment := _read_segment(data, marker, position)) is None:
            return
        else:
            yield segment
            position += 2 + len(segment.payload) + len(segment.scan)


def _end_of(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    found = pattern.match(data, start)
    return found.end() if found else start


def _read_segment(data: bytes, marker: int, position: int) -> Segment | None:
    """The segment whose length field is at `position`; None where the segment is incomplete."""
    end = position + int.from_bytes(data[position : position + 2], "big")
    if end > len(data) or end < position + 2:
        return None
    scan = data[end : _scan_end(data, end)] if marker == SOS else b""
    return Segment(marker, data[position + 2 : end], scan)


def _scan_end(data: bytes, start: int) -> int:
    found = _END_OF_SCAN.search(data, start)
    return found.start() if found else len(data)


def check_signature(data: bytes) -> None:
    """Refuse data that does not begin like a JPEG file.

    Raises:
        UnreadableImageError: not a JPEG file; the message names the format that the first bytes look like.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return
    if not data:
        raise UnreadableImageError("the file is empty")
    looks = next((name for start, name in _OTHER_FORMATS if data.startswith(start)), "something else")
    raise UnreadableImageError(f"not a JPEG picture: begins with {data[:4].hex(' ')}, which looks like {looks}")


def read_structure(data: bytes, max_pixels: int = MAX_PIXELS) -> JpegStructure:
    """Split a JPEG file into its parts, without decoding pixels, and refuse an incomplete picture.

    Raises:
        UnreadableImageError: not a JPEG, truncated, an unsupported process or size, or two pictures in one file.
    """
    check_signature(data)
    segments: list[Segment] = []
    metadata: list[Segment] = []
    used = 0
    ended = False
    for item in segments_of(data):
        if isinstance(item, int):
            continue
        used += len(item.payload) + len(item.scan) + 4
        if item.marker == EOI:
            ended = True
        elif item.marker in _IGNORED and not is_adobe(item):
            metadata.append(item)
        else:
            _check_marker(item.marker)
            segments.append(item)
    frame = _only_frame(segments)
    width, height, components = parse_frame(frame, max_pixels)
    if not ended:
        raise UnreadableImageError("truncated: the file ends before the end-of-image marker")
    _check_scans(segments, width, height, components)
    return JpegStructure(width, height, components, frame, tuple(segments), tuple(metadata), max(0, len(data) - used))


def _check_marker(marker: int) -> None:
    if marker == SOI:
        raise UnreadableImageError("corrupt: a second picture begins before the first one ends")
    if marker == _JPEG_LS:
        raise UnreadableImageError("unsupported: JPEG-LS (marker FF F7)")
    if marker not in _TABLES and marker not in _FRAMES and marker not in {SOS, APP14}:
        raise UnreadableImageError(f"corrupt: unexpected marker FF {marker:02X}")


def _only_frame(segments: list[Segment]) -> Segment:
    frames = [segment for segment in segments if is_frame(segment.marker)]
    if len(frames) != 1:
        found = "no frame header" if not frames else f"{len(frames)} frame headers"
        raise UnreadableImageError(f"truncated or corrupt: expected one frame header, found {found}")
    return frames[0]


def parse_frame(frame: Segment, max_pixels: int = MAX_PIXELS) -> tuple[int, int, tuple[Component, ...]]:
    """Width, height and components from a frame header (SOFn).

    Raises:
        UnreadableImageError: an unsupported process, depth, component count or size.
    """
    payload = frame.payload
    if len(payload) < 6 or len(payload) != 6 + 3 * payload[5]:
        raise UnreadableImageError(f"corrupt: the frame header has {len(payload)} bytes")
    if payload[0] != 8:
        raise UnreadableImageError(f"unsupported: {payload[0]} bits per sample, only 8 can be processed")
    if frame.marker in _ARITHMETIC:  # its decoder makes pixels of data that is missing, without a warning
        raise UnreadableImageError(
            "unsupported: arithmetic coding, in which a truncated picture cannot be distinguished from a whole one; "
            "convert the file to Huffman coding (jpegtran) if it is known to be whole"
        )
    if frame.marker not in _READABLE_FRAMES:
        raise UnreadableImageError("unsupported: lossless, hierarchical or differential JPEG")
    height, width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    if width and not height:
        raise UnreadableImageError(
            f"unsupported: the header gives a size of {width} × 0 pixels, and leaves the height to a DNL segment after "
            "the first scan; decoders in common use do not read it either"
        )
    if not width or not height:
        raise UnreadableImageError(f"corrupt: the header gives a size of {width} × {height} pixels")
    if width * height > max_pixels:
        raise UnreadableImageError(
            f"too large: {width} × {height} pixels, and max_picture_pixels allows {max_pixels}; raise it where "
            f"there is memory for such pictures, up to {BYTES_A_PIXEL} bytes for each pixel"
        )
    components = tuple(
        Component(payload[i], payload[i + 1] >> 4, payload[i + 1] & 15, payload[i + 2])
        for i in range(6, len(payload), 3)
    )
    if len(components) not in {1, 3, 4}:
        raise UnreadableImageError(f"unsupported: {len(components)} colour components, expected 1, 3 or 4")
    if not all(1 <= c.horizontal <= 4 and 1 <= c.vertical <= 4 and c.table < 4 for c in components):
        raise UnreadableImageError("corrupt: the frame header gives impossible sampling factors or tables")
    return width, height, components


def _check_scans(segments: list[Segment], width: int, height: int, components: tuple[Component, ...]) -> None:
    scans = [segment for segment in segments if segment.marker == SOS]
    if not scans:
        raise UnreadableImageError("truncated: no picture data (scan) in the file")
    if len(scans) > MAX_SCANS:
        raise UnreadableImageError(f"too many scans: {len(scans)}, at most {MAX_SCANS} can be processed")
    _check_work(segments, scans, width, height, components)
    # A Huffman code has at least one bit, so every 8 × 8 block costs one.
    widest = max(c.horizontal for c in components) * max(c.vertical for c in components)
    samples = sum(width * height * c.horizontal * c.vertical // widest for c in components)
    size = sum(len(segment.scan) for segment in scans)
    if size * 8 < samples // 64:
        raise UnreadableImageError(f"truncated or corrupt: {size} bytes cannot hold {width} × {height} pixels")


def _check_work(
    segments: list[Segment], scans: list[Segment], width: int, height: int, components: tuple[Component, ...]
) -> None:
    """Refuse tables and scans that would cost far more time than those of any encoder."""
    tables = sum(len(segment.payload) for segment in segments if segment.marker in _TABLES)
    if tables > MAX_TABLE_BYTES:
        raise UnreadableImageError(f"corrupt: {tables} bytes of tables, at most {MAX_TABLE_BYTES} can be processed")
    high, wide = max(c.vertical for c in components), max(c.horizontal for c in components)
    blocks = {
        c.number: -(-width * c.horizontal // (wide * 8)) * -(-height * c.vertical // (high * 8)) for c in components
    }
    visits = sum(blocks.get(number, 0) for scan in scans for number in scan.payload[1:-3:2])
    if visits > max(FREE_VISITS, MAX_PASSES * sum(blocks.values())):
        passes = visits // sum(blocks.values())
        raise UnreadableImageError(
            f"too many scans: {len(scans)}, which code every block {passes} times; at most {MAX_PASSES} passes can be "
            f"processed in a picture of {width} × {height} pixels"
        )
