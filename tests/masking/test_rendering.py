from __future__ import annotations

from collections.abc import Callable

import cv2  # noqa: TID253 - the test of a module that uses it
import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from anonymisation.masking.labels import CLASSES
from anonymisation.masking.rendering import FALLBACK_COLOUR, Appearance, redact
from anonymisation.settings import Settings

COLOUR_BLUR = Appearance(15, None, gray=False, normalised=False)
GRAY_BLUR = Appearance(15, None, gray=True, normalised=False)
NORMALISED = Appearance(15, None, gray=True, normalised=True)
ONE_COLOUR = Appearance(None, (50, 60, 70), gray=True, normalised=True)
PER_CLASS = Appearance(None, None, gray=False, normalised=False)
ALL = [COLOUR_BLUR, GRAY_BLUR, NORMALISED, ONE_COLOUR, PER_CLASS]


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture with both coarse and fine structure."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(random.integers(0, 256, (8, 8, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    return (coarse // 2 + random.integers(0, 128, (height, width, 3), np.uint8)).astype(np.uint8)


def several() -> Detections:
    boxes = [[0, 0, 0.15, 0.1], [0.4, 0.9, 0.6, 1], [0.45, 0.4, 0.6, 0.5], [0.5, 0.45, 0.65, 0.55], [0.9, 0.2, 1, 0.3]]
    masks = np.random.default_rng(3).random((5, 9, 9))
    masks[:, 2:7, 2:7] = 1
    return Detections.of(boxes, [0.9] * 5, [1, 3, 3, 8, 2], masks)


def test_settings_become_appearance(settings_with: Callable[..., Settings]) -> None:
    made = Appearance.from_settings(settings_with(blur=20, gray_blur=True, normalized_gray_blur=False))
    assert made == Appearance(20, None, gray=True, normalised=False)
    made = Appearance.from_settings(settings_with(blur=None, mask_color=[1, 2, 3], gray_blur=False))
    assert made == Appearance(None, (1, 2, 3), gray=False, normalised=False)


@pytest.mark.parametrize(
    "values", [(0, None, True, True), (None, (0, 0, 256), True, True), (15, None, False, True), (float("nan"),) * 4]
)
def test_impossible_appearances_are_refused(values: tuple[object, ...]) -> None:
    with pytest.raises(ValueError):
        Appearance(*values)  # type: ignore[arg-type]


@pytest.mark.parametrize("appearance", ALL)
@pytest.mark.parametrize("dilation", [0, 4])
def test_outside_the_mask_every_bit_stays(appearance: Appearance, dilation: int) -> None:
    pixels = noise(300, 500)
    before = pixels.copy()
    result = redact(pixels, several(), appearance, dilation)
    assert np.array_equal(result.mask, union(several(), 300, 500, dilation))
    assert 0 < result.mask.mean() < 0.5
    assert np.array_equal(result.pixels[~result.mask], before[~result.mask])
    assert np.array_equal(pixels, before)
    assert result.pixels.dtype == np.uint8


def test_a_read_only_picture_is_fine_and_nothing_found_changes_nothing() -> None:
    pixels = noise(60, 90)
    pixels.flags.writeable = False
    result = redact(pixels, Detections.empty(), NORMALISED, 4)
    assert np.array_equal(result.pixels, pixels)
    assert not result.mask.any()


@pytest.mark.parametrize("appearance", ALL)
def test_in_place_is_the_same_as_in_a_copy(appearance: Appearance) -> None:
    boxes = [[0.1, 0.1, 0.5, 0.4], [0.4, 0.35, 0.8, 0.7], [0.45, 0.6, 0.6, 0.9]]  # each within the next one's blur
    found = Detections.of(boxes, [0.9] * 3, [1, 3, 8])
    pixels = noise(1300, 2300)
    copied = redact(pixels, found, appearance, 4)
    changed = redact(pixels, found, appearance, 4, in_place=True)
    assert changed.pixels is pixels
    assert np.array_equal(changed.pixels, copied.pixels)
    assert np.array_equal(changed.mask, copied.mask)


@pytest.mark.parametrize("size", [(300, 500), (1500, 2300), (12, 900)])
@pytest.mark.parametrize("appearance", [COLOUR_BLUR, GRAY_BLUR, NORMALISED])
def test_blur_equals_that_of_the_whole_picture(appearance: Appearance, size: tuple[int, int]) -> None:
    height, width = size
    pixels = noise(height, width)
    side = int(15 / 1000 * width)
    if appearance.gray:
        luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        whole = cv2.blur(luma, (side, side)).astype(int)
        if appearance.normalised:
            wide = int(1.2 * side)
            whole = np.clip(whole - cv2.blur(luma, (wide, wide)).astype(int) + 100, 0, 255)
        whole = np.repeat(whole[:, :, None], 3, axis=2)
    else:
        whole = cv2.blur(pixels, (side, side))
    result = redact(pixels, several(), appearance, 2)
    assert np.array_equal(result.pixels[result.mask], whole[result.mask])


def test_luma_is_that_of_bt_601() -> None:
    pixels = np.zeros((100, 400, 3), np.uint8)
    found = Detections.of([[0.4, 0.4, 0.6, 0.6]], [1], [1])
    for channel, weight in enumerate((0.299, 0.587, 0.114)):
        pixels[:] = 0
        pixels[..., channel] = 200
        hidden = redact(pixels, found, GRAY_BLUR, 0)
        assert np.all(np.abs(hidden.pixels[hidden.mask] - 200 * weight) <= 1)


@pytest.mark.parametrize("level", [0, 100, 255])
def test_normalised_blur_saturates_and_levels_bright_and_dark(level: int) -> None:
    pixels = np.full((200, 1000, 3), level, np.uint8)
    found = Detections.of([[0.2, 0.4, 0.6, 0.5]], [1], [3])
    hidden = redact(pixels, found, NORMALISED, 0)
    assert np.all(hidden.pixels[hidden.mask] == 100)
    # The strongest contrast there is would leave 8 bits on both sides.
    stripes = pixels.copy()
    stripes[:] = 0
    stripes[:, ::2] = 255
    stripes[:, 450:, :] = 255 - level
    values = redact(stripes, found, Appearance(100, None, gray=True, normalised=True), 0)
    wide = cv2.blur(stripes[..., 0], (100, 100)).astype(int) - cv2.blur(stripes[..., 0], (120, 120)) + 100
    assert np.array_equal(values.pixels[values.mask][:, 0], np.clip(wide, 0, 255)[values.mask])


@pytest.mark.parametrize("appearance", [COLOUR_BLUR, GRAY_BLUR, NORMALISED])
def test_gray_pictures_stay_gray_under_blur(appearance: Appearance) -> None:
    gray = noise(200, 400)[..., :1].repeat(3, axis=2)
    result = redact(gray, several(), appearance, 3).pixels
    assert np.array_equal(result[..., 0], result[..., 1])
    assert np.array_equal(result[..., 0], result[..., 2])


def plate(height: int, width: int, text: str, letter_pixels: int) -> tuple[NDArray[np.uint8], Detections]:
    """A picture with black text on a white car, whose box is twenty letters high and wide."""
    pixels = np.full((height, width, 3), 90, np.uint8)
    side = 20 * letter_pixels
    top, left = (height - side) // 2, (width - side) // 2
    pixels[top : top + side, left : left + side] = 255
    scale = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_SIMPLEX, letter_pixels)
    for row in range(2, 19, 2):
        place = (left + letter_pixels, top + row * letter_pixels)
        cv2.putText(pixels, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), max(1, letter_pixels // 8))
    box = [top / height, left / width, (top + side) / height, (left + side) / width]
    return pixels, Detections.of([box], [0.9], [3])


@pytest.mark.parametrize("appearance", ALL)
@pytest.mark.parametrize("letter_pixels", [6, 9, 14, 22, 34])
def test_text_inside_the_mask_cannot_be_told_from_other_text(appearance: Appearance, letter_pixels: int) -> None:
    """Of two different plates, what remains after hiding differs by a small share of what differed before."""
    size = (720, 1000)
    one, found = plate(*size, "AB 12345", letter_pixels)
    other, _ = plate(*size, "ZX 98067", letter_pixels)
    hidden = [redact(pixels, found, appearance, 0) for pixels in (one, other)]
    before = np.abs(one.astype(int) - other)[hidden[0].mask]
    after = np.abs(hidden[0].pixels.astype(int) - hidden[1].pixels)[hidden[0].mask]
    assert before.max() > 150
    assert after.max() < 0.25 * before.max()
    assert after.mean() < 0.25 * before.mean() + 1


@pytest.mark.parametrize("appearance", ALL)
def test_fine_patterns_inside_the_mask_are_gone(appearance: Appearance) -> None:
    pixels = np.zeros((400, 1000, 3), np.uint8)
    pixels[::2, 1::2] = pixels[1::2, ::2] = 255
    found = Detections.of([[0.3, 0.45, 0.6, 0.55]], [1], [1])
    hidden = redact(pixels, found, appearance, 0)
    rows, columns = np.where(hidden.mask)
    inside = hidden.pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(int)
    assert np.abs(np.diff(inside, axis=0)).max() <= 16
    assert np.abs(np.diff(inside, axis=1)).max() <= 16


@pytest.mark.parametrize("width", [60, 199])
def test_a_blur_that_is_too_small_for_the_picture_becomes_a_fill(width: int) -> None:
    pixels = noise(100, width)
    found = Detections.of([[0.2, 0.2, 0.6, 0.6], [0.7, 0.7, 0.9, 0.9]], [1, 1], [3, 6])
    neutral = redact(pixels, found, NORMALISED, 0)
    assert np.all(neutral.pixels[neutral.mask] == FALLBACK_COLOUR)
    one = redact(pixels, found, Appearance(15, (1, 2, 3), gray=False, normalised=False), 0)
    assert np.all(one.pixels[one.mask] == (1, 2, 3))
    assert NORMALISED.blur_side(200) == 3


def test_only_the_object_that_the_blur_is_too_small_for_is_filled() -> None:
    pixels = noise(600, 1000)  # the blur's box is 15 pixels, so that an object may be 180 wide or high
    near, far = [0, 0, 0.5, 0.2], [0.5, 0.5, 1, 0.65]
    hidden = redact(pixels, Detections.of([near, far], [1, 1], [1, 3]), GRAY_BLUR, 0)
    assert np.all(hidden.pixels[10:290, 10:190] == FALLBACK_COLOUR)
    assert len(np.unique(hidden.pixels[310:590, 510:640])) > 5


def test_pieces_of_a_large_object_are_measured_together() -> None:
    pixels = noise(600, 1000)
    boxes = [[0, 0, 0.5, 0.1], [0, 0.08, 0.5, 0.2]]
    apart = redact(pixels, Detections.of(boxes, [1, 1], [3, 3]), GRAY_BLUR, 0)
    together = redact(pixels, Detections.of(boxes, [1, 1], [3, 3], objects=[0, 0]), GRAY_BLUR, 0)
    assert not np.all(apart.pixels[apart.mask] == FALLBACK_COLOUR)
    assert np.all(together.pixels[together.mask] == FALLBACK_COLOUR)


def test_every_class_is_filled_with_its_colour() -> None:
    pixels = noise(100, 120)
    boxes = [[0.1, index / 6, 0.9, (index + 1) / 6] for index in range(6)]
    filled = redact(pixels, Detections.of(boxes, [1] * 6, [kind.coco_id for kind in CLASSES]), PER_CLASS, 0)
    assert [tuple(filled.pixels[50, 10 + 20 * index]) for index in range(6)] == [kind.colour for kind in CLASSES]


def test_where_fills_overlap_the_lower_class_is_on_top_whatever_the_order() -> None:
    pixels = noise(100, 100)
    ids = [kind.coco_id for kind in CLASSES]
    boxes = [[0.1, 0.1, 0.9, 0.2 + 0.1 * index] for index in range(6)]
    forward = redact(pixels, Detections.of(boxes, [1] * 6, ids), PER_CLASS, 0)
    backward = redact(pixels, Detections.of(boxes[::-1], [1] * 6, ids[::-1]), PER_CLASS, 0)
    assert np.array_equal(forward.pixels, backward.pixels)
    seen = [tuple(forward.pixels[50, column]) for column in (15, 25, 35, 45, 55, 65)]
    assert seen == [kind.colour for kind in CLASSES]


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4)])
def test_other_pictures_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        redact(np.zeros(shape, np.uint8), Detections.empty(), NORMALISED, 0)
    with pytest.raises(ValueError, match="expected uint8"):
        redact(np.zeros((10, 10, 3), np.float32), Detections.empty(), NORMALISED, 0)  # type: ignore[arg-type]
