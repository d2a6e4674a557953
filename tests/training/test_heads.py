"""Splitting the network in two, and caching the features between the halves."""

from __future__ import annotations

from pathlib import Path

import keras  # noqa: TID253 - saves a network's weights
import numpy as np
import pytest

from training.augment import Batches
from training.data import Sample
from training.heads import CachedFeatures, cut
from training.network import build_network
from training.train import MASK_BRANCH, Phase, Trainer, fit

SIZE = 96


@pytest.fixture
def batches(tmp_path: Path) -> Batches:
    import cv2

    pixels = np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8)
    path = tmp_path / "noise.png"
    cv2.imwrite(str(path), pixels)
    box = np.array([[10, 10, 60, 50]], np.float32)
    outline = (np.array([[10, 10], [60, 10], [60, 50], [10, 50]], np.float32),)
    nothing = np.zeros((0, 4), np.float32)
    sample = Sample(path, box, np.zeros(1, np.int64), (outline,), nothing)
    return Batches([sample], [1.0], size=SIZE, batch=2, steps=2, seed=7)


def test_the_halves_compute_the_same_as_the_whole_network(batches: Batches) -> None:
    keras.utils.set_random_seed(1)
    network = build_network()
    body, rest = cut(network)
    pixels = batches[0][0].astype(np.float32)
    expected, made = network(pixels), rest(body(pixels))
    for name, values in expected.items():
        np.testing.assert_allclose(made[name], values, atol=1e-4)


def test_only_the_branch_is_trained_and_shared_with_the_whole_network(batches: Batches, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    network = build_network()
    body, rest = cut(network)
    cached = CachedFeatures(body, batches, count=3, steps=2, seed=7)
    before = {layer.name: layer.get_weights() for layer in network.layers}
    phase = Phase(1, 1e-3, MASK_BRANCH, boxes=False)
    fit(Trainer(network, SIZE, rest), cached, phase, tmp_path / "branch.npz")
    moved = {
        name
        for name, values in before.items()
        if any(not np.array_equal(a, b) for a, b in zip(values, network.get_layer(name).get_weights(), strict=True))
    }
    assert "proto.out" in moved
    assert all(name.startswith("proto.") or ".mask" in name for name in moved)


def test_every_epoch_has_a_new_order_and_every_run_the_same_orders(batches: Batches) -> None:
    body, _ = cut(build_network())

    def orders() -> list[list[float]]:
        cached = CachedFeatures(body, batches, count=8, steps=8, seed=7)
        made = []
        for _ in range(2):
            made.append([float(cached[index][1]["boxes"].sum()) for index in range(len(cached))])
            cached.on_epoch_end()
        return made

    first, second = orders()
    assert sorted(first) == sorted(second)
    assert first != second
    assert [first, second] == orders()
