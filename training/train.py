"""Train the built-in model and export it.

    python -m training.train --data DATA --out FOLDER [--epochs 32] [--threads 2]

DATA contains the weights `yolox_nano_coco_weights.npz`, `deeplabv3_mnv2_pascal_quant.tflite` and
`nanodet-1.5x-416-int8.xml` (and `.bin`), and the folders `coco`, `coco_person`, `traffic` and `roads`; see
training/README.md. FOLDER gets the weights of each phase after every epoch (`masks.npz`, `whole.npz`, and `final.npz`
for the mask branch), those of the whole network blended with the starting weights (`blended.npz`), the exported
`saved_model/` and `log.json`.
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

from training.assemble import load_trained
from training.augment import Batches
from training.export import ExportOptions, export
from training.heads import CachedFeatures, cut
from training.losses import total_loss
from training.nanodet import read_convolutions
from training.network import build_network, load_weights, save_weights
from training.opinion import SecondOpinion
from training.segmenter import Segmenter, read_operations
from training.sources import DEEPLAB, NANODET, SEED, START_WEIGHTS, collect

FROZEN: Final = r"stem|dark2|dark3"
"""Layers that keep their starting weights: a thousand pictures cannot improve low-level features, and gradients are the
most expensive at these sizes."""
RATES: Final = {r"dark": 0.3, r"proto|head\d+\.mask": 3.0}
"""Factors for the learning rate by the start of the layer's name; 1 for all others."""
TRAINED_SHARE: Final = 0.75
"""Weight of the trained weights in the blend with the starting weights."""
MASK_BRANCH: Final = r"proto|head\d+\.mask"
HEADS: Final = r"head\d+"
CACHED_BATCHES: Final = 240
"""Batches whose features are cached to train the blended network's mask branch: three gigabytes."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A training phase: `epochs` with a decaying learning rate, at most `rate`, for the layers whose names match the
    pattern `layers` from the start; `shares` are factors for the rate by layer; `boxes` False uses the mask losses
    only; `momentum` is that of the averaged weights."""

    epochs: int
    rate: float
    layers: str
    boxes: bool = True
    shares: Mapping[str, float] = field(default_factory=dict)
    momentum: float = 0.998


class Trainer(keras.Model):  # type: ignore[misc]
    """Wraps the network, or the `part` of it to run, with its loss; `teach_boxes` False uses the mask losses only."""

    def __init__(self, network: keras.Model, size: int, part: keras.Model | None = None) -> None:
        super().__init__()
        self.network, self.size, self.teach_boxes = network, size, True
        self.part = network if part is None else part
        self.built = True  # as its network is; the backup asks for it

    def call(self, inputs: Any, training: bool = False) -> Any:
        several = isinstance(inputs, list | tuple)
        inputs = [ops.cast(x, "float32") for x in inputs] if several else ops.cast(inputs, "float32")
        return self.part(inputs, training=training)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:  # noqa: ARG002
        return total_loss(y_pred, y, self.size, boxes=self.teach_boxes)


class RatedAdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW with a learning rate for each layer: `shares` maps patterns (for the start of a path) to factors."""

    def __init__(self, *arguments: Any, shares: Mapping[str, float], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._shares = shares
        self._share_of: list[float] = []

    def build(self, variables: Any) -> None:
        """Store the factor of every variable, in the optimiser's order."""
        super().build(variables)
        for variable in variables:
            matching = (share for pattern, share in self._shares.items() if re.match(pattern, variable.path))
            self._share_of.append(next(matching, 1.0))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        share = self._share_of[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * share)


def set_trainable(network: keras.Model, pattern: str) -> None:
    """Make the layers whose names match (from the start) trainable, and freeze the others."""
    for layer in network.layers:
        layer.trainable = re.match(pattern, layer.name) is not None


def fit(trainer: Trainer, batches: Batches | CachedFeatures, phase: Phase, kept: Path) -> list[float]:
    """Train one phase with its own schedule. The averaged weights are saved to `kept` after every epoch, and loaded
    into the network at the end. Returns the loss of each epoch."""
    if not phase.epochs:
        return []
    done = kept.with_suffix(".json")
    if done.exists():
        load_weights(trainer.network, kept)
        losses: list[float] = json.loads(done.read_text())
        return losses
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
    # Before `average`, which exchanges the weights at the end of an epoch.
    backup = keras.callbacks.BackupAndRestore(str(kept.with_suffix("")), delete_checkpoint=True)
    batches.resume_at(_epochs_done(kept.with_suffix("")))
    history = trainer.fit(batches, epochs=phase.epochs, verbose=2, callbacks=[backup, average, keep])
    load_weights(trainer.network, kept)
    losses = [float(loss) for loss in history.history["loss"]]
    done.write_text(json.dumps(losses))
    return losses


def _epochs_done(backup: Path) -> int:
    notes = backup / "training_metadata.json"
    return int(json.loads(notes.read_text())["epoch"]) if notes.exists() else 0


def blend(network: keras.Model, start: Path) -> None:
    """Move the weights of all layers in `start` towards their starting values.

    So the network keeps more of what it learnt from a hundred thousand pictures before fine-tuning on a thousand
    (WiSE-FT, Wortsman and others, 2022, arXiv 2109.01903).
    """
    trained = {layer.name: layer.get_weights() for layer in network.layers}
    new = load_weights(network, start)
    for layer in network.layers:
        if layer.weights:
            share = 1.0 if layer.name in new else TRAINED_SHARE
            pairs = zip(layer.get_weights(), trained[layer.name], strict=True)
            layer.set_weights([before + share * (after - before) for before, after in pairs])


def train(data: Path, out: Path, options: argparse.Namespace) -> None:
    """Run the whole training. Raises FileNotFoundError if the data folder is incomplete, ValueError if DeepLab's file
    is another network."""
    segmenter = Segmenter(read_operations(data / DEEPLAB))
    opinion = SecondOpinion(read_convolutions(data / NANODET))
    keras.utils.set_random_seed(SEED)
    network = build_network()
    start = data / START_WEIGHTS
    load_weights(network, start)
    if options.start:
        start = out / "start.npz"
        network = load_trained(options.start)
        save_weights(network, start)
    samples, weights = collect(data)
    logging.getLogger(__name__).info("%d training pictures", len(samples))
    log = train_whole(network, Batches(samples, weights, **_form(options, SEED)), out, options)
    if options.epochs:
        blend(network, start)
    save_weights(network, out / "blended.npz")
    log |= train_branch(network, Batches(samples, weights, **_form(options, SEED + 1)), out, options)
    (out / "log.json").write_text(json.dumps({"options": vars(options), "losses": log}, indent=1, default=str))
    export(network, out / "saved_model", ExportOptions(), segmenter, opinion=opinion)


def train_whole(network: keras.Model, batches: Batches, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train the mask branch until its masks are useful, then all but the first layers. Returns the losses."""
    trainer = Trainer(network, options.size)
    masks = Phase(options.epochs_masks, 3e-3, MASK_BRANCH, boxes=False, momentum=0.0)
    whole = Phase(options.epochs, options.rate, f"(?!{FROZEN})", shares=RATES)
    return {
        "masks": fit(trainer, batches, masks, out / "masks.npz"),
        "whole": fit(trainer, batches, whole, out / "whole.npz"),
    }


def train_branch(network: keras.Model, batches: Batches, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train the mask branch alone, on cached features. Returns the losses."""
    body, rest = cut(network)
    cached = CachedFeatures(body, batches, CACHED_BATCHES, options.steps, SEED)
    branch = Phase(options.epochs_branch, 2e-3, MASK_BRANCH, boxes=False, momentum=0.99)
    if options.start:
        branch = Phase(options.epochs_branch, 5e-4, HEADS, momentum=0.98)
    return {"branch": fit(Trainer(network, options.size, rest), cached, branch, out / "final.npz")}


def _form(options: argparse.Namespace, seed: int) -> dict[str, int]:
    return {"size": options.size, "batch": options.batch, "steps": options.steps, "seed": seed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the starting weights and the pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, log and SavedModel")
    parser.add_argument("--start", type=Path, help="weights (.npz), or a SavedModel's folder, to start from")
    parser.add_argument("--epochs-masks", type=int, default=4, help="epochs of the mask branch alone, at first")
    parser.add_argument("--epochs", type=int, default=32, help="epochs of the whole network")
    parser.add_argument("--epochs-branch", type=int, default=60, help="epochs of the blended network's mask branch")
    parser.add_argument("--rate", type=float, default=2e-4, help="greatest learning rate of the whole network")
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=50, help="batches per epoch")
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
