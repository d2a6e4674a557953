"""Export the trained network as a SavedModel with the signature of the TensorFlow Object Detection API."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import keras  # noqa: TID253 - exports with TensorFlow
import tensorflow as tf  # noqa: TID253
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2  # noqa: TID253

from anonymisation.masking.saved_model import FORM_FILE, SECOND_LOOK_FILE, SECOND_SIGNATURE, SIGNATURE
from anonymisation.masking.second_look import SecondLook
from anonymisation.masking.views import InputForm
from training.network import (
    COCO_IDS,
    PROTOTYPE_STRIDE,
    PROTOTYPES,
    SHAPE,
    WAVES,
    anchor_grid,
    cosines,
    decode_boxes,
    sample_places,
)
from training.opinion import PADDING, PERSON_ROW, Found, SecondOpinion, places_in_picture
from training.segmenter import PICTURES, STRIDE, Segmenter

MAX_DETECTIONS: Final = 300
CANDIDATES: Final = 2000
"""Anchors per picture that reach non-maximum suppression."""
MULTIPLE: Final = 32
MOST_PIXELS: Final = 1 << 22
"""A picture with at most MOST_PIXELS, and with sides that are multiples of MULTIPLE, is used without scaling."""

SECOND_LOOK: Final = SecondLook(
    pixels=705 * 529,
    step=STRIDE,
    least_side=158.0,
    judged_share=0.05,
    least_odds=-4.0,
    sure_score=0.5,
    seen_odds=0.0,
    mask_weight=0.5,
    odds_weight=1.0,
    odds_bias=4.0,
    reach=0.2,
    outside_odds=-3.0,
)
"""Chosen on the held-out pictures."""

Tensor = Any


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The fixed parameters of the exported model.

    - `side`: side of the square to which pictures are letterboxed, unless they are used without scaling;
    - `score_floor`: detections with a lower score are dropped, after scores are raised to a power that depends on the
      longer side of the box in network pixels: `score_powers` at `sides` and beyond, interpolated in the side's
      logarithm between them. A false small box costs little, and small objects are missed most;
    - `nms_iou`: of two boxes of a class with a higher IoU, the better one is kept;
    - `box_margin`: fraction of its side by which a box grows on each side, since masks extend beyond the predicted box;
    - `mask_side`: rows and columns of a mask; `mask_bias` (persons) and `vehicle_bias` (other classes, which fill more
      of their box): added to mask logits, so that doubtful pixels are hidden;
      `mask_grow`: side of the square of mask cells by which masks are dilated, odd, 1 for none;
    - `solid_pixels`: boxes whose smaller side (network pixels) is below this are hidden completely.
    """

    side: int = 416
    score_floor: float = 0.05
    score_powers: tuple[float, float] = (0.63, 1.0)
    sides: tuple[float, float] = (48.0, 200.0)
    nms_iou: float = 0.6
    box_margin: float = 0.1
    mask_side: int = 28
    mask_bias: float = 2.5
    vehicle_bias: float = 2.5
    mask_grow: int = 1
    solid_pixels: float = 20.0

    def __post_init__(self) -> None:
        if self.side % 32 or self.side <= 0:
            raise ValueError(f"side: expected a positive multiple of 32, got {self.side}")
        if min(self.score_powers) <= 0:
            raise ValueError(f"score_powers: expected positive numbers, got {self.score_powers}")
        if not 0 < self.sides[0] < self.sides[1]:
            raise ValueError(f"sides: expected two rising positive numbers, got {self.sides}")
        if not 0 < self.score_floor < 1:
            raise ValueError(f"score_floor: expected a value between 0 and 1, got {self.score_floor}")
        if self.mask_grow % 2 == 0:
            raise ValueError(f"mask_grow: expected an odd number of mask cells, got {self.mask_grow}")


class ObjectDetector(tf.Module):  # type: ignore[misc]
    """From uint8 RGB pictures of one size to the tensors of the Object Detection API."""

    def __init__(self, network: keras.Model, options: ExportOptions, opinion: SecondOpinion | None = None) -> None:
        super().__init__(name="object_detector")
        self.network = network
        self.options = options
        self.opinion = opinion

    @tf.function(input_signature=[PICTURES])  # type: ignore[untyped-decorator]
    def __call__(self, input_tensor: Tensor) -> dict[str, Tensor]:
        """Boxes are ymin, xmin, ymax, xmax as fractions of the input picture; masks are relative to their boxes."""
        picture, inner = self._prepared(input_tensor)
        raw = self.network(picture, training=False)
        found = self.detected(raw, tf.shape(picture)[1:3], inner)
        if self.opinion is not None:
            found = self._ranked(self.opinion.on(picture, found, inner))
        masks = self._masks(found, raw.get("prototypes"))
        batch = tf.shape(input_tensor)[0]
        counts = tf.math.bincount(found.picture, minlength=batch, maxlength=batch)
        where = tf.stack([found.picture, places_in_picture(found.picture)], axis=1)[..., None, :]

        def padded(values: Tensor, filler: float = 0.0) -> Tensor:
            shape = tf.concat([[batch, MAX_DETECTIONS], tf.shape(values)[1:]], axis=0)
            return tf.tensor_scatter_nd_update(tf.fill(shape, filler), where, values[:, None])

        return {
            "num_detections": tf.cast(counts, tf.float32),
            "detection_boxes": padded(found.boxes / tf.tile(inner, [2])),
            # The zoo's models pad with class 1 too.
            "detection_classes": padded(tf.gather(tf.constant(COCO_IDS, tf.float32), found.classes), 1.0),
            "detection_scores": padded(found.scores),
            "detection_masks": padded(masks),
        }

    def detected(self, raw: dict[str, Tensor], outer: Tensor, inner: Tensor) -> Found:
        """What the network's output contains, in pictures of `outer` (height, width), padded from `inner`."""
        return self._suppressed(self._candidates(raw["anchors"], outer, inner), inner[0])

    def _prepared(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Float pictures with sides that are multiples of 32, with the input pictures in their upper left corners, and
        the (height, width) of the input pictures there."""
        sides = tf.shape(pixels)[1:3]
        as_it_is = tf.reduce_all(sides % MULTIPLE == 0) & (tf.reduce_prod(sides) <= MOST_PIXELS)
        x, inner = tf.cond(as_it_is, lambda: (tf.cast(pixels, tf.float32), sides), lambda: self._letterbox(pixels))
        return tf.ensure_shape(x, (None, None, None, 3)), tf.cast(inner, tf.float32)

    def _letterbox(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        sides = tf.cast(tf.shape(pixels)[1:3], tf.float32)
        scale = self.options.side / tf.reduce_max(sides)
        inner = tf.maximum(tf.cast(tf.round(sides * scale), tf.int32), 1)
        # Large reductions average over areas, so that no pixel is skipped.
        x = tf.cond(
            scale < 0.6,
            lambda: tf.image.resize(pixels, inner, method="area"),
            lambda: tf.image.resize(pixels, inner, method="bilinear"),
        )
        gap = self.options.side - inner
        return tf.pad(x, [[0, 0], [0, gap[0]], [0, gap[1]], [0, 0]], constant_values=PADDING), inner

    def _candidates(self, anchors: Tensor, outer: Tensor, inner: Tensor) -> Found:
        """The best anchors that may reach the score floor, with boxes grown and clipped to their pictures; `outer` and
        `inner` are (height, width) of the network's picture and of the input picture in it."""
        floor = self.options.score_floor ** (1 / min(self.options.score_powers))
        cells, strides = anchor_grid(outer[0], outer[1])
        best_class = tf.reduce_max(anchors[..., 5 : 5 + len(COCO_IDS)], axis=-1)
        scores = tf.sigmoid(anchors[..., 4]) * tf.sigmoid(best_class)
        scores, rows = tf.math.top_k(scores, k=tf.minimum(CANDIDATES, tf.shape(scores)[1]))
        where = tf.where(scores >= floor)
        scores, rows = tf.gather_nd(scores, where), tf.gather_nd(rows, where)
        picture = tf.cast(where[:, 0], tf.int32)
        anchors = tf.gather_nd(anchors, tf.stack([picture, rows], axis=1))
        classes = tf.argmax(anchors[..., 5 : 5 + len(COCO_IDS)], axis=-1, output_type=tf.int32)
        boxes = decode_boxes(anchors, tf.gather(cells, rows), tf.gather(strides, rows))
        scores = scores ** self._power(tf.reduce_max(boxes[:, 2:] - boxes[:, :2], axis=1))
        margin = (boxes[:, 2:] - boxes[:, :2]) * self.options.box_margin
        x0, y0, x1, y1 = tf.unstack(tf.concat([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1), axis=1)
        whole = tf.stack([y0, x0, y1, x1], axis=1)
        boxes = tf.clip_by_value(whole, 0.0, tf.tile(inner, [2]))
        return Found(picture, boxes, whole, scores, classes, anchors[:, 5 + len(COCO_IDS) :])

    def _power(self, longer: Tensor) -> Tensor:
        """The powers for the scores of boxes with these longer sides."""
        first, last = self.options.sides
        small, large = self.options.score_powers
        share = tf.clip_by_value(tf.math.log(tf.maximum(longer, 1.0) / first) / math.log(last / first), 0.0, 1.0)
        return small + (large - small) * share

    def _suppressed(self, found: Found, height: Tensor) -> Found:
        """Non-maximum suppression within each class of each picture, at most MAX_DETECTIONS per picture; sorted by
        picture, best first."""
        # One call for all: the boxes of each picture and class are moved down by whole pictures, to separate them.
        apart = tf.cast(found.picture * len(COCO_IDS) + found.classes, tf.float32) * (height + 1.0)
        moved = found.boxes + tf.stack([apart, tf.zeros_like(apart)] * 2, axis=1)
        rows = tf.image.non_max_suppression(
            moved, found.scores, tf.size(found.scores), self.options.nms_iou, self.options.score_floor
        )
        return self._ranked(found.taken(rows))

    def _ranked(self, found: Found) -> Found:
        """Detections from the score floor on, sorted by picture, best first; at most MAX_DETECTIONS per picture."""
        found = found.taken(tf.where(found.scores >= self.options.score_floor)[:, 0])
        found = found.taken(tf.argsort(found.scores, direction="DESCENDING", stable=True))
        found = found.taken(tf.argsort(found.picture, stable=True))
        return found.taken(tf.where(places_in_picture(found.picture) < MAX_DETECTIONS)[:, 0])

    def _masks(self, found: Found, prototypes: Tensor | None) -> Tensor:
        """(n, side, side), 0..1, relative to the boxes."""
        side = self.options.mask_side
        if prototypes is None:
            return tf.ones((tf.size(found.scores), side, side))
        patches = _crop(prototypes, found.boxes, found.picture, side)
        bias = tf.where(found.classes == PERSON_ROW, self.options.mask_bias, self.options.vehicle_bias)
        logits = tf.einsum("nhwk,nk->nhw", patches, found.mix[:, :PROTOTYPES]) + bias[:, None, None]
        tall, wide = (cosines(sample_places(found.boxes[:, i::2], side), found.whole[:, i::2]) for i in (0, 1))
        shape = tf.reshape(found.mix[:, SHAPE], (-1, WAVES, WAVES))
        # Explicit sums: the order of additions in a matrix product depends on the number of threads.
        across = sum(shape[:, None, k] * tall[..., k, None] for k in range(WAVES))
        logits += sum(across[:, :, None, k] * wide[:, None, :, k] for k in range(WAVES))
        if self.options.mask_grow > 1:
            logits = tf.nn.max_pool2d(logits[..., None], self.options.mask_grow, 1, "SAME")[..., 0]
        small = tf.reduce_min(found.boxes[:, 2:] - found.boxes[:, :2], axis=1) < self.options.solid_pixels
        return tf.where(small[:, None, None], 1.0, tf.sigmoid(logits))


def _crop(prototypes: Tensor, boxes: Tensor, rows: Tensor, side: int) -> Tensor:
    """Prototype values on a side × side grid in each box (network pixels), with the outer samples on the box's edges,
    as masks are resized into boxes (`resize_bilinear` with align_corners)."""
    limit = tf.maximum(tf.cast(tf.tile(tf.shape(prototypes)[1:3], [2]), tf.float32) - 1.0, 1.0)
    # A cell's value is that of its centre. Samples that rounding moves beyond the last cell would be read as 0.
    samples = tf.clip_by_value(boxes / PROTOTYPE_STRIDE - 0.5, 0.0, limit - 1e-3)
    return tf.image.crop_and_resize(prototypes, samples / limit, rows, (side, side))


def export(
    network: keras.Model,
    folder: Path,
    options: ExportOptions,
    segmenter: Segmenter | None = None,
    look: SecondLook = SECOND_LOOK,
    opinion: SecondOpinion | None = None,
) -> int:
    """Write the SavedModel to `folder` (replaced if it exists); returns its size in bytes.

    With an `opinion`, it judges the model's doubtful detections and adds others. FORM_FILE gets the input size. With a
    `segmenter` the model has a signature for the second look, and SECOND_LOOK_FILE gets the parameters `look`. Weights
    are frozen into the graph: one file that loads fast. The same weights give the same results, but the order of parts
    in the file may differ.
    """
    holder = tf.Module()
    holder.serve = _frozen(ObjectDetector(network, options, opinion))
    signatures = {SIGNATURE: holder.serve}
    notes: dict[str, Any] = {FORM_FILE: InputForm(options.side, MULTIPLE, MOST_PIXELS)}
    if segmenter is not None:
        holder.segment = signatures[SECOND_SIGNATURE] = _frozen(segmenter)
        notes[SECOND_LOOK_FILE] = look
    shutil.rmtree(folder, ignore_errors=True)
    tf.saved_model.save(holder, str(folder), signatures=signatures)
    for name, note in notes.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(asdict(note)) + "\n")
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _frozen(module: Any) -> Any:
    """The module as a function with its weights in the graph, without the custom gradients of SiLU, which a SavedModel
    cannot store."""
    concrete = module.__call__.get_concrete_function()
    names = sorted(concrete.structured_outputs)  # as TensorFlow flattens a dictionary
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    graph = frozen.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    for node in nodes:
        node.attr.pop("_gradient_op_type", None)
    outputs = [tensor.name for tensor in frozen.outputs]

    def imported(input_tensor: Tensor) -> dict[str, Tensor]:
        tensors = tf.graph_util.import_graph_def(graph, {frozen.inputs[0].name: input_tensor}, outputs, name="")
        return dict(zip(names, tensors, strict=True))

    return tf.function(imported, input_signature=[PICTURES])
