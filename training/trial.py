"""Fit the judge of doubtful detections, after the training of the detector.

    python -m training.trial --data DATA --weights WEIGHTS --out FOLDER [--batches 400]

WEIGHTS is the `final.npz` of a training, or an exported model. Its detections in augmented training pictures, with
drawn signs and road furniture, are the cases: FOLDER/cases.npz keeps them, and a later call continues from there.
FOLDER gets `judge.npz`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras  # noqa: TID253 - trains
import numpy as np
import tensorflow as tf  # noqa: TID253 - runs the networks
from numpy.typing import NDArray

from training.assemble import load_trained
from training.augment import Batches, Target
from training.export import ExportOptions, ObjectDetector
from training.judge import Judge, save_judge
from training.nanodet import NanoDet, read_convolutions
from training.opinion import OpinionOptions, SecondOpinion
from training.sources import NANODET, SEED, collect

SIZE: Final = 416
BATCH: Final = 8
SCORES: Final = (0.07, 0.6)
"""Detections with such scores are cases: more than those that are judged, for more of both kinds."""
TRUE_IOU: Final = 0.4
TRUE_SHARE: Final = 0.6
"""A detection is true with this IoU with an object, or with this fraction of it on objects."""
FALSE_SHARE: Final = 0.1
UNKNOWN_SHARE: Final = 0.25
"""It is false with at most the first fraction on objects and the second on unknown regions; others are no cases."""
HIDDEN: Final = 32
EPOCHS: Final = 25
DROPPED: Final = 0.3
LEAST_SPREAD: Final = 0.05

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """`evidence` (n, EVIDENCE) and whether each is `true` (n,)."""

    evidence: NDArray[np.float16]
    true: NDArray[np.bool_]
    batches: int


class Witness:
    """Detects doubtful things in a batch, and looks at them as the exported model does."""

    def __init__(self, network: keras.Model, opinion: SecondOpinion, nanodet: dict[str, Any]) -> None:
        self._network, self._opinion, self._nanodet = network, opinion, nanodet
        self._detector = ObjectDetector(network, ExportOptions(score_floor=SCORES[0]))

    @tf.function(input_signature=[tf.TensorSpec((BATCH, SIZE, SIZE, 3), tf.uint8)])  # type: ignore[untyped-decorator]
    def __call__(self, pictures: Any) -> tuple[Any, Any, Any]:
        """Indices of pictures, boxes and evidence of the doubtful detections."""
        pixels, sides = tf.cast(pictures, tf.float32), tf.constant([float(SIZE)] * 2)
        found = self._detector.detected(self._network(pixels, training=False), tf.constant([SIZE] * 2), sides)
        found = found.taken(self._opinion.doubtful(found, tf.reduce_prod(sides)))
        # One more, so that it is never none: with oneDNN, convolutions fail on no pictures.
        more = found.taken(tf.concat([tf.range(tf.size(found.scores)), tf.zeros(1, tf.int32)], axis=0))
        _, evidence = self._opinion.looked_at(NanoDet(self._nanodet), pixels, more)
        return found.picture, found.boxes, evidence[:-1]


def verdict(box: Floats, target: Target, row: int) -> bool | None:
    """Whether a detection with this box (x0, y0, x1, y1) in picture `row` of a batch is true; None: unknown."""
    real = target["boxes"][row][target["classes"][row] >= 0]
    area = max(float((box[2:] - box[:2]).prod()), 1.0)
    on = _common(box, real)
    iou = on / np.maximum(area + (real[:, 2:] - real[:, :2]).prod(axis=1) - on, 1.0)
    if iou.max(initial=0.0) >= TRUE_IOU or on.sum() / area >= TRUE_SHARE:
        return True
    unknown = _common(box, target["ignore"][row]).sum() / area
    return False if on.sum() / area < FALSE_SHARE and unknown < UNKNOWN_SHARE else None


def _common(box: Floats, others: Floats) -> Floats:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return np.asarray(np.maximum(sides, 0).prod(axis=1), np.float32)


def gather(witness: Witness, batches: Batches, count: int, kept: Path, every: int = 20) -> Cases:
    """The cases of `count` batches, kept in a file after each `every`."""
    evidence, true, start = [], [], 0
    if kept.exists():
        with np.load(kept) as stored:
            evidence, true, start = list(stored["evidence"]), list(stored["true"]), int(stored["batches"])
    for index in range(start, count):
        pictures, target = batches[index]
        rows, boxes, seen = (values.numpy() for values in witness(pictures))
        for row, box, numbers in zip(rows, boxes[:, [1, 0, 3, 2]], seen, strict=True):
            if (real := verdict(box, target, int(row))) is not None:
                evidence.append(numbers.astype(np.float16))
                true.append(real)
        if (index + 1) % every == 0 or index + 1 == count:
            np.savez(kept, evidence=np.array(evidence), true=np.array(true, np.bool_), batches=index + 1)
    return Cases(np.array(evidence), np.array(true, np.bool_), max(start, count))


def fit(cases: Cases) -> Judge:
    """The judge that these cases give. Its log odds are calibrated for their mixture."""
    keras.utils.set_random_seed(SEED)
    evidence = cases.evidence.astype(np.float32)
    centre = _halved(evidence.mean(axis=0))
    spread = _halved(np.maximum(evidence.std(axis=0), LEAST_SPREAD))
    scaled = np.clip((evidence - centre) / spread, -6, 6)
    inner = keras.layers.Dense(HIDDEN, "relu", kernel_regularizer=keras.regularizers.L2(1e-3))
    outer = keras.layers.Dense(1)
    drop = keras.layers.Dropout
    net = keras.Sequential([keras.Input((scaled.shape[1],)), drop(DROPPED), inner, drop(DROPPED), outer])
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, EPOCHS * (len(scaled) // 128 + 1))
    net.compile(keras.optimizers.Adam(schedule), keras.losses.BinaryCrossentropy(from_logits=True))
    net.fit(scaled, cases.true.astype(np.float32)[:, None], batch_size=128, epochs=EPOCHS, verbose=0)
    (hidden, hidden_bias), (last, last_bias) = inner.get_weights(), outer.get_weights()
    return Judge(centre, spread, hidden, hidden_bias, last[:, 0], last_bias[0])


def _halved(values: Floats) -> Floats:
    """In half precision, as it is stored."""
    return values.astype(np.float16).astype(np.float32)


def main() -> None:
    """Gather cases, fit the judge and store it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the training data")
    parser.add_argument("--weights", type=Path, required=True, help="weights (.npz), or the folder of a SavedModel")
    parser.add_argument("--out", type=Path, required=True, help="folder for the cases and the judge")
    parser.add_argument("--batches", type=int, default=400, help=f"batches of {BATCH} pictures to gather cases from")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    nanodet = read_convolutions(options.data / NANODET)
    opinion = SecondOpinion(nanodet, OpinionOptions(doubtful=SCORES))
    witness = Witness(load_trained(options.weights), opinion, nanodet)
    samples, weights = collect(options.data)
    batches = Batches(samples, weights, size=SIZE, batch=BATCH, steps=options.batches, seed=SEED + 2)
    cases = gather(witness, batches, options.batches, options.out / "cases.npz")
    print(f"{len(cases.true)} cases of {cases.batches} batches, {cases.true.mean():.0%} of them true")
    save_judge(fit(cases), options.out / "judge.npz")


if __name__ == "__main__":
    main()
