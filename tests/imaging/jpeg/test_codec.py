"""What is written: nothing visible lost, in the form of the original."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.JpegImagePlugin import JpegImageFile

from anonymisation.core.errors import ImageWriteError
from anonymisation.imaging.jpeg.codec import Frame, decode_jpeg, encode_jpeg
from tests.imaging.builders import icc_profile, icc_segments, jpeg, psnr, scene, with_segments

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _again(data: bytes, quality: int | str = "keep") -> tuple[Frame, Frame, bytes]:
    before = decode_jpeg(data)
    written = encode_jpeg(before.pixels, before, quality=quality, exif=None).data  # type: ignore[arg-type]
    return before, decode_jpeg(written), written


@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": s, "quality": q, "progressive": p}
        for s in (0, 1, 2)
        for q in (40, 75, 96)
        for p in (False, True)
    ],
)
def test_untouched_picture_comes_out_as_it_was(options: dict[str, Any]) -> None:
    before, after, written = _again(jpeg(scene(200, 304), **options))
    assert psnr(before.pixels, after.pixels) > 48
    assert (after.quantisation, after.sampling) == (before.quantisation, before.sampling)
    assert len(written) < 1.5 * len(jpeg(scene(200, 304), **options)) + 1000


def test_second_generation_of_gray_is_all_but_equal() -> None:
    before, after, written = _again(jpeg(scene(200, 304), mode="L", quality=80))
    assert psnr(before.pixels, after.pixels) > 55
    with Image.open(BytesIO(written)) as picture:
        assert picture.mode == "L"


def test_coloured_mask_on_a_gray_original_is_seen_in_colour() -> None:
    before = decode_jpeg(jpeg(mode="L"))
    pixels = before.pixels.copy()
    pixels[16:48, 16:48] = (255, 0, 0)
    written = encode_jpeg(pixels, before, quality="keep", exif=None).data
    after = decode_jpeg(written).pixels
    assert np.abs(after[20:44, 20:44].astype(int) - [255, 0, 0]).max() < 30
    assert psnr(after[:, 64:], pixels[:, 64:]) > 40


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("quality", [1, 50, 100])
def test_quality_is_the_usual_one(mode: str, quality: int) -> None:
    _, _, written = _again(jpeg(mode=mode, quality=90), quality)
    with Image.open(BytesIO(written)) as picture, Image.open(BytesIO(jpeg(quality=quality))) as usual:
        assert isinstance(picture, JpegImageFile)
        assert isinstance(usual, JpegImageFile)
        assert picture.quantization[0] == usual.quantization[0]


def test_more_quality_is_nearer() -> None:
    data = jpeg(scene(200, 304), quality=96)
    errors = [psnr(*(frame.pixels for frame in _again(data, quality)[:2])) for quality in (10, 50, 95)]
    assert errors == sorted(errors)


def test_cmyk_becomes_rgb_of_the_same_look() -> None:
    before, after, written = _again(jpeg(scene(200, 304), mode="CMYK", quality=85))
    assert after.colour == "ycc"
    assert b"Adobe" not in written
    assert psnr(before.pixels, after.pixels) > 38


def test_rgb_stays_rgb() -> None:
    before, after, _ = _again(jpeg(keep_rgb=True))
    assert after.colour == "rgb"
    assert psnr(before.pixels, after.pixels) > 48


def test_tables_of_16_bits_survive() -> None:
    tables = [[1 + 9 * i for i in range(64)], [300] * 64]
    before, after, _ = _again(jpeg(qtables=tables))
    assert before.quantisation == tuple(tuple(table) for table in tables)
    assert after.quantisation == before.quantisation


def test_colour_profile_is_kept_and_means_the_same() -> None:
    _, _, written = _again(jpeg(icc_profile=SRGB))
    with Image.open(BytesIO(written)) as picture:
        profile = ImageCms.ImageCmsProfile(BytesIO(picture.info["icc_profile"]))
    patch = Image.fromarray(scene(32, 32))
    other = ImageCms.createProfile("LAB")
    ours = ImageCms.profileToProfile(patch, profile, other, outputMode="LAB")
    original = ImageCms.profileToProfile(patch, ImageCms.ImageCmsProfile(BytesIO(SRGB)), other, outputMode="LAB")
    assert ours is not None
    assert original is not None
    assert ours.tobytes() == original.tobytes()


def test_texts_and_unknown_tags_of_a_profile_are_dropped() -> None:
    with Image.open(BytesIO(jpeg(icc_profile=SRGB))) as picture:
        assert picture.info["icc_profile"] == SRGB
    curve = b"curv\0\0\0\0\0\0\0\0"
    xyz = b"XYZ \0\0\0\0" + bytes(12)
    secrets = dict.fromkeys(
        (b"desc", b"cprt", b"dmnd", b"mmod", b"meta", b"vcgt"), b"text\x00\x00\x00\x00LEAK\x00\x00\x00\x00"
    )
    colours = {
        name: curve if name[1:] == b"TRC" else xyz for name in (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    }
    profile = icc_profile(b"RGB ", {**secrets, **colours})
    _, after, written = _again(with_segments(jpeg(), *icc_segments(profile, 200)))
    assert b"LEAK" not in written
    assert after.icc_profile is not None
    assert b"rXYZ" in after.icc_profile


def test_profile_for_other_colours_is_dropped() -> None:
    gray = icc_profile(b"GRAY", {b"kTRC": b"curv\0\0\0\0\0\0\0\0", b"wtpt": b"XYZ \0\0\0\0" + bytes(12)})
    assert decode_jpeg(with_segments(jpeg(), *icc_segments(gray))).icc_profile is None
    assert decode_jpeg(with_segments(jpeg(mode="CMYK"), *icc_segments(SRGB))).icc_profile is None
    before = decode_jpeg(with_segments(jpeg(mode="L"), *icc_segments(gray)))
    assert before.icc_profile is not None
    pixels = before.pixels.copy()
    pixels[:32, :32] = (0, 0, 255)
    assert b"ICC_PROFILE" not in encode_jpeg(pixels, before, quality="keep", exif=None).data
    assert b"ICC_PROFILE" in encode_jpeg(before.pixels, before, quality="keep", exif=None).data


@pytest.mark.parametrize("keep", [slice(1, None), slice(0, 1)])
def test_profile_with_a_missing_part_is_dropped(keep: slice) -> None:
    parts = icc_segments(SRGB, 300)
    assert len(parts) > 1
    assert decode_jpeg(with_segments(jpeg(), *parts[keep])).icc_profile is None


def test_exif_is_written_as_given() -> None:
    frame = decode_jpeg(jpeg())
    exif = b"Exif\0\0MM\0*" + bytes(range(200))
    assert b"\xff\xe1\x00\xd4" + exif in encode_jpeg(frame.pixels, frame, quality="keep", exif=exif).data


def test_other_sizes_and_types_are_refused() -> None:
    frame = decode_jpeg(jpeg())
    with pytest.raises(ImageWriteError, match=r"\(96, 144, 3\).*\(48, 144, 3\)"):
        encode_jpeg(frame.pixels[:48], frame, quality="keep", exif=None)
    with pytest.raises(ImageWriteError, match="float32"):
        encode_jpeg(frame.pixels.astype(np.float32), frame, quality="keep", exif=None)
    with pytest.raises(ValueError, match="quality"):
        encode_jpeg(frame.pixels, frame, quality=0, exif=None)
    with pytest.raises(ImageWriteError, match="EXIF"):
        encode_jpeg(frame.pixels, frame, quality="keep", exif=bytes(70000))


def test_frame_refuses_other_pixels() -> None:
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\) uint8"):
        Frame(np.zeros((4, 4), np.uint8), "gray", (), "4:4:4", None)


def test_noise_at_full_quality_can_be_encoded() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (64, 3000, 3), dtype=np.uint8)
    _, after, _ = _again(jpeg(noise, quality=100, subsampling=0))
    assert after.pixels.shape == noise.shape
