"""What reviewers add: kept whatever happens to the picture, refused where it is nonsense, seen by running steps."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.journal import to_line
from anonymisation.masking.detections import Detections
from anonymisation.review import (
    MAX_BOXES,
    Box,
    Review,
    ReviewedBoxes,
    add_box,
    mark_hidden,
    mark_ok,
    read_reviews,
    reviews_file,
    with_boxes,
)

FOLDER = "2021/EV6/F1_2021_05_01"
BOX = Box(0.1, 0.2, 0.3, 0.4)
OTHER = Box(0.5, 0.5, 1.0, 1.0)


@pytest.mark.parametrize(
    "sides",
    [(0.3, 0.2, 0.1, 0.4), (0.1, 0.4, 0.3, 0.2), (-0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3, 1.1), (math.nan, 0, 1, 1),
     (0.1, 0.2, 0.1, 0.4), (0.1, 0.2, math.inf, 0.4)],
)  # fmt: skip
def test_a_box_that_is_none_is_refused(sides: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Box(*sides)


def test_boxes_wait_until_they_are_hidden(tmp_path: Path) -> None:
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    review = add_box(tmp_path, FOLDER, "a.jpg", OTHER, "ola")
    assert review.waiting == (BOX, OTHER)
    assert review.by == "ola"

    mark_hidden(tmp_path, FOLDER, "a.jpg", 1)
    assert read_reviews(tmp_path, FOLDER)["a.jpg"].waiting == (OTHER,)
    assert read_reviews(tmp_path, FOLDER)["a.jpg"].boxes == (BOX, OTHER)
    assert read_reviews(tmp_path, "another") == {}


def test_ok_holds_until_a_box_is_added(tmp_path: Path) -> None:
    mark_ok(tmp_path, FOLDER, "a.jpg", "Built-in@1", "kari")
    assert read_reviews(tmp_path, FOLDER)["a.jpg"].ok_model == "Built-in@1"
    assert add_box(tmp_path, FOLDER, "a.jpg", BOX, "ola").ok_model is None


def test_a_line_torn_by_a_kill_costs_no_other_box(tmp_path: Path) -> None:
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    with reviews_file(tmp_path, FOLDER).open("ab") as stream:
        stream.write(b'{"name":"a.jpg","box":[0.5')
    assert add_box(tmp_path, FOLDER, "a.jpg", OTHER, "kari").boxes == (BOX, OTHER)


def test_nobody_draws_for_ever(tmp_path: Path) -> None:
    line = to_line({"name": "a.jpg", "box": list(BOX.as_tuple()), "by": "kari", "at": ""})
    place = reviews_file(tmp_path, FOLDER)
    place.parent.mkdir(parents=True)
    place.write_bytes(line * MAX_BOXES)
    with pytest.raises(ValueError, match="already"):
        add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")


def test_a_step_that_runs_sees_what_is_added_meanwhile(tmp_path: Path) -> None:
    boxes = ReviewedBoxes(tmp_path, FOLDER)
    assert boxes.of("a.jpg") == ()
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    assert boxes.of("a.jpg") == (BOX,)
    assert [(name, review.waiting) for name, review in boxes.waiting()] == [("a.jpg", (BOX,))]
    mark_hidden(tmp_path, FOLDER, "a.jpg", 1)
    assert list(boxes.waiting()) == []
    assert boxes.of("a.jpg") == (BOX,)


@given(st.integers(0, 3), st.integers(0, 3), st.sampled_from([(1, 1), (15, 15)]))
def test_added_boxes_are_marked_whole_beside_what_was_detected(found: int, added: int, size: tuple[int, int]) -> None:
    masks = np.zeros((found, *size), np.float32)
    detections = Detections.of([[0, 0, 0.5, 0.5]] * found, [0.5] * found, [3] * found, masks)
    both = with_boxes(detections, (BOX,) * added)
    assert len(both) == found + added
    assert np.all(both.masks[found:] == 1)
    assert np.array_equal(both.boxes[:found], detections.boxes)
    assert len(set(both.objects.tolist())) == len(both)


def test_nothing_is_hidden_of_a_picture_without_boxes() -> None:
    assert Review().waiting == ()
