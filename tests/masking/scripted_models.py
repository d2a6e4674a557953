"""Tiny real SavedModels with the signatures of the TensorFlow detection zoo, whose outputs depend on the pixels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf  # noqa: TID253 - the models are TensorFlow's
from numpy.typing import NDArray

from tests.captures import CAR_BOX

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
COLOURS = {1: RED, 3: GREEN, 8: BLUE}  # COCO id → colour of the squares that the model detects as this class
SCORES = {1: 0.9, 3: 0.6, 8: 0.1}
INPUT_SIDE = 64  # the models shrink every picture to this, as real ones do, so that small objects vanish
MASK_SIDE = 15


def network(pixels: Any) -> dict[str, Any]:
    """One row per colour, one for a boat that fills the picture, and a last invalid row beyond num_detections."""
    small = tf.compat.v1.image.resize_area(pixels, (INPUT_SIDE, INPUT_SIDE))
    batch = tf.shape(pixels)[0]
    everywhere = tf.ones_like(small[..., 0], tf.bool)
    found = [tf.reduce_all(tf.abs(small - tf.constant(colour, tf.float32)) < 60, -1) for colour in COLOURS.values()]
    rows = [_row(marked, batch) for marked in (*found, everywhere)]
    boxes, masks, seen = (tf.stack(part, 1) for part in zip(*rows, strict=True))
    rubbish = tf.fill((batch, 1), np.float32(np.nan))
    return {
        "num_detections": tf.fill((batch,), np.float32(len(rows))),
        "detection_boxes": tf.concat([boxes, tf.tile(rubbish[..., None], (1, 1, 4))], 1),
        "detection_scores": tf.concat([seen * tf.constant([[*SCORES.values(), 0.99]], tf.float32), rubbish], 1),
        "detection_classes": tf.tile(tf.constant([[*map(float, COLOURS), 9.0, 1.0]]), (batch, 1)),
        "detection_masks": tf.concat([masks, tf.zeros((batch, 1, MASK_SIDE, MASK_SIDE))], 1),
    }


def _row(marked: Any, batch: Any) -> tuple[Any, Any, Any]:
    """Box around all marked pixels, its mask, and 1 if any pixel is marked, else 0."""
    ends = []
    for axis in (2, 1):
        line = tf.cast(tf.reduce_any(marked, axis), tf.int32)
        first = tf.argmax(line, 1) / INPUT_SIDE
        last = 1 - tf.argmax(line[:, ::-1], 1) / INPUT_SIDE
        ends.append((tf.cast(first, tf.float32), tf.cast(last, tf.float32)))
    (ymin, ymax), (xmin, xmax) = ends
    boxes = tf.stack([ymin, xmin, ymax, xmax], 1)
    image = tf.cast(marked, tf.float32)[..., None]
    masks = tf.image.crop_and_resize(image, boxes, tf.range(batch), (MASK_SIDE, MASK_SIDE), "nearest")[..., 0]
    return boxes, masks, tf.cast(tf.reduce_any(marked, (1, 2)), tf.float32)


def save_tf1(folder: Path) -> Path:
    """The form of the TF1 zoo: a frozen graph, input `inputs`, any batch."""
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        inputs = tf.compat.v1.placeholder(tf.uint8, (None, None, None, 3), "image_tensor")
        signature = tf.compat.v1.saved_model.predict_signature_def({"inputs": inputs}, network(inputs))
        builder = tf.compat.v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    return folder


class _Finder(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    def __init__(self, batch: int | None) -> None:
        super().__init__()
        self.scale = tf.Variable(1.0)  # a variable, so that the model has files of weights too
        spec = tf.TensorSpec((batch, None, None, 3), tf.uint8, "input_tensor")
        self.serve = tf.function(self._serve, input_signature=[spec])

    def _serve(self, input_tensor: Any) -> dict[str, Any]:
        outputs = network(input_tensor)
        outputs["detection_scores"] *= self.scale
        return outputs | {"raw_detection_scores": outputs["detection_scores"], "anchor_indices": tf.zeros((1, 5))}


def save_tf2(folder: Path, batch: int | None = 1) -> Path:
    """The form of the TF2 zoo: variables, input `input_tensor`, a batch of one, undocumented additional outputs."""
    module = _Finder(batch)
    tf.saved_model.save(module, str(folder), {"serving_default": module.serve})
    return folder


class Constant(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Returns the same outputs, batch axis included, for every picture."""

    def __init__(self, outputs: Mapping[str, NDArray[Any]], spec: Any) -> None:
        super().__init__()
        self.outputs = {name: tf.constant(array) for name, array in outputs.items()}
        self.serve = tf.function(self._serve, input_signature=[spec])

    def _serve(self, input_tensor: Any) -> dict[str, Any]:
        return {name: tf.identity(value) for name, value in self.outputs.items()}


def save_constant(folder: Path, outputs: Mapping[str, NDArray[Any]], *, spec: Any = None, signature: str = "") -> Path:
    """Save a model that returns the same outputs, batch axis included, for every picture."""
    module = Constant(outputs, spec or tf.TensorSpec((1, None, None, 3), tf.uint8, "input_tensor"))
    tf.saved_model.save(module, str(folder), {signature or "serving_default": module.serve})
    return folder


def save_one_car(folder: Path) -> Path:
    """Save a model that detects the car of `tests.captures` in every picture.

    It has a spare row: a view with as many detections as rows would be processed again in parts.
    """
    outputs = {
        "num_detections": np.array([1], np.float32),
        "detection_boxes": np.array([[CAR_BOX, CAR_BOX]], np.float32),
        "detection_scores": np.array([[0.9, 0]], np.float32),
        "detection_classes": np.array([[3, 3]], np.float32),
        "detection_masks": np.ones((1, 2, 15, 15), np.float32),
    }
    return save_constant(folder, outputs)


class _Raising(Constant):
    """Has an operation that fails for every picture."""

    def _serve(self, input_tensor: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.debugging.assert_less(tf.shape(input_tensor)[1], 0, "no picture is so low")]):
            return {name: tf.identity(value) for name, value in self.outputs.items()}


def save_raising(folder: Path, outputs: Mapping[str, NDArray[Any]]) -> Path:
    """Save a model that has these outputs, but fails on every picture."""
    module = _Raising(outputs, tf.TensorSpec((1, None, None, 3), tf.uint8, "input_tensor"))
    tf.saved_model.save(module, str(folder), {"serving_default": module.serve})
    return folder


class _NanOnDark(Constant):
    """Returns NaN boxes for dark pictures."""

    def _serve(self, input_tensor: Any) -> dict[str, Any]:
        given = {name: tf.identity(value) for name, value in self.outputs.items()}
        dark = tf.reduce_mean(tf.cast(input_tensor, tf.float32)) < 20
        given["detection_boxes"] += tf.where(dark, np.float32(np.nan), np.float32(0))
        return given


def save_nan_on_dark(folder: Path, outputs: Mapping[str, NDArray[Any]]) -> Path:
    """Save a model that returns these outputs, but NaN boxes for a dark picture."""
    module = _NanOnDark(outputs, tf.TensorSpec((1, None, None, 3), tf.uint8, "input_tensor"))
    tf.saved_model.save(module, str(folder), {"serving_default": module.serve})
    return folder
