"""Augmentation: targets stay on their objects through scale, mirroring and position."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2  # noqa: TID253 - draws and reads pictures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.augment import MAX_OBJECTS, MOST_COVERED, PASTED_SIDES, Batches, Canvas, _hazy, cutouts, recolour
from training.data import Sample, read_coco, read_unlabelled, split
from training.drawn import Drawn
from training.network import COCO_IDS

BLUE = (200, 40, 10)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A blue rectangle on a gray background."""
    path = tmp_path_factory.mktemp("pictures") / "one.png"
    pixels = np.full((300, 400, 3), 120, np.uint8)
    pixels[60:180, 100:260] = BLUE
    cv2.imwrite(str(path), pixels)
    box = np.array([[100, 60, 260, 180]], np.float32)
    outline = np.array([[100, 60], [260, 60], [260, 180], [100, 180]], np.float32)
    return Sample(path, box, np.array([2]), ((outline,),), np.zeros((0, 4), np.float32))


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_boxes_and_masks_lie_on_the_object(sample: Sample, seed: int) -> None:
    canvas = Canvas(256)
    canvas.place(sample, (0, 0, 256, 256), np.random.default_rng(seed), (200, 600))
    target = canvas.target()
    blue = (canvas.pixels.astype(int)[..., 2] > 160).astype(np.uint8)
    for row in np.flatnonzero(target["classes"] >= 0):
        x0, y0, x1, y1 = target["boxes"][row]
        rows, columns = np.nonzero(blue)
        assert abs(columns.min() - x0) <= 2.5
        assert abs(columns.max() + 1 - x1) <= 2.5
        assert abs(rows.min() - y0) <= 2.5
        assert abs(rows.max() + 1 - y1) <= 2.5
        mask = cv2.resize(target["masks"][row], (256, 256), interpolation=cv2.INTER_NEAREST)
        assert (mask & blue).sum() >= 0.93 * blue.sum()
        assert (mask & (1 - blue)).sum() <= 0.05 * blue.sum() + 8 * (y1 - y0 + x1 - x0)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_pasted_objects_are_small_and_at_their_targets(sample: Sample, seed: int) -> None:
    canvas = Canvas(256)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.augment.HAZY_SHARE", 0.0)  # haze would hide its outline
        canvas.paste(sample, 0, np.random.default_rng(seed))
    target = canvas.target()
    rows, columns = np.nonzero(canvas.pixels.astype(int)[..., 2] > 157)  # half blue, half the background of gray 114
    assert (target["classes"] >= 0).sum() == 1
    x0, y0, x1, y1 = target["boxes"][0]
    assert PASTED_SIDES[0] - 0.01 <= max(x1 - x0, y1 - y0) <= PASTED_SIDES[1] + 0.01
    np.testing.assert_allclose(
        [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], [x0, y0, x1, y1], atol=1.6
    )
    assert target["masks"][0].any()


def test_haze_reduces_contrast_and_matches_the_darkness_around() -> None:
    cut = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    for seed in range(10):
        out = _hazy(cut, 120.0, np.random.default_rng(seed))
        assert out.std() < cut.std()
        assert 0.3 * 120 < out.mean() < 1.15 * 120


def test_nothing_is_pasted_onto_another_object(sample: Sample) -> None:
    canvas = Canvas(64)
    for seed in range(30):
        canvas.paste(sample, 0, np.random.default_rng(seed))
    boxes = canvas.target()["boxes"][canvas.target()["classes"] >= 0]
    for row, box in enumerate(boxes):
        for other in boxes[row + 1 :]:
            assert (np.minimum(box[2:], other[2:]) <= np.maximum(box[:2], other[:2])).any()


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_drawn_things_are_no_objects_and_leave_objects_visible(sample: Sample, seed: int) -> None:
    canvas = Canvas(256)
    canvas.place(sample, (0, 0, 256, 256), np.random.default_rng(1), (300, 310))
    before, target = canvas.pixels.copy(), canvas.target()
    rng = np.random.default_rng(seed)
    canvas.cover(_board(), rng)
    for name, values in canvas.target().items():
        np.testing.assert_array_equal(values, target[name])
    changed = (canvas.pixels != before).any(axis=-1)
    x0, y0, x1, y1 = target["boxes"][0].astype(int)
    assert changed[y0:y1, x0:x1].mean() <= MOST_COVERED + 0.05  # blurred edges


def test_objects_are_pasted_next_to_drawn_things(sample: Sample) -> None:
    near = 0
    for seed in range(60):
        canvas, rng = Canvas(256), np.random.default_rng(seed)
        canvas.cover(_board(), rng)
        canvas.paste(sample, 0, rng)
        if canvas._drawn and canvas._boxes:
            gaps = np.maximum(canvas._drawn[0][:2] - canvas._boxes[0][2:], canvas._boxes[0][:2] - canvas._drawn[0][2:])
            near += bool(gaps.max() < 15)
    assert near >= 25  # by chance, 10


def _board() -> Drawn:
    pixels = np.zeros((80, 60, 3), np.uint8)
    pixels[..., 1] = np.arange(60) * 4
    return Drawn(pixels, np.ones((80, 60), np.float32))


def test_only_whole_objects_with_outlines_are_pasted(sample: Sample) -> None:
    at_the_edge = replace(sample, boxes=np.array([[0, 60, 260, 180]], np.float32))
    no_outline = replace(sample, polygons=((),))
    assert cutouts([sample, at_the_edge, no_outline]) == [(sample, 0)]


def test_recolouring_keeps_shape_and_depth() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
    for _ in range(40):
        out = recolour(pixels, rng)
        assert (out.shape, out.dtype) == (pixels.shape, np.dtype(np.uint8))
        assert out.std() > 5


def test_the_same_seed_gives_the_same_batches(sample: Sample) -> None:
    def batches() -> Batches:
        return Batches([sample], [1.0], size=128, batch=2, steps=3, seed=7)

    one, other = batches()[1], batches()[1]
    assert (one[0] == other[0]).all()
    assert all((one[1][key] == other[1][key]).all() for key in one[1])
    assert (batches()[0][0] != one[0]).any()


def test_targets_have_fixed_shapes(sample: Sample) -> None:
    pixels, target = Batches([sample], [1.0], size=128, batch=2, steps=1, seed=7)[0]
    assert pixels.shape == (2, 128, 128, 3)
    assert target["boxes"].shape == (2, MAX_OBJECTS, 4)
    assert target["masks"].shape == (2, MAX_OBJECTS, 32, 32)


def test_objects_that_are_too_small_are_ignored_rather_than_absent(sample: Sample) -> None:
    canvas = Canvas(256)
    canvas.place(sample, (0, 0, 256, 256), np.random.default_rng(1), (8, 8))
    target = canvas.target()
    assert (target["classes"] == -1).all()
    assert (target["ignore"][0, 2:] > target["ignore"][0, :2]).all()


def test_a_coco_folder_is_read_completely(tmp_path: Path) -> None:
    square = [10, 20, 30, 20, 30, 40, 10, 40]
    annotations = [
        {"image_id": 7, "category_id": 3, "bbox": [10, 20, 20, 20], "segmentation": [square]},
        {"image_id": 7, "category_id": 1, "bbox": [5, 6, 7, 8], "iscrowd": 1, "segmentation": {"counts": []}},
        {"image_id": 7, "category_id": 18, "bbox": [0, 0, 9, 9]},  # a dog
        {"image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4]},
    ]
    images = [{"id": 7, "file_name": "b.jpg"}, {"id": 2, "file_name": "a.jpg"}, {"id": 3, "file_name": "c.jpg"}]
    (tmp_path / "instances.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    person, car, empty = read_coco(tmp_path)
    assert [sample.path.name for sample in (person, car, empty)] == ["a.jpg", "b.jpg", "c.jpg"]
    assert (person.boxes.tolist(), person.polygons) == ([[1, 2, 4, 6]], ((),))
    assert (car.boxes.tolist(), car.ignore.tolist()) == ([[10, 20, 30, 40]], [[5, 6, 12, 14]])
    assert [[outline.tolist() for outline in outlines] for outlines in car.polygons] == [
        [[[10, 20], [30, 20], [30, 40], [10, 40]]]
    ]
    assert (COCO_IDS[person.classes[0]], COCO_IDS[car.classes[0]]) == (1, 3)
    assert empty.boxes.shape == empty.ignore.shape == (0, 4)


def test_a_tenth_of_the_pictures_is_held_out(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number:02d}.jpg").touch()
    train, held_out = split(read_unlabelled(tmp_path))
    assert [sample.path.name for sample in held_out] == ["05.jpg", "15.jpg", "25.jpg", "35.jpg"]
    assert len({sample.path for sample in (*train, *held_out)}) == 40


def test_coco_folders_are_read_completely(shared: Path) -> None:
    samples = read_coco(shared / "training" / "coco")
    assert len(samples) == 337
    assert sum(len(sample.boxes) for sample in samples) == 886 - 16  # crowds are regions, not objects
    assert sum(len(sample.ignore) for sample in samples) == 16
    assert all((sample.boxes[:, 2:] >= sample.boxes[:, :2]).all() for sample in samples)


def test_held_out_pictures_are_never_trained_on(shared: Path) -> None:
    train, held_out = split(read_unlabelled(shared / "training" / "roads"))
    assert len(train) + len(held_out) == 300
    assert not {sample.path for sample in train} & {sample.path for sample in held_out}
    assert len(held_out) == 30
