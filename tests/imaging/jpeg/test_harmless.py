"""Warnings of libjpeg that change no pixel: such files decode as the clean ones, and nothing of it is passed on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import features

from anonymisation.core.errors import UnreadableImageError
from anonymisation.imaging.jpeg import harmless, library
from anonymisation.imaging.jpeg.codec import decode_jpeg, encode_jpeg, sound_size
from anonymisation.imaging.jpeg.libjpeg import decoder_warnings
from anonymisation.imaging.jpeg.segments import SOS, Segment, read_structure, segments_of
from tests.imaging.builders import jpeg, photograph, segment, with_segments

PIXELS = photograph(61, 99)
KINDS = {
    "ycc": jpeg(PIXELS),
    "full chroma": jpeg(PIXELS, subsampling="4:4:4"),
    "restarts": jpeg(PIXELS, restart_marker_rows=1),
    "gray": jpeg(PIXELS, mode="L"),
    "cmyk": jpeg(PIXELS, mode="CMYK"),
    "rare": jpeg(PIXELS, mode="CMYK", subsampling=2),
}


def with_selection(data: bytes, selection: bytes) -> bytes:
    """The file with Ss, Se and Ah/Al of every scan replaced."""
    for part in segments_of(data):
        if isinstance(part, Segment) and part.marker == SOS:
            data = data.replace(part.encoded(), Segment(SOS, part.payload[:-3] + selection, part.scan).encoded())
    return data


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe" + bytes((0, 100, 0, 0, 0, 0, transform)))


def require_same(data: bytes, clean: bytes) -> None:
    """`data` causes a warning, decodes as `clean`, and an output made of it causes none."""
    assert decoder_warnings(data)
    expected, frame = decode_jpeg(clean), decode_jpeg(data)
    assert (frame.pixels == expected.pixels).all()
    assert sound_size(data) == sound_size(clean)
    nothing = np.zeros(frame.pixels.shape[:2], np.bool_)
    kept, same = (encode_jpeg(f.pixels, f, quality="keep", exif=None, mask=nothing) for f in (frame, expected))
    assert kept == same
    assert not decoder_warnings(kept.data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "selection", [(0, 0, 0), (1, 63, 0), (0, 63, 1), (0, 63, 0x10), (63, 0, 0x21), (255, 255, 255)]
)
def test_numbers_of_a_progressive_scan_mean_nothing_in_a_sequential_one(
    kind: str, selection: tuple[int, int, int]
) -> None:
    require_same(with_selection(KINDS[kind], bytes(selection)), KINDS[kind])


def test_a_progressive_file_with_a_sequential_header_is_refused() -> None:
    data = jpeg(PIXELS, progressive=True).replace(b"\xff\xc2", b"\xff\xc0", 1)
    with pytest.raises(UnreadableImageError, match=r"more than one scan|Invalid SOS parameters"):
        decode_jpeg(data)


@pytest.mark.parametrize("transform", [2, 3, 5, 255])
def test_an_unknown_colour_transform_of_three_channels_is_ycc(transform: int) -> None:
    bare = b"\xff\xd8" + KINDS["ycc"][20:]  # without the JFIF segment, which would count
    require_same(with_segments(bare, adobe(transform)), with_segments(bare, adobe(1)))


@pytest.mark.parametrize("transform", [1, 7])
def test_an_unknown_colour_transform_of_four_channels_is_ycck(transform: int) -> None:
    clean = KINDS["cmyk"]
    at = clean.index(b"Adobe") + 11
    require_same(clean[:at] + bytes((transform,)) + clean[at + 1 :], clean[:at] + b"\2" + clean[at + 1 :])


@pytest.mark.parametrize("version", [(0, 0), (2, 1), (9, 9)])
def test_an_unknown_version_of_jfif_changes_nothing(version: tuple[int, int]) -> None:
    clean = KINDS["ycc"]
    require_same(clean[:11] + bytes(version) + clean[13:], clean)


@pytest.mark.parametrize("before", [b"\xff\xdb", b"\xff\xc0", b"\xff\xc4", b"\xff\xda"])
@pytest.mark.parametrize("junk", [b"\0", bytes(20), b"\xff\0\xff\0", b"x\xff\xd3y", b"DJI" * 700])
def test_junk_between_segments_changes_nothing(before: bytes, junk: bytes) -> None:
    clean = KINDS["ycc"]
    at = clean.index(before)
    require_same(clean[:at] + junk + clean[at:], clean)


def test_every_warning_of_the_library_is_in_the_table() -> None:
    assert features.version("libjpeg_turbo")
    found = library.load_library()
    assert found is not None
    binary = Path(found.path).read_bytes()
    parts = [row.split("|")[2].strip() for row in (harmless.__doc__ or "").splitlines() if row.startswith("| JWRN")]
    texts = [part.replace("…", "").strip().encode() for part in parts if "RST" not in part]
    assert len(parts) == 12
    assert all(text in binary for text in texts)
    corrupt = [text for text in binary.split(b"\0") if text.startswith(b"Corrupt JPEG data: ")]
    assert len(corrupt) == 6
    assert all(
        any(text.split(b"%", 1)[0].split(b": ")[1][:12] in b"found marker" or known in text for known in texts)
        for text in corrupt
    )


def test_the_cases(cases: Path) -> None:
    pictures = cases / "pictures"
    for name in ("sos_se0.jpg", "sos_ss1_se63.jpg", "extra_20_before_eoi.jpg"):
        data = (pictures / name).read_bytes()
        coded = read_structure(data)
        assert sound_size(data) == (coded.width, coded.height)
        assert decode_jpeg(data).pixels.shape == (coded.height, coded.width, 3)
    with pytest.raises(UnreadableImageError, match="arithmetic"):
        decode_jpeg((pictures / "arith_cut.jpg").read_bytes())
