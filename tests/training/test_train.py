"""The optimiser's learning rates, trainable layers, and blending."""

from __future__ import annotations

from pathlib import Path

import keras  # noqa: TID253 - the optimiser is Keras'
import numpy as np

from training.network import build_network, load_weights, save_weights
from training.train import TRAINED_SHARE, RatedAdamW, blend, set_trainable


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
