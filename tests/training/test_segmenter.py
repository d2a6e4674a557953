"""The segmentation network: DeepLab as published, in integer arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf  # noqa: TID253 - runs the published file

from anonymisation.masking.saved_model import SavedModel
from training.export import SECOND_LOOK, ExportOptions, export
from training.network import build_network
from training.segmenter import MOST_EXACT, VOC_ROWS, Convolution, Form, Segmenter, read_operations

PUBLISHED = "training/deeplabv3_mnv2_pascal_quant.tflite"


def test_it_gives_the_results_of_the_published_file(shared: Path) -> None:
    from skimage import data

    pixels = np.zeros((513, 513, 3), np.uint8)
    pixels[:512, :512] = data.astronaut()
    interpreter = tf.lite.Interpreter(str(shared / PUBLISHED))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[None])
    interpreter.invoke()
    classes = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0, ::16, ::16]
    odds = Segmenter(read_operations(shared / PUBLISHED))(pixels[None])["log_odds"].numpy()[0]
    assert odds.shape == (33, 33, 2)
    for group, rows in enumerate(VOC_ROWS):
        assert np.mean((odds[..., group] > 0) == np.isin(classes, rows)) > 0.985
    assert 0.2 < np.mean(odds[..., 0] > 0) < 0.8


def test_the_file_of_another_network_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.tflite: expected the published weights"):
        read_operations(tmp_path / "none.tflite")
    sum_of = tf.function(lambda x: {"y": tf.reduce_sum(x)}, input_signature=[tf.TensorSpec((1, 8, 8, 3))])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([sum_of.get_concrete_function()])
    other = tmp_path / "other.tflite"
    other.write_bytes(converter.convert())
    with pytest.raises(ValueError, match="expected DeepLabv3 on MobileNetV2"):
        read_operations(other)


@pytest.mark.parametrize("depthwise", [False, True])
def test_the_largest_sum_is_known_and_reached(depthwise: bool) -> None:
    rng = np.random.default_rng(1)
    shape = (3, 3, 8, 1) if depthwise else (3, 3, 8, 5)
    kernel = rng.integers(0, 256, shape, np.uint8)
    bias = rng.integers(0, 9, 8 if depthwise else 5).astype(np.int32)
    convolution = Convolution(kernel, Form(0.1, 100), bias, stride=1, dilation=1, depthwise=depthwise)
    weights = kernel.astype(np.int64) - 100
    # The picture that reaches it in the middle: as far as possible from its zero point, with the weights' signs.
    best = np.where(weights >= 0, 135, -120)
    sums = []
    for channel in range(best.shape[2] if depthwise else best.shape[3]):
        picture = best[..., 0] if depthwise else best[..., channel]
        total = convolution.sums(tf.constant(picture[None].astype(np.float32))).numpy()[0, 1, 1]
        sums.append(float(total[channel]))
    most = convolution.most(Form(0.5, 120))
    assert 0.9 * most < max(sums) <= most < MOST_EXACT


def test_the_exported_network_is_small_and_gives_the_same_results(shared: Path, tmp_path: Path) -> None:
    segmenter = Segmenter(read_operations(shared / PUBLISHED))
    size = export(build_network(), tmp_path / "model", ExportOptions(), segmenter)
    assert size < 8_000_000
    model = SavedModel(tmp_path / "model", score_threshold=0.15)
    assert model.second_look == SECOND_LOOK
    pixels = np.random.default_rng(3).integers(0, 256, (81, 129, 3), np.uint8)
    expected = segmenter(pixels[None])["log_odds"].numpy()[0]
    assert expected.shape == (6, 9, 2)
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(model.segment(pixels), expected)
