"""Visible pixels that share a coded block with hidden ones keep no trace of them."""

from __future__ import annotations

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from anonymisation.imaging.jpeg.codec import decode_jpeg, encode_jpeg
from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from anonymisation.masking.rendering import Appearance, redact
from tests.imaging.builders import jpeg, photograph

UNIT = (16, 16)
FOUND = Detections.of([[0.25, 0.27, 0.61, 0.55]], [0.9], [1])
APPEARANCES = [
    Appearance(15, None, gray=True, normalised=True),
    Appearance(15, None, gray=False, normalised=False),
    Appearance(None, (9, 9, 9), gray=False, normalised=False),
]


def touched(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """All pixels of the squares of `side` pixels that contain a hidden one."""
    found = np.zeros_like(mask)
    for top in range(0, mask.shape[0], side):
        for left in range(0, mask.shape[1], side):
            square = np.s_[top : top + side, left : left + side]
            found[square] = mask[square].any()
    return found


@pytest.mark.parametrize("appearance", APPEARANCES)
def test_published_pixels_depend_only_on_pixels_coded_separately(appearance: Appearance) -> None:
    pixels = photograph(150, 230)
    made = redact(pixels, FOUND, appearance, 4, coded_unit=UNIT)
    objects = union(FOUND, 150, 230, 0)
    unit, block = (touched(objects, side) & ~made.mask for side in (16, 8))
    assert 50 < block.sum() < unit.sum() < 4000
    away = ~unit & ~made.mask
    assert np.array_equal(made.pixels[away], pixels[away])
    other = pixels.copy()
    other[block] = 255 - other[block]
    other[made.mask] = 0
    again = redact(other, FOUND, appearance, 4, coded_unit=UNIT)
    assert np.array_equal(again.pixels[~made.mask], made.pixels[~made.mask])
    if appearance.normalised:
        assert np.array_equal(again.pixels, made.pixels)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 255)])
def test_colour_that_bled_across_a_block_is_removed_and_luma_stays(colour: tuple[int, int, int]) -> None:
    pixels = np.full((160, 240, 3), 128, np.uint8)
    clean = redact(pixels, FOUND, APPEARANCES[0], 4, coded_unit=UNIT)
    bled = pixels.copy()
    unit = touched(union(FOUND, 160, 240, 0), 16) & ~clean.mask
    bled[unit] = (0.9 * bled[unit] + 0.1 * np.array(colour)).astype(np.uint8)
    made = redact(bled, FOUND, APPEARANCES[0], 4, coded_unit=UNIT)
    assert np.ptp(made.pixels[unit].astype(int), axis=1).max() <= 1
    assert np.abs(made.pixels[unit].astype(int).mean(axis=1) - bled[unit] @ [0.299, 0.587, 0.114]).max() < 35


def test_luma_stays_in_blocks_without_hidden_pixels() -> None:
    frame = decode_jpeg(jpeg(photograph(150, 230), subsampling="4:2:0", quality=90))
    made = redact(frame.pixels, FOUND, APPEARANCES[0], 4, coded_unit=frame.coded_unit)
    published = encode_jpeg(made.pixels, frame, quality="keep", exif=None, mask=made.mask).data
    assert frame.coded is not None
    before, after = (simplejpeg.decode_jpeg(data, "GRAY")[..., 0] for data in (frame.coded.stream(), published))
    blocks = touched(made.mask, 8)
    assert np.array_equal(before[~blocks], after[~blocks])


@pytest.mark.parametrize(
    ("options", "cell"),
    [({"subsampling": "4:2:0"}, (16, 16)), ({"subsampling": "4:2:2"}, (8, 16)), ({"subsampling": "4:4:4"}, (8, 8)),
     ({"mode": "L"}, (8, 8))],
)  # fmt: skip
def test_the_coded_unit_is_that_of_the_file(options: dict[str, str], cell: tuple[int, int]) -> None:
    assert decode_jpeg(jpeg(photograph(64, 96), **options)).coded_unit == cell
