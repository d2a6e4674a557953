"""The assignment of anchors to objects (SimOTA), and the losses. Runs on any Keras backend."""

from __future__ import annotations

from typing import Any, Final

from keras import ops  # noqa: TID253 - the losses are written in it

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

BEST: Final = 10
"""Candidate anchors per object in SimOTA (Ge and others, 2021, section 2.1)."""
CENTRE_RADIUS: Final = 2.5
"""Distance from an object's centre, in cells, within which anchors may be matched to it."""
MASK_ANCHORS: Final = 3
"""Anchors per object that have a mask loss; the others follow."""
MASK_MARGIN: Final = 0.15
"""Fraction of its side by which a box grows on each side for the mask loss, so that masks extend beyond tight boxes."""
MASK_MISS_WEIGHT: Final = 2.0
"""How many times more a missed pixel costs than a pixel hidden by mistake."""
MASK_SAMPLES: Final = 28
"""Samples of the mask loss along each side of a box, as in the masks of the exported model."""
MASK_OVERLAP: Final = 0.3
"""Anchors whose box has a lower IoU with their object's have no mask loss."""
MASK_SIDE: Final = 96.0
"""Network pixels: an object of this side has weight 1 in the mask loss, larger ones up to 2, smaller ones down to 1/4.
Most pixels hidden by mistake are around large objects, and the smallest objects are hidden by their whole box."""
BOX_WEIGHT: Final = 5.0
FORBIDDEN: Final = 1e6

Tensor = Any


def total_loss(outputs: dict[str, Tensor], target: dict[str, Tensor], size: int, *, boxes: bool = True) -> Tensor:
    """Scalar loss of a batch; with `boxes` False, of the masks only. Targets are those of `training.augment`."""
    anchors, prototypes = outputs["anchors"], outputs["prototypes"]
    cells, strides = anchor_grid(size, size)
    decoded = decode_boxes(anchors, cells, strides)
    logits = anchors[..., 4 : 5 + len(COCO_IDS)]
    matched, best, best_valid = assign(
        ops.stop_gradient(decoded), ops.stop_gradient(logits), target, (cells + 0.5) * strides, strides
    )
    mix = anchors[..., 5 + len(COCO_IDS) :]
    chosen = ops.reshape(best, (-1, best.shape[1] * MASK_ANCHORS, 1))
    found = ops.stop_gradient(ops.take_along_axis(decoded, chosen, axis=1))
    loss = mask_loss(prototypes, ops.take_along_axis(mix, chosen, axis=1), found, best_valid, target)
    loss = loss + foreground_loss(prototypes[..., 0], target)
    if boxes:
        loss = loss + detection_loss(decoded, logits, matched, target, (cells + 0.5) * strides)
    return loss


def assign(
    decoded: Tensor, logits: Tensor, target: dict[str, Tensor], centres: Tensor, strides: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """SimOTA. Returns `matched` (batch, objects, anchors) of 0 and 1, at most one object per anchor, the rows of each
    object's MASK_ANCHORS cheapest anchors (batch, objects, MASK_ANCHORS), and 1 for the valid ones of these."""
    boxes, real = target["boxes"], ops.cast(target["classes"] >= 0, "float32")
    overlap = pairwise_iou(boxes, decoded) * real[..., None]
    near, inside = _geometry(boxes, centres, strides)
    allowed = ops.maximum(near, inside) * real[..., None]
    score = ops.sqrt(ops.sigmoid(logits[..., :1]) * ops.sigmoid(logits[..., 1:]) + 1e-9)
    named = ops.one_hot(ops.maximum(target["classes"], 0), len(COCO_IDS))
    right = ops.matmul(named, ops.transpose(ops.log(score + 1e-6), (0, 2, 1)))
    wrong = ops.log(1 - score + 1e-6)
    wrong = ops.sum(wrong, axis=-1)[:, None] - ops.matmul(named, ops.transpose(wrong, (0, 2, 1)))
    cost = -right - wrong - 3.0 * ops.log(overlap + 1e-6) + 1e3 * (1 - near * inside) + FORBIDDEN * (1 - allowed)
    count = ops.clip(ops.floor(ops.sum(ops.top_k(overlap * allowed, BEST)[0], axis=-1)), 1, BEST)
    cheapest, rows = ops.top_k(-cost, BEST)
    rank = ops.arange(BEST, dtype="float32")
    counts = (
        ops.cast(rank < count[..., None], "float32") * ops.cast(-cheapest < FORBIDDEN / 2, "float32") * real[..., None]
    )
    limit = ops.max(ops.where(counts > 0, -cheapest, -FORBIDDEN), axis=-1, keepdims=True)
    wanted = ops.cast(cost <= limit, "float32")
    mine = ops.one_hot(ops.argmin(ops.where(wanted > 0, cost, 2 * FORBIDDEN), axis=1), boxes.shape[1], axis=1)
    return wanted * mine, rows[..., :MASK_ANCHORS], counts[..., :MASK_ANCHORS]


def _geometry(boxes: Tensor, centres: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
    """(batch, objects, anchors) 1 if the anchor's centre is near the object's, and 1 if it is inside its box."""
    x, y = centres[:, 0], centres[:, 1]
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    reach = CENTRE_RADIUS * strides[:, 0]
    near = (ops.abs(x - middle[..., :1]) < reach) & (ops.abs(y - middle[..., 1:]) < reach)
    return ops.cast(near, "float32"), contains(boxes, centres)


def contains(boxes: Tensor, centres: Tensor) -> Tensor:
    """(batch, boxes, anchors) 1 if the anchor's centre is inside the box."""
    x, y = centres[:, 0], centres[:, 1]
    across = (x > boxes[..., 0:1]) & (x < boxes[..., 2:3])
    return ops.cast(across & (y > boxes[..., 1:2]) & (y < boxes[..., 3:4]), "float32")


def pairwise_iou(boxes: Tensor, decoded: Tensor) -> Tensor:
    """IoU (batch, objects, anchors) of boxes (batch, objects, 4) and (batch, anchors, 4), given by their corners."""
    a, b = boxes[:, :, None], decoded[:, None]
    low, high = ops.maximum(a[..., :2], b[..., :2]), ops.minimum(a[..., 2:], b[..., 2:])
    common = ops.prod(ops.maximum(high - low, 0.0), axis=-1)
    union = ops.prod(a[..., 2:] - a[..., :2], axis=-1) + ops.prod(b[..., 2:] - b[..., :2], axis=-1) - common
    return common / ops.maximum(union, 1e-6)


def detection_loss(
    decoded: Tensor, logits: Tensor, matched: Tensor, target: dict[str, Tensor], centres: Tensor
) -> Tensor:
    """Loss of boxes, objectness and classes, per matched anchor. Unmatched anchors in ignored regions do not count."""
    taken = ops.max(matched, axis=1)
    number = ops.maximum(ops.sum(taken), 1.0)
    wanted = ops.matmul(ops.transpose(matched, (0, 2, 1)), target["boxes"])
    overlap = _iou(wanted, decoded)
    box = ops.sum((1 - overlap**2) * taken)
    unknown = ops.max(contains(target["ignore"], centres), axis=1)
    counted = ops.maximum(taken, 1 - unknown)
    objectness = ops.sum(_cross_entropy(logits[..., 0], taken) * counted)
    named = ops.one_hot(ops.maximum(target["classes"], 0), len(COCO_IDS))
    named = ops.matmul(ops.transpose(matched, (0, 2, 1)), named) * ops.stop_gradient(overlap)[..., None]
    classes = ops.sum(_cross_entropy(logits[..., 1:], named) * taken[..., None])
    return (BOX_WEIGHT * box + objectness + classes) / number


def _iou(a: Tensor, b: Tensor) -> Tensor:
    low, high = ops.maximum(a[..., :2], b[..., :2]), ops.minimum(a[..., 2:], b[..., 2:])
    common = ops.prod(ops.maximum(high - low, 0.0), axis=-1)
    union = ops.prod(a[..., 2:] - a[..., :2], axis=-1) + ops.prod(b[..., 2:] - b[..., :2], axis=-1) - common
    return common / ops.maximum(union, 1e-6)


def mask_loss(prototypes: Tensor, mix: Tensor, found: Tensor, valid: Tensor, target: dict[str, Tensor]) -> Tensor:
    """Cross entropy of the masks, averaged over objects with higher weights for large ones. Masks are sampled in the
    predicted boxes with a margin, as in the exported model. `mix` (batch, objects · MASK_ANCHORS, MIX) are the anchors'
    coefficients, `found` their boxes."""
    objects = target["boxes"].shape[1]
    height, width = prototypes.shape[1], prototypes.shape[2]
    rows, tall = _along(_grown(found)[..., 1::2], height)
    columns, wide = _along(_grown(found)[..., 0::2], width)
    flat = ops.reshape(prototypes, (-1, height * width, PROTOTYPES))
    maps = ops.matmul(mix[..., :PROTOTYPES], ops.transpose(flat, (0, 2, 1)))
    maps = ops.reshape(maps, (-1, objects * MASK_ANCHORS, height, width))
    waves = ops.reshape(mix[..., SHAPE], (-1, objects * MASK_ANCHORS, WAVES, WAVES))
    logits = _sampled(rows, maps, columns) + _sampled(tall, waves, wide)
    masks = ops.repeat(ops.cast(target["masks"], "float32"), MASK_ANCHORS, axis=1)
    masks = ops.stop_gradient(_sampled(rows, masks, columns))
    cost = _cross_entropy(logits, masks) * (1 + (MASK_MISS_WEIGHT - 1) * masks)
    each = ops.reshape(ops.mean(cost, axis=(-1, -2)), (-1, objects, MASK_ANCHORS))
    overlap = _iou(ops.repeat(target["boxes"], MASK_ANCHORS, axis=1), found)
    right = ops.reshape(ops.cast(overlap > MASK_OVERLAP, "float32"), (-1, objects, MASK_ANCHORS))
    sides = target["boxes"][..., 2:] - target["boxes"][..., :2]
    size = ops.clip(ops.sqrt(ops.prod(sides, axis=-1)) / MASK_SIDE, 0.25, 2.0)
    weight = valid * right * (target["has_mask"] * size)[..., None]
    return 2.0 * ops.sum(each * weight) / ops.maximum(ops.sum(weight), 1.0)


def _along(edges: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """For the samples of boxes with `edges` (..., 2) along one axis: interpolation weights of the picture's cells
    (..., samples, cells), and cosines of the box (..., samples, WAVES)."""
    places = sample_places(ops.clip(edges, 0.0, float(cells * PROTOTYPE_STRIDE)), MASK_SAMPLES)
    between = ops.clip(places / PROTOTYPE_STRIDE - 0.5, 0.0, float(cells - 1))
    weights = ops.maximum(1.0 - ops.abs(between[..., None] - ops.arange(cells, dtype="float32")), 0.0)
    return weights, cosines(places, edges)


def _sampled(rows: Tensor, values: Tensor, columns: Tensor) -> Tensor:
    return ops.matmul(ops.matmul(rows, values), ops.swapaxes(columns, -1, -2))


def foreground_loss(logits: Tensor, target: dict[str, Tensor]) -> Tensor:
    """Cross entropy of the first prototype (batch, rows, columns) with the union of all masks.

    Cells far from any object have weight 1/4; unknown cells (ignored regions, objects with only a box) have weight 0.
    """
    height, width = logits.shape[1], logits.shape[2]
    wanted = ops.cast(ops.max(target["masks"], axis=1), "float32")
    cells, scale = _cells(height, width), 1.0 / PROTOTYPE_STRIDE
    near = ops.max(contains(_grown(target["boxes"]) * scale, cells) * target["has_mask"][..., None], axis=1)
    boxed = ops.max(contains(target["boxes"] * scale, cells) * (1 - target["has_mask"])[..., None], axis=1)
    unknown = ops.maximum(boxed, ops.max(contains(target["ignore"] * scale, cells), axis=1))
    weight = ops.reshape((1 - unknown) * (0.25 + 0.75 * near), (-1, height, width))
    weight = ops.maximum(weight, wanted)
    cost = _cross_entropy(logits, wanted) * (1 + (MASK_MISS_WEIGHT - 1) * wanted)
    return 2.0 * ops.sum(cost * weight) / ops.maximum(ops.sum(weight), 1.0)


def _cells(height: int, width: int) -> Tensor:
    y, x = ops.meshgrid(ops.arange(height), ops.arange(width), indexing="ij")
    return ops.cast(ops.reshape(ops.stack([x, y], axis=-1), (-1, 2)), "float32") + 0.5


def _grown(boxes: Tensor) -> Tensor:
    margin = (boxes[..., 2:] - boxes[..., :2]) * MASK_MARGIN
    return ops.concatenate([boxes[..., :2] - margin, boxes[..., 2:] + margin], axis=-1)


def _cross_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    return ops.maximum(logits, 0.0) - logits * wanted + ops.log1p(ops.exp(-ops.abs(logits)))
