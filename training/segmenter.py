"""A segmentation network for persons and vehicles: DeepLabv3 on MobileNetV2 (Chen and others, 2017, arXiv 1706.05587;
Apache-2.0, the TensorFlow authors), from its published 8-bit TFLite file.

The file stores every value as an integer from 0 to 255, with the scale of a step. Here, values are integers too, stored
as float32: sums below 2^24 are exact in any order. So the result does not depend on the number of threads, unlike sums
of fractions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf  # noqa: TID253 - the network is written in it
from numpy.typing import NDArray

from anonymisation.masking.saved_model import SECOND_INPUT, SECOND_OUTPUT

STRIDE: Final = 16
"""Pixels between two samples. The network was trained on sides that are a multiple of this plus one, so that samples
lie on both edges."""
VOC_CLASSES: Final = 21
VOC_ROWS: Final = ((15,), (2, 6, 7, 14, 19))
"""The classes of the two output groups: Pascal VOC's person; bicycle, bus, car, motorbike and train, whose wagons
resemble lorries most."""
MOST_EXACT: Final = 1 << 24
PICTURES: Final = tf.TensorSpec((None, None, None, 3), tf.uint8, name=SECOND_INPUT)
"""The input of the networks."""
_DILATED: Final = 3
"""The number of last depthwise convolutions with dilation 2: at stride 16 instead of 32."""

Tensor = Any


@dataclass(frozen=True, slots=True)
class Form:
    """The quantisation of a tensor: the scale of a step, and the zero point."""

    scale: float
    zero: int


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """`kernel` uint8 [h, w, in, out] (depthwise [h, w, channels, 1]), quantised as `form`; `bias` int32 (out,)."""

    kernel: NDArray[np.uint8]
    form: Form
    bias: NDArray[np.int32]
    stride: int
    dilation: int
    depthwise: bool

    def most(self, given: Form) -> int:
        """The largest possible absolute sum for an input of this form."""
        weights = np.abs(self.kernel.astype(np.int64) - self.form.zero)
        sums = weights.sum(axis=(0, 1, 3) if self.depthwise else (0, 1, 2)) * max(given.zero, 255 - given.zero)
        return int((sums + np.abs(self.bias.astype(np.int64))).max())

    def sums(self, x: Tensor) -> Tensor:
        """The sums for integers (batch, rows, columns, channels)."""
        kernel = tf.cast(tf.constant(self.kernel), tf.float32) - self.form.zero
        margin = self.kernel.shape[0] // 2 * self.dilation
        # Symmetric padding, so that samples lie at every sixteenth pixel from the first on.
        x = tf.pad(x, [[0, 0], [margin, margin], [margin, margin], [0, 0]]) if margin else x
        if self.depthwise:
            strides, dilations = [1, self.stride, self.stride, 1], [self.dilation] * 2
            x = tf.nn.depthwise_conv2d(x, kernel, strides, "VALID", dilations=dilations)
        else:
            x = tf.nn.conv2d(x, kernel, self.stride, "VALID")
        return tf.nn.bias_add(x, tf.constant(self.bias.astype(np.float32)))


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of the network: its name in TFLite, the indices of its input tensors and its output tensor, and
    their quantisation."""

    name: str
    takes: tuple[int, ...]
    gives: int
    forms: tuple[Form, ...]
    result: Form
    convolution: Convolution | None = None


def read_operations(path: Path) -> list[Operation]:
    """The operations of the published file, up to the class logits.

    Raises FileNotFoundError if the file does not exist, ValueError if it is another network or its sums may become too
    large to be exact.
    """
    if not path.is_file():  # TensorFlow would raise ValueError
        raise FileNotFoundError(f"{path}: expected the published weights, as training/README.md says")
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(str(path), experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    steps = interpreter._get_ops_details()  # noqa: SLF001 - the only access to the graph
    names = [step["op_name"] for step in steps]
    last = max((row for row, name in enumerate(names) if name == "CONV_2D"), default=-1)
    if names.count("DEPTHWISE_CONV_2D") != 17 or tensors[steps[last]["outputs"][0]]["shape"][-1] != VOC_CLASSES:
        raise ValueError(f"{path}: expected DeepLabv3 on MobileNetV2 with the {VOC_CLASSES} classes of Pascal VOC")
    wide = [row for row, name in enumerate(names) if name == "DEPTHWISE_CONV_2D"][-_DILATED:]
    read = [
        _operation(step, tensors, interpreter, 2 if row in wide else 1) for row, step in enumerate(steps[: last + 1])
    ]
    most = max(operation.convolution.most(operation.forms[0]) for operation in read if operation.convolution)
    joined = [operation for operation in read if operation.name == "CONCATENATION"]
    if any(form != operation.result for operation in joined for form in operation.forms):
        raise ValueError(f"{path}: expected concatenated tensors to have the same quantisation")
    if most >= MOST_EXACT:
        raise ValueError(f"{path}: expected sums below 2^24, got up to {most}")
    return read


def _operation(step: dict[str, Any], tensors: dict[int, Any], interpreter: Any, dilation: int) -> Operation:
    def form(index: int) -> Form:
        scale, zero = tensors[index]["quantization"]
        return Form(float(scale), int(zero))

    name, gives = step["op_name"], int(step["outputs"][0])
    takes = tuple(int(index) for index in step["inputs"])
    if "CONV" not in name:
        takes = tuple(index for index in takes if tensors[index]["dtype"] == np.uint8)
        return Operation(name, takes, gives, tuple(map(form, takes)), form(gives))
    source, kernel, bias = takes
    before, after = (int(tensors[index]["shape"][1]) for index in (source, gives))
    convolution = Convolution(
        kernel=np.ascontiguousarray(interpreter.get_tensor(kernel).transpose(1, 2, 3, 0)),
        form=form(kernel),
        bias=np.asarray(interpreter.get_tensor(bias), np.int32),
        stride=round(before / after),
        dilation=dilation,
        depthwise=name == "DEPTHWISE_CONV_2D",
    )
    return Operation(name, (source,), gives, (form(source),), form(gives), convolution)


class Segmenter(tf.Module):  # type: ignore[misc]
    """From uint8 RGB pictures to log odds."""

    def __init__(self, operations: list[Operation]) -> None:
        super().__init__(name="segmenter")
        self._operations = operations

    @tf.function(input_signature=[PICTURES], autograph=False)  # type: ignore[untyped-decorator]
    def __call__(self, input_tensor: Tensor) -> dict[str, Tensor]:
        """`log_odds` float32 [batch, rows, columns, 2] of persons and vehicles, at every sixteenth pixel from the first
        on: the logit of the best class of the group minus that of the best other class."""
        known = {self._operations[0].takes[0]: tf.cast(input_tensor, tf.float32) - self._operations[0].forms[0].zero}
        for operation in self._operations[:-1]:
            known[operation.gives] = _in_steps(operation, [known[index] for index in operation.takes])
        last = self._operations[-1]
        logits = _values(last, [known[last.takes[0]]])
        return {SECOND_OUTPUT: tf.stack([_margin(logits, rows) for rows in VOC_ROWS], axis=-1)}


def _in_steps(operation: Operation, given: list[Tensor]) -> Tensor:
    """The result in whole steps, minus its zero point."""
    if operation.name == "CONCATENATION":
        everywhere = tf.concat([tf.shape(given[1])[:3], [given[0].shape[-1]]], axis=0)
        return tf.concat([tf.broadcast_to(given[0], everywhere), given[1]], axis=-1)
    steps, zero = _values(operation, given) / operation.result.scale, operation.result.zero
    # One pass rounds to whole steps and clips to the 256 levels.
    return tf.quantization.fake_quant_with_min_max_args(steps, min=-zero, max=255 - zero)


def _values(operation: Operation, given: list[Tensor]) -> Tensor:
    """The result for inputs in whole steps."""
    scales = [form.scale for form in operation.forms]
    if operation.convolution is not None:
        return operation.convolution.sums(given[0]) * (scales[0] * operation.convolution.form.scale)
    match operation.name:
        case "ADD":
            return given[0] * scales[0] + given[1] * scales[1]
        case "AVERAGE_POOL_2D":
            count = tf.cast(tf.reduce_prod(tf.shape(given[0])[1:3]), tf.float32)
            return tf.reduce_sum(given[0], axis=(1, 2), keepdims=True) / count * scales[0]
        case "RESIZE_BILINEAR" | "QUANTIZE":  # a single value for the whole picture
            return given[0] * scales[0]
    raise ValueError(f"{operation.name}: expected an operation of DeepLabv3 on MobileNetV2")


def _margin(logits: Tensor, rows: tuple[int, ...]) -> Tensor:
    others = [row for row in range(VOC_CLASSES) if row not in rows]
    best, rest = (tf.reduce_max(tf.gather(logits, r, axis=-1), axis=-1) for r in (rows, others))
    return best - rest
