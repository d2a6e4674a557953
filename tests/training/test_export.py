"""The exported model: the letterbox is undone, masks are in place, and invalid options are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf  # noqa: TID253 - runs the export

from anonymisation.masking.models.weights import builtin_folder
from anonymisation.masking.saved_model import FORM_FILE
from tests.sources import sources
from training.assemble import load_trained
from training.export import MAX_DETECTIONS, ExportOptions, ObjectDetector, _crop, export
from training.network import PROTOTYPE_STRIDE, build_network, load_weights


@pytest.mark.parametrize(
    "options",
    [
        {"side": 100},
        {"side": 0},
        {"score_floor": 0.0},
        {"score_floor": 1.0},
        {"mask_grow": 2},
        {"score_powers": (0.0, 1.0)},
        {"score_powers": (1.0, -1.0)},
        {"sides": (50.0, 50.0)},
    ],
)
def test_invalid_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        ExportOptions(**options)  # type: ignore[arg-type]


def test_crop_samples_the_corners_of_the_box() -> None:
    rows, columns = np.meshgrid(np.arange(20), np.arange(30), indexing="ij")
    prototypes = np.stack([rows, columns], axis=-1)[None].astype(np.float32)
    box = np.array([[5, 6, 15, 24]], np.float32) * PROTOTYPE_STRIDE  # rows 5..15, columns 6..24 of the cells
    patch = _crop(tf.constant(prototypes), tf.constant(box), tf.constant([0]), 7).numpy()[0]
    np.testing.assert_allclose(patch[0, 0], [4.5, 5.5], atol=1e-3)
    np.testing.assert_allclose(patch[-1, -1], [14.5, 23.5], atol=1e-3)


@pytest.fixture(scope="module", params=sources("shipped", "published"))
def detector(request: pytest.FixtureRequest) -> ObjectDetector:
    """With the weights of the built-in model, and with the published ones where they are."""
    if request.param == "shipped":
        network = load_trained(builtin_folder())
    else:
        network = build_network(masks=False)
        load_weights(network, request.getfixturevalue("shared") / "training" / "yolox_nano_coco_weights.npz")
    return ObjectDetector(network, ExportOptions(side=320, box_margin=0.0))


def test_boxes_are_fractions_of_the_input_picture(detector: ObjectDetector) -> None:
    from skimage import data

    pixels = data.astronaut()
    square = detector(pixels[None])
    padded = np.zeros((512, 1024, 3), np.uint8)
    padded[:, :512] = pixels
    wide = detector(padded[None])
    person = square["detection_boxes"].numpy()[0, 0]
    halved = wide["detection_boxes"].numpy()[0, 0]
    np.testing.assert_allclose(halved * [1, 2, 1, 2], person, atol=0.08)


def test_small_boxes_get_higher_scores(detector: ObjectDetector) -> None:
    options = ExportOptions(score_powers=(0.6, 1.0), sides=(48.0, 200.0))
    sides = tf.constant([10.0, 48.0, (48 * 200) ** 0.5, 200.0, 300.0])
    judge = ObjectDetector(detector.network, options)
    np.testing.assert_allclose(judge._power(sides), [0.6, 0.6, 0.8, 1.0, 1.0], atol=1e-5)


def test_a_batch_keeps_the_detections_of_its_pictures_separate(detector: ObjectDetector) -> None:
    from skimage import data

    pixels = np.stack([data.astronaut(), np.zeros((512, 512, 3), np.uint8), data.astronaut()[:, ::-1]])
    together = {name: value.numpy() for name, value in detector(pixels).items()}
    assert together["num_detections"][0] >= 1
    assert together["num_detections"][1] == 0
    for row in range(len(pixels)):
        alone = detector(pixels[row : row + 1])
        for name, values in together.items():
            np.testing.assert_allclose(values[row], alone[name].numpy()[0], atol=1e-3)


def test_pictures_that_fit_are_not_scaled(detector: ObjectDetector) -> None:
    from skimage import data

    pixels = np.asarray(data.astronaut(), np.float32)
    raw = detector.network(pixels[None])["anchors"].numpy()[0]
    best = (1 / (1 + np.exp(-raw[:, 4])) / (1 + np.exp(-raw[:, 5:11].max(axis=1)))).max()  # she fills the picture
    found = detector(data.astronaut()[None])["detection_scores"].numpy()[0, 0]
    assert found == pytest.approx(best, abs=1e-4)


def test_the_exported_model_gives_the_same_results_as_the_network(detector: ObjectDetector, tmp_path: Path) -> None:
    from skimage import data

    size = export(detector.network, tmp_path / "model", detector.options)
    assert size == sum(path.stat().st_size for path in (tmp_path / "model").rglob("*") if path.is_file())
    view = json.loads((tmp_path / "model" / FORM_FILE).read_text())
    assert view == {"side": 320, "multiple": 32, "most_pixels": 1 << 22}
    signature = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    pixels = data.astronaut()[None]
    written, direct = signature(input_tensor=tf.constant(pixels)), detector(pixels)
    assert set(written) == set(direct)
    assert direct["detection_scores"].shape == (1, MAX_DETECTIONS)
    for name in direct:
        np.testing.assert_allclose(written[name].numpy(), direct[name].numpy(), atol=1e-4)
