"""The trained network as a SavedModel with the signature of the TensorFlow Object Detection API."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import keras  # noqa: TID253 - TensorFlow is what is written here
import tensorflow as tf  # noqa: TID253
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2  # noqa: TID253

from training.network import COCO_IDS, anchor_grid, decode_boxes

MAX_DETECTIONS: Final = 100
CANDIDATES: Final = 400
"""Anchors per picture that reach non-maximum suppression."""
PADDING: Final = 114.0
"""Grey level that YOLOX was trained with around the picture."""

_OUTPUTS: Final = ("detection_boxes", "detection_classes", "detection_masks", "detection_scores", "num_detections")
"""Sorted, as TensorFlow flattens a dictionary."""

Tensor = Any


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is fixed in the exported model.

    - `scales`: the network sees the picture at each of these sizes: its longer side, and the longer side of the largest
      box that is taken from there (both in network pixels);
    - `score_floor`: detections below it are not given out, after scores were raised to `score_power`;
    - `nms_iou`: of two boxes of a class that overlap more, the better one stays;
    - `box_margin`: share of its side by which a box grows on each side, since masks reach beyond the predicted box;
    - `mask_side`: rows and columns of a mask; `mask_bias`: added to mask logits, so that doubt hides;
      `mask_grow`: side of the square of mask cells by which masks are dilated, odd, 1 for none;
    - `solid_pixels`: boxes whose smaller side (network pixels) is below this are hidden whole.
    """

    scales: tuple[tuple[int, float], ...] = ((640, 192.0), (416, 416.0))
    score_floor: float = 0.05
    score_power: float = 0.85
    nms_iou: float = 0.6
    box_margin: float = 0.1
    mask_side: int = 28
    mask_bias: float = 0.0
    mask_grow: int = 3
    solid_pixels: float = 24.0

    def __post_init__(self) -> None:
        if not self.scales or any(size % 32 or size <= 0 or largest <= 0 for size, largest in self.scales):
            raise ValueError(f"scales: expected positive multiples of 32 with a largest side each, got {self.scales}")
        if not 0 < self.score_floor < 1:
            raise ValueError(f"score_floor: expected a value between 0 and 1, got {self.score_floor}")
        if self.mask_grow % 2 == 0:
            raise ValueError(f"mask_grow: expected an odd number of mask cells, got {self.mask_grow}")


class Candidates(NamedTuple):
    """The best anchors of a batch at one scale: `boxes` (batch, n, 4) y0, x0, y1, x1 as shares of the picture without
    its padding, `scores` and class rows `classes` (batch, n), mask coefficients `mix` (batch, n, PROTOTYPES or 0)."""

    boxes: Tensor
    scores: Tensor
    classes: Tensor
    mix: Tensor


class Canvas(NamedTuple):
    """What masks at one scale are cut from: `prototypes` (batch, rows, columns, PROTOTYPES) or None, and the (height,
    width) of the network's picture and of the given one in it, in pixels."""

    prototypes: Tensor | None
    outer: Tensor
    inner: Tensor


class ObjectDetector(tf.Module):  # type: ignore[misc]
    """uint8 RGB pictures of one size in, the Object Detection API's tensors out."""

    def __init__(self, network: keras.Model, options: ExportOptions) -> None:
        super().__init__(name="object_detector")
        self.network = network
        self.options = options

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, name="input_tensor")])  # type: ignore[untyped-decorator]
    def __call__(self, input_tensor: Tensor) -> dict[str, Tensor]:
        """Boxes are ymin, xmin, ymax, xmax as shares of the given picture; masks are relative to their boxes."""
        scales = [self._look(input_tensor, size, largest) for size, largest in self.options.scales]
        found = Candidates(*(tf.concat(values, axis=1) for values in zip(*(c for c, _ in scales), strict=True)))
        sources = tf.concat([tf.fill(tf.shape(c.scores), index) for index, (c, _) in enumerate(scales)], axis=1)
        kept, counts = self._suppress(found)
        boxes, scores, classes, mix = (tf.gather(values, kept, batch_dims=1) for values in found)
        sources = tf.gather(sources, kept, batch_dims=1)
        valid = tf.sequence_mask(counts, MAX_DETECTIONS, dtype=tf.float32)
        masks = tf.add_n(
            [
                self._masks(boxes, mix, (valid > 0) & (sources == index), canvas)
                for index, (_, canvas) in enumerate(scales)
            ]
        )
        ids = tf.gather(tf.constant(COCO_IDS, tf.float32), classes)
        return {
            "num_detections": tf.reduce_sum(valid, axis=1),
            "detection_boxes": boxes * valid[..., None],
            "detection_classes": tf.where(valid > 0, ids, 1.0),  # the zoo's models pad with class 1 too
            "detection_scores": scores * valid,
            "detection_masks": masks,
        }

    def _look(self, pixels: Tensor, size: int, largest: float) -> tuple[Candidates, Canvas]:
        picture, inner = self._letterbox(pixels, size)
        raw = self.network(picture, training=False)
        outer = tf.shape(picture)[1:3]
        found = self._candidates(raw["anchors"], outer, inner, largest)
        return found, Canvas(raw.get("prototypes"), tf.cast(outer, tf.float32), inner)

    def _letterbox(self, pixels: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """BGR float pictures, each in the upper left corner of one whose sides are multiples of 32, and the (height,
        width) they have there."""
        sides = tf.cast(tf.shape(pixels)[1:3], tf.float32)
        scale = tf.cast(size, tf.float32) / tf.reduce_max(sides)
        inner = tf.maximum(tf.cast(tf.round(sides * scale), tf.int32), 1)
        outer = (inner + 31) // 32 * 32
        # Far smaller pictures are averaged over areas, so that nothing falls between the samples.
        x = tf.cond(
            scale < 0.6,
            lambda: tf.image.resize(pixels, inner, method="area"),
            lambda: tf.image.resize(pixels, inner, method="bilinear"),
        )
        gap = outer - inner
        x = tf.pad(x[..., ::-1], [[0, 0], [0, gap[0]], [0, gap[1]], [0, 0]], constant_values=PADDING)
        return x, tf.cast(inner, tf.float32)

    def _candidates(self, anchors: Tensor, outer: Tensor, inner: Tensor, largest: float) -> Candidates:
        cells, strides = anchor_grid(outer[0], outer[1])
        likely = tf.sigmoid(anchors[..., 4:5]) * tf.sigmoid(anchors[..., 5 : 5 + len(COCO_IDS)])
        best = tf.reduce_max(likely, axis=-1) ** self.options.score_power
        scores, kept = tf.math.top_k(best, k=tf.minimum(CANDIDATES, tf.shape(best)[1]))
        anchors = tf.gather(anchors, kept, batch_dims=1)
        classes = tf.argmax(anchors[..., 5 : 5 + len(COCO_IDS)], axis=-1, output_type=tf.int32)
        x0, y0, x1, y1 = tf.unstack(decode_boxes(anchors, tf.gather(cells, kept), tf.gather(strides, kept)), axis=-1)
        scores = tf.where(tf.maximum(y1 - y0, x1 - x0) > largest, 0.0, scores)
        margin_y, margin_x = (y1 - y0) * self.options.box_margin, (x1 - x0) * self.options.box_margin
        boxes = tf.stack([y0 - margin_y, x0 - margin_x, y1 + margin_y, x1 + margin_x], axis=-1)
        shares = tf.clip_by_value(boxes / tf.tile(inner, [2]), 0.0, 1.0)
        return Candidates(shares, scores, classes, anchors[..., 5 + len(COCO_IDS) :])

    def _suppress(self, found: Candidates) -> tuple[Tensor, Tensor]:
        """Rows kept by non-maximum suppression within each class, best first, padded with 0; and how many count."""
        apart = tf.cast(found.classes, tf.float32)[..., None] * 2.0  # no two classes overlap

        def one(values: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            rows, count = tf.raw_ops.NonMaxSuppressionV4(
                boxes=values[0],
                scores=values[1],
                max_output_size=MAX_DETECTIONS,
                iou_threshold=self.options.nms_iou,
                score_threshold=self.options.score_floor,
                pad_to_max_output_size=True,
            )
            return rows, count

        signature = (tf.TensorSpec((MAX_DETECTIONS,), tf.int32), tf.TensorSpec((), tf.int32))
        rows, counts = tf.map_fn(one, (found.boxes + apart, found.scores), fn_output_signature=signature)
        return rows, counts

    def _masks(self, boxes: Tensor, mix: Tensor, which: Tensor, canvas: Canvas) -> Tensor:
        """(batch, MAX_DETECTIONS, side, side), 0..1 for the detections in `which`, 0 for the others, not worked out."""
        side = self.options.mask_side
        if canvas.prototypes is None:
            return tf.ones((side, side)) * tf.cast(which, tf.float32)[..., None, None]
        where = tf.where(which)
        chosen = tf.gather_nd(boxes, where) * tf.tile(canvas.inner, [2])
        patches = _crop(canvas.prototypes, chosen / tf.tile(canvas.outer, [2]), where[:, 0], side)
        logits = tf.einsum("nhwk,nk->nhw", patches, tf.gather_nd(mix, where)) + self.options.mask_bias
        if self.options.mask_grow > 1:
            logits = tf.nn.max_pool2d(logits[..., None], self.options.mask_grow, 1, "SAME")[..., 0]
        small = tf.minimum(chosen[:, 2] - chosen[:, 0], chosen[:, 3] - chosen[:, 1]) < self.options.solid_pixels
        masks = tf.where(small[:, None, None], 1.0, tf.sigmoid(logits))
        return tf.scatter_nd(where, masks, tf.concat([tf.shape(which, tf.int64), [side, side]], axis=0))


def _crop(prototypes: Tensor, boxes: Tensor, rows: Tensor, side: int) -> Tensor:
    """Prototype values on a side × side grid in each box (shares of the network's picture), its outer samples on the
    box's edges, which is how masks are resized into boxes (`resize_bilinear` with align_corners)."""
    extent = tf.cast(tf.tile(tf.shape(prototypes)[1:3], [2]), tf.float32)
    limit = tf.maximum(extent - 1.0, 1.0)
    samples = tf.clip_by_value(boxes * extent - 0.5, 0.0, limit)  # a cell's value belongs to its centre
    return tf.image.crop_and_resize(prototypes, samples / limit, tf.cast(rows, tf.int32), (side, side))


def export(network: keras.Model, folder: Path, options: ExportOptions) -> int:
    """Write the SavedModel to `folder` (replaced when it is there); returns its size in bytes.

    Weights are frozen into the graph: one file, loaded fast, and the same weights give the same file name and content.
    """
    detector = ObjectDetector(network, options)
    frozen = convert_variables_to_constants_v2(detector.__call__.get_concrete_function(), lower_control_flow=False)
    holder = tf.Module()
    holder.serve = _reimported(frozen)
    shutil.rmtree(folder, ignore_errors=True)
    tf.saved_model.save(holder, str(folder), signatures={"serving_default": holder.serve})
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _reimported(frozen: Any) -> Any:
    """The frozen function without the custom gradients (of SiLU), which a SavedModel would want to keep and cannot."""
    graph = frozen.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    for node in nodes:
        node.attr.pop("_gradient_op_type", None)
    outputs = [tensor.name for tensor in frozen.outputs]

    def imported(input_tensor: Tensor) -> dict[str, Tensor]:
        tensors = tf.graph_util.import_graph_def(graph, {frozen.inputs[0].name: input_tensor}, outputs, name="")
        return dict(zip(_OUTPUTS, tensors, strict=True))

    return tf.function(imported, input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, name="input_tensor")])
