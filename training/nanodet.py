"""NanoDet-Plus-m-1.5x (RangiLyu, Apache-2.0) from its published 8-bit OpenVINO file, for the second opinion on objects.

The file stores kernels as 8-bit integers with a scale for each output channel; so does the exported model, which is
four times smaller than with floats. Its quantisers of values between layers are left out: the one of the input was
calibrated on pictures of 0 to 1, so that the network as published finds nothing.

The backbone is ShuffleNetV2 (Ma and others, 2018, arXiv 1807.11164), the pyramid is made of ghost blocks (Han and
others, 2019, arXiv 1911.11907), and the head gives class scores and distances as distributions (Li and others, 2020,
arXiv 2006.04388). Convolutions have the names of the file.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf  # noqa: TID253 - the network is written in it
from numpy.typing import NDArray

STRIDES: Final = (8, 16, 32, 64)
CLASSES: Final = 80
CHANNELS: Final = 128
BINS: Final = 8
"""Values of a distance's distribution: 0 to 7 strides."""
_STAGES: Final = {"stage2": 4, "stage3": 8, "stage4": 4}
"""The stages of the backbone, at strides 8, 16 and 32, and their blocks."""
_MEAN_BGR: Final = (103.53, 116.28, 123.675)
_SCALE_BGR: Final = (0.017429, 0.017507, 0.017125)
_SLOPE: Final = 0.1
_CONVOLUTIONS: Final = 110
_DTYPES: Final = {"i8": np.int8, "f32": np.float32, "f16": np.float16}

Tensor = Any


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """`kernel` int8 [h, w, in, out] (depthwise [h, w, channels, 1]); `scale` and `bias` float32 (out,)."""

    kernel: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int
    depthwise: bool

    def weights(self) -> Tensor:
        """The kernel as float32."""
        scale = self.scale[:, None] if self.depthwise else self.scale
        return tf.cast(tf.constant(self.kernel), tf.float32) * tf.constant(scale)

    def on(self, x: Tensor, kernel: Tensor) -> Tensor:
        """Convolve (batch, rows, columns, channels), padded symmetrically, with the result of `weights`."""
        margin = self.kernel.shape[0] // 2
        if self.stride > 1:  # TensorFlow's "SAME" pads an even side at its end only
            x = tf.pad(x, [[0, 0], [margin, margin], [margin, margin], [0, 0]])
        padding = "VALID" if self.stride > 1 else "SAME"
        if self.depthwise:
            x = tf.nn.depthwise_conv2d(x, kernel, [1, self.stride, self.stride, 1], padding)
        else:
            x = tf.nn.conv2d(x, kernel, self.stride, padding)
        return tf.nn.bias_add(x, tf.constant(self.bias))


def read_convolutions(path: Path) -> dict[str, Convolution]:
    """The convolutions of the file `path` (.xml, with its weights in a .bin of the same name), by name.

    Raises FileNotFoundError if a file does not exist, ValueError if it is another network.
    """
    for file in (path, path.with_suffix(".bin")):
        if not file.is_file():
            raise FileNotFoundError(f"{file}: expected the published weights, as training/README.md says")
    graph = _Graph(path)
    found = dict(graph.convolutions())
    last = found.get(f"head/gfl_cls.{len(STRIDES) - 1}")
    if len(found) != _CONVOLUTIONS or last is None or last.kernel.shape[3] != CLASSES + 4 * BINS:
        raise ValueError(f"{path}: expected NanoDet-Plus-m-1.5x for the {CLASSES} classes of COCO")
    return found


class _Graph:
    """An OpenVINO file: layers by id, and the layers that each of them takes its inputs from."""

    def __init__(self, path: Path) -> None:
        root = ElementTree.parse(path).getroot()  # noqa: S314 - our own copy of the published file
        self._bytes = path.with_suffix(".bin").read_bytes()
        self._layers = {layer.attrib["id"]: layer for layer in root.iterfind("layers/layer")}
        edges = sorted(root.iterfind("edges/edge"), key=lambda edge: int(edge.attrib["to-port"]))
        self._takes: dict[str, list[str]] = {}
        for edge in edges:
            self._takes.setdefault(edge.attrib["to-layer"], []).append(edge.attrib["from-layer"])

    def convolutions(self) -> Iterator[tuple[str, Convolution]]:
        """Name and content of each convolution, which an addition of its bias follows."""
        biases = {takes[0]: takes[1] for to, takes in self._takes.items() if self._kind(to) == "Add"}
        for key, layer in self._layers.items():
            if self._kind(key) in ("Convolution", "GroupConvolution"):
                depthwise = self._kind(key) == "GroupConvolution"
                kernel, scale = self._kernel(self._takes[key][1])
                name = layer.attrib["name"].strip("/").removesuffix("/WithoutBiases").removesuffix("/Conv")
                order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
                stride = int(self._data(key)["strides"].split(",")[0])
                bias = self._values(biases[key]).reshape(-1)
                yield name, Convolution(np.ascontiguousarray(kernel.transpose(order)), scale, bias, stride, depthwise)

    def _kernel(self, key: str) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Integers [out, in or 1, h, w] and scales (out,) of a kernel: a product, reshaped if depthwise."""
        if self._kind(key) == "Reshape":
            key = self._takes[key][0]
        whole, scale = self._takes[key]
        return self._values(self._takes[whole][0]), self._values(scale).reshape(-1)

    def _kind(self, key: str) -> str:
        return self._layers[key].attrib["type"]

    def _data(self, key: str) -> Mapping[str, str]:
        data = self._layers[key].find("data")
        return {} if data is None else data.attrib

    def _values(self, key: str) -> NDArray[Any]:
        data = self._data(key)
        shape = [int(side) for side in data["shape"].split(",")]
        offset, size = int(data["offset"]), int(data["size"])
        values = np.frombuffer(self._bytes[offset : offset + size], _DTYPES[data["element_type"]])
        return values.reshape(shape)


class NanoDet:
    """The network, for at least one float32 picture (batch, height, width, 3) in RGB, 0..255, sides multiples of 32.

    Created within the graph that uses it. Its kernels are there once, however often it is called.
    """

    def __init__(self, convolutions: Mapping[str, Convolution]) -> None:
        self._convolutions = convolutions
        self._kernels = {name: convolution.weights() for name, convolution in convolutions.items()}

    def __call__(self, pictures: Tensor) -> Tensor:
        """(batch, anchors, CLASSES + 4 * BINS): class logits, then for left, top, right and bottom the logits of the
        distance's distribution; in the order of STRIDES and row by row, each level as large as its stride needs to
        cover the picture."""
        return self.heads(self.levels(pictures))

    def levels(self, pictures: Tensor) -> list[Tensor]:
        """The features of the pictures at all STRIDES, with CHANNELS channels."""
        return self._pyramid(*self._backbone(pictures))

    def heads(self, levels: list[Tensor]) -> Tensor:
        """The network's output for its `levels`."""
        return tf.concat([self._head(level, row) for row, level in enumerate(levels)], axis=1)

    def _conv(self, x: Tensor, name: str, *, act: bool = True) -> Tensor:
        x = self._convolutions[name].on(x, self._kernels[name])
        return tf.nn.leaky_relu(x, _SLOPE) if act else x

    def _separable(self, x: Tensor, name: str) -> Tensor:
        return self._conv(self._conv(x, f"{name}/depthwise"), f"{name}/pointwise")

    def _backbone(self, pictures: Tensor) -> list[Tensor]:
        """Features at strides 8, 16 and 32."""
        x = (tf.reverse(pictures, [3]) - tf.constant(_MEAN_BGR)) * tf.constant(_SCALE_BGR)
        x = self._conv(x, "backbone/conv1/conv1.0")
        # All values that a maximum is taken of have a neighbour in the picture, so the padding's value is never one.
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=x.dtype.min)
        x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        levels = []
        for stage, blocks in _STAGES.items():
            for block in range(blocks):
                x = self._shuffled(x, f"backbone/{stage}/{stage}.{block}", down=block == 0)
            levels.append(x)
        return levels

    def _shuffled(self, x: Tensor, name: str, *, down: bool) -> Tensor:
        """A block of ShuffleNetV2: two branches, of which only the first block of a stage changes the left one, and
        which alternate in the result, channel by channel."""
        if down:
            left = self._conv(x, f"{name}/branch1/branch1.0", act=False)
            left, right = self._conv(left, f"{name}/branch1/branch1.2"), x
        else:
            left, right = tf.split(x, 2, axis=3)
        right = self._conv(right, f"{name}/branch2/branch2.0")
        right = self._conv(right, f"{name}/branch2/branch2.3", act=False)
        right = self._conv(right, f"{name}/branch2/branch2.5")
        sides = tf.shape(right)
        # Transposing is twice as fast as stacking along a new last axis.
        pairs = tf.reshape(tf.concat([left, right], axis=3), [-1, 2, right.shape[3]])
        shape = [sides[0], sides[1], sides[2], 2 * right.shape[3]]
        return tf.reshape(tf.transpose(pairs, [0, 2, 1]), shape)

    def _pyramid(self, c3: Tensor, c4: Tensor, c5: Tensor) -> list[Tensor]:
        """Features at all strides."""
        c3, c4, c5 = (self._conv(x, f"fpn/reduce_layers.{row}/conv") for row, x in enumerate((c3, c4, c5)))
        f4 = self._ghosts(tf.concat([_doubled(c5), c4], 3), "fpn/top_down_blocks.0/blocks/blocks.0")
        p3 = self._ghosts(tf.concat([_doubled(f4), c3], 3), "fpn/top_down_blocks.1/blocks/blocks.0")
        down = self._separable(p3, "fpn/downsamples.0")
        p4 = self._ghosts(tf.concat([down, f4], 3), "fpn/bottom_up_blocks.0/blocks/blocks.0")
        down = self._separable(p4, "fpn/downsamples.1")
        p5 = self._ghosts(tf.concat([down, c5], 3), "fpn/bottom_up_blocks.1/blocks/blocks.0")
        p6 = self._separable(c5, "fpn/extra_lvl_in_conv.0") + self._separable(p5, "fpn/extra_lvl_out_conv.0")
        return [p3, p4, p5, p6]

    def _ghosts(self, x: Tensor, name: str) -> Tensor:
        """Two ghost modules, of which half of the channels are cheap copies of the other half, and a shortcut."""
        inner = x
        for module, act in (("ghost1", True), ("ghost2", False)):
            inner = self._conv(inner, f"{name}/{module}/primary_conv/primary_conv.0", act=act)
            cheap = self._conv(inner, f"{name}/{module}/cheap_operation/cheap_operation.0", act=act)
            inner = tf.concat([inner, cheap], axis=3)
        short = self._conv(x, f"{name}/shortcut/shortcut.0", act=False)
        return inner + self._conv(short, f"{name}/shortcut/shortcut.2", act=False)

    def _head(self, x: Tensor, row: int) -> Tensor:
        for index in (0, 1):
            x = self._separable(x, f"head/cls_convs.{row}.{index}")
        x = self._conv(x, f"head/gfl_cls.{row}", act=False)
        return tf.reshape(x, [tf.shape(x)[0], -1, CLASSES + 4 * BINS])


def _doubled(x: Tensor) -> Tensor:
    """Twice as many rows and columns, by bilinear interpolation between the centres of the cells."""
    return tf.image.resize(x, 2 * tf.shape(x)[1:3], method="bilinear")


def decode(raw: Tensor, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (..., anchors, CLASSES), 0..1, and boxes (..., anchors, 4) as y0, x0, y1, x1 in network pixels from the
    network's output for pictures of height × width pixels."""
    places, strides = anchor_places(height, width)
    steps = tf.reshape(raw[..., CLASSES:], tf.concat([tf.shape(raw)[:-1], [4, BINS]], axis=0))
    distances = tf.linalg.matvec(tf.nn.softmax(steps), tf.range(BINS, dtype=tf.float32)) * strides
    left, top, right, bottom = tf.unstack(distances, axis=-1)
    y, x = places[:, 0], places[:, 1]
    return tf.sigmoid(raw[..., :CLASSES]), tf.stack([y - top, x - left, y + bottom, x + right], axis=-1)


def anchor_places(height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Places (anchors, 2) as y, x in network pixels, from which distances count: the corners of the cells, not their
    centres; and strides (anchors, 1)."""
    places, strides = [], []
    for stride in STRIDES:
        rows, columns = -(-height // stride), -(-width // stride)
        y, x = tf.meshgrid(tf.range(rows), tf.range(columns), indexing="ij")
        cell = tf.reshape(tf.stack([y, x], axis=-1), (-1, 2))
        places.append(tf.cast(cell * stride, tf.float32))
        strides.append(tf.fill([tf.shape(cell)[0], 1], float(stride)))
    return tf.concat(places, axis=0), tf.concat(strides, axis=0)
