from __future__ import annotations

import math

import cv2  # noqa: TID253 - detects the spots for a scripted model
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from anonymisation.masking.tiling import MAX_BATCH, TilingDetector
from anonymisation.masking.views import (
    LARGEST_SHARE,
    MOST_STEP,
    MOST_VIEW_PIXELS,
    PADDING,
    Crop,
    InputForm,
    Tiles,
    View,
    canvases,
    views_of,
)
from tests.masking.test_tiling import WhiteSpotModel, picture

FORM = InputForm(416, 32, 1 << 22)
TILES = Tiles(700, 0.25)
LARGEST = LARGEST_SHARE * FORM.side

SIDES = st.one_of(st.integers(1, 64), st.integers(64, 20_000))


def scale_of(view: View) -> float:
    rows_longer = view.crop.height > view.crop.width
    return view.rows / view.crop.height if rows_longer else view.columns / view.crop.width


@settings(max_examples=200)
@given(height=SIDES, width=SIDES)
def test_the_model_accepts_every_view_without_scaling(height: int, width: int) -> None:
    views = views_of(height, width, TILES, FORM)
    assert (views[0].crop, views[0].largest) == (Crop(0, 0, height, width), math.inf)
    assert FORM.side <= max(views[0].shape) <= 1.7 * FORM.side + FORM.multiple
    for view in views:
        assert view.height % FORM.multiple == view.width % FORM.multiple == 0
        assert view.height * view.width <= MOST_VIEW_PIXELS
        assert 0 <= view.height - view.rows < FORM.multiple
        assert 0 <= view.width - view.columns < FORM.multiple
        assert 0 <= view.crop.top <= view.crop.top + view.crop.height <= height
        assert 0 <= view.crop.left <= view.crop.left + view.crop.width <= width
        # The aspect is kept up to rounding to whole pixels.
        assert abs(view.rows - scale_of(view) * view.crop.height) <= 1
        assert abs(view.columns - scale_of(view) * view.crop.width) <= 1


@settings(max_examples=200)
@given(data=st.data(), height=st.integers(200, 12_000), width=st.integers(200, 12_000))
def test_every_object_fits_into_a_view(data: st.DataObject, height: int, width: int) -> None:
    """An object of any size and position lies completely in a view that keeps boxes of its length, and is not much
    smaller there than the longest box that this view keeps."""
    longer = data.draw(st.integers(20, max(height, width)))
    tall, wide = min(longer, height), min(longer, width)
    top, left = data.draw(st.integers(0, height - tall)), data.draw(st.integers(0, width - wide))
    views = views_of(height, width, TILES, FORM)
    lengths = [
        longer * scale_of(view)
        for view in views
        if (view.crop.top <= top and view.crop.left <= left)
        and top + tall <= view.crop.top + view.crop.height + 1
        and left + wide <= view.crop.left + view.crop.width + 1
        and longer * scale_of(view) <= view.largest
    ]
    finest = max(scale_of(view) for view in views)
    shrunk = 1.05  # views shrink a little to fit into blocks
    assert max(lengths) >= min(LARGEST / MOST_STEP, longer * finest) / shrunk


@pytest.mark.parametrize(
    ("height", "width", "blocks", "most"),
    [
        (1032, 2692, 6.5, 2),
        (360, 480, 3, 2),
        (4000, 6000, 80, 16),
        (1, 1, 1, 1),
        (20, 5000, 1.5, 4),
        (9000, 12000, 400, 70),
    ],
)
def test_views_are_few(height: int, width: int, blocks: float, most: int) -> None:
    """Measured in squares of the model's side, the cost of a picture."""
    views = views_of(height, width, TILES, FORM)
    assert len(views) <= most
    assert sum(view.height * view.width for view in views) / FORM.side**2 <= blocks


def test_finer_tiles_give_finer_views_and_no_tiles_only_the_coarsest() -> None:
    coarse = views_of(1032, 2692, None, FORM)
    assert [view.shape for view in coarse] == [(224, 576)]
    finest = [views_of(1032, 2692, Tiles(side, 0), FORM)[-1] for side in (500, 700, 900)]
    assert [scale_of(view) for view in finest] == pytest.approx([416 / 500, 416 / 700, 416 / 900], rel=0.04)


def test_without_a_form_the_model_gets_the_picture_and_its_tiles_unscaled() -> None:
    views = views_of(1000, 2000, Tiles(640, 0.25), None)
    assert views[0] == View.as_is(Crop(0, 0, 1000, 2000))
    assert {view.shape for view in views[1:]} == {(640, 640)}
    pixels = np.random.default_rng(0).integers(0, 256, (1000, 2000, 3), np.uint8)
    for view in views:
        assert np.array_equal(view.of(pixels), view.crop.of(pixels))


@pytest.mark.parametrize(("height", "width"), [(1032, 2692), (300, 400), (2000, 3000)])
def test_canvases_are_those_of_the_views(height: int, width: int) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (height // 20 + 1, width // 20 + 1, 3), np.uint8)
    pixels = np.ascontiguousarray(coarse.repeat(20, 0).repeat(20, 1)[:height, :width])
    views = views_of(height, width, TILES, FORM)
    shown = list(canvases(views, pixels))
    assert len(shown) == len(views)
    for view, canvas in zip(views, shown, strict=True):
        assert canvas.shape == (*view.shape, 3)
        # Coarser canvases are averages of averages; the finest is made from the picture.
        assert np.abs(canvas.astype(int) - view.of(pixels)).mean() < (4 if view in views[:-1] else 1e-9)


def test_the_picture_is_in_the_upper_left_corner_on_gray() -> None:
    pixels = picture(300, 500)
    view = View(Crop(0, 0, 300, 500), 150, 250, 160, 256)
    canvas = view.of(pixels)
    assert canvas.shape == (160, 256, 3)
    assert (canvas[:150, :250] == 30).all()
    assert (canvas[150:] == PADDING).all()
    assert (canvas[:, 250:] == PADDING).all()


def test_shrinking_averages_so_that_no_pixel_is_skipped() -> None:
    pixels = picture(1000, 1000, (503, 507, 505, 509))
    shrunk = View(Crop(0, 0, 1000, 1000), 100, 100, 128, 128).of(pixels)
    assert shrunk[50, 50, 0] == pytest.approx(30 + 225 * 4 / 100, abs=1)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(289, 320), columns=st.integers(449, 480))
def test_boxes_and_masks_end_where_the_picture_does(seed: int, rows: int, columns: int) -> None:
    """Pixels hidden on the canvas are hidden on the picture."""
    random = np.random.default_rng(seed)
    corners = np.sort(random.random((4, 2, 2)), axis=1).reshape(4, 4)
    # Shapes with one slanting edge, like real masks; noise would change between any two samples.
    steps = np.arange(9) - 4
    slopes = random.normal(size=(4, 2))
    masks = 0.5 + steps[:, None] * slopes[:, :1, None] + steps * slopes[:, 1:, None]
    found = Detections.of(corners, [0.9] * 4, [1, 3, 8, 1], np.clip(masks, 0, 1))
    mapped = View(Crop(0, 0, rows, columns), rows, columns, 320, 480).within_crop(found)
    on_canvas = union(found, 320, 480)[:rows, :columns]
    assert not np.any(on_canvas & ~union(mapped, rows, columns, 1))
    # No more than a sample's width around it is hidden too.
    assert not np.any(union(mapped, rows, columns) & ~union(found, 320, 480, 480 // 8)[:rows, :columns])


def test_detections_on_the_padding_only_are_dropped() -> None:
    view = View(Crop(0, 0, 100, 100), 100, 100, 128, 128)
    found = Detections.of([[0.8, 0.1, 0.9, 0.3], [0.7, 0.1, 0.9, 0.3]], [0.9, 0.8], [1, 1], np.ones((2, 5, 5)))
    mapped = view.within_crop(found)
    assert mapped.scores.tolist() == pytest.approx([0.8])
    assert mapped.boxes[0] == pytest.approx([0.896, 0.128, 1, 0.384])


def test_long_boxes_are_left_to_the_coarser_view() -> None:
    view = View(Crop(0, 0, 500, 500), 250, 250, 256, 256, largest=100)
    boxes = np.array([[10, 10, 109, 60], [10, 10, 112, 60], [200, 10, 256, 109]]) / 256
    mapped = view.within_crop(Detections.of(boxes, [0.9, 0.8, 0.7], [1, 1, 1]))
    assert mapped.scores.tolist() == pytest.approx([0.9, 0.7])
    assert mapped.boxes[1] == pytest.approx([200 / 250, 10 / 250, 1, 109 / 250])


def test_objects_of_every_size_are_detected_in_place_and_counted_once() -> None:
    """The model here detects objects longer than 8 pixels of the view; the picture is split into many parts."""

    class Sees(WhiteSpotModel):
        def _find(self, pixels: NDArray[np.uint8]) -> Detections:
            found = super()._find(np.where(pixels > 200, 255, pixels).astype(np.uint8))
            sides = (found.boxes[:, 2:] - found.boxes[:, :2]) * pixels.shape[:2]
            return found if len(found) and sides.max() >= 8 else Detections.empty()

    for spot in [(1500, 2007, 1520, 2027), (700, 1100, 1300, 1700), (100, 50, 1900, 2900)]:
        model = Sees()
        found = TilingDetector(model, "x", 10**9, TILES, FORM).detect(picture(2000, 3000, spot))
        assert found.counts() == {"car": 1}, spot
        (box,) = found.object_boxes().values()
        slack = (spot[2] - spot[0]) / 8 + 4
        assert np.abs(box * (2000, 3000, 2000, 3000) - spot).max() <= slack
        assert all(math.prod(shape[:3]) <= MOST_VIEW_PIXELS and shape[0] <= MAX_BATCH for shape in model.shown)


class FewSpotsModel(WhiteSpotModel):
    """Detects every white spot separately, up to its maximum number of detections."""

    def _find(self, pixels: NDArray[np.uint8]) -> Detections:
        height, width = pixels.shape[:2]
        _, _, boxes, _ = cv2.connectedComponentsWithStats((pixels.min(axis=2) > 200).astype(np.uint8))
        spots = [[y / height, x / width, (y + h) / height, (x + w) / width] for x, y, w, h, _ in boxes[1:]]
        spots = spots[: self.max_detections]
        return Detections.of(spots, [0.9] * len(spots), [1] * len(spots))


@pytest.mark.parametrize("form", [None, FORM])
def test_a_crowd_larger_than_the_models_output_is_detected_completely(form: InputForm | None) -> None:
    spots = [(top, left, top + 30, left + 20) for top in range(20, 500, 80) for left in range(20, 840, 60)]
    pixels = picture(516, 900, *spots)
    model = FewSpotsModel(max_detections=20)
    hidden = union(TilingDetector(model, "x", 10**9, TILES, form).detect(pixels), 516, 900, 2)
    assert len(model.shown) > len(views_of(516, 900, TILES, form))  # the parts of the views that were full
    assert all(hidden[top + 1 : bottom - 1, left + 1 : right - 1].all() for top, left, bottom, right in spots)


def test_a_model_with_an_always_full_output_terminates() -> None:
    class Full(WhiteSpotModel):
        def _find(self, pixels: NDArray[np.uint8]) -> Detections:
            return Detections.of([[0.1, 0.1, 0.2, 0.2]] * 2, [0.9] * 2, [1, 1])

    model = Full(max_detections=2)
    assert len(TilingDetector(model, "x", 10**9, None, FORM).detect(picture(500, 1000))) > 2
    assert len(model.shown) < 50


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4000), (3000, 2), (70, 60)])
def test_pictures_of_unusual_sizes_are_accepted(height: int, width: int) -> None:
    model = WhiteSpotModel()
    found = TilingDetector(model, "x", 10**9, TILES, FORM).detect(picture(height, width, (0, 0, height, width)))
    assert union(found, height, width).all()


@pytest.mark.parametrize("values", [(416, 32, 1000), (416, 0, 1 << 22), (416, 33, 1 << 22), (16, 32, 1 << 22)])
def test_impossible_forms_are_refused(values: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        InputForm(*values)
