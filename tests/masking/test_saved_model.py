from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf  # noqa: TID253 - tests the module that uses it
from numpy.typing import NDArray

from anonymisation.core.errors import ImplausibleOutputError, ModelFailedError, ModelUnavailableError
from anonymisation.core.settings import Settings
from anonymisation.masking.geometry import union
from anonymisation.masking.models.factory import load_detector
from anonymisation.masking.saved_model import FORM_FILE, SECOND_LOOK_FILE, Devices, SavedModel
from anonymisation.masking.second_look import SecondLook
from anonymisation.masking.tiling import MAX_BATCH, TilingDetector
from anonymisation.masking.views import InputForm, Tiles
from tests.masking.scripted_models import BLUE, GREEN, RED, Constant, save_constant, save_tf2


def picture(height: int, width: int, *squares: tuple[tuple[int, int, int], int, int, int]) -> NDArray[np.uint8]:
    pixels = np.full((height, width, 3), 120, np.uint8)
    for colour, top, left, side in squares:
        pixels[top : top + side, left : left + side] = colour
    return pixels


def outputs(count: int = 1, **changes: Any) -> dict[str, NDArray[Any]]:
    values = {
        "num_detections": np.array([count], np.float32),
        "detection_boxes": np.tile(np.array([0.25, 0.25, 0.75, 0.75], np.float32), (1, count, 1)),
        "detection_scores": np.full((1, count), 0.9, np.float32),
        "detection_classes": np.full((1, count), 3, np.float32),
        "detection_masks": np.full((1, count, 5, 5), 0.8, np.float32),
    }
    return {name: value for name, value in (values | changes).items() if value is not None}


@pytest.fixture(params=["tf1", "tf2"])
def zoo_form(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(f"{request.param}_model")
    return folder


def test_both_zoo_forms_detect_the_objects(zoo_form: Path) -> None:
    model = SavedModel(zoo_form, score_threshold=0.15)
    pixels = picture(640, 640, (RED, 100, 200, 80), (GREEN, 400, 420, 100), (BLUE, 20, 20, 60))
    (found,) = model.predict(pixels[None])
    assert found.counts() == {"car": 1, "person": 1}  # the truck's score is too low, the boat's class is not kept
    assert found.scores == pytest.approx([0.9, 0.6])
    assert found.boxes[0] == pytest.approx([100 / 640, 200 / 640, 180 / 640, 280 / 640], abs=1 / 64)
    assert found.masks.shape == (2, 15, 15)
    hidden = union(found, 640, 640)
    assert hidden[112:168, 212:268].all()  # up to the model's resolution of ten pixels
    assert hidden[412:488, 432:508].all()
    assert np.count_nonzero(hidden) < 1.3 * (80**2 + 100**2)


def test_the_threshold_is_inclusive_and_from_the_settings(zoo_form: Path) -> None:
    pixels = picture(640, 640, (BLUE, 20, 20, 60))[None]
    assert SavedModel(zoo_form, score_threshold=0.1).predict(pixels)[0].counts() == {"truck": 1}
    assert SavedModel(zoo_form, score_threshold=0.11).predict(pixels)[0].counts() == {}


def test_the_same_picture_gives_the_same_detections(zoo_form: Path) -> None:
    pixels = picture(300, 500, (RED, 100, 200, 80), (GREEN, 10, 10, 50))
    detector = TilingDetector(SavedModel(zoo_form, score_threshold=0.1), "x", 10**9, Tiles(200, 0.25))
    one, other = detector.detect(pixels), detector.detect(pixels)
    for name in ("boxes", "scores", "classes", "masks", "objects"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


def test_each_form_uses_its_batch_size(tf1_model: Path, tf2_model: Path, tmp_path: Path) -> None:
    assert SavedModel(tf1_model, score_threshold=0).max_batch == MAX_BATCH
    assert SavedModel(tf2_model, score_threshold=0).max_batch == 1
    ours = SavedModel(save_tf2(tmp_path / "ours", batch=None), score_threshold=0.15)
    assert ours.max_batch == MAX_BATCH
    empty, red = picture(64, 64), picture(64, 64, (RED, 10, 10, 30))
    assert [found.counts() for found in ours.predict(np.stack([empty, red]))] == [{}, {"person": 1}]
    with pytest.raises(ValueError, match="expected 1 to 1 pictures"):
        SavedModel(tf2_model, score_threshold=0).predict(np.stack([empty, red]))


def test_tiles_detect_an_object_that_the_whole_picture_loses(zoo_form: Path) -> None:
    """The square is 16 of 3000 pixels wide, a third of a pixel in the model's input for the whole picture."""
    pixels = picture(2000, 3000, (RED, 1510, 1000, 16))
    model = SavedModel(zoo_form, score_threshold=0.15)
    assert len(TilingDetector(model, "x", 10**9, None).detect(pixels)) == 0
    found = TilingDetector(model, "x", 10**9, Tiles(320, 0.25)).detect(pixels)
    assert found.counts() == {"person": 1}
    hidden = union(found, 2000, 3000, 4)
    assert hidden[1510:1526, 1000:1016].all()
    assert np.count_nonzero(hidden) < 40**2


def test_a_model_without_masks_hides_whole_boxes_and_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = save_constant(tmp_path / "boxes", outputs(detection_masks=None))
    model = SavedModel(folder, score_threshold=0.1)
    assert "gives no detection_masks: the whole of every box will be hidden" in caplog.text
    hidden = union(model.predict(picture(40, 40)[None])[0], 40, 40)
    assert hidden[10:30, 10:30].all()
    assert np.count_nonzero(hidden) == 400


def test_boxes_beyond_the_picture_are_clipped_and_hidden_whole(tmp_path: Path) -> None:
    boxes = [[-0.5, 0.5, 0.5, 1.5], [0.5, 0.25, 1.0001, 0.5]]
    masks = np.zeros((1, 2, 5, 5), np.float32)
    masks[..., 2, 2] = 1
    changes = {"detection_boxes": np.array([boxes], np.float32), "detection_masks": masks}
    folder = save_constant(tmp_path / "beyond", outputs(2, **changes))
    (found,) = SavedModel(folder, score_threshold=0.1).predict(picture(40, 40)[None])
    assert found.boxes.tolist() == [[0, 0.5, 0.5, 1], [0.5, 0.25, 1, 0.5]]
    # A mask does not fit a changed box, so the whole box is marked; the second box differs only by rounding.
    assert [float(mask.min()) for mask in found.masks] == [1, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detection_scores": np.array([[np.nan]], np.float32)}, "detection_scores nan in row 0, expected 0 to 1"),
        ({"detection_scores": np.array([[55]], np.float32)}, "detection_scores 55 in row 0, expected 0 to 1"),
        ({"detection_boxes": np.array([[[1, 2, 30, 40]]], np.float32)}, r"detection_boxes \[1, 2, 30, 40\] in row 0"),
        (
            {"detection_boxes": np.array([[[0, 0, 1, 1]]]) / 50},
            "expected a box of at least one pixel in an input of 44 x 40",
        ),
        ({"num_detections": np.array([2], np.float32)}, "num_detections 2, expected a whole number from 0 to 1"),
    ],
)
def test_implausible_numbers_fail_the_picture(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """Dropping such a row could leave an object readable. test_plausibility.py tests all the rules."""
    model = SavedModel(save_constant(tmp_path / "model", outputs(**changes)), score_threshold=0.1)
    with pytest.raises(ImplausibleOutputError, match=rf"^the model in {tmp_path}/model gives .*{message}"):
        model.predict(picture(40, 44)[None])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detection_boxes": np.zeros((1, 1, 5), np.float32)}, "detection_boxes: expected 3 axes"),
        ({"detection_boxes": np.zeros((1, 2, 4), np.float32)}, "detection_boxes: expected 3 axes"),
        ({"detection_masks": np.ones((1, 1, 5, 5), np.uint8)}, "detection_masks: expected floating-point"),
        ({"detection_masks": np.ones((2, 1, 5, 5), np.float32)}, "detection_masks: expected 4 axes for 1 pictures"),
        ({"detection_masks": np.ones((1, 1, 0, 5), np.float32)}, "detection_masks: expected 4 axes for 1 pictures"),
        ({"detection_classes": np.array([["car"]])}, "detection_classes: expected numbers"),
        ({"num_detections": np.array([True])}, "num_detections: expected numbers, got bool"),
    ],
)
def test_a_model_with_outputs_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    model = SavedModel(save_constant(tmp_path / "model", outputs(**changes)), score_threshold=0.1)
    with pytest.raises(ModelUnavailableError, match=message):
        model.predict(picture(40, 40)[None])


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ({"signature": "predict"}, {}, r"no signature 'serving_default' \(found: predict\)"),
        ({}, {"detection_boxes": None, "num_detections": None}, "lacks the outputs num_detections, detection_boxes"),
        ({"spec": tf.TensorSpec((1, None, None, 3), tf.float32, "image")}, {}, "uint8 .* got float32"),
        ({"spec": tf.TensorSpec((1, 300, 300, 3), tf.uint8, "image")}, {}, r"got uint8 \[1, 300, 300, 3\]"),
        ({"spec": tf.TensorSpec((None,), tf.string, "encoded")}, {}, "got string"),
    ],
)
def test_other_signatures_are_refused_when_loading(
    tmp_path: Path, options: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    folder = save_constant(tmp_path / "model", outputs(**changes), **options)
    with pytest.raises(ModelUnavailableError, match=message):
        SavedModel(folder, score_threshold=0.1)


def test_missing_and_damaged_models_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"holds no saved_model\.pb"):
        SavedModel(tmp_path, score_threshold=0.1)
    (tmp_path / "saved_model.pb").write_bytes(b"this is no protocol buffer")
    with pytest.raises(ModelUnavailableError, match="cannot be loaded, fetch it again"):
        SavedModel(tmp_path, score_threshold=0.1)
    folder = save_tf2(tmp_path / "truncated")
    data = next((folder / "variables").glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:1])
    with pytest.raises(ModelUnavailableError, match=r"truncated.* cannot be loaded"):
        SavedModel(folder, score_threshold=0.1)


def test_a_model_may_have_an_input_size(tf2_model: Path, tmp_path: Path) -> None:
    assert SavedModel(tf2_model, score_threshold=0.1).form is None
    folder = save_tf2(tmp_path / "sees", batch=None)
    (folder / FORM_FILE).parent.mkdir()
    (folder / FORM_FILE).write_text('{"side": 64, "multiple": 32, "most_pixels": 65536}')
    assert SavedModel(folder, score_threshold=0.1).form == InputForm(64, 32, 65536)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "64",
        '{"side": 64, "multiple": 32, "most_pixels": 65536, "sides": 1}',
        '{"side": 64}',
        '{"side": 64, "multiple": 0, "most_pixels": 65536}',
        '{"sides": 64}',
        "\xff",
    ],
)
def test_a_model_with_an_invalid_input_size_is_refused(tmp_path: Path, text: str) -> None:
    folder = save_constant(tmp_path / "model", outputs())
    (folder / FORM_FILE).parent.mkdir()
    (folder / FORM_FILE).write_text(text, encoding="latin-1")
    with pytest.raises(ModelUnavailableError, match=r"view\.json: expected .* with side, multiple, most_pixels"):
        SavedModel(folder, score_threshold=0.1)


class _Failing(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Runs out of memory for more than one picture, and fails on wide ones."""

    @tf.function(  # type: ignore[untyped-decorator]  # TensorFlow has no types
        input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, "input_tensor")]
    )
    def serve(self, input_tensor: Any) -> dict[str, Any]:
        shape = tf.shape(input_tensor, tf.int64)
        check = tf.debugging.assert_less(shape[2], np.int64(100), "too wide")
        with tf.control_dependencies([check]):
            nothing = tf.reduce_sum(tf.fill([(shape[0] - 1) * (1 << 45)], 0.0))
        values = {name: tf.constant(array) for name, array in outputs().items()}
        return values | {"detection_scores": values["detection_scores"] + nothing}


def test_an_error_inside_the_model_fails_the_picture(tmp_path: Path) -> None:
    module = _Failing()
    tf.saved_model.save(module, str(tmp_path / "failing"), {"serving_default": module.serve})
    model = SavedModel(tmp_path / "failing", score_threshold=0.1)
    with pytest.raises(ModelFailedError, match=r"fails on this picture: .*too wide") as caught:
        model.predict(picture(40, 140)[None])
    assert "\n" not in str(caught.value)
    assert len(model.predict(np.stack([picture(40, 40)] * 5))) == 5


LOOK = {
    "pixels": 4096,
    "step": 16,
    "least_side": 30.0,
    "judged_share": 0.05,
    "least_odds": -2.0,
    "sure_score": 0.95,
    "seen_odds": 0.0,
    "mask_weight": 1.0,
    "odds_weight": 1.0,
    "odds_bias": 0.0,
    "reach": 0.1,
    "outside_odds": -3.0,
}


class _Segmenter(Constant):
    """Returns constant detections, and segments red pixels for `rows` pictures at once; fails on wide pictures."""

    def __init__(self, rows: int = 1, output: str = "log_odds", dtype: Any = tf.float32, named: str = "input_tensor"):
        super().__init__(outputs(), tf.TensorSpec((None, None, None, 3), tf.uint8, "input_tensor"))
        self.rows, self.output, self.dtype = rows, output, dtype
        segment = {"input_tensor": self._segment, "image": self._segment_image}[named]
        spec = tf.TensorSpec((None, None, None, 3), tf.uint8, named)
        self.segment = tf.function(segment, input_signature=[spec])

    def _segment_image(self, image: Any) -> dict[str, Any]:
        return self._segment(image)

    def _segment(self, input_tensor: Any) -> dict[str, Any]:
        check = tf.debugging.assert_less(tf.shape(input_tensor)[2], 400, "too wide")
        with tf.control_dependencies([check]):
            odds = tf.cast(input_tensor[:, ::8, ::8, :2], tf.float32) - 100.0
        odds = tf.where(odds == 155.0, np.float32(np.nan), tf.where(odds == 154.0, np.float32(1e6), odds))
        return {self.output: tf.cast(tf.tile(odds, (self.rows, 1, 1, 1)), self.dtype)}

    def saved(self, folder: Path, look: str, *, segments: bool = True) -> Path:
        signatures = {"serving_default": self.serve} | ({"segmentation": self.segment} if segments else {})
        tf.saved_model.save(self, str(folder), signatures)
        (folder / SECOND_LOOK_FILE).parent.mkdir()
        (folder / SECOND_LOOK_FILE).write_text(look)
        return folder


def test_a_model_may_have_a_second_look(tf2_model: Path, tmp_path: Path) -> None:
    assert SavedModel(tf2_model, score_threshold=0.1).second_look is None
    model = SavedModel(_Segmenter().saved(tmp_path / "looks", json.dumps(LOOK)), score_threshold=0.1)
    assert model.second_look == SecondLook(**LOOK)  # type: ignore[arg-type]
    pixels = np.zeros((17, 33, 3), np.uint8)
    pixels[8, 16] = (130, 40, 7)
    odds = model.segment(pixels)
    assert odds.shape == (3, 5, 2)
    np.testing.assert_array_equal(odds[1, 2], [30, -60])
    with pytest.raises(ModelFailedError, match=r"fails on this picture: .*too wide"):
        model.segment(np.zeros((17, 401, 3), np.uint8))


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ({"output": "odds"}, "expected log_odds, float32 .* got none"),
        ({"dtype": tf.int32}, "expected log_odds, float32 .* got int32"),
        ({"named": "image"}, "expected the input of 'segmentation' to be 'input_tensor'"),
    ],
)
def test_a_second_look_of_another_form_is_refused(tmp_path: Path, form: dict[str, Any], complaint: str) -> None:
    folder = _Segmenter(**form).saved(tmp_path / "looks", json.dumps(LOOK))
    with pytest.raises(ModelUnavailableError, match=complaint):
        SavedModel(folder, score_threshold=0.1)


def test_an_error_in_the_second_look_fails_the_picture_or_the_model(tmp_path: Path) -> None:
    model = SavedModel(_Segmenter(rows=2).saved(tmp_path / "two", json.dumps(LOOK)), score_threshold=0.1)
    with pytest.raises(ModelUnavailableError, match=r"second look of the model in .*two: .* got \(2, 3, 3, 2\)"):
        model.segment(np.zeros((17, 17, 3), np.uint8))
    model = SavedModel(_Segmenter().saved(tmp_path / "one", json.dumps(LOOK)), score_threshold=0.1)
    for level, given in ((255, "nan to nan"), (254, "1e\\+06 to 1e\\+06")):
        with pytest.raises(
            ImplausibleOutputError, match=rf"second look of the model in .*one gives log_odds from {given}"
        ):
            model.segment(np.full((17, 17, 3), level, np.uint8))


def test_a_model_with_an_invalid_second_look_is_refused(tmp_path: Path) -> None:
    folder = _Segmenter().saved(tmp_path / "nonsense", json.dumps(LOOK | {"judged_share": 7}))
    with pytest.raises(ModelUnavailableError, match=r"second_look\.json: expected .* with pixels, step, least_side"):
        SavedModel(folder, score_threshold=0.1)
    folder = _Segmenter().saved(tmp_path / "text", json.dumps(LOOK | {"mask_weight": "1"}))
    with pytest.raises(ModelUnavailableError, match=r"second_look\.json: .*mask_weight"):
        SavedModel(folder, score_threshold=0.1)
    folder = _Segmenter().saved(tmp_path / "lacking", json.dumps(LOOK), segments=False)
    with pytest.raises(ModelUnavailableError, match=r"has assets.extra/second_look.json, but no signature 'segmentati"):
        SavedModel(folder, score_threshold=0.1)
    boxes_alone = _Segmenter()
    del boxes_alone.outputs["detection_masks"]
    folder = boxes_alone.saved(tmp_path / "boxes", json.dumps(LOOK))
    with pytest.raises(ModelUnavailableError, match="has no detection_masks for a second look"):
        SavedModel(folder, score_threshold=0.1)


def test_the_second_look_is_used(settings_with: Callable[..., Settings], tmp_path: Path) -> None:
    folder = _Segmenter().saved(tmp_path / "looks", json.dumps(LOOK))
    detector = load_detector(settings_with(model_type=str(folder), tiles=False, score_threshold=0.1))
    plain = np.zeros((100, 100, 3), np.uint8)
    red = plain.copy()
    red[..., 0] = 250
    assert detector.detect(plain).counts() == {}
    assert sum(detector.detect(red).counts().values()) > 0


def test_mixed_precision_stays_off_for_a_model_with_a_second_look(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _Segmenter().saved(tmp_path / "looks", json.dumps(LOOK))
    SavedModel(folder, score_threshold=0.1, devices=Devices(mixed_precision=True))
    assert not tf.config.optimizer.get_experimental_options().get("auto_mixed_precision", False)
    assert f"gpu_mixed_precision stays off for the model in {folder}" in caplog.text
