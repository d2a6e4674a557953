"""YOLOX-nano with a mask branch, as a Keras 3 model for any size that is a multiple of 32.

The detector is YOLOX-nano (Ge and others, 2021, arXiv 2107.08430; Apache-2.0, Megvii) with its batch norms folded into
the convolutions. Layer names are the paths of the weight file (`dark2/csp/conv1`) with dots instead of slashes. The
mask branch follows YOLACT (Bolya and others, 2019, arXiv 1904.02689): prototypes at stride 4 for the whole picture, and
for every anchor the coefficients that combine them into its mask.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import keras  # noqa: TID253 - this module is the network
import numpy as np
from keras import layers, ops  # noqa: TID253
from numpy.typing import NDArray

STRIDES: Final = (8, 16, 32)
PROTOTYPES: Final = 16
PROTOTYPE_STRIDE: Final = 4
WAVES: Final = 5
"""Cosines along each side of a box: an anchor's prior of its object's shape, independent of the prototypes."""
SHAPE: Final = slice(PROTOTYPES, PROTOTYPES + WAVES * WAVES)
"""The coefficients for the products of cosines, row by row of the vertical one."""
MIX: Final = 48
"""Coefficients of an anchor: for the prototypes, for the cosines, and unused ones up to a multiple of eight."""
COCO_IDS: Final = (1, 2, 3, 4, 6, 8)
"""COCO ids (1-based, with gaps) of the six classes, in the order of the network's class scores."""
COCO80_ROWS: Final = (0, 1, 2, 3, 5, 7)
"""Rows of the six classes among the eighty of the published network."""

Tensor = Any

_FOREGROUND_FIRST: Final = {
    "kernel_initializer": keras.initializers.RandomNormal(stddev=0.005, seed=1),
    "bias_initializer": keras.initializers.Constant([1.0] + [0.0] * (MIX - 1)),
}
"""Every anchor's mask starts as the first prototype, which learns the foreground (any person or vehicle); the others
learn to separate instances. So a thousand pictures are enough for useful masks."""


def build_network(classes: int = len(COCO_IDS), *, masks: bool = True) -> keras.Model:
    """The network for float32 pictures (batch, height, width, 3) in RGB, 0..255, sides multiples of 32.

    Outputs: `anchors` (batch, anchors, 5 + classes [+ MIX]) undecoded, in the order of STRIDES and row by row,
    each (x, y, log width, log height) in cells, objectness logit, class logits, mask coefficients; and with `masks`
    also `prototypes` (batch, height/4, width/4, PROTOTYPES).
    """
    picture = keras.Input((None, None, 3), name="picture")
    stride4, c3, c4, c5 = _backbone(picture)
    levels = _pyramid(c3, c4, c5)
    heads = [_head(level, stride, classes, masks) for level, stride in zip(levels, STRIDES, strict=True)]
    outputs = {"anchors": layers.Concatenate(axis=1, name="anchors")(heads)}
    if masks:
        outputs["prototypes"] = _prototypes(stride4, levels)
    return keras.Model(picture, outputs, name="yolox_nano_masks" if masks else "yolox_nano")


def load_weights(model: keras.Model, path: Path) -> list[str]:
    """Load weights named by path (an .npz) into `model`: the published ones or those of `save_weights`. If the file has
    eighty classes and the model six, the class outputs are sliced.

    Returns the names of the layers that the file does not contain (the mask branch), which keep their values.
    Raises KeyError if the file has a layer's kernel but not its bias, ValueError if a shape differs.
    """
    with np.load(path) as file:
        weights = {name: file[name] for name in file.files}
    missing = []
    for layer in model.layers:
        key = layer.name.replace(".", "/")
        if not layer.weights:
            continue
        if f"{key}/kernel" not in weights:
            missing.append(layer.name)
            continue
        layer.set_weights(_sliced(key, weights, layer))
    return missing


def save_weights(model: keras.Model, path: Path) -> None:
    """Write the weights of `model` to an .npz, named by path."""
    values = {}
    for layer in model.layers:
        if layer.weights:
            key = layer.name.replace(".", "/")
            values[f"{key}/kernel"], values[f"{key}/bias"] = layer.get_weights()
    np.savez(path, **values)


def _sliced(key: str, weights: Mapping[str, NDArray[np.float32]], layer: keras.Layer) -> list[NDArray[np.float32]]:
    kernel, bias = weights[f"{key}/kernel"], weights[f"{key}/bias"]
    if key.endswith("/cls") and len(bias) != layer.weights[-1].shape[0] == len(COCO80_ROWS):
        return [kernel[..., list(COCO80_ROWS)], bias[list(COCO80_ROWS)]]
    if key == "stem" and kernel.shape[:2] == (3, 3):
        return [_stem(kernel), bias]
    return [kernel, bias]


def _stem(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert the published stem (3, 3, 12, filters) to one for RGB pixels (6, 6, 3, filters). Its twelve channels are
    the pixels of a 2 × 2 square, column by column, each in BGR."""
    parts = kernel.reshape(3, 3, 2, 2, 3, -1)  # row, column, column in the square, row in the square, BGR
    return np.ascontiguousarray(parts.transpose(0, 3, 1, 2, 4, 5).reshape(6, 6, 3, -1)[:, :, ::-1])


def _conv(x: Tensor, name: str, filters: int, kernel: int = 1, *, act: str | None = "silu") -> Tensor:
    x = layers.Conv2D(filters, kernel, padding="same", name=name)(x)
    return layers.Activation(act, name=f"{name}.act")(x) if act else x


def _separable(x: Tensor, name: str, filters: int, stride: int = 1) -> Tensor:
    """Depthwise 3×3, SiLU, pointwise, SiLU; with stride 2 the padding is symmetric, as in the original."""
    if stride > 1:
        x = layers.ZeroPadding2D(1, name=f"{name}.pad")(x)
    padding = "valid" if stride > 1 else "same"
    x = layers.DepthwiseConv2D(3, strides=stride, padding=padding, name=f"{name}.depthwise")(x)
    x = layers.Activation("silu", name=f"{name}.depthwise.act")(x)
    return _conv(x, f"{name}.pointwise", filters)


def _csp(x: Tensor, name: str, filters: int, repeats: int = 1, *, shortcut: bool = False) -> Tensor:
    left = _conv(x, f"{name}.conv1", filters // 2)
    right = _conv(x, f"{name}.conv2", filters // 2)
    for index in range(repeats):
        inner = _conv(left, f"{name}.m{index}.conv1", filters // 2)
        inner = _separable(inner, f"{name}.m{index}.conv2", filters // 2)
        left = layers.Add(name=f"{name}.m{index}.add")([left, inner]) if shortcut else inner
    return _conv(layers.Concatenate(name=f"{name}.concat")([left, right]), f"{name}.conv3", filters)


def _backbone(picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features at strides 4, 8, 16 and 32 with 32, 64, 128 and 256 channels."""
    # The original moves each 2 × 2 square of pixels into channels, then convolves 3 × 3: one convolution is equivalent.
    x = layers.Conv2D(16, 6, strides=2, padding="same", name="stem")(picture)
    x = layers.Activation("silu", name="stem.act")(x)
    c2 = _csp(_separable(x, "dark2.down", 32, 2), "dark2.csp", 32, 1, shortcut=True)
    c3 = _csp(_separable(c2, "dark3.down", 64, 2), "dark3.csp", 64, 3, shortcut=True)
    c4 = _csp(_separable(c3, "dark4.down", 128, 2), "dark4.csp", 128, 3, shortcut=True)
    x = _spp(_separable(c4, "dark5.down", 256, 2), "dark5.spp")
    return c2, c3, c4, _csp(x, "dark5.csp", 256)


def _spp(x: Tensor, name: str) -> Tensor:
    x = _conv(x, f"{name}.conv1", 128)
    pools = [layers.MaxPooling2D(k, 1, padding="same", name=f"{name}.pool{k}")(x) for k in (5, 9, 13)]
    return _conv(layers.Concatenate(name=f"{name}.concat")([x, *pools]), f"{name}.conv2", 256)


def _pyramid(c3: Tensor, c4: Tensor, c5: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Top-down, then bottom-up; features at strides 8, 16 and 32 with 64, 128 and 256 channels."""
    lateral5 = _conv(c5, "fpn.lateral5", 128)
    f4 = _csp(_joined("fpn.join4", layers.UpSampling2D(name="fpn.up5")(lateral5), c4), "fpn.csp4", 128)
    reduce4 = _conv(f4, "fpn.reduce4", 64)
    p3 = _csp(_joined("fpn.join3", layers.UpSampling2D(name="fpn.up4")(reduce4), c3), "fpn.csp3", 64)
    p4 = _csp(_joined("pan.join4", _separable(p3, "pan.down3", 64, 2), reduce4), "pan.csp4", 128)
    p5 = _csp(_joined("pan.join5", _separable(p4, "pan.down4", 128, 2), lateral5), "pan.csp5", 256)
    return p3, p4, p5


def _joined(name: str, first: Tensor, second: Tensor) -> Tensor:
    return layers.Concatenate(name=name)([first, second])


def _head(x: Tensor, stride: int, classes: int, masks: bool) -> Tensor:
    name = f"head{stride}"
    x = _conv(x, f"{name}.stem", 64)
    cls = _separable(_separable(x, f"{name}.cls0", 64), f"{name}.cls1", 64)
    reg = _separable(_separable(x, f"{name}.reg0", 64), f"{name}.reg1", 64)
    parts = [
        _conv(reg, f"{name}.box", 4, act=None),
        _conv(reg, f"{name}.obj", 1, act=None),
        _conv(cls, f"{name}.cls", classes, act=None),
    ]
    if masks:
        mix = _conv(reg, f"{name}.mask0", 48, act="relu")
        parts.append(layers.Conv2D(MIX, 1, **_FOREGROUND_FIRST, name=f"{name}.mask")(mix))
    x = layers.Concatenate(name=f"{name}.concat")(parts)
    return layers.Reshape((-1, int(x.shape[-1])), name=f"{name}.flat")(x)


def _prototypes(stride4: Tensor, levels: Sequence[Tensor]) -> Tensor:
    """Prototype masks at stride 4: the pyramid recognises objects, the early features locate their edges."""
    # Plain convolutions: at these strides they cost no more than separable ones, and their gradients far less. ReLU is
    # fused with the convolution, SiLU is not.
    p3, p4, p5 = (_conv(x, f"proto.level{s}", 32, act=None) for x, s in zip(levels, STRIDES, strict=True))
    p4 = layers.Add(name="proto.add16")([p4, layers.UpSampling2D(name="proto.up32")(p5)])
    x = layers.Add(name="proto.add8")([p3, layers.UpSampling2D(name="proto.up16")(p4)])
    x = _conv(layers.Activation("relu", name="proto.relu8")(x), "proto.what0", 32, 3, act="relu")
    x = _conv(_conv(x, "proto.what1", 32, 3, act="relu"), "proto.what", 24, act=None)
    what = layers.UpSampling2D(name="proto.up")(x)
    where = _conv(stride4, "proto.edges", 24, act=None)
    x = layers.Activation("relu", name="proto.act")(layers.Add(name="proto.add")([what, where]))
    x = _conv(x, "proto.conv", 24, 3, act="relu")
    return _conv(x, "proto.out", PROTOTYPES, act=None)


def anchor_grid(height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Cells (anchors, 2) as x, y and strides (anchors, 1) for a picture of height × width pixels."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = height // stride, width // stride
        y, x = ops.meshgrid(ops.arange(rows), ops.arange(columns), indexing="ij")
        cell = ops.reshape(ops.stack([x, y], axis=-1), (-1, 2))
        cells.append(ops.cast(cell, "float32"))
        strides.append(ops.ones_like(cells[-1][:, :1]) * stride)
    return ops.concatenate(cells), ops.concatenate(strides)


def decode_boxes(raw: Tensor, cells: Tensor, strides: Tensor) -> Tensor:
    """Boxes (..., anchors, 4) as x0, y0, x1, y1 in network pixels from the first four values of each anchor."""
    centre = (raw[..., :2] + cells) * strides
    half = ops.exp(ops.clip(raw[..., 2:4], -10.0, 10.0)) * strides / 2
    return ops.concatenate([centre - half, centre + half], axis=-1)


def sample_places(inside: Tensor, count: int) -> Tensor:
    """Positions (..., count) in network pixels of a mask's samples along one axis: evenly spaced from edge to edge of
    the part of its box inside the picture, `inside` (..., 2)."""
    steps = ops.arange(count, dtype="float32") / (count - 1)
    return inside[..., :1] + (inside[..., 1:] - inside[..., :1]) * steps


def cosines(places: Tensor, edges: Tensor) -> Tensor:
    """Cosines (..., count, WAVES) at positions `places` (..., count) along one axis of boxes with `edges` (..., 2),
    which may lie outside the picture; cosine k has k half waves per box, from 0."""
    # Polynomials, not `cos`: its last bits differ between the middle and the end of a block of values, and the blocks
    # depend on the number of threads.
    place = (places - edges[..., :1]) / ops.maximum(edges[..., 1:] - edges[..., :1], 1.0) - 0.5
    square = place * place
    first = place * (_SINE[0] + square * (_SINE[1] + square * (_SINE[2] + square * (_SINE[3] + square * _SINE[4]))))
    waves = [ops.ones_like(first), first]  # cos(k x) = 2 cos(x) cos((k - 1) x) - cos((k - 2) x)
    while len(waves) < WAVES:
        waves.append(2.0 * first * waves[-1] - waves[-2])
    return ops.stack(waves, axis=-1)


_SINE: Final = tuple((-1) ** (n + 1) * math.pi ** (2 * n + 1) / math.factorial(2 * n + 1) for n in range(5))
"""The series of -sin(pi x), which is cos(pi (x + 1/2)); within 4e-6 for x from -1/2 to 1/2."""
