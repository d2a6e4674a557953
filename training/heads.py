"""Train the mask branch alone: the layers before it stay unchanged, and their features are computed once."""

from __future__ import annotations

from typing import Any, Final

import keras  # noqa: TID253 - cuts the network in two
import numpy as np

from training.augment import Batches, Target

FEATURES: Final = ("dark2.csp.conv3.act", "fpn.csp3.conv3.act", "pan.csp4.conv3.act", "pan.csp5.conv3.act")
"""The layers whose outputs are the inputs of the heads and the prototypes."""

Tensor = Any


def cut(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The network as two models that share its layers: up to FEATURES, and from there on."""
    features = [network.get_layer(name).output for name in FEATURES]
    return keras.Model(network.input, features), keras.Model(features, network.output)


class CachedFeatures(keras.utils.PyDataset):  # type: ignore[misc]
    """The features (float16, about 1.5 MB per picture) and targets of `count` batches, in a new order in every epoch of
    `steps`."""

    def __init__(self, body: keras.Model, batches: Batches, count: int, steps: int, seed: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self._made = [_features(body, batches, index) for index in range(count)]
        self._steps, self._seed, self._epoch = steps, seed, 0
        self._order = self._shuffled()

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[tuple[Tensor, ...], Target]:
        return self._made[self._order[index % len(self._order)]]

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._order = self._shuffled()

    def resume_at(self, epoch: int) -> None:
        """Go on with this epoch, after an interruption."""
        self._epoch = epoch
        self._order = self._shuffled()

    def _shuffled(self) -> list[int]:
        rows = np.arange(len(self._made))
        return [int(row) for row in np.random.default_rng([self._seed, self._epoch]).permutation(rows)]


def _features(body: keras.Model, batches: Batches, index: int) -> tuple[tuple[Tensor, ...], Target]:
    pictures, target = batches[index]
    made = body(pictures.astype(np.float32), training=False)
    return tuple(keras.ops.convert_to_numpy(values).astype(np.float16) for values in made), target
