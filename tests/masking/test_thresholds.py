from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.core.settings import Settings
from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from anonymisation.masking.models.factory import load_detector
from anonymisation.masking.saved_model import SavedModel
from anonymisation.masking.thresholds import Thresholds, marked_pixels
from anonymisation.masking.tiling import TilingDetector
from anonymisation.masking.views import Tiles
from tests.masking.scripted_models import GREEN, RED, save_constant

SIDE = 400  # of the square pictures, in pixels
SIDES = {"small": 20, "medium": 60, "large": 120}


def square(top: int, left: int, side: int) -> list[float]:
    return [top / SIDE, left / SIDE, (top + side) / SIDE, (left + side) / SIDE]


def found_objects(*kinds: tuple[int, float, str]) -> Detections:
    """Objects (COCO id, score, size) next to each other."""
    boxes = [square(10, 10 + 130 * place, SIDES[size]) for place, (_, _, size) in enumerate(kinds)]
    return Detections.of(boxes, [score for _, score, _ in kinds], [kind for kind, _, _ in kinds])


def kept(thresholds: Thresholds, found: Detections) -> list[tuple[int, float]]:
    rest = thresholds.applied(found, SIDE, SIDE)
    return [(int(kind), round(float(score), 3)) for kind, score in zip(rest.classes, rest.scores, strict=True)]


def test_each_class_and_size_has_its_least_score() -> None:
    thresholds = Thresholds(0.15, {"person": 0.1, "vehicle": {"small": 0.3, "large": 0.5}, "truck": 0.2})
    found = found_objects((1, 0.1, "small"), (3, 0.29, "small"), (3, 0.3, "small"))
    assert kept(thresholds, found) == [(1, 0.1), (3, 0.3)]
    assert kept(thresholds, found_objects((3, 0.15, "medium"), (3, 0.49, "large"), (6, 0.5, "large"))) == [
        (3, 0.15),
        (6, 0.5),
    ]
    assert kept(thresholds, found_objects((1, 0.09, "large"), (8, 0.19, "large"), (8, 0.2, "small"))) == [(8, 0.2)]


def test_without_a_mapping_only_the_score_counts() -> None:
    found = found_objects((1, 0.15, "small"), (3, 0.149, "large"), (8, 0.9, "medium"))
    assert kept(Thresholds(0.15), found) == [(1, 0.15), (8, 0.9)]
    assert Thresholds(0.15).applied(found_objects((1, 0.2, "small")), SIDE, SIDE).counts() == {"person": 1}


def test_an_object_counts_as_a_whole() -> None:
    """Two halves of a lorry are medium, and together they are large; a sure half brings the other with it."""
    boxes = [square(0, 0, 90), square(0, 90, 90)]
    halves = Detections.of(boxes, [0.3, 0.25], [8, 8], objects=[0, 0])
    apart = Detections.of(boxes, [0.3, 0.25], [8, 8])
    by_size = Thresholds(0.15, {"truck": {"medium": 0.28, "large": 0.4}})
    assert kept(by_size, apart) == [(8, 0.3)]
    assert kept(by_size, halves) == []
    assert kept(Thresholds(0.15, {"truck": {"medium": 0.9, "large": 0.28}}), halves) == [(8, 0.3), (8, 0.25)]


def test_the_size_is_what_the_mask_marks_in_the_picture_as_given() -> None:
    mask = np.zeros((1, 9, 9), np.float32)
    mask[:, :, :3] = 1
    found = Detections.of([square(0, 0, 110)], [0.3], [3], mask)
    assert marked_pixels(found, 0, SIDE, SIDE) == np.count_nonzero(union(found, SIDE, SIDE)) < 96**2
    assert kept(Thresholds(0.15, {"car": {"medium": 0.2, "large": 0.5}}), found) == [(3, 0.3)]
    twice = Detections.of([square(0, 0, 60)] * 2, [0.3, 0.2], [3, 3], objects=[0, 0])
    assert marked_pixels(twice, 0, SIDE, SIDE) == np.count_nonzero(union(twice, SIDE, SIDE))


@dataclass
class Spots:
    """A batch model that marks bright pixels as one object, with the score that its brightness says (in hundredths)."""

    max_batch: int = 4
    max_detections: int | None = None

    def predict(self, batch: NDArray[np.uint8]) -> list[Detections]:
        return [self._seen(pixels) for pixels in batch]

    def _seen(self, pixels: NDArray[np.uint8]) -> Detections:
        rows, columns = np.nonzero(pixels[..., 0])
        if not len(rows):
            return Detections.empty()
        ends = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        box = np.array(ends) / np.tile(pixels.shape[:2], 2)
        return Detections.of([box], [pixels.max() / 100], [8], np.ones((1, 3, 3)))


def lorry(score: float) -> NDArray[np.uint8]:
    """A lorry of 40 × 500 pixels, which tiles of 256 pixels see in parts only."""
    pixels = np.zeros((256, 700, 3), np.uint8)
    pixels[100:140, 100:600] = round(100 * score)
    return pixels


@pytest.mark.parametrize(
    ("given", "hidden"),
    [({"truck": {"large": 0.5}}, False), ({"truck": {"large": 0.3, "medium": 0.9, "small": 0.9}}, True), ({}, True)],
)
@pytest.mark.parametrize("limit", [10**9, 30_000])
def test_an_object_that_tiles_cut_has_the_size_of_the_whole(given: dict[str, Any], hidden: bool, limit: int) -> None:
    """With `limit` the model sees the picture smaller; the size is that of the picture as given."""
    detector = TilingDetector(Spots(), "x", limit, Tiles(256, 0.25), thresholds=Thresholds(0.15, given))
    found = detector.detect(lorry(0.4))
    assert found.counts() == ({"truck": 1} if hidden else {})
    assert union(found, 256, 700)[100:140, 100:600].any() == hidden


MakeSettings = Callable[..., Settings]


def test_a_model_of_ones_own_goes_through_the_thresholds_of_classes_and_sizes(
    settings_with: MakeSettings, tf1_model: Path
) -> None:
    """The person has a score of 0.9, the car of 0.6; count and mask agree."""
    pixels = np.full((640, 640, 3), 120, np.uint8)
    pixels[100:180, 200:280] = RED
    pixels[400:420, 420:440] = GREEN

    def counted(given: dict[str, Any], **more: Any) -> dict[str, int]:
        settings = settings_with(model_type=str(tf1_model), tile_pixels=320, score_thresholds=given, **more)
        found = load_detector(settings).detect(pixels)
        hidden = union(found, 640, 640)
        assert hidden[140, 240] == ("person" in found.counts())
        assert hidden[410, 430] == ("car" in found.counts())
        return found.counts()

    assert counted({}) == {"car": 1, "person": 1}
    assert counted({"person": 0.95}) == {"car": 1}
    assert counted({"vehicle": 0.61}) == {"person": 1}
    assert counted({"vehicle": {"small": 0.61}}) == {"person": 1}
    assert counted({"vehicle": {"large": 0.61}, "person": {"small": 1}}) == {"car": 1, "person": 1}
    assert counted({"car": 0.6}, score_threshold=0.95) == {"car": 1}


def test_classes_that_are_not_hidden_are_neither_hidden_nor_counted(
    settings_with: MakeSettings, tf1_model: Path
) -> None:
    pixels = np.full((640, 640, 3), 120, np.uint8)
    pixels[100:180, 200:280] = RED
    pixels[400:420, 420:440] = GREEN
    for hidden, wanted in (["person"], {"person": 1}), (["truck", "car"], {"car": 1}), (["bus"], {}):
        settings = settings_with(model_type=str(tf1_model), tile_pixels=320, hidden_classes=hidden)
        found = load_detector(settings).detect(pixels)
        assert found.counts() == wanted
        assert union(found, 640, 640).any() == bool(wanted)


def outputs(kinds: Sequence[float], score: float = 0.1) -> dict[str, NDArray[Any]]:
    """What a model gives that finds one object of each kind, next to each other."""
    count = len(kinds)
    boxes = np.array([[[0.1, 0.1 * place, 0.5, 0.1 * place + 0.1] for place in range(count)]], np.float32)
    return {
        "num_detections": np.array([count], np.float32), "detection_boxes": boxes,
        "detection_scores": np.full((1, count), score, np.float32),
        "detection_classes": np.array([kinds], np.float32),
        "detection_masks": np.ones((1, count, 3, 3), np.float32),
    }  # fmt: skip


def test_a_lower_threshold_of_a_class_reaches_what_the_model_gives(tmp_path: Path) -> None:
    """Scores between the class's least score and `score_threshold` are read; those of other classes are not."""
    thresholds = Thresholds(0.15, {"vehicle": {"small": 0.1}, "car": 0.2})
    folder = save_constant(tmp_path / "model", outputs([1, 2, 3, 4, 6, 8, 9]))
    model = SavedModel(folder, score_threshold=thresholds.default, floors=thresholds.floors())
    (found,) = model.predict(np.zeros((100, 100, 3), np.uint8)[None])
    assert found.counts() == {"bicycle": 1, "bus": 1, "motorcycle": 1, "truck": 1}


def test_levels_leave_out_the_same_classes_and_no_mapping_counts(settings_with: MakeSettings, tmp_path: Path) -> None:
    """The lowest level is `score_threshold` if that is below `doubtful_from`, also where the mapping says more."""
    folder = save_constant(tmp_path / "model", outputs([1, 3, 8], 0.015))
    more = {"score_threshold": 0.01, "score_thresholds": {"person": 0.5}, "hidden_classes": ["person", "car"]}
    detector = load_detector(settings_with(model_type=str(folder), tiles=False, **more), doubtful_from=0.02)
    found = detector.detect_at(np.zeros((100, 100, 3), np.uint8), [0.01, 0.015, 0.02])
    assert [at.counts() for at in found] == [{"car": 1}, {"car": 1, "person": 1}, {"car": 1, "person": 1}, {}]
