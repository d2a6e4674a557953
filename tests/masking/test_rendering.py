from __future__ import annotations

from collections.abc import Callable

import cv2  # noqa: TID253 - tests a module that uses it
import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.core.settings import Settings
from anonymisation.masking.backdrop import NEUTRAL
from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from anonymisation.masking.labels import CLASSES
from anonymisation.masking.rendering import Appearance, redact
from anonymisation.masking.tones import quantised, regions, tone_of

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
    return np.asarray(coarse // 2 + random.integers(0, 128, (height, width, 3), np.uint8), np.uint8)


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
def test_pixels_outside_the_mask_stay_unchanged(appearance: Appearance, dilation: int) -> None:
    pixels = noise(300, 500)
    before = pixels.copy()
    result = redact(pixels, several(), appearance, dilation)
    assert np.array_equal(result.mask, union(several(), 300, 500, dilation))
    assert 0 < result.mask.mean() < 0.5
    assert np.array_equal(result.pixels[~result.mask], before[~result.mask])
    assert np.array_equal(pixels, before)
    assert result.pixels.dtype == np.uint8


def test_a_read_only_picture_is_accepted_and_stays_unchanged_without_detections() -> None:
    pixels = noise(60, 90)
    pixels.flags.writeable = False
    result = redact(pixels, Detections.empty(), NORMALISED, 4)
    assert np.array_equal(result.pixels, pixels)
    assert not result.mask.any()


@pytest.mark.parametrize("appearance", ALL)
def test_in_place_gives_the_same_pixels_as_a_copy(appearance: Appearance) -> None:
    boxes = [[0.1, 0.1, 0.5, 0.4], [0.4, 0.35, 0.8, 0.7], [0.45, 0.6, 0.6, 0.9]]  # each within the next one's blur
    found = Detections.of(boxes, [0.9] * 3, [1, 3, 8])
    pixels = noise(1300, 2300)
    copied = redact(pixels, found, appearance, 4)
    changed = redact(pixels, found, appearance, 4, in_place=True)
    assert changed.pixels is pixels
    assert np.array_equal(changed.pixels, copied.pixels)
    assert np.array_equal(changed.mask, copied.mask)


@pytest.mark.parametrize("size", [(300, 500), (1500, 2300), (12, 900)])
@pytest.mark.parametrize("appearance", [COLOUR_BLUR, GRAY_BLUR])
def test_it_is_the_blur_of_a_picture_without_the_hidden_pixels(appearance: Appearance, size: tuple[int, int]) -> None:
    height, width = size
    pixels = noise(height, width)
    side = int(15 / 1000 * width)
    found = Detections.of([[0.25, 0.25, 0.5, 0.3], [0.4, 0.8, 0.6, 0.9]], [1, 1], [1, 3])
    result = redact(pixels, found, appearance, 2)
    hidden = pixels.copy()
    for half in (np.s_[:, : width // 2], np.s_[:, width // 2 :]):
        marked = result.mask[half]
        hidden[half][marked] = tone_of(pixels[half], marked, gray=appearance.gray)
    if appearance.gray:
        hidden = np.asarray(cv2.cvtColor(hidden, cv2.COLOR_RGB2GRAY), np.uint8)[..., None].repeat(3, axis=2)
    assert np.array_equal(result.pixels[result.mask], cv2.blur(hidden, (side, side))[result.mask])


@pytest.mark.parametrize("blur", [1, 15, 100])
@pytest.mark.parametrize("masks", [None, np.random.default_rng(5).random((3, 9, 9))])
def test_the_default_reveals_nothing_at_all(blur: float, masks: NDArray[np.float64] | None) -> None:
    """The published picture is the same to the last bit for any hidden content, also at borders and between objects."""
    boxes = [[0, 0, 0.3, 0.2], [0.4, 0.5, 0.7, 0.8], [0.65, 0.7, 1, 0.9]]
    found = Detections.of(boxes, [0.9] * 3, [1, 3, 8], masks)
    appearance = Appearance(blur, None, gray=True, normalised=True)
    pixels = noise(300, 900)
    first = redact(pixels, found, appearance, 4)
    for inside in (0, 255, noise(300, 900, seed=7)):
        other = np.where(first.mask[..., None], inside, pixels).astype(np.uint8)
        assert np.array_equal(redact(other, found, appearance, 4).pixels, first.pixels)


@pytest.mark.parametrize(("appearance", "most"), [(GRAY_BLUR, 4), (COLOUR_BLUR, 100)])
def test_a_region_takes_one_of_few_forms_for_any_content(appearance: Appearance, most: int) -> None:
    random = np.random.default_rng(11)
    found = Detections.of([[0.3, 0.3, 0.6, 0.6], [0.5, 0.5, 0.8, 0.9]], [1, 1], [3, 3])
    pixels = noise(60, 400)
    forms = set()
    for _ in range(600):
        mask = union(found, 60, 400, 0)
        pixels[mask] = random.integers(0, 256, (1, 3)) if random.random() < 0.5 else random.integers(0, 256, 3)
        pixels[mask] += random.integers(0, 2, (mask.sum(), 3), np.uint8) * np.uint8(random.integers(0, 255))
        forms.add(_inside(pixels, found, appearance))
    assert 2 < len(forms) <= most


def _inside(pixels: NDArray[np.uint8], found: Detections, appearance: Appearance) -> bytes:
    hidden = redact(pixels, found, appearance, 0)
    return hidden.pixels[hidden.mask].tobytes()


@pytest.mark.parametrize("level", [0, 130, 255])
def test_normalised_uses_the_gray_level_of_the_surroundings(level: int) -> None:
    pixels = np.full((200, 1000, 3), level, np.uint8)
    found = Detections.of([[0.2, 0.4, 0.6, 0.5]], [1], [3])
    pixels[40:120, 400:500] = 255 - level
    hidden = redact(pixels, found, NORMALISED, 0)
    assert np.all(hidden.pixels[hidden.mask] == level)


def test_a_picture_without_surroundings_gets_a_fixed_level() -> None:
    hidden = redact(noise(120, 160), Detections.of([[0, 0, 1, 1]], [1], [8]), NORMALISED, 4)
    assert np.all(hidden.pixels == NEUTRAL)


def test_the_backdrop_follows_the_surroundings_without_steps() -> None:
    columns = np.linspace(0, 255, 1200).astype(np.uint8)
    pixels = np.tile(columns[None, :, None], (400, 1, 3))
    found = Detections.of([[0.3, 0.25, 0.7, 0.75]], [1], [3])
    hidden = redact(pixels, found, NORMALISED, 0)
    inside = hidden.pixels[200, 300:900, 0].astype(int)
    assert np.abs(np.diff(inside)).max() <= 2  # the cells are not visible
    assert inside[60] < 110 < 145 < inside[-60]


@pytest.mark.parametrize("gray", [True, False])
def test_tones_are_far_apart(gray: bool) -> None:
    random = np.random.default_rng(2)
    found = {quantised(random.uniform(0, 255, 3), gray=gray) for _ in range(20_000)}
    assert len(found) <= (4 if gray else 100)
    assert {quantised(np.full(3, level), gray=gray) for level in (0.0, 63.9, 255.0)} == {(32,) * 3, (224,) * 3}
    reddish = quantised(np.array([200.0, 20, 20]), gray=False)
    assert reddish[0] > reddish[1] + 60


def test_objects_that_touch_or_nearly_touch_are_one_region() -> None:
    """An object that is detected as many small ones next to each other must get only one tone."""
    tiled = [[0.3 + 0.05 * row, 0.3 + 0.05 * column, 0.34 + 0.05 * row, 0.34 + 0.05 * column] for row in range(6)
             for column in range(6)]  # fmt: skip
    apart = [[0.9, 0.9, 0.95, 0.95]]
    found = Detections.of(tiled + apart, [0.9] * 37, [3] * 37)
    boxes = regions(found, 1000, 1000, 2)
    assert len(boxes) == 2
    assert boxes[0].common(boxes[1]) is None
    pieces = Detections.of([[0, 0, 0.1, 0.1], [0.8, 0.8, 0.9, 0.9]], [1, 1], [8, 8], objects=[0, 0])
    assert len(regions(pieces, 1000, 1000, 2)) == 1


@pytest.mark.parametrize("appearance", [COLOUR_BLUR, GRAY_BLUR, NORMALISED])
def test_gray_pictures_stay_gray_under_blur(appearance: Appearance) -> None:
    gray = noise(200, 400)[..., :1].repeat(3, axis=2)
    result = redact(gray, several(), appearance, 3).pixels
    assert np.array_equal(result[..., 0], result[..., 1])
    assert np.array_equal(result[..., 0], result[..., 2])


def plate(height: int, width: int, text: str, letter_pixels: int) -> tuple[NDArray[np.uint8], Detections]:
    """A picture with black text on a white car, with a box twenty letters high and wide."""
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
def test_different_texts_inside_the_mask_give_the_same_picture(appearance: Appearance, letter_pixels: int) -> None:
    size = (720, 1000)
    one, found = plate(*size, "AB 12345", letter_pixels)
    other, _ = plate(*size, "ZX 98067", letter_pixels)
    hidden = [redact(pixels, found, appearance, 0) for pixels in (one, other)]
    before = np.abs(one.astype(int) - other)[hidden[0].mask]
    after = np.abs(hidden[0].pixels.astype(int) - hidden[1].pixels)[hidden[0].mask]
    assert before.max() > 150
    assert after.max() == 0


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


@pytest.mark.parametrize("width", [60, 132])
def test_a_blur_narrower_than_two_pixels_leaves_plain_tones(width: int) -> None:
    pixels = noise(100, width)
    found = Detections.of([[0.2, 0.2, 0.6, 0.6]], [1], [3])
    hidden = redact(pixels, found, GRAY_BLUR, 0)
    assert np.all(hidden.pixels[hidden.mask] == tone_of(pixels, hidden.mask, gray=True))
    assert NORMALISED.blur_side(width) == 1
    assert NORMALISED.blur_side(200) == 3


def test_every_class_is_filled_with_its_colour() -> None:
    pixels = noise(100, 120)
    boxes = [[0.1, index / 6, 0.9, (index + 1) / 6] for index in range(6)]
    filled = redact(pixels, Detections.of(boxes, [1] * 6, [kind.coco_id for kind in CLASSES]), PER_CLASS, 0)
    assert [tuple(filled.pixels[50, 10 + 20 * index]) for index in range(6)] == [kind.colour for kind in CLASSES]


def test_where_fills_overlap_the_lower_class_is_on_top_in_any_order() -> None:
    pixels = noise(100, 100)
    ids = [kind.coco_id for kind in CLASSES]
    boxes = [[0.1, 0.1, 0.9, 0.2 + 0.1 * index] for index in range(6)]
    forward = redact(pixels, Detections.of(boxes, [1] * 6, ids), PER_CLASS, 0)
    backward = redact(pixels, Detections.of(boxes[::-1], [1] * 6, ids[::-1]), PER_CLASS, 0)
    assert np.array_equal(forward.pixels, backward.pixels)
    seen = [tuple(forward.pixels[50, column]) for column in (15, 25, 35, 45, 55, 65)]
    assert seen == [kind.colour for kind in CLASSES]


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4)])
def test_pictures_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        redact(np.zeros(shape, np.uint8), Detections.empty(), NORMALISED, 0)
    with pytest.raises(ValueError, match="expected uint8"):
        redact(np.zeros((10, 10, 3), np.float32), Detections.empty(), NORMALISED, 0)
