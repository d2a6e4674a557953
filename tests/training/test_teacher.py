"""What the starting network marks as unknown, on a real photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage import data

from training.network import COCO_IDS, build_network, load_weights
from training.teacher import Teacher


@pytest.fixture(scope="module")
def teacher(shared: Path) -> Teacher:
    network = build_network(masks=False)
    load_weights(network, shared / "training" / "yolox_nano_coco_weights.npz")
    return Teacher(network, 0.3)


def test_the_astronaut_is_marked_where_she_is(teacher: Teacher) -> None:
    boxes = teacher.boxes(data.astronaut(), labelled=())
    largest = boxes[np.argmax(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))]
    assert (largest[:2] < [225, 110]).all()  # column and row of her nose
    assert (largest[2:] > [225, 110]).all()


def test_what_is_labelled_is_not_marked(teacher: Teacher) -> None:
    assert len(teacher.boxes(data.astronaut(), labelled=(COCO_IDS.index(1),))) == 0
