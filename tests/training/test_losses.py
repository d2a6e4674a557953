"""The assignment of anchors, and losses that fall when predictions improve."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops  # noqa: TID253 - the losses are written in it

from training.augment import MAX_IGNORED, MAX_OBJECTS
from training.losses import MASK_ANCHORS, assign, detection_loss, mask_loss, pairwise_iou, total_loss
from training.network import COCO_IDS, MIX, PROTOTYPES, WAVES, anchor_grid

SIZE = 128


def target(boxes: list[list[float]], ignore: list[list[float]] | None = None) -> dict[str, np.ndarray]:
    side = SIZE // 4
    masks = np.zeros((1, MAX_OBJECTS, side, side), np.uint8)
    made: dict[str, np.ndarray] = {
        "boxes": np.zeros((1, MAX_OBJECTS, 4), np.float32),
        "classes": np.full((1, MAX_OBJECTS), -1, np.int32),
        "has_mask": np.zeros((1, MAX_OBJECTS), np.float32),
        "ignore": np.zeros((1, MAX_IGNORED, 4), np.float32),
        "masks": masks,
    }
    for row, box in enumerate(boxes):
        made["boxes"][0, row], made["classes"][0, row], made["has_mask"][0, row] = box, row % len(COCO_IDS), 1
        x0, y0, x1, y1 = (int(value) // 4 for value in box)
        masks[0, row, y0:y1, x0:x1] = 1
    for row, box in enumerate(ignore or []):
        made["ignore"][0, row] = box
    return made


def anchors() -> tuple[np.ndarray, np.ndarray]:
    cells, strides = anchor_grid(SIZE, SIZE)
    return np.asarray((cells + 0.5) * strides), np.asarray(strides)


def guesses() -> np.ndarray:
    centres, strides = anchors()
    return np.concatenate([centres - 2 * strides, centres + 2 * strides], axis=1)[None].astype(np.float32)


def test_every_object_gets_anchors_and_no_anchor_gets_two_objects() -> None:
    centres, strides = anchors()
    wanted = target([[10, 10, 50, 60], [30, 20, 80, 70], [100, 100, 108, 110]])
    logits = np.zeros((1, len(centres), 1 + len(COCO_IDS)), np.float32)
    matched, rows, valid = assign(guesses(), logits, wanted, centres, strides)
    matched, rows, valid = np.asarray(matched)[0], np.asarray(rows)[0], np.asarray(valid)[0]
    assert (matched[:3].sum(axis=1) >= 1).all()
    assert matched[3:].sum() == 0
    assert matched.sum(axis=0).max() == 1
    assert (valid[:3, 0] == 1).all()
    assert valid[3:].sum() == 0
    near = centres[rows[2, 0]]
    assert abs(near - [104, 105]).max() < 2.5 * 32


def test_a_picture_without_objects_costs_only_objectness() -> None:
    centres, strides = anchors()
    logits = np.full((1, len(centres), 1 + len(COCO_IDS)), -12.0, np.float32)
    empty = target([])
    matched, _, valid = assign(guesses(), logits, empty, centres, strides)
    assert np.asarray(valid).sum() == 0
    assert float(detection_loss(guesses(), logits, matched, empty, centres)) < 0.01


def test_ignored_regions_do_not_count_as_empty() -> None:
    centres, strides = anchors()
    logits = np.full((1, len(centres), 1 + len(COCO_IDS)), -12.0, np.float32)
    inside = (centres > 40).all(axis=1) & (centres < 90).all(axis=1)
    logits[0, inside, 0] = 8.0
    strict, lenient = target([]), target([], ignore=[[40, 40, 90, 90]])
    matched, _, _ = assign(guesses(), logits, strict, centres, strides)
    assert float(detection_loss(guesses(), logits, matched, strict, centres)) > 10
    assert float(detection_loss(guesses(), logits, matched, lenient, centres)) < 0.01


def test_pairwise_iou() -> None:
    one = np.array([[[0, 0, 10, 10]]], np.float32)
    others = np.array([[[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]]], np.float32)
    np.testing.assert_allclose(np.asarray(pairwise_iou(one, others))[0, 0], [1, 1 / 3, 0], atol=1e-6)


@pytest.mark.parametrize(("right", "wrong"), [(6.0, -6.0)])
def test_a_mask_too_small_costs_more_than_one_too_large(right: float, wrong: float) -> None:
    wanted = target([[32, 32, 96, 96]])
    side = SIZE // 4
    mix = np.zeros((1, MAX_OBJECTS * MASK_ANCHORS, MIX), np.float32)
    mix[..., 0] = 1
    found = np.repeat(wanted["boxes"], MASK_ANCHORS, axis=1)
    valid = np.zeros((1, MAX_OBJECTS, MASK_ANCHORS), np.float32)
    valid[0, 0] = 1

    def cost(low: int, high: int) -> float:
        prototypes = np.zeros((1, side, side, PROTOTYPES), np.float32)
        prototypes[..., 0] = wrong
        prototypes[0, low:high, low:high, 0] = right
        return float(mask_loss(prototypes, mix, found, valid, wanted))

    exact, large, small = cost(8, 24), cost(7, 25), cost(9, 23)
    assert exact < large < small


def test_a_mask_can_be_shaped_by_the_box_alone() -> None:
    wanted = target([[32, 32, 96, 96]])
    side = SIZE // 4
    wanted["masks"][0, 0] = 0
    wanted["masks"][0, 0, 8:16, 8:24] = 1  # the upper half
    prototypes = np.zeros((1, side, side, PROTOTYPES), np.float32)
    found = np.repeat(wanted["boxes"], MASK_ANCHORS, axis=1)
    valid = np.zeros((1, MAX_OBJECTS, MASK_ANCHORS), np.float32)
    valid[0, 0] = 1

    def cost(row: int) -> float:
        mix = np.zeros((1, MAX_OBJECTS * MASK_ANCHORS, MIX), np.float32)
        mix[..., PROTOTYPES + row] = 4
        return float(mask_loss(prototypes, mix, found, valid, wanted))

    down, across = WAVES, 1  # half a wave from top to bottom; from left to right
    assert cost(down) < 0.6 * cost(across)
    wanted["boxes"][0, 0] = [0, 0, 10, 10]  # an anchor whose box is elsewhere has no mask loss
    assert cost(down) == 0


def test_the_loss_of_a_whole_batch_has_a_gradient_everywhere() -> None:
    import tensorflow as tf

    from training.network import build_network

    network = build_network()
    pixels = np.random.default_rng(0).uniform(0, 255, (1, SIZE, SIZE, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = total_loss(network(pixels), target([[20, 20, 70, 90], [60, 60, 100, 100]]), SIZE)
    gradients = tape.gradient(loss, network.trainable_variables)
    assert np.isfinite(float(loss))
    assert all(gradient is not None and bool(ops.all(ops.isfinite(gradient))) for gradient in gradients)
