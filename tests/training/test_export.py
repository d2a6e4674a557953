"""The exported form: letterbox undone, masks where they belong, and the options that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf  # noqa: TID253 - runs the export

from training.export import ExportOptions, ObjectDetector, _crop, export
from training.network import build_network, load_weights


@pytest.mark.parametrize(
    "options",
    [
        {"scales": ((100, 99.0),)},
        {"scales": ()},
        {"scales": ((64, 0.0),)},
        {"score_floor": 0.0},
        {"score_floor": 1.0},
        {"mask_grow": 2},
    ],
)
def test_nonsense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        ExportOptions(**options)  # type: ignore[arg-type]


def test_crop_samples_the_boxs_corners() -> None:
    rows, columns = np.meshgrid(np.arange(20), np.arange(30), indexing="ij")
    prototypes = np.stack([rows, columns], axis=-1)[None].astype(np.float32)
    box = np.array([[0.25, 0.2, 0.75, 0.8]], np.float32)  # rows 5..15, columns 6..24 of the cells
    patch = _crop(tf.constant(prototypes), tf.constant(box), tf.constant([0]), 7).numpy()[0]
    np.testing.assert_allclose(patch[0, 0], [4.5, 5.5], atol=1e-3)
    np.testing.assert_allclose(patch[-1, -1], [14.5, 23.5], atol=1e-3)


@pytest.fixture(scope="module")
def detector(shared: Path) -> ObjectDetector:
    network = build_network(masks=False)
    load_weights(network, shared / "training" / "yolox_nano_coco_weights.npz")
    return ObjectDetector(network, ExportOptions(scales=((320, 100.0), (224, 224.0)), box_margin=0.0))


def test_boxes_are_shares_of_the_given_picture(detector: ObjectDetector) -> None:
    from skimage import data

    pixels = data.astronaut()
    square = detector(pixels[None])
    padded = np.zeros((512, 1024, 3), np.uint8)
    padded[:, :512] = pixels
    wide = detector(padded[None])
    person = square["detection_boxes"].numpy()[0, 0]
    halved = wide["detection_boxes"].numpy()[0, 0]
    np.testing.assert_allclose(halved * [1, 2, 1, 2], person, atol=0.08)


def test_the_written_model_gives_what_the_network_gives(detector: ObjectDetector, tmp_path: Path) -> None:
    from skimage import data

    size = export(detector.network, tmp_path / "model", detector.options)
    assert size == sum(path.stat().st_size for path in (tmp_path / "model").rglob("*") if path.is_file())
    signature = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    pixels = data.astronaut()[None]
    written, direct = signature(input_tensor=tf.constant(pixels)), detector(pixels)
    assert set(written) == set(direct)
    for name in direct:
        np.testing.assert_allclose(written[name].numpy(), direct[name].numpy(), atol=1e-4)
