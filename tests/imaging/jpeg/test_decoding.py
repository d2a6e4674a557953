"""Which JPEG files are decoded, to what, and what is refused with which words."""

from __future__ import annotations

import re
from base64 import b85decode
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from anonymisation.core.errors import UnreadableImageError
from anonymisation.core.settings import load_settings
from anonymisation.imaging.jpeg import decoding, libjpeg
from anonymisation.imaging.jpeg.codec import decode_jpeg, jpeg_size, sound_size, to_upright
from anonymisation.imaging.jpeg.segments import MAX_PIXELS, MAX_SCANS
from anonymisation.imaging.thumbnail import thumbnail
from tests.imaging.builders import jpeg, psnr, scene, segment, with_segments

KINDS = {
    "baseline": jpeg(),
    "progressive": jpeg(progressive=True),
    "restarts": jpeg(restart_marker_rows=1),
    "full chroma": jpeg(subsampling=0),
    "rgb": jpeg(keep_rgb=True),
    "gray": jpeg(mode="L"),
    "cmyk": jpeg(mode="CMYK"),
}
RESTART = re.compile(rb"\xff[\xd0-\xd7]")


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_those_of_another_decoder(kind: str) -> None:
    frame = decode_jpeg(KINDS[kind])
    expected = np.asarray(Image.open(BytesIO(KINDS[kind])).convert("RGB"))
    assert psnr(frame.pixels, expected) > 45
    assert frame.pixels.shape == (96, 144, 3)
    assert not frame.pixels.flags.writeable


@pytest.mark.parametrize(
    ("kind", "colour", "sampling", "tables"),
    [
        ("baseline", "ycc", "4:2:0", 2),
        ("full chroma", "ycc", "4:4:4", 2),
        ("rgb", "rgb", "4:4:4", 1),
        ("gray", "gray", "4:4:4", 1),
        ("cmyk", "cmyk", "4:4:4", 1),
    ],
)
def test_frame_says_how_the_file_stores_it(kind: str, colour: str, sampling: str, tables: int) -> None:
    frame = decode_jpeg(KINDS[kind])
    assert (frame.colour, frame.sampling, len(frame.quantisation)) == (colour, sampling, tables)


def test_quantisation_tables_are_those_of_the_file() -> None:
    with Image.open(BytesIO(KINDS["baseline"])) as picture:
        assert isinstance(picture, JpegImageFile)
        expected = tuple(tuple(table) for table in picture.quantization.values())
    assert decode_jpeg(KINDS["baseline"]).quantisation == expected


def test_gray_comes_as_three_equal_channels() -> None:
    pixels = decode_jpeg(KINDS["gray"]).pixels
    assert (pixels == pixels[..., :1]).all()


def test_inverted_cmyk_of_adobe_comes_out_right_way_round() -> None:
    red = np.zeros((16, 16, 3), np.uint8) + np.array([200, 30, 30], np.uint8)
    pixels = decode_jpeg(jpeg(red, mode="CMYK", quality=95)).pixels
    assert np.abs(pixels.astype(int) - red).max() < 12


@pytest.mark.parametrize("kind", KINDS)
def test_truncation_anywhere_is_refused(kind: str) -> None:
    data = KINDS[kind]
    for cut in [*range(40), *range(40, len(data) - 2, 61), len(data) - 2, len(data) - 1]:
        with pytest.raises(UnreadableImageError):
            decode_jpeg(data[:cut])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "progressive"])
def test_truncated_scan_with_the_end_marker_put_back_is_refused(kind: str) -> None:
    data = KINDS[kind]
    scan = data.index(b"\xff\xda") + 20
    for cut in range(scan, len(data) - 12, 97):
        with pytest.raises(UnreadableImageError, match=r"truncated|corrupt"):
            decode_jpeg(data[:cut].rstrip(b"\xff") + b"\xff\xd9")


def test_zeroed_sector_in_the_scan_is_refused() -> None:
    data = jpeg(scene(400, 600), quality=90)
    middle = len(data) // 2
    with pytest.raises(UnreadableImageError, match="corrupt"):
        decode_jpeg(data[:middle] + bytes(2048) + data[middle + 2048 :])


def test_swapped_restart_intervals_are_refused() -> None:
    data = KINDS["restarts"]
    with pytest.raises(UnreadableImageError, match="corrupt"):
        decode_jpeg(data.replace(b"\xff\xd1", b"\xff\xd5", 1))


@pytest.mark.parametrize("kind", KINDS)
def test_junk_after_the_end_changes_nothing(kind: str) -> None:
    expected = decode_jpeg(KINDS[kind]).pixels
    assert (decode_jpeg(KINDS[kind] + b"\xff\xd8junk" + KINDS["gray"]).pixels == expected).all()


def test_junk_between_header_segments_changes_nothing() -> None:
    data = KINDS["baseline"]
    tables = data.index(b"\xff\xdb")
    junk = data[:tables] + b"hello" + data[tables:]
    assert (decode_jpeg(junk).pixels == decode_jpeg(data).pixels).all()


def test_padding_bytes_before_restart_markers_change_nothing() -> None:
    data = KINDS["restarts"]
    padded = RESTART.sub(lambda found: b"\xff\x00" + found[0], data)
    assert padded != data
    assert (decode_jpeg(padded).pixels == decode_jpeg(data).pixels).all()


def test_missing_huffman_tables_are_the_standard_ones_as_in_mjpeg() -> None:
    data = KINDS["baseline"]
    start = data.index(b"\xff\xc4")
    bare = data[:start] + data[data.index(b"\xff\xda") :]
    assert (decode_jpeg(bare).pixels == decode_jpeg(data).pixels).all()


# A drawn scene of 56 × 40 pixels, 4:2:0, that libjpeg-turbo has coded arithmetically (SOF9).
ARITHMETIC = b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV01XKW3knDg3knMk4h;_zAQcl55)&sJ9v2`kDKRiEDJ?8BI!Zn>HbyrrEkIX6ModmpQ&KWM"
    "T47pHU`kO^PygEhLjevB4iga*CKVMXPc<zyPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPf!2J"
    "01*fPC;&JE0U`hb5di}c0sqVZ3IGrg1pyEd1^?Or3<CiG0ucid06zfIWNw~{FK*ERy20ol9q?jCl#H3dniTuJ?;ilJaZugAfJnO1"
    "z$1`qM<G?D7RyKN1sUBvp8GeZl)y8C=qKhXXj0~KW}v!aV?a<VaB4s$bTIQICvH*`e?^<*R>>y_9WKN&7exLq{(fMyjZW&lVO%f+"
    "W7@D~8tx8q@$E>0u;w0c{LFRy&Ql+9<jO1xxzk#52XS7+(l2N0Xzf(*K)sGtSxaH-nI7QFbMK%w**0bxdC)YIl+QB=c718&nNvA)"
    "Jo^6tl0Er5lPI^jtxgw0!tebqUh60+h7Q)d11f3G>uUc1c(tU%HG$bYU2KeOyLTCJ#R*V2eag>avTekKo**)CMg&}`n{I0%F@G&3"
    "UCZ@hCJSq)iD+is)zAf89QguzWq|+L"
)


@pytest.mark.parametrize("cut", [0, 1, 150, 300])
def test_arithmetic_coding_is_refused_whole_or_cut_since_nobody_can_tell(cut: int) -> None:
    whole = ARITHMETIC[: len(ARITHMETIC) - 2 - cut] + b"\xff\xd9"
    with pytest.raises(UnreadableImageError, match="arithmetic coding, in which a truncated picture cannot be"):
        decode_jpeg(whole)


def _patched(offset: int, value: bytes) -> bytes:
    data = KINDS["baseline"]
    at = data.index(b"\xff\xc0") + offset
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF89a", "GIF"),
        (b"RIFF\0\0\0\0WEBP", "WebP"),
        (bytes(4096), "zero bytes"),
        (b"<html>", "not a JPEG picture"),
        (b"\xff\xd8\xff\xd9", "no frame header"),
        (_patched(4, b"\x0c"), "12 bits per sample"),
        (_patched(1, b"\xc3"), "lossless"),
        (_patched(5, b"\0\0"), "144 × 0"),
        (_patched(7, b"\0\0"), "0 × 96"),
        (_patched(5, b"\xff\xff\xff\xff"), "too large: 65535 × 65535"),
        (_patched(5, b"\x20\x00\x20\x00"), "cannot hold 8192 × 8192"),
        (_patched(11, b"\x00"), "sampling factors"),
        (_patched(9, b"\x02"), "frame header has"),
        (KINDS["baseline"][:-2] + KINDS["baseline"], "second picture"),
        (KINDS["baseline"].replace(b"\xff\xdb", b"\xff\xec"), "Quantization table"),
    ],
)
def test_refusals_say_why(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableImageError, match=words):
        decode_jpeg(data)


def test_too_many_scans_are_refused() -> None:
    data = KINDS["progressive"]
    start = data.rindex(b"\xff\xda")
    with pytest.raises(UnreadableImageError, match=f"at most {MAX_SCANS}"):
        decode_jpeg(data[:-2] + data[start:-2] * MAX_SCANS + b"\xff\xd9")


def test_unusual_sampling_is_decoded_and_its_restarts_are_counted() -> None:
    # Four channels, the first twice as fine: a form that libjpeg-turbo's own interface has no name for.
    data = bytearray(jpeg(scene(32, 64), mode="CMYK", restart_marker_blocks=1))
    frame = data.index(b"\xff\xc0")
    data[frame + 11] = 0x21
    with pytest.raises(UnreadableImageError, match="restart markers"):
        decode_jpeg(bytes(data))


RARE = jpeg(scene(64, 96, 1), mode="CMYK", subsampling=2, quality=90)  # four channels, one of them twice as fine


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        (RARE[: len(RARE) * 2 // 3] + b"\xff\xd9", "premature end"),
        (RARE[:-2] + RARE[-200:-2] + b"\xff\xd9", "extraneous bytes"),
    ],
    ids=["cut short", "data too many"],
)
def test_of_unusual_sampling_too_what_is_damaged_is_refused(damaged: bytes, words: str) -> None:
    assert decode_jpeg(RARE).pixels.shape == (64, 96, 3)
    with pytest.raises(UnreadableImageError, match=f"truncated or corrupt picture data: .*{words}"):
        decode_jpeg(damaged)


def test_unusual_sampling_is_refused_where_it_cannot_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libjpeg, "find_library", lambda: None)
    with pytest.raises(UnreadableImageError, match="cannot be checked for damage"):
        decode_jpeg(RARE)


def test_size_comes_from_a_prefix() -> None:
    data = with_segments(KINDS["baseline"], segment(0xE1, KINDS["gray"]))
    assert jpeg_size(data[: data.rindex(b"\xff\xda")]) == (144, 96)
    with pytest.raises(UnreadableImageError, match="no frame header"):
        jpeg_size(data[:30])


def test_the_limit_is_the_callers_and_by_default_that_of_the_settings() -> None:
    assert load_settings().settings.max_picture_pixels == MAX_PIXELS > 16_320 * 12_240
    for read in (decode_jpeg, sound_size, jpeg_size):
        assert read(KINDS["baseline"], max_pixels=144 * 96)
        with pytest.raises(UnreadableImageError, match="144 × 96 pixels, and max_picture_pixels allows 13823"):
            read(KINDS["baseline"], max_pixels=144 * 96 - 1)


@pytest.mark.parametrize("kind", ["baseline", "cmyk", "rare"])
def test_no_other_limit_stands_in_the_way(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = RARE if kind == "rare" else KINDS[kind]
    assert decode_jpeg(data).pixels.size
    assert thumbnail(data, 48).width == 48


def test_four_channels_are_converted_in_bands_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # no CMYK profile: not usable
    for data in (KINDS["cmyk"], RARE, jpeg(mode="CMYK", icc_profile=profile)):
        monkeypatch.setattr(decoding, "_PIXELS_AT_ONCE", 1 << 20)
        at_once = decode_jpeg(data).pixels
        monkeypatch.setattr(decoding, "_PIXELS_AT_ONCE", 1000)
        assert (decode_jpeg(data).pixels == at_once).all()
        with Image.open(BytesIO(data)) as picture:
            assert (np.asarray(picture.convert("RGB")) == at_once).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_shows(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(exif=exif.tobytes())
    with Image.open(BytesIO(data)) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    assert psnr(np.asarray(to_upright(decode_jpeg(data).pixels, orientation)), expected) > 45


def test_upright_refuses_other_orientations() -> None:
    with pytest.raises(ValueError, match="expected 1 to 8, got 9"):
        to_upright(scene(), 9)


@settings(max_examples=300)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    changes=st.lists(st.tuples(st.integers(2, 4000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_corrupt_bytes_are_decoded_or_refused_and_nothing_else(kind: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(KINDS[kind])
    for position, value in changes:
        data[2 + position % (len(data) - 2)] = value
    try:
        frame = decode_jpeg(bytes(data))
    except UnreadableImageError:
        return
    assert frame.pixels.shape[:2][::-1] == jpeg_size(bytes(data))
