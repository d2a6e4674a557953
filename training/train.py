"""Train the built-in model and export it.

    python -m training.train --data DATA --out FOLDER [--epochs-masks 6] [--epochs 3] [--threads 2]

DATA holds the starting weights `yolox_nano_coco_weights.npz` and the folders `coco`, `coco_person`, `traffic` and
`roads` described in training/README.md. FOLDER gets the weights of each phase (`masks.npz`,
`final.npz`), the exported `saved_model/` and `log.json`. Seeds are fixed; the same data and versions give the
same model up to the rounding of threaded sums.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras  # noqa: TID253 - trains

from training.augment import Batches
from training.data import Sample, read_coco, read_unlabelled, split
from training.export import ExportOptions, ObjectDetector, export
from training.losses import total_loss
from training.network import COCO_IDS, build_network, load_weights, save_weights

START_WEIGHTS: Final = "yolox_nano_coco_weights.npz"
SEED: Final = 20180621
UNKNOWN_SCORE: Final = 0.1
"""An object of a class nobody labelled, seen by the starting network with at least this score, is taken as unknown."""
ROAD_SCORE: Final = 0.4
"""On road pictures, which are nearly all empty, the starting network's finds below this score are taken as mistakes."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of training pictures, how often one is drawn, and which rows of COCO_IDS it labels (None: all)."""

    name: str
    weight: float
    labelled: tuple[int, ...] | None = None
    unknown_score: float | None = None


SOURCES: Final = (
    Source("coco", 1.0),
    Source("coco_person", 0.5, labelled=(0,), unknown_score=UNKNOWN_SCORE),
    Source("traffic", 0.6, labelled=(), unknown_score=UNKNOWN_SCORE),
    Source("roads", 0.6, unknown_score=ROAD_SCORE),
)


class Trainer(keras.Model):  # type: ignore[misc]
    """Wraps the network with its loss; `teach_boxes` False freezes all but the mask branch."""

    def __init__(self, network: keras.Model, size: int) -> None:
        super().__init__()
        self.network, self.size, self.teach_boxes = network, size, True

    def call(self, pictures: Any, training: bool = False) -> Any:
        return self.network(pictures, training=training)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:  # noqa: ARG002
        return total_loss(y_pred, y, self.size, boxes=self.teach_boxes)


def collect(data: Path, teacher: keras.Model) -> tuple[list[Sample], list[float], dict[str, list[Sample]]]:
    """Training samples, their weights, and the held-out samples of each source."""
    samples: list[Sample] = []
    weights: list[float] = []
    held_out = {}
    for source in SOURCES:
        folder = data / source.name
        read = read_coco(folder) if (folder / "instances.json").exists() else read_unlabelled(folder)
        if source.unknown_score is not None:
            read = mark_unknown(read, teacher, source)
        train, held_out[source.name] = split(read)
        samples += train
        weights += [source.weight] * len(train)
    return samples, weights, held_out


def mark_unknown(samples: Sequence[Sample], teacher: keras.Model, source: Source) -> list[Sample]:
    """Add to `ignore` what the starting network sees there of classes that the source does not label (or, with all
    labelled, of any class)."""
    detect = ObjectDetector(
        teacher, ExportOptions(scales=((640, 640.0),), score_power=1.0, score_floor=source.unknown_score or 0.5)
    )
    labelled = set(source.labelled or ())
    marked = []
    for sample in samples:
        pixels = sample.pixels()
        found = {key: value.numpy()[0] for key, value in detect(pixels[None, ..., ::-1]).items()}
        height, width = pixels.shape[:2]
        rows = [
            row
            for row in range(int(found["num_detections"]))
            if COCO_IDS.index(int(found["detection_classes"][row])) not in labelled
        ]
        boxes = found["detection_boxes"][rows][:, [1, 0, 3, 2]] * [width, height, width, height]
        marked.append(sample.ignoring(boxes))
    return marked


SCOPES: Final = {
    "outputs": r"head\d+\.(cls|box|obj|mask0?)$|proto",
    "heads": r"head|proto",
    "pyramid": r"head|proto|pan|fpn",
    "all": r"",
}
"""Layers that the second phase teaches. The fewer, the cheaper a step and the less a thousand pictures can spoil."""


def set_trainable(network: keras.Model, pattern: str) -> None:
    """Let the layers whose names match (from their beginning) learn, and hold the others."""
    for layer in network.layers:
        layer.trainable = re.match(pattern, layer.name) is not None


def fit(
    trainer: Trainer, batches: Batches, epochs: int, rate: float, kept: Path, *, boxes: bool
) -> list[dict[str, float]]:
    """One phase with its own schedule; weights go to `kept` after every epoch. Returns the loss of each epoch."""
    if epochs == 0:
        return []
    trainer.teach_boxes = boxes
    steps = epochs * len(batches)
    schedule = keras.optimizers.schedules.CosineDecay(rate / 20, steps, alpha=0.02, warmup_target=rate, warmup_steps=20)
    ema = {"use_ema": True, "ema_momentum": 0.995} if boxes else {}
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-4, clipnorm=5.0, **ema)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if boxes else []
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: save_weights(trainer.network, kept))
    history = trainer.fit(batches, epochs=epochs, verbose=2, callbacks=[*callbacks, keep])
    return [{"loss": float(loss)} for loss in history.history["loss"]]


def train(data: Path, out: Path, options: argparse.Namespace) -> None:
    """The whole recipe. Raises FileNotFoundError when the data folder lacks a part."""
    keras.utils.set_random_seed(SEED)
    teacher = build_network(masks=False)
    load_weights(teacher, data / START_WEIGHTS)
    network = build_network()
    new = load_weights(network, data / START_WEIGHTS)
    if options.resume:
        load_weights(network, options.resume)
    samples, weights, _ = collect(data, teacher)
    logging.getLogger(__name__).info("%d training pictures", len(samples))
    trainer = Trainer(network, options.size)
    batches = Batches(samples, weights, size=options.size, batch=options.batch, steps=options.steps, seed=SEED)
    set_trainable(network, "|".join(re.escape(name) + "$" for name in new))
    log = fit(trainer, batches, options.epochs_masks, 2e-3, out / "masks.npz", boxes=False)
    set_trainable(network, SCOPES[options.scope])
    log += fit(trainer, batches, options.epochs, options.rate, out / "final.npz", boxes=True)
    (out / "log.json").write_text(json.dumps({"options": vars(options), "epochs": log}, indent=1, default=str))
    export(network, out / "saved_model", ExportOptions())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the starting weights and the pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, log and SavedModel")
    parser.add_argument("--resume", type=Path, help="weights (.npz) to go on from")
    parser.add_argument("--epochs-masks", type=int, default=6, help="epochs of the mask branch alone")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of the whole network")
    parser.add_argument("--rate", type=float, default=3e-4, help="greatest learning rate of the whole network")
    parser.add_argument("--scope", choices=sorted(SCOPES), default="outputs", help="what those epochs teach")
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=30, help="batches per epoch")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    logging.basicConfig(level=logging.INFO)
    options.out.mkdir(parents=True, exist_ok=True)
    train(options.data, options.out, options)


if __name__ == "__main__":
    main()
