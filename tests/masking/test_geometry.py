from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf  # noqa: TID253 - the reference implementation
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import PixelBox, patches, pixel_box, union


def reference(found: Detections, height: int, width: int, dilation: int) -> NDArray[np.bool_]:
    """A simple implementation: every instance on a full frame, resized by TensorFlow, dilated by shifting the frame."""
    hidden = np.zeros((height, width), bool)
    for box, mask in zip(found.boxes.astype(float), found.masks, strict=True):
        top, left = math.floor(box[0] * height), math.floor(box[1] * width)
        bottom, right = math.ceil(box[2] * height), math.ceil(box[3] * width)
        size = (bottom - top, right - left)
        resized = tf.compat.v1.image.resize_bilinear(mask[None, :, :, None], size, align_corners=True).numpy()[
            0, :, :, 0
        ]
        frame = np.zeros((height, width), bool)
        frame[top:bottom, left:right] = resized > 0.5
        padded = np.pad(frame, dilation)
        for dy in range(2 * dilation + 1):
            for dx in range(2 * dilation + 1):
                hidden |= padded[dy : dy + height, dx : dx + width]
    return hidden


def smooth_masks(random: np.random.Generator, count: int, side: int) -> NDArray[np.float32]:
    """Blobs like those of models: high in the middle, low at the corners, ragged in between."""
    grid = np.linspace(-1, 1, side)
    radius = grid[:, None] ** 2 + grid[None, :] ** 2
    blobs = 1 / (1 + np.exp(8 * (radius[None] - 0.7))) + random.normal(0, 0.05, (count, side, side))
    return np.clip(blobs, 0, 1).astype(np.float32)


def scattered(random: np.random.Generator, count: int, side: int, smallest: float, largest: float) -> Detections:
    size = random.uniform(smallest, largest, (count, 2))
    corner = random.uniform(0, 1 - size)
    boxes = np.concatenate([corner, corner + size], axis=1)
    classes = random.choice([1, 2, 3, 4, 6, 8], count)
    return Detections.of(boxes, random.random(count), classes, smooth_masks(random, count, side))


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(40, 400),
    width=st.integers(40, 400),
    side=st.sampled_from([7, 15, 28, 33]),
    dilation=st.integers(0, 6),
)
def test_union_equals_the_simple_implementation(seed: int, height: int, width: int, side: int, dilation: int) -> None:
    found = scattered(np.random.default_rng(seed), 4, side, 0.1, 0.9)
    ours, plain = union(found, height, width, dilation), reference(found, height, width, dilation)
    assert not np.any(plain & ~ours)
    assert np.count_nonzero(plain & ours) >= 0.999 * np.count_nonzero(plain | ours)


def test_large_boxes_are_assembled_from_strips_without_seams() -> None:
    found = scattered(np.random.default_rng(5), 3, 33, 0.6, 0.95)
    height, width = 1200, 2000
    strips = list(patches(found.boxes[0], found.masks[0], height, width, 4))
    assert len(strips) > 3
    ours, plain = union(found, height, width, 4), reference(found, height, width, 4)
    assert not np.any(plain & ~ours)
    assert np.count_nonzero(plain & ours) >= 0.999 * np.count_nonzero(plain | ours)


def test_many_objects_on_a_large_picture_need_little_memory() -> None:
    random = np.random.default_rng(1)
    objects = scattered(random, 29, 33, 0.05, 0.5)
    whole = Detections.of([[0, 0, 1, 1]], [1], [6], smooth_masks(random, 1, 33))
    found = Detections.concatenate([objects, whole])
    height, width = 4000, 6000
    tracemalloc.start()
    try:
        hidden = union(found, height, width, 4)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert hidden.mean() > 0.3
    assert peak - hidden.nbytes < 8 << 20


@given(
    low=st.floats(0, 1, width=32),
    high=st.floats(0, 1, width=32),
    height=st.integers(1, 5000),
    width=st.integers(1, 5000),
)
def test_pixel_boxes_are_rounded_outward_and_never_empty(low: float, high: float, height: int, width: int) -> None:
    low, high = sorted((low, high))
    box = pixel_box(np.array([low, low, high, high], np.float32), height, width)
    assert 0 <= box.top < box.bottom <= height
    assert 0 <= box.left < box.right <= width
    assert box.top <= low * height
    assert box.bottom >= high * height
    assert box.left <= low * width
    assert box.right >= high * width


def test_an_instance_whose_mask_marks_nothing_is_hidden_by_its_box() -> None:
    doubtful = Detections.of([[0.25, 0.25, 0.5, 0.75]], [0.2], [1], np.full((1, 33, 33), 0.4))
    expected = np.zeros((40, 80), bool)
    expected[10:20, 20:60] = True
    assert np.array_equal(union(doubtful, 40, 80), expected)


def test_a_mark_between_the_sampled_pixels_hides_the_box() -> None:
    mask = np.zeros((1, 33, 33), np.float32)
    mask[0, 16, 5] = 1  # a box of four pixels a side samples the cells 0, 10.7, 21.3 and 32
    found = Detections.of([[0.1, 0.1, 0.5, 0.5]], [0.9], [1], mask)
    assert union(found, 10, 10)[1:5, 1:5].all()


@pytest.mark.parametrize("box", [[0.5, 0.1, 0.505, 0.9], [0.1, 0.5, 0.9, 0.505], [0.5, 0.5, 0.5, 0.5], [1, 1, 1, 1]])
def test_boxes_one_pixel_wide_are_hidden_if_the_mask_marks_anything_across(box: list[float]) -> None:
    mask = np.zeros((1, 9, 9), np.float32)
    mask[0, 4, 4] = 1
    assert union(Detections.of([box], [0.9], [1], mask), 100, 100).any()


def test_dilation_widens_by_a_square_and_stops_at_the_edge() -> None:
    found = Detections.of([[0, 0.5, 0.125, 0.625]], [0.9], [1])
    hidden = union(found, 16, 16, 2)
    expected = np.zeros((16, 16), bool)
    expected[0:4, 6:12] = True
    assert np.array_equal(hidden, expected)


def test_dilation_wider_than_the_picture_hides_all_of_it() -> None:
    found = Detections.of([[0.5, 0.5, 0.6, 0.6]], [0.9], [1])
    assert union(found, 30, 20, 100).all()


def test_invalid_values_are_refused() -> None:
    box, mask = np.array([0, 0, 1, 1], np.float32), np.ones((1, 1), np.float32)
    with pytest.raises(ValueError, match="0 or more"):
        next(patches(box, mask, 5, 5, -1))
    with pytest.raises(ValueError, match="at least one pixel"):
        PixelBox(3, 0, 3, 1)


def test_hull_contains_both_boxes() -> None:
    assert PixelBox(2, 3, 4, 9).hull(PixelBox(1, 5, 3, 6)) == PixelBox(1, 3, 4, 9)
