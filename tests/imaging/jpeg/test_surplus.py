"""Bytes after the coded data are surplus, and refused where they are what a decoder leaves over of a damaged scan."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
import simplejpeg

from anonymisation.core.errors import UnreadableImageError
from anonymisation.imaging.jpeg import libjpeg, surplus
from anonymisation.imaging.jpeg.codec import decode_jpeg, sound_size
from anonymisation.imaging.jpeg.libjpeg import decoder_warnings
from tests.imaging.builders import jpeg, photograph

PIXELS = photograph(141, 197)
KINDS = {
    "4:2:0": jpeg(PIXELS),
    "own tables": jpeg(PIXELS, optimize=True, quality=92),
    "4:2:2": jpeg(PIXELS, subsampling="4:2:2"),
    "4:4:4": jpeg(PIXELS, subsampling="4:4:4"),
    "gray": jpeg(PIXELS, mode="L"),
    "cmyk": jpeg(PIXELS, mode="CMYK"),
    "rare": jpeg(PIXELS, mode="CMYK", subsampling=2),
    "restarts": jpeg(PIXELS, restart_marker_rows=1),
    "short restarts": jpeg(PIXELS, restart_marker_blocks=3),
}
JUNK = {
    "count": bytes(range(20)),
    "zeros": bytes(300),
    "ones": b"\xff\0" * 40,
    "noise": random.Random(1).randbytes(90).replace(b"\xff", b""),
    "long": b"\x12\xf3" * 9000,
}


def first_warning(data: bytes) -> str:
    try:
        simplejpeg.decode_jpeg(data, "GRAY", strict=True)
    except ValueError as error:
        return str(error)
    return ""


RESTART = re.compile(rb"\xff[\xd0-\xd7]")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("junk", JUNK)
def test_junk_before_the_end_changes_nothing(kind: str, junk: str) -> None:
    clean = KINDS[kind]
    data = clean[:-2] + JUNK[junk] + b"\xff\xd9"
    assert any("extraneous" in warning for warning in decoder_warnings(data))
    expected, found = decode_jpeg(clean), decode_jpeg(data)
    assert (found.pixels == expected.pixels).all()
    assert found.coded is not None
    assert expected.coded is not None
    assert found.coded.stream() == expected.coded.stream()
    assert sound_size(data) == (197, 141)


@pytest.mark.parametrize("kind", ["4:2:0", "4:4:4", "own tables", "gray"])
def test_zeros_of_any_number_are_a_filler(kind: str) -> None:
    for number in range(9, 400, 17):
        assert sound_size(KINDS[kind][:-2] + bytes(number) + b"\xff\xd9") == (197, 141), number


def test_zeros_that_are_flat_blocks_of_the_picture_are_no_filler() -> None:
    """With tables of their own, black blocks are zeros in the file, too; here the header hides the lower half."""
    pixels = np.concatenate([photograph(64, 200), np.zeros((800, 200, 3), np.uint8)])
    clean = jpeg(pixels, optimize=True)
    assert bytes(40) in clean
    at = clean.index(b"\xff\xc0") + 5
    refused = 0
    for rows in range(96, 864, 16):
        try:
            decode_jpeg(clean[:at] + rows.to_bytes(2, "big") + clean[at + 2 :])
        except UnreadableImageError:
            refused += 1
    assert refused > 44


@pytest.mark.parametrize("kind", ["restarts", "short restarts"])
@pytest.mark.parametrize("junk", [b"\xff\0", b"\xff\0" * 9, bytes(12), b"\x35\x71\x9a\x27" * 40])
def test_junk_before_restart_markers_changes_nothing(kind: str, junk: bytes) -> None:
    clean = KINDS[kind]
    data = RESTART.sub(lambda found: junk + found[0], clean)
    assert data != clean
    assert (decode_jpeg(data).pixels == decode_jpeg(clean).pixels).all()


def test_junk_with_fill_bytes_and_a_restart_marker_too_many_changes_nothing() -> None:
    for kind, after in (("4:2:0", b"\xff\xd3ab"), ("restarts", b"\xff\xff\xd1")):
        clean = KINDS[kind]
        data = clean[:-2] + bytes(30) + after + b"\xff\xff\xff\xd9"
        assert (decode_jpeg(data).pixels == decode_jpeg(clean).pixels).all(), kind


def test_each_scan_may_have_junk_of_its_own() -> None:
    clean = SEVERAL
    pieces = clean.split(b"\xff\xda")
    data = b"\xff\xda".join([pieces[0], *(piece + bytes(20) for piece in pieces[1:-1]), pieces[-1]])
    assert (decode_jpeg(data).pixels == decode_jpeg(clean).pixels).all()


def test_standard_tables_that_are_left_out_are_counted_with() -> None:
    clean = KINDS["4:2:0"]
    bare = clean[: clean.index(b"\xff\xc4")] + clean[clean.index(b"\xff\xda") :]
    data = bare[:-2] + bytes(20) + b"\xff\xd9"
    assert (decode_jpeg(data).pixels == decode_jpeg(clean).pixels).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_of_the_picture_itself_is_not_junk(kind: str) -> None:
    """A header that says too few rows: the rest of the coded data is picture."""
    clean = KINDS[kind]
    at = clean.index(b"\xff\xc0") + 5
    with pytest.raises(UnreadableImageError, match=r"extraneous bytes|restart"):
        decode_jpeg(clean[:at] + (64).to_bytes(2, "big") + clean[at + 2 :])


@pytest.mark.parametrize("kind", ["4:2:0", "own tables", "gray", "restarts"])
def test_damage_that_leaves_bytes_over_is_refused(kind: str) -> None:
    """As many damaged files as are refused for their leftovers by a decoder that stops at each warning."""
    generator = random.Random(7)
    clean = KINDS[kind]
    start = clean.index(b"\xff\xda") + 14
    suspicious = accepted = 0
    for _ in range(60):
        at = generator.randrange(start, len(clean) - 20)
        size = generator.choice((1, 2, 8, 64))
        other = generator.choice((generator.randbytes(size), b"", bytes(size), clean[at - size : at] * 2))
        data = clean[:at] + other.replace(b"\xff", b"") + clean[at + size :]
        if "extraneous" not in first_warning(data):
            continue
        suspicious += 1
        try:
            decode_jpeg(data)
        except UnreadableImageError:
            continue
        accepted += 1
    assert suspicious > 10
    assert accepted == 0


def test_junk_after_a_progressive_scan_is_refused() -> None:
    data = jpeg(PIXELS, progressive=True)
    with pytest.raises(UnreadableImageError, match="extraneous bytes"):
        decode_jpeg(data[:-2] + bytes(20) + b"\xff\xd9")


def test_more_junk_than_can_be_looked_through_is_refused() -> None:
    clean = KINDS["gray"]
    most = b"\x12\xf3" * (surplus.MAX_SURPLUS // 2)
    assert decode_jpeg(clean[:-2] + most + b"\xff\xd9").pixels.shape == (141, 197, 3)
    with pytest.raises(UnreadableImageError, match="extraneous bytes"):
        decode_jpeg(clean[:-2] + most + b"\0\xff\xd9")


def test_junk_is_refused_where_it_cannot_be_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libjpeg, "find_library", lambda: None)
    with pytest.raises(UnreadableImageError, match=r"extraneous bytes.*cannot be examined: Pillow's libjpeg"):
        decode_jpeg(KINDS["gray"][:-2] + bytes(20) + b"\xff\xd9")


def test_counted_bits_are_those_of_the_file() -> None:
    """The exact end, on a picture whose blocks have long runs of zeros and a last coefficient."""
    rows, columns = np.mgrid[:64, :64]
    pixels = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)
    for options in ({"quality": 100}, {"quality": 60}, {"quality": 30, "optimize": True}):
        clean = jpeg(np.stack([pixels] * 3, axis=-1), mode="L", **options)
        data = clean[:-2] + bytes(20) + b"\xff\xd9"
        assert (decode_jpeg(data).pixels == decode_jpeg(clean).pixels).all()


def _in_several_scans(gray: bytes) -> bytes:
    """Three gray pictures of one size as one RGB picture of a scan for each channel."""
    frame, scan = gray.index(b"\xff\xc0"), gray.index(b"\xff\xda")
    size = gray[frame + 5 : frame + 9]
    header = b"\xff\xc0\0\x11\x08" + size + b"\3" + b"".join(bytes((n, 0x11, 0)) for n in (1, 2, 3))
    coded = gray[scan + 10 : -2]
    scans = b"".join(b"\xff\xda\0\x08\1" + bytes((n, 0, 0, 63, 0)) + coded for n in (1, 2, 3))
    return gray[:frame] + header + gray[frame + 13 : scan] + scans + b"\xff\xd9"


SEVERAL = _in_several_scans(KINDS["gray"])
