"""The regions that the starting network marks as unknown, on a real photograph."""

from __future__ import annotations

from pathlib import Path

import cv2  # noqa: TID253 - writes a picture
import numpy as np
import pytest
from skimage import data

from anonymisation.masking.models.weights import builtin_folder
from tests.sources import sources
from training.assemble import load_trained
from training.data import Sample
from training.nanodet import read_convolutions
from training.network import COCO_IDS, build_network, load_weights
from training.sources import NANODET
from training.teacher import SURE_SCORE, Detected, SecondTeacher, Teacher


@pytest.fixture(scope="module", params=sources("shipped", "published"))
def teacher(request: pytest.FixtureRequest) -> Teacher:
    """With the weights of the built-in model, and with the published ones where they are."""
    if request.param == "shipped":
        return Teacher(load_trained(builtin_folder()), 0.3)
    network = build_network(masks=False)
    load_weights(network, request.getfixturevalue("shared") / "training" / "yolox_nano_coco_weights.npz")
    return Teacher(network, 0.3)


def test_the_astronaut_is_marked_where_she_is(teacher: Teacher) -> None:
    boxes = teacher.detect(data.astronaut(), labelled=()).boxes
    largest = boxes[np.argmax(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))]
    assert (largest[:2] < [225, 110]).all()  # column and row of her nose
    assert (largest[2:] > [225, 110]).all()


def test_labelled_classes_are_not_marked(teacher: Teacher) -> None:
    assert len(teacher.detect(data.astronaut(), labelled=(COCO_IDS.index(1),)).boxes) == 0


def test_confident_detections_become_objects_once_unless_known() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [90, 90, 99, 99]], np.float32)
    detected = Detected(boxes, np.array([0.7, 0.9, 0.8, SURE_SCORE - 0.01], np.float32), np.zeros(4, np.int64))
    assert detected.sure(np.zeros((0, 4), np.float32)) == [1, 2]
    assert detected.sure(np.array([[52, 50, 61, 60]], np.float32)) == [1]


def test_samples_get_confident_detections_as_objects_and_the_rest_as_unknown(teacher: Teacher, tmp_path: Path) -> None:
    path = tmp_path / "astronaut.png"
    cv2.imwrite(str(path), data.astronaut()[..., ::-1])
    nothing = np.zeros((0, 4), np.float32)
    (marked,) = teacher.marked([Sample(path, nothing, np.zeros(0, np.int64), (), nothing)], labelled=())
    assert marked.classes.tolist() == [COCO_IDS.index(1)]
    assert marked.polygons == ((),)
    assert len(marked.ignore) >= 1


@pytest.mark.parametrize("teacher", ["published"], indirect=True)
def test_what_only_one_network_detects_is_neither_object_nor_unknown(
    teacher: Teacher, shared: Path, tmp_path: Path
) -> None:
    path = tmp_path / "astronaut.png"
    cv2.imwrite(str(path), data.astronaut()[..., ::-1])
    nothing = np.zeros((0, 4), np.float32)
    sample = Sample(path, nothing, np.zeros(0, np.int64), (), nothing)
    second = SecondTeacher(read_convolutions(shared / "training" / NANODET), 0.3)
    (marked,) = teacher.agreed([sample], second)
    assert marked.classes.tolist() == [COCO_IDS.index(1)]
    blind = SecondTeacher(read_convolutions(shared / "training" / NANODET), 0.999)
    assert teacher.agreed([sample], blind) == [sample]


def test_networks_agree_on_the_same_box_and_both_scores_decide() -> None:
    boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60], [90, 90, 99, 99]], np.float32)
    one = Detected(boxes, np.array([0.9, 0.9, 0.9], np.float32), np.zeros(3, np.int64))
    other = Detected(boxes[:2] + 1, np.array([0.4, 0.2], np.float32), np.zeros(2, np.int64))
    rows, sure = one.joined(other)
    assert rows == [0, 1]
    assert sure.tolist() == [1.0, 0.0]
