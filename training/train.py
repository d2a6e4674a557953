"""Train the built-in model and export it.

    python -m training.train --data DATA --out FOLDER [--epochs 16] [--threads 2]

DATA holds the starting weights `yolox_nano_coco_weights.npz` and the folders `coco`, `coco_person`, `traffic` and
`roads` described in training/README.md. FOLDER gets the weights of each phase (`masks.npz`, `final.npz`; both after
every epoch) and of their blend with the starting ones (`blended.npz`), the exported `saved_model/` and `log.json`.
Seeds are fixed; the same data and versions give the same model up to the rounding of threaded sums.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import keras  # noqa: TID253 - trains
from keras import ops  # noqa: TID253

from training.augment import Batches
from training.data import Sample, read_coco, read_unlabelled, split
from training.export import ExportOptions, export
from training.losses import total_loss
from training.network import build_network, load_weights, save_weights
from training.teacher import Teacher

START_WEIGHTS: Final = "yolox_nano_coco_weights.npz"
SEED: Final = 20180621
UNKNOWN_SCORE: Final = 0.1
"""An object of a class nobody labelled, seen by the starting network with at least this score, is taken as unknown."""
ROAD_SCORE: Final = 0.4
"""On road pictures, which are nearly all empty, the starting network's finds below this score are taken as mistakes."""
FROZEN: Final = r"stem|dark2|dark3"
"""Layers that keep their starting values: what edges look like a thousand pictures cannot teach better, and at these
sizes gradients are dearest."""
RATES: Final = {r"dark": 0.3, r"proto|head\d+\.mask": 3.0}
"""Shares of the learning rate by the beginning of the layer's name; 1 for all others."""
TRAINED_SHARE: Final = 0.75
"""So far the shipped weights are on the way from the starting to the trained ones."""
MASK_BRANCH: Final = r"proto|head\d+\.mask"


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of training pictures, how often one is drawn, and which rows of COCO_IDS it labels (None: all)."""

    name: str
    weight: float
    labelled: tuple[int, ...] = ()
    unknown_score: float | None = None


SOURCES: Final = (
    Source("coco", 1.0),
    Source("coco_person", 0.5, labelled=(0,), unknown_score=UNKNOWN_SCORE),
    Source("traffic", 0.6, unknown_score=UNKNOWN_SCORE),
    Source("roads", 0.6, unknown_score=ROAD_SCORE),
)


@dataclass(frozen=True, slots=True)
class Phase:
    """So many epochs at so high a rate for the layers whose names match from their beginning; `shares` of the rate by
    layer; `boxes` False leaves the losses of all but the masks out; `momentum` of the averaged weights."""

    epochs: int
    rate: float
    layers: str
    boxes: bool = True
    shares: Mapping[str, float] = field(default_factory=dict)
    momentum: float = 0.998


class Trainer(keras.Model):  # type: ignore[misc]
    """Wraps the network with its loss; `teach_boxes` False leaves the losses of all but the masks out."""

    def __init__(self, network: keras.Model, size: int) -> None:
        super().__init__()
        self.network, self.size, self.teach_boxes = network, size, True

    def call(self, pictures: Any, training: bool = False) -> Any:
        return self.network(ops.cast(pictures, "float32"), training=training)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:  # noqa: ARG002
        return total_loss(y_pred, y, self.size, boxes=self.teach_boxes)


class RatedAdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW with a learning rate for each layer: `shares` by a pattern for the beginning of the variable's path."""

    def __init__(self, *arguments: Any, shares: Mapping[str, float], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._shares = shares
        self._share_of: list[float] = []

    def build(self, variables: Any) -> None:
        """Note every variable's share; the optimiser knows them by their row."""
        super().build(variables)
        for variable in variables:
            matching = (share for pattern, share in self._shares.items() if re.match(pattern, variable.path))
            self._share_of.append(next(matching, 1.0))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's step."""
        share = self._share_of[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * share)


def collect(data: Path) -> tuple[list[Sample], list[float]]:
    """Training samples (without the held-out ones) and their weights."""
    network = build_network(masks=False)
    load_weights(network, data / START_WEIGHTS)
    samples: list[Sample] = []
    weights: list[float] = []
    for source in SOURCES:
        folder = data / source.name
        read = read_coco(folder) if (folder / "instances.json").exists() else read_unlabelled(folder)
        train, _ = split(read)
        if source.unknown_score is not None:
            train = Teacher(network, source.unknown_score).marked(train, source.labelled)
        samples += train
        weights += [source.weight] * len(train)
    return samples, weights


def set_trainable(network: keras.Model, pattern: str) -> None:
    """Let the layers whose names match (from their beginning) learn, and hold the others."""
    for layer in network.layers:
        layer.trainable = re.match(pattern, layer.name) is not None


def fit(trainer: Trainer, batches: Batches, phase: Phase, kept: Path) -> list[float]:
    """One phase with its own schedule; its averaged weights go to `kept` after every epoch, and stay in the network.
    Returns the loss of each epoch."""
    if not phase.epochs:
        return []
    trainer.teach_boxes = phase.boxes
    set_trainable(trainer.network, phase.layers)
    steps = phase.epochs * len(batches)
    schedule = keras.optimizers.schedules.CosineDecay(
        phase.rate / 20, steps, alpha=0.02, warmup_target=phase.rate, warmup_steps=50
    )
    optimizer = RatedAdamW(
        schedule, weight_decay=1e-4, clipnorm=5.0, shares=phase.shares, use_ema=True, ema_momentum=phase.momentum
    )
    trainer.compile(optimizer=optimizer, jit_compile=False)
    average = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: save_weights(trainer.network, kept))
    history = trainer.fit(batches, epochs=phase.epochs, verbose=2, callbacks=[average, keep])
    load_weights(trainer.network, kept)
    return [float(loss) for loss in history.history["loss"]]


def blend(network: keras.Model, start: Path) -> None:
    """Move the weights of the layers that were there from the start towards their starting values.

    What a thousand pictures did not show the network keeps more of what a hundred thousand had taught it (WiSE-FT,
    Wortsman and others, 2022, arXiv 2109.01903).
    """
    trained = {layer.name: layer.get_weights() for layer in network.layers}
    new = load_weights(network, start)
    for layer in network.layers:
        if layer.weights:
            share = 1.0 if layer.name in new else TRAINED_SHARE
            pairs = zip(layer.get_weights(), trained[layer.name], strict=True)
            layer.set_weights([before + share * (after - before) for before, after in pairs])


def train(data: Path, out: Path, options: argparse.Namespace) -> None:
    """The whole recipe. Raises FileNotFoundError when the data folder lacks a part."""
    keras.utils.set_random_seed(SEED)
    network = build_network()
    load_weights(network, data / START_WEIGHTS)
    if options.resume:
        load_weights(network, options.resume)
    samples, weights = collect(data)
    logging.getLogger(__name__).info("%d training pictures", len(samples))
    trainer = Trainer(network, options.size)
    phases = {
        "masks": Phase(options.epochs_masks, 3e-3, MASK_BRANCH, boxes=False, momentum=0.0),
        "final": Phase(options.epochs, options.rate, f"(?!{FROZEN})", shares=RATES),
    }
    batches = Batches(samples, weights, size=options.size, batch=options.batch, steps=options.steps, seed=SEED)
    log = {name: fit(trainer, batches, phase, out / f"{name}.npz") for name, phase in phases.items()}
    blend(network, data / START_WEIGHTS)
    save_weights(network, out / "blended.npz")
    (out / "log.json").write_text(json.dumps({"options": vars(options), "losses": log}, indent=1, default=str))
    export(network, out / "saved_model", ExportOptions())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the starting weights and the pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, log and SavedModel")
    parser.add_argument("--resume", type=Path, help="weights (.npz) to go on from")
    parser.add_argument("--epochs-masks", type=int, default=2, help="epochs of the mask branch alone, first")
    parser.add_argument("--epochs", type=int, default=16, help="epochs of the whole network")
    parser.add_argument("--rate", type=float, default=2e-4, help="greatest learning rate of the whole network")
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100, help="batches per epoch")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    logging.basicConfig(level=logging.INFO)
    options.out.mkdir(parents=True, exist_ok=True)
    train(options.data, options.out, options)


if __name__ == "__main__":
    main()
