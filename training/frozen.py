"""Read the detector's weights from an exported model, so that it can be exported again without training."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import keras  # noqa: TID253 - the network is in it
import numpy as np
import tensorflow as tf  # noqa: TID253 - reads the graph
from numpy.typing import NDArray
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: TID253

_WEIGHTS = re.compile(r"yolox_nano_masks_1/(?P<layer>.+)_1/(?P<step>\w+)/ReadVariableOp/resource")


def load_exported(network: keras.Model, folder: Path) -> None:
    """Set the weights of `network` to those in the SavedModel `folder`, which `export` wrote.

    Raises:
        ValueError: the model has no weight of a layer, or one of another shape.
    """
    found: dict[str, list[NDArray[np.float32]]] = {}
    for layer, values in _constants(folder):
        found.setdefault(layer, []).append(values)
    for layer in network.layers:
        if layer.weights:
            wanted = [weight.shape for weight in layer.weights]
            given = sorted(found.get(layer.name, []), key=lambda values: -values.ndim)
            if [values.shape for values in given] != wanted:
                raise ValueError(f"{folder}: expected weights {wanted} of {layer.name}, got {[v.shape for v in given]}")
            layer.set_weights(given)


def _constants(folder: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    model = SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    for function in model.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            if node.op == "Const" and (match := _WEIGHTS.fullmatch(node.name)):
                yield match["layer"], tf.make_ndarray(node.attr["value"].tensor)
