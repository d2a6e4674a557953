"""Rare and broken JPEGs of the kinds that broke other programs, drawn, so that everybody can try them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image

from tests.imaging.builders import (
    TiffBuilder,
    icc_profile,
    icc_segments,
    jpeg,
    scene,
    segment,
    with_exif,
    with_segments,
)

Verdict = tuple[int, int, str] | str
YCC: Final = (144, 96, "ycc")
_SOF: Final = b"\xff\xc0\x00\x11\x08"


def patched(at: int, value: bytes) -> bytes:
    """A picture whose frame header, from `FF C0` on, has other bytes at `at`."""
    data = jpeg()
    start = data.index(_SOF) + at
    return data[:start] + value + data[start + len(value) :]


def without(marker: int) -> bytes:
    """A picture without its segments of this marker."""
    data, kept, at = jpeg(), [b"\xff\xd8"], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        kept += [data[at:end]] if data[at + 1] != marker else []
        at = end
    return b"".join([*kept, data[at:]])


def scan(data: bytes) -> int:
    """Where the header of the first scan begins."""
    return data.index(b"\xff\xda")


def turned(orientation: int, data: bytes | None = None) -> bytes:
    tiff = TiffBuilder("<")
    return with_exif(data or jpeg(), tiff.build({0x0112: tiff.short(orientation)}))


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene()).save(buffer, "PNG")
    return buffer.getvalue()


def _large_profile() -> bytes:
    profile = icc_profile(b"RGB ", {b"desc": b"desc" + bytes(150_000)})
    return with_segments(jpeg(), *icc_segments(profile))


def _junk() -> bytes:
    data = jpeg()
    at = 4 + int.from_bytes(data[4:6], "big")
    return data[:at] + b"\0\x11\x22\x33\x44" + data[at:]


def _padded_intervals() -> bytes:
    """As some cameras write it: bits of padding fill whole bytes before a restart marker."""
    data = jpeg(restart_marker_rows=1)
    mark = data.index(b"\xff\xd0", scan(data))
    return data[:mark] + b"\xff\0" * 4 + data[mark:]


def _overlapping_intervals() -> bytes:
    """An interval with more coded blocks than its picture has place for."""
    data = jpeg(restart_marker_rows=1)
    first, second = (data.index(bytes((0xFF, 0xD0 + n)), scan(data)) for n in range(2))
    return data[:second] + data[first + 2 : second] + data[second:]


def _phone() -> bytes:
    """Turned, with the time to the millisecond, its zone, and a place."""
    tiff = TiffBuilder(">")
    exif = {0x9003: tiff.ascii("2021:05:07 09:33:04"), 0x9291: tiff.ascii("046"), 0x9011: tiff.ascii("+08:00")}
    gps = {
        1: tiff.ascii("N"), 2: tiff.ratio((30, 1), (37, 1), (30, 1)),
        3: tiff.ascii("E"), 4: tiff.ratio((104, 1), (3, 1), (0, 1)),
    }  # fmt: skip
    return with_exif(jpeg(), tiff.build({0x0112: tiff.short(6)}, exif, gps))


def _ycck() -> bytes:
    data = jpeg(mode="CMYK")
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\2" + data[at + 1 :]


# Name → how it is made, and (width, height, colour) where a picture comes out, else a part of the reason why none does.
BROKEN: Final[dict[str, tuple[Callable[[], bytes], Verdict]]] = {
    "drawn_gray.jpg": (lambda: jpeg(mode="L"), (144, 96, "gray")),
    "drawn_large_profile.jpg": (_large_profile, YCC),
    "drawn_junk_between_segments.jpg": (_junk, YCC),
    "drawn_markers_between_segments.jpg": (lambda: with_segments(jpeg(), b"\xff\x01", b"\xff\xd3", b"\xff\0"), YCC),
    "drawn_multi_picture.jpg": (lambda: with_segments(jpeg(), segment(0xE2, b"MPF\0II*\0")) + jpeg(scene(48, 48)), YCC),
    "drawn_cut_exif.jpg": (lambda: with_segments(jpeg(), segment(0xE1, b"Exif\0\0II*\0\x08")), YCC),
    "drawn_one_pixel.jpg": (lambda: jpeg(np.zeros((1, 1, 3), np.uint8), mode="L"), (1, 1, "gray")),
    "drawn_turned_8.jpg": (lambda: turned(8), YCC),
    "drawn_progressive.jpg": (lambda: jpeg(progressive=True), YCC),
    "drawn_cmyk.jpg": (lambda: jpeg(mode="CMYK"), (144, 96, "cmyk")),
    "drawn_no_huffman_tables.jpg": (lambda: without(0xC4), YCC),
    "drawn_ycck.jpg": (_ycck, (144, 96, "cmyk")),
    "drawn_padding_before_restart.jpg": (_padded_intervals, YCC),
    "drawn_two_exif.jpg": (
        lambda: turned(1, turned(3)),
        YCC,
    ),
    "drawn_phone.jpg": (_phone, YCC),
    "drawn_bytes_after_end.jpg": (lambda: jpeg() + b"MP3" * 1000, YCC),
    "drawn_cut_before_pixels.jpg": (lambda: jpeg()[: scan(jpeg()) + 14], "truncated"),
    "drawn_cut_in_half.jpg": (lambda: jpeg()[: len(jpeg()) // 2], "truncated"),
    "drawn_end_in_segment.jpg": (lambda: with_segments(jpeg()[:-2], b"\xff\xe5\xff\xff"), "truncated"),
    "drawn_two_pictures.jpg": (lambda: jpeg()[:-2] + jpeg(), "second picture"),
    "drawn_overlapping_intervals.jpg": (_overlapping_intervals, "extraneous bytes"),
    "drawn_lossless.jpg": (lambda: patched(1, b"\xf7"), "JPEG-LS"),
    "drawn_12_bits.jpg": (lambda: patched(4, b"\x0c"), "12 bits per sample"),
    "drawn_arithmetic.jpg": (lambda: patched(1, b"\xc9"), "arithmetic"),
    "drawn_no_height.jpg": (lambda: patched(5, b"\0\0"), "DNL segment"),
    "drawn_no_width.jpg": (lambda: patched(7, b"\0\0"), "0 × 96"),
    "drawn_largest.jpg": (lambda: patched(5, b"\xff\xdc\xff\xdc"), "too large"),
    "drawn_png.jpg": (png, "PNG"),
    "drawn_no_scan.jpg": (lambda: jpeg()[: scan(jpeg())] + b"\xff\xd9", "no picture data"),
    "drawn_two_frames.jpg": (
        lambda: with_segments(jpeg(), without(0xE0)[2 : scan(without(0xE0))]),
        "found 2 frame headers",
    ),
    "drawn_no_quantisation.jpg": (lambda: without(0xDB), "Quantization table"),
    "drawn_empty.jpg": (lambda: b"", "is empty"),
}
