"""The optimiser's learning rates, trainable layers, blending, and continuing after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras  # noqa: TID253 - the optimiser is Keras'
import numpy as np
import pytest

from training.network import build_network, load_weights, save_weights
from training.train import TRAINED_SHARE, Phase, RatedAdamW, Trainer, blend, fit, set_trainable


def test_layers_have_their_own_learning_rates() -> None:
    inputs = keras.Input((1,))
    slow, fast = (
        keras.layers.Dense(1, name=name, use_bias=False, kernel_initializer="ones") for name in ("slow", "fast")
    )
    model = keras.Model(inputs, keras.layers.Add()([slow(inputs), fast(inputs)]))
    model.compile(RatedAdamW(0.1, weight_decay=0.0, shares={"slow": 0.1}), loss="mse")
    model.fit(np.ones((4, 1)), np.full((4, 1), 9.0), batch_size=4, epochs=1, verbose=0)
    moved = [float(layer.get_weights()[0][0, 0]) - 1 for layer in (slow, fast)]
    np.testing.assert_allclose(moved, [0.01, 0.1], rtol=1e-3)


def test_trainable_layers_are_chosen_by_name() -> None:
    inputs = keras.Input((1,))
    model = keras.Model(
        inputs, keras.layers.Dense(1, name="head8.cls")(keras.layers.Dense(1, name="dark2.down")(inputs))
    )
    set_trainable(model, r"(?!stem|dark2)")
    assert [variable.path for variable in model.trainable_variables] == ["head8.cls/kernel", "head8.cls/bias"]


def test_blending_moves_part_of_the_way_and_leaves_new_layers(tmp_path: Path) -> None:
    network = build_network(masks=False)
    save_weights(network, tmp_path / "start.npz")
    trained = build_network()
    load_weights(trained, tmp_path / "start.npz")
    mask = trained.get_layer("proto.out").get_weights()[0]
    cls = trained.get_layer("head8.cls")
    kernel, bias = cls.get_weights()
    cls.set_weights([kernel + 1.0, bias])
    blend(trained, tmp_path / "start.npz")
    np.testing.assert_allclose(cls.get_weights()[0], kernel + TRAINED_SHARE, atol=1e-5)
    np.testing.assert_array_equal(trained.get_layer("proto.out").get_weights()[0], mask)


class Data(keras.utils.PyDataset):  # type: ignore[misc]
    """Two batches an epoch, of the epoch's number; fails in the epoch `stop`."""

    def __init__(self, stop: int | None = None) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.drawn: list[int] = []
        self._epoch, self._stop = 0, stop

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if self._epoch == self._stop:
            raise RuntimeError("stopped")
        self.drawn.append(self._epoch)
        return np.ones((4, 1), np.float32), np.full((4, 1), float(self._epoch), np.float32)

    def on_epoch_end(self) -> None:
        self._epoch += 1

    def resume_at(self, epoch: int) -> None:
        self._epoch = epoch


class Small(Trainer):
    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
        return keras.ops.mean(keras.ops.square(y - y_pred))


def test_an_interrupted_training_continues_and_a_finished_one_is_not_repeated(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((1,))
    network = keras.Model(inputs, keras.layers.Dense(1, name="only")(inputs))
    started, phase, kept = network.get_weights(), Phase(4, 1e-2, "only", momentum=0.5), tmp_path / "only.npz"
    whole = fit(Small(network, 32), Data(), phase, tmp_path / "whole.npz")
    network.set_weights(started)
    with pytest.raises(Exception, match="stopped"):
        fit(Small(network, 32), Data(stop=2), phase, kept)
    network.set_weights(started)
    rest = Data()
    losses = fit(Small(network, 32), rest, phase, kept)
    assert 0 not in rest.drawn
    assert 0 < len(losses) < len(whole)
    network.set_weights(started)
    idle = Data()
    assert fit(Small(network, 32), idle, phase, kept) == losses
    assert not idle.drawn
    np.testing.assert_array_equal(network.get_weights()[0], np.load(kept)["only/kernel"])
