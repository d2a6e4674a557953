"""The built-in model holds the weights from which it can be exported again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf  # noqa: TID253 - runs the built-in model

from anonymisation.masking.models.weights import builtin_folder
from tests.sources import SHARED, sources
from training.assemble import load_trained
from training.export import ExportOptions, ObjectDetector
from training.frozen import load_exported
from training.network import build_network, save_weights


def test_the_weights_of_the_built_in_model_give_its_sure_detections(tmp_path: Path) -> None:
    from skimage import data

    network = load_trained(builtin_folder())
    found = ObjectDetector(network, ExportOptions())(data.astronaut()[None])
    shipped = tf.saved_model.load(str(builtin_folder())).signatures["serving_default"]
    expected = shipped(input_tensor=tf.constant(data.astronaut()[None]))
    best = found["detection_scores"].numpy()[0, 0]
    assert best > 0.5  # so it is not judged again
    row = np.abs(expected["detection_scores"].numpy()[0] - best).argmin()
    for name in ("detection_scores", "detection_boxes", "detection_masks"):
        np.testing.assert_allclose(found[name].numpy()[0, 0], expected[name].numpy()[0, row], atol=1e-4)
    save_weights(network, tmp_path / "weights.npz")
    again = load_trained(tmp_path / "weights.npz")
    assert all((a == b).all() for a, b in zip(network.get_weights(), again.get_weights(), strict=True))


@pytest.mark.parametrize("source", sources("random", "published"))
def test_weights_of_another_network_are_refused(source: str, tmp_path: Path) -> None:
    start = SHARED / "training" / "yolox_nano_coco_weights.npz"
    if source == "random":
        start = tmp_path / "start.npz"
        save_weights(build_network(80, masks=False), start)
    with pytest.raises(ValueError, match=r"expected the weights of all layers, .*proto"):
        load_trained(start)
    tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
    with pytest.raises(ValueError, match=r"expected weights .* of stem"):
        load_exported(build_network(), tmp_path / "empty")
