from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union


def valid() -> dict[str, np.ndarray]:
    return {
        "boxes": np.array([[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]], np.float32),
        "scores": np.array([0.5, 1], np.float32),
        "classes": np.array([1, 8], np.int32),
        "masks": np.full((2, 3, 4), 0.7, np.float32),
        "objects": np.array([0, 1], np.int32),
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("boxes", np.zeros((2, 4)), "boxes: expected a float32 array"),
        ("boxes", np.zeros((2, 3), np.float32), r"boxes: expected \(N, 4\)"),
        ("boxes", np.full((2, 4), np.nan, np.float32), "boxes: expected values from 0 to 1"),
        ("boxes", np.array([[0, 0, 1, 1.01]] * 2, np.float32), "boxes: expected values from 0 to 1"),
        ("boxes", np.array([[0.5, 0, 0.4, 1]] * 2, np.float32), "ymin <= ymax"),
        ("boxes", [[0, 0, 1, 1]] * 2, "got list"),
        ("scores", np.array([0.5], np.float32), "scores: expected 2 instances"),
        ("scores", np.array([0.5, -0.1], np.float32), "scores: expected values from 0 to 1"),
        ("classes", np.array([1, 9], np.int32), r"classes: expected only .* got \[9\]"),
        ("classes", np.array([1, 8], np.int64), "classes: expected a int32 array"),
        ("masks", np.zeros((2, 0, 4), np.float32), "masks: expected"),
        ("masks", np.full((2, 1, 1), 1.5, np.float32), "masks: expected values from 0 to 1"),
        ("masks", np.zeros((2, 9), np.float32), "masks: expected a float32 array of 3 axes"),
        ("objects", np.array([0, -1], np.int32), "objects: expected no negative number"),
    ],
)
def test_invalid_values_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detections(**(valid() | {name: value}))


def test_arrays_are_read_only_and_the_callers_arrays_stay_writable() -> None:
    arrays = valid()
    found = Detections(**arrays)
    for name, array in arrays.items():
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[...] = 0
        assert array.flags.writeable


def test_all_methods_accept_empty_detections() -> None:
    nothing = Detections.empty()
    assert len(nothing) == 0
    assert nothing.counts() == {}
    assert nothing.as_json() == []
    assert len(Detections.concatenate([nothing, nothing])) == 0
    assert len(nothing.to_stored(6)) == 0
    assert not union(nothing, 4, 5, 3).any()


def test_concatenate_keeps_objects_separate_and_refuses_different_mask_sizes() -> None:
    one = Detections.of([[0, 0, 1, 1]] * 3, [1, 1, 1], [1, 1, 3], objects=[7, 7, 2])
    two = Detections.of([[0, 0, 1, 1]] * 2, [1, 1], [1, 1], objects=[7, 2])
    both = Detections.concatenate([one, Detections.empty(), two])
    assert both.classes.tolist() == [1, 1, 3, 1, 1]
    assert both.counts() == {"car": 1, "person": 3}
    other = Detections.of([[0, 0, 1, 1]], [1], [1], np.ones((1, 2, 2)))
    with pytest.raises(ValueError, match="one size"):
        Detections.concatenate([one, other])


def test_counts_distinct_objects_sorted_by_label() -> None:
    found = Detections.of([[0, 0, 1, 1]] * 5, [0.5] * 5, [8, 3, 3, 3, 2], objects=[4, 1, 1, 2, 3])
    assert found.counts() == {"bicycle": 1, "car": 2, "truck": 1}
    assert list(found.counts()) == ["bicycle", "car", "truck"]


def test_as_json_merges_the_instances_of_an_object() -> None:
    boxes = [[0.1, 0.2, 0.5, 0.6], [0.3, 0.1, 0.7, 0.4], [0, 0, 1 / 3, 1]]
    found = Detections.of(boxes, [0.25, 0.123456, 1], [3, 3, 1], objects=[1, 1, 0])
    assert found.as_json() == [
        {"label": "person", "score": 1.0, "box": [0.0, 0.0, 0.33333, 1.0]},
        {"label": "car", "score": 0.25, "box": [0.1, 0.1, 0.7, 0.6]},
    ]


@pytest.mark.parametrize(
    "boxes",
    [
        [[0, 0, 0.2, 0.3], [0.1, 0.5, 0.6, 0.6], [0.4, 0.1, 0.5, 0.2]],  # apart
        [[0.1, 0, 0.3, 0.3], [0.1, 0.8, 0.3, 0.99]],  # only one ends at an edge
        [[0.1, 0, 0.3, 0.6], [0.1, 0.5, 0.3, 1]],  # around the whole turn
    ],
)
def test_an_object_that_no_seam_cuts_has_one_part(boxes: list[list[float]]) -> None:
    """So it is one region with one tone, in however many pieces it is detected."""
    found = Detections.of(boxes, [0.9] * len(boxes), [3] * len(boxes), objects=[0] * len(boxes))
    (parts,) = found.object_parts().values()
    np.testing.assert_array_equal(parts, [found.object_boxes()[0]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_seam_cuts_an_object_in_two_however_the_picture_is_stored(orientation: int) -> None:
    boxes = [[0.1, 0, 0.2, 0.1], [0.1, 0.7, 0.3, 0.8], [0.4, 0.9, 0.5, 1]]
    found = Detections.of(boxes, [0.9] * 3, [3] * 3, objects=[0] * 3)
    parts = Detections.of([[0.1, 0.7, 0.5, 1], [0.1, 0, 0.2, 0.1]], [0.9] * 2, [3] * 2)
    (own,) = found.to_stored(orientation).object_parts().values()
    np.testing.assert_allclose(own, parts.to_stored(orientation).boxes, rtol=1e-6)


def test_an_object_at_the_seam_has_two_parts_the_larger_first() -> None:
    found = Detections.of(
        [[0.1, 0, 0.5, 0.1], [0.1, 0.8, 0.5, 1], [0.2, 0.05, 0.6, 0.1]], [0.9] * 3, [3] * 3, objects=[0] * 3
    )
    (one,) = found.as_json()
    assert (one["box"], one["beyond"]) == ([0.1, 0.8, 0.5, 1], [0.1, 0, 0.6, 0.1])


@pytest.mark.parametrize("orientation", range(1, 9))
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_to_stored_undoes_what_a_viewer_does(orientation: int, seed: int) -> None:
    """Redacting the stored picture and then turning it upright (with Pillow) equals redacting the upright picture."""
    random = np.random.default_rng(seed)
    stored_height, stored_width = 64, 128  # powers of two, so that fractions are exact and boxes round alike
    height, width = (stored_width, stored_height) if orientation > 4 else (stored_height, stored_width)
    boxes = []
    for _ in range(3):
        rows, columns = np.sort(random.choice(height + 1, 2, False)), np.sort(random.choice(width + 1, 2, False))
        boxes.append([rows[0] / height, columns[0] / width, rows[1] / height, columns[1] / width])
    upright = Detections.of(boxes, random.random(3), [1, 3, 8], random.random((3, 5, 7)))
    hidden = union(upright.to_stored(orientation), stored_height, stored_width)
    picture = Image.fromarray(hidden)
    picture.getexif()[0x0112] = orientation
    shown = np.asarray(ImageOps.exif_transpose(picture))
    expected = union(upright, height, width)
    # Swapped axes change the order of interpolation, which may change a sample very close to 0.5.
    assert np.count_nonzero(shown != expected) <= 1


@pytest.mark.parametrize("orientation", [0, 9, -1])
def test_to_stored_refuses_other_orientations(orientation: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 8"):
        Detections.empty().to_stored(orientation)


def test_the_eight_orientations_are_all_different() -> None:
    found = Detections.of([[0, 0.125, 0.25, 1]], [1], [1], np.arange(6).reshape(1, 2, 3) / 5)
    turned = [found.to_stored(number) for number in range(1, 9)]
    for one, other in itertools.combinations(turned, 2):
        same_masks = one.masks.shape == other.masks.shape and np.array_equal(one.masks, other.masks)
        assert not (same_masks and np.array_equal(one.boxes, other.boxes))
