from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anonymisation.core.errors import ImplausibleOutputError
from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from anonymisation.masking.tiling import MAX_BATCH, TilingDetector, scaled_down
from anonymisation.masking.views import Tiles, crops


@dataclass
class WhiteSpotModel:
    """A batch model that marks the box around all white pixels, and records the sizes of its inputs."""

    max_batch: int = 100
    max_detections: int | None = None
    smallest: float = 0.0  # a spot below this fraction of the width is not detected
    shown: list[tuple[int, ...]] = field(default_factory=list)

    def predict(self, batch: NDArray[np.uint8]) -> list[Detections]:
        self.shown.append(batch.shape)
        return [self._find(pixels) for pixels in batch]

    def _find(self, pixels: NDArray[np.uint8]) -> Detections:
        height, width = pixels.shape[:2]
        rows, columns = np.where(pixels.min(axis=2) == 255)
        if not len(rows) or np.ptp(columns) + 1 < self.smallest * width:
            return Detections.empty()
        box = [rows.min() / height, columns.min() / width, (rows.max() + 1) / height, (columns.max() + 1) / width]
        return Detections.of([box], [0.8], [3], np.ones((1, 5, 5)))


def picture(height: int, width: int, *spots: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    pixels = np.full((height, width, 3), 30, np.uint8)
    for top, left, bottom, right in spots:
        pixels[top:bottom, left:right] = 255
    return pixels


@settings(max_examples=50)
@given(height=st.integers(1, 900), width=st.integers(1, 900), side=st.integers(64, 500), overlap=st.floats(0, 0.9))
def test_crops_are_equal_cover_everything_and_overlap_enough(
    height: int, width: int, side: int, overlap: float
) -> None:
    parts = crops(height, width, Tiles(side, overlap))
    if height <= side and width <= side:
        assert parts == ()
        return
    assert {(part.height, part.width) for part in parts} == {(min(side, height), min(side, width))}
    for starts, length in (({part.top for part in parts}, height), ({part.left for part in parts}, width)):
        size = min(side, length)
        ordered = sorted(starts)
        assert ordered[0] == 0
        assert ordered[-1] == length - size
        # Rounding may cost one pixel of overlap, but never leaves a gap.
        gaps = [after - before for before, after in itertools.pairwise(ordered)]
        assert all(gap <= min(size, size * (1 - overlap) + 1) for gap in gaps)


@pytest.mark.parametrize("values", [(0, 0.5), (100, -0.1), (100, 0.95), (100, float("nan"))])
def test_impossible_tiles_are_refused(values: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="expected a side"):
        Tiles(*values)


def test_a_small_object_that_the_whole_picture_loses_is_detected_in_a_tile() -> None:
    pixels = picture(1000, 2000, (700, 1203, 715, 1227))
    without = TilingDetector(WhiteSpotModel(smallest=0.03), "x", 10**9, None).detect(pixels)
    assert len(without) == 0
    found = TilingDetector(WhiteSpotModel(smallest=0.03), "x", 10**9, Tiles(640, 0.25)).detect(pixels)
    assert found.counts() == {"car": 1}
    hidden = union(found, 1000, 2000)
    assert hidden[700:715, 1203:1227].all()
    assert np.count_nonzero(hidden) <= 17 * 26


def test_an_object_across_tiles_is_hidden_completely_and_counted_once() -> None:
    pixels = picture(1000, 2000, (300, 100, 900, 1900))
    found = TilingDetector(WhiteSpotModel(), "x", 10**9, Tiles(640, 0.25)).detect(pixels)
    assert len(found) > 4
    assert found.counts() == {"car": 1}
    assert union(found, 1000, 2000)[300:900, 100:1900].all()


def test_tiles_lose_no_detection_of_the_whole_picture() -> None:
    pixels = picture(700, 1500, (10, 20, 60, 90), (600, 1400, 690, 1490))
    whole = TilingDetector(WhiteSpotModel(), "x", 10**9, None).detect(pixels)
    tiled = TilingDetector(WhiteSpotModel(), "x", 10**9, Tiles(300, 0.5)).detect(pixels)
    assert not np.any(union(whole, 700, 1500) & ~union(tiled, 700, 1500))
    assert np.array_equal(tiled.boxes[: len(whole)], whole.boxes)


@pytest.mark.parametrize("max_batch", [1, 3, 100])
def test_batches_are_as_large_as_model_and_memory_allow(max_batch: int) -> None:
    model = WhiteSpotModel(max_batch=max_batch)
    detector = TilingDetector(model, "x", 10**9, Tiles(640, 0.25))
    pixels = picture(2000, 3000, (100, 100, 150, 150))
    found = detector.detect(pixels)
    assert model.shown[0] == (1, 2000, 3000, 3)
    assert {shape[1:] for shape in model.shown[1:]} == {(640, 640, 3)}
    sizes = [shape[0] for shape in model.shown[1:]]
    assert sum(sizes) == 4 * 6
    assert set(sizes[:-1]) == {min(max_batch, MAX_BATCH)}
    reference = TilingDetector(WhiteSpotModel(), "x", 10**9, Tiles(640, 0.25)).detect(pixels)
    assert np.array_equal(found.boxes, reference.boxes)


def test_large_pictures_are_scaled_down_for_the_model_only() -> None:
    model = WhiteSpotModel()
    pixels = picture(2000, 3000, (500, 600, 1500, 2400))
    found = TilingDetector(model, "x", 60_000, Tiles(640, 0.25)).detect(pixels)
    assert model.shown == [(1, 200, 300, 3)]
    assert found.boxes[0] == pytest.approx([0.25, 0.2, 0.75, 0.8], abs=0.01)


@given(height=st.integers(1, 300), width=st.integers(1, 300), limit=st.integers(1, 5000))
def test_scaling_respects_the_limit_and_keeps_the_aspect(height: int, width: int, limit: int) -> None:
    scaled = scaled_down(picture(height, width), limit)
    rows, columns = scaled.shape[:2]
    if height * width <= limit:
        assert (rows, columns) == (height, width)
    elif min(rows, columns) > 1:
        assert rows * columns <= limit
        assert abs(rows / height - columns / width) <= 1 / min(height, width)


def test_pictures_of_other_shapes_are_refused() -> None:
    detector = TilingDetector(WhiteSpotModel(), "x", 10**9, None)
    for pixels in (np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)):
        with pytest.raises(ValueError, match="expected uint8"):
            detector.detect(pixels)  # type: ignore[arg-type]


@dataclass
class CanvasMasksModel(WhiteSpotModel):
    """Returns masks of its input's size, unlike real models of this form."""

    def _find(self, pixels: NDArray[np.uint8]) -> Detections:
        found = super()._find(pixels)
        masks = np.ones((len(found), *pixels.shape[:2]), np.float32)
        return Detections(found.boxes, found.scores, found.classes, masks, found.objects)


def test_masks_of_several_sizes_fail_the_picture() -> None:
    pixels = picture(100, 200, (30, 20, 60, 120))
    assert len(TilingDetector(CanvasMasksModel(), "x@1", 10**9, None).detect(pixels)) == 1
    with pytest.raises(
        ImplausibleOutputError, match=r"the model x@1 gives detection_masks of \(64, 64\) and \(100, 200\)"
    ):
        TilingDetector(CanvasMasksModel(), "x@1", 10**9, Tiles(64, 0.25)).detect(pixels)


@dataclass
class OneCarModel:
    """Detects a car twice, its mirror as another car and its driver as a person, and a pedestrian."""

    max_batch: int = 1
    max_detections: int | None = None

    def predict(self, batch: NDArray[np.uint8]) -> list[Detections]:
        boxes = [
            [0.3, 0.2, 0.7, 0.7], [0.32, 0.22, 0.7, 0.7], [0.4, 0.22, 0.45, 0.27], [0.35, 0.4, 0.5, 0.5],
            [0.3, 0.8, 0.6, 0.9],
        ]  # fmt: skip
        return [Detections.of(boxes, [0.6, 0.8, 0.3, 0.4, 0.9], [3, 8, 3, 1, 1], np.ones((5, 3, 3)))]


def test_parts_of_an_object_are_hidden_but_not_counted() -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    found = TilingDetector(OneCarModel(), "cars", 10**6, None).detect(pixels)
    alone = OneCarModel().predict(pixels[None])[0]
    assert alone.counts() == {"car": 2, "person": 2, "truck": 1}
    assert found.counts() == {"person": 1, "truck": 1}
    assert [(item["label"], item["score"]) for item in found.as_json()] == [("truck", 0.8), ("person", 0.9)]
    np.testing.assert_array_equal(union(found, 100, 100), union(alone, 100, 100))
