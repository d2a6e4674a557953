"""What no mask touches comes out as it was, coefficient by coefficient; what one touches leaves no trace."""

from __future__ import annotations

import logging
import warnings
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from anonymisation.imaging.jpeg import keep_blocks as untouched
from anonymisation.imaging.jpeg import libjpeg, library
from anonymisation.imaging.jpeg.codec import Frame, decode_jpeg, encode_jpeg
from tests.imaging.builders import jpeg, photograph, psnr, segment
from tests.imaging.coefficients import Planes, coefficients

FILL = (100, 100, 100)
SAMPLINGS = {"444": (1, 1), "422": (1, 2), "420": (2, 2), "440": (2, 1), "411": (1, 4)}


def sampled(pixels: NDArray[np.uint8], sampling: str, quality: int = 85) -> bytes:
    if sampling == "gray":
        return jpeg(pixels, mode="L", quality=quality)
    if sampling == "rgb":
        return jpeg(pixels, keep_rgb=True, quality=quality)
    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, colorsubsampling=sampling)
    return data


def masked(frame: Frame, mask: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], bytes]:
    """The redacted pixels, and the file made from them with the original's blocks."""
    pixels = frame.pixels.copy()
    pixels[mask] = FILL
    assert frame.coded is not None
    return pixels, untouched.keep_untouched(pixels, mask, frame.coded, b"")


def touched(mask: NDArray[np.bool_], planes: Planes) -> list[NDArray[np.bool_]]:
    """Of each component which blocks stand for a masked pixel, pixel by pixel."""
    height, width = mask.shape
    found = []
    for plane in planes:
        down = max(1, round(planes[0].shape[0] / plane.shape[0]))
        across = max(1, round(planes[0].shape[1] / plane.shape[1]))
        hit = np.zeros(plane.shape[:2], np.bool_)
        for row, column in np.argwhere(mask):
            hit[row // (8 * down), column // (8 * across)] = True
        assert -(-height // (8 * down)) == plane.shape[0]
        assert -(-width // (8 * across)) == plane.shape[1]
        found.append(hit)
    return found


def spots(shape: tuple[int, int], number: int = 3, seed: int = 1) -> NDArray[np.bool_]:
    random = np.random.default_rng(seed)
    mask = np.zeros(shape, np.bool_)
    for _ in range(number):
        top, left = (int(random.integers(0, side)) for side in shape)
        mask[top : top + int(random.integers(1, 40)), left : left + int(random.integers(1, 40))] = True
    return mask


@pytest.mark.parametrize("sampling", [*SAMPLINGS, "gray", "rgb"])
def test_untouched_blocks_are_identical_and_touched_ones_are_redacted(sampling: str) -> None:
    data = sampled(photograph(), sampling)
    frame = decode_jpeg(data)
    mask = spots((90, 141))
    pixels, written = masked(frame, mask)
    before, after = coefficients(data), coefficients(written)
    for old, new, hit in zip(before, after, touched(mask, before), strict=True):
        assert (old[~hit] == new[~hit]).all()
        assert hit.any()
        assert not hit.all()
        assert (old[hit] != new[hit]).any(axis=1).mean() > 0.5
    found = decode_jpeg(written)
    assert found.quantisation == frame.quantisation
    assert psnr(found.pixels[mask], pixels[mask]) > 30


@settings(max_examples=150)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    sampling=st.sampled_from([*SAMPLINGS, "gray", "rgb"]),
    quality=st.sampled_from([30, 75, 95, 100]),
    number=st.integers(0, 4),
    seed=st.integers(0, 1000),
)
def test_any_size_sampling_and_mask(
    height: int, width: int, sampling: str, quality: int, number: int, seed: int
) -> None:
    data = sampled(photograph(height, width, seed), sampling, quality)
    frame = decode_jpeg(data)
    mask = spots((height, width), number, seed)
    _, written = masked(frame, mask)
    before, after = coefficients(data), coefficients(written)
    wide = SAMPLINGS.get(sampling, (1, 1))
    alone = np.zeros((height, width), np.bool_)  # pixels of which every block is masked as a whole
    for row, column in np.ndindex(-(-height // (8 * wide[0])), -(-width // (8 * wide[1]))):
        window = (
            slice(8 * wide[0] * row, 8 * wide[0] * (row + 1)),
            slice(8 * wide[1] * column, 8 * wide[1] * (column + 1)),
        )
        alone[window] = mask[window].all()
    for number_of, (old, new) in enumerate(zip(before, after, strict=True)):
        down, across = wide if number_of else (1, 1)
        hit = np.zeros(old.shape[:2], np.bool_)
        for row, column in np.argwhere(mask):
            hit[row // (8 * down), column // (8 * across)] = True
        assert (old[~hit] == new[~hit]).all()
        whole = np.zeros(old.shape[:2], np.bool_)
        for row, column in np.argwhere(alone):
            whole[row // (8 * down), column // (8 * across)] = True
        assert (new[whole][:, 1:] == 0).all()  # a fill has no detail at all
        assert len(np.unique(new[whole][:, 0])) <= 1


@pytest.mark.parametrize("sampling", [*SAMPLINGS, "gray", "rgb"])
def test_nothing_of_what_was_below_the_mask_is_left(sampling: str) -> None:
    mask = np.zeros((96, 160), np.bool_)
    mask[32:64, 32:96] = True  # whole coded units of every sampling
    one, other = photograph(96, 160), photograph(96, 160)
    other[mask] = photograph(96, 160, seed=2)[mask]
    first, second = sampled(one, sampling), sampled(other, sampling)
    assert first != second
    assert masked(decode_jpeg(first), mask)[1] == masked(decode_jpeg(second), mask)[1]


def test_pixels_differ_at_most_in_the_ring_that_chroma_shares() -> None:
    frame = decode_jpeg(sampled(photograph(), "420"))
    mask = np.zeros((90, 141), np.bool_)
    mask[40:50, 60:75] = True  # touches the blocks of rows 32 to 63 and columns 48 to 79
    _, written = masked(frame, mask)
    changed = np.argwhere((decode_jpeg(written).pixels != frame.pixels).any(axis=2))
    assert changed.min(axis=0).tolist() >= [31, 47]
    assert changed.max(axis=0).tolist() <= [64, 80]


def test_blocks_beyond_the_edge_are_not_carried_over() -> None:
    large = jpeg(photograph(48, 48), quality=90)
    at = large.index(b"\xff\xc0") + 5
    small = large[:at] + bytes((0, 33, 0, 33)) + large[at + 4 :]  # the same coded units, fewer of their pixels shown
    frame = decode_jpeg(small)
    _, written = masked(frame, np.zeros((33, 33), np.bool_))
    hidden = coefficients(small, padding=True)[0]
    assert (hidden[5, :, 1:] != 0).any()
    kept = coefficients(written, padding=True)[0]
    assert (kept[5, :, 1:] == 0).all()
    assert (kept[:, 5, 1:] == 0).all()
    assert (kept[:5, :5] == hidden[:5, :5]).all()


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 90},
        {"quality": 90, "progressive": True},
        {"quality": 90, "optimize": True},
        {"quality": 90, "restart_marker_rows": 1},
        {"qtables": [[260] * 64, [7] * 64]},
    ],
    ids=["plain", "progressive", "own Huffman tables", "restarts", "steps of 16 bits"],
)
def test_other_forms_of_coding(options: dict[str, Any]) -> None:
    data = jpeg(photograph(), **options)
    frame = decode_jpeg(data)
    pixels, written = masked(frame, np.zeros((90, 141), np.bool_))
    assert (decode_jpeg(written).pixels == frame.pixels).all()
    assert len(written) < 1.1 * len(data)
    mask = spots((90, 141))
    pixels, written = masked(frame, mask)
    assert psnr(decode_jpeg(written).pixels[mask], pixels[mask]) > 20
    with Image.open(BytesIO(written)) as picture:
        picture.load()
        assert "progressive" not in picture.info


@pytest.mark.parametrize("before", [(0, 1), (1, 0)])
@pytest.mark.parametrize("after", [(), (0,), (1,)])
def test_of_several_adobe_segments_the_decoders_one_says_what_the_colours_are(
    before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    def adobe(transform: int) -> bytes:
        return segment(0xEE, b"Adobe" + bytes((0, 100, 0, 0, 0, 0, transform)))

    coded = jpeg(photograph(), quality=90)[20:-2]  # without the JFIF segment
    header, rest = b"\xff\xd8" + b"".join(map(adobe, before)), b"".join(map(adobe, after))
    frame = decode_jpeg(header + coded + rest + b"\xff\xd9")
    assert frame.colour == ("rgb" if before[-1] == 0 else "ycc")
    _, written = masked(frame, np.zeros((90, 141), np.bool_))
    assert (decode_jpeg(written).pixels == frame.pixels).all()


def test_padding_before_restart_markers_is_dropped_and_blocks_are_kept() -> None:
    data = jpeg(photograph(), restart_marker_rows=1)
    padded = data.replace(b"\xff\xd1", b"\xff\0\xff\xd1", 1)
    frame = decode_jpeg(padded)
    _, written = masked(frame, np.zeros((90, 141), np.bool_))
    assert all((a == b).all() for a, b in zip(coefficients(data), coefficients(written), strict=True))


def test_encoding_with_a_mask_keeps_blocks_and_writes_the_metadata_it_is_given() -> None:
    data = jpeg(photograph(), comment=b"LEAK")
    frame = decode_jpeg(data)
    exif = b"Exif\0\0MM\0*" + bytes(range(200))
    mask = np.zeros((90, 141), np.bool_)
    written = encode_jpeg(frame.pixels, frame, quality="keep", exif=exif, mask=mask).data
    assert b"LEAK" not in written
    assert b"\xff\xe1\x00\xd4" + exif in written
    assert all((a == b).all() for a, b in zip(coefficients(data), coefficients(written), strict=True))
    without = encode_jpeg(frame.pixels, frame, quality="keep", exif=None, mask=mask).data
    assert b"Exif" not in without
    for quality in (30, 90):
        assert encode_jpeg(frame.pixels, frame, quality=quality, exif=exif, mask=mask) == encode_jpeg(
            frame.pixels, frame, quality=quality, exif=exif
        )


def _redefined() -> bytes:
    data = jpeg(photograph(), quality=90)
    table = data.index(b"\xff\xdb")
    end = data.index(b"\xff\xda")
    other = bytes(byte + 1 for byte in data[table + 5 : table + 69])
    return data[:end] + b"\xff\xdb\x00\x43\x00" + other + data[end:]


def _unfinished() -> bytes:
    """A progressive file without its last scan, which refines the luma."""
    data = jpeg(photograph(), quality=90, progressive=True)
    return data[: data.rindex(b"\xff\xda")] + b"\xff\xd9"


def _without_steps() -> bytes:
    """Two steps of the first quantisation table are 0: no encoder writes that, decoders take it."""
    data = bytearray(jpeg(photograph(), quality=90))
    table = data.index(b"\xff\xdb") + 5
    data[table] = data[table + 9] = 0
    return bytes(data)


def _one_by_one() -> bytes:
    """A gray picture of 90 × 141 pixels whose components stand in scans of their own, 16 blocks to a coded unit."""
    data = jpeg(np.full((90, 141, 3), 128, np.uint8), quality=90)
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    header = bytearray(data[:scan])
    for number, factors in enumerate((0x42, 0x22, 0x22)):
        header[frame + 11 + 3 * number] = factors
    scans = [
        segment(0xDA, bytes((1, number, tables, 0, 63, 0)))
        + int(("1" + bits * blocks).ljust(1 + size, "1"), 2).to_bytes(size // 8 + 1, "big")[1:]
        for number, tables, bits, blocks in (
            (1, 0, "001010", 12 * 18),
            (2, 0x11, "0000", 12 * 9),
            (3, 0x11, "0000", 12 * 9),
        )
        if (size := -(-len(bits) * blocks // 8) * 8)
    ]
    return bytes(header) + b"".join(scans) + b"\xff\xd9"


@pytest.mark.parametrize(
    ("data", "fill", "words"),
    [
        (jpeg(photograph(), mode="CMYK"), FILL, "four-channel"),
        (jpeg(photograph(), mode="L"), (255, 0, 0), "cannot hold colours"),
        (_redefined(), FILL, "quantisation tables change"),
        (_unfinished(), FILL, "scans do not hold all of the detail"),
        (_one_by_one(), FILL, "too large for one scan"),
        (_without_steps(), FILL, "steps of 0"),
    ],
    ids=["cmyk", "colour on gray", "tables defined anew", "unfinished", "large units", "steps of 0"],
)
def test_where_the_form_forbids_it_the_picture_is_encoded_whole_and_the_log_says_so(
    data: bytes, fill: tuple[int, int, int], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    frame = decode_jpeg(data)
    mask = spots((90, 141))
    pixels = frame.pixels.copy()
    pixels[mask] = fill
    with caplog.at_level(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy's, of numbers that are none
        written = encode_jpeg(pixels, frame, quality="keep", exif=None, mask=mask, source="E6/a.jpg")
    assert written.reencoded is not None
    assert words in written.reencoded
    without = encode_jpeg(pixels, frame, quality="keep", exif=None)
    assert (without.data, without.reencoded) == (written.data, None)
    assert "E6/a.jpg: the whole picture is encoded again" in caplog.text
    assert words in caplog.text


def test_without_the_library_the_picture_is_encoded_whole(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(library, "files", lambda name: [])
    for cached in (library.load_library, libjpeg._proven):
        cached.cache_clear()
    frame = decode_jpeg(jpeg(photograph()))
    mask = np.zeros((90, 141), np.bool_)
    try:
        written = encode_jpeg(frame.pixels, frame, quality="keep", exif=None, mask=mask).data
    finally:
        for cached in (library.load_library, libjpeg._proven):
            cached.cache_clear()
    assert psnr(decode_jpeg(written).pixels, frame.pixels) > 45
    assert "Pillow's libjpeg is not available" in caplog.text
