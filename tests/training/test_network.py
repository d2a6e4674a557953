"""The rebuilt YOLOX-nano against the published TFLite build of the same network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2  # noqa: TID253 - scales a picture
import keras  # noqa: TID253 - makes the weights
import numpy as np
import pytest
import tensorflow as tf  # noqa: TID253 - runs the TFLite file
from numpy.typing import NDArray
from skimage import data

from tests.sources import sources
from training.network import (
    COCO80_ROWS,
    COCO_IDS,
    MIX,
    PROTOTYPES,
    anchor_grid,
    build_network,
    decode_boxes,
    load_weights,
    save_weights,
)


@pytest.fixture(scope="module", params=sources("random", "published"))
def start(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights for eighty classes: random ones, and the published ones where they are."""
    if request.param == "published":
        shared: Path = request.getfixturevalue("shared")
        return shared / "training" / "yolox_nano_coco_weights.npz"
    path = tmp_path_factory.mktemp("weights") / "random.npz"
    keras.utils.set_random_seed(1)
    save_weights(build_network(80, masks=False), path)
    return path


@pytest.fixture(scope="module")
def picture() -> NDArray[np.float32]:
    return np.asarray(cv2.resize(data.astronaut()[..., ::-1], (416, 416)), np.float32)[None]


def sigmoid(values: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    return 1 / (1 + np.exp(-values))


def test_scores_and_boxes_equal_those_of_the_tflite_file(shared: Path, picture: NDArray[np.float32]) -> None:
    network = build_network(80, masks=False)
    assert load_weights(network, shared / "training" / "yolox_nano_coco_weights.npz") == []
    mine = network(picture[..., ::-1])["anchors"].numpy()
    interpreter = tf.lite.Interpreter(str(shared / "training" / "yolox_nano_coco_416_fp16.tflite"))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture.transpose(0, 3, 1, 2))
    interpreter.invoke()
    theirs = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    # The file has half floats.
    np.testing.assert_allclose(sigmoid(mine[..., 4:]), theirs[..., 4:], atol=0.03)
    np.testing.assert_allclose(mine[..., :4], theirs[..., :4], atol=0.15)
    assert theirs[..., 4].max() > 0.5


def test_the_six_classes_are_rows_of_the_eighty(start: Path, picture: NDArray[np.float32]) -> None:
    eighty, six = build_network(80, masks=False), build_network(masks=False)
    load_weights(eighty, start)
    load_weights(six, start)
    rows = [5 + row for row in COCO80_ROWS]
    expected = eighty(picture)["anchors"].numpy()[..., [0, 1, 2, 3, 4, *rows]]
    np.testing.assert_allclose(six(picture)["anchors"].numpy(), expected, atol=1e-4)


def test_only_the_mask_branch_is_new(start: Path) -> None:
    missing = load_weights(build_network(), start)
    assert missing
    assert all(name.startswith("proto.") or ".mask" in name for name in missing)


def test_shapes_at_another_size() -> None:
    outputs = build_network()(np.zeros((2, 96, 160, 3), np.float32))
    anchors = sum((96 // stride) * (160 // stride) for stride in (8, 16, 32))
    assert outputs["anchors"].shape == (2, anchors, 5 + len(COCO_IDS) + MIX)
    assert outputs["prototypes"].shape == (2, 24, 40, PROTOTYPES)


def test_anchors_follow_rows_and_strides() -> None:
    cells, strides = anchor_grid(64, 96)
    boxes = decode_boxes(np.zeros((1, len(cells), 4), np.float32), cells, strides)
    centres = (np.asarray(boxes)[0, :, :2] + np.asarray(boxes)[0, :, 2:]) / 2
    assert centres[0].tolist() == [0, 0]
    assert centres[1].tolist() == [8, 0]
    assert centres[12].tolist() == [0, 8]
    assert centres[96].tolist() == [0, 0]
    assert centres[-1].tolist() == [64, 32]
