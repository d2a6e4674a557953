"""The judge of doubtful detections: from what NanoDet sees in the window around one, and from the detector's score, the
odds that a person or vehicle is there. It learns from training pictures with drawn signs and road furniture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf  # noqa: TID253 - runs in the exported model
from numpy.typing import NDArray

from training.nanodet import CHANNELS, CLASSES, STRIDES
from training.network import COCO80_ROWS, COCO_IDS

JUDGE: Final = Path(__file__).with_name("judge.npz")
"""The judge of the shipped model, which `python -m training.trial` fits."""
LEAST_LOGIT: Final = -8.0
"""Class logits below it are all the same: nothing of the kind."""
_SAMPLES: Final = 3
"""Rows and columns of features that are averaged over a detection's box."""
EVIDENCE: Final = (len(STRIDES) + 1) * CHANNELS + CLASSES + 2 + 3 + len(COCO_IDS)
"""Numbers from which the odds are computed."""

Tensor = Any


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """A network with one hidden layer: `centre` and `spread` (EVIDENCE,) of the evidence, `hidden` (EVIDENCE, n),
    `hidden_bias` (n,), `last` (n,), `last_bias` ()."""

    centre: NDArray[np.float32]
    spread: NDArray[np.float32]
    hidden: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    last: NDArray[np.float32]
    last_bias: NDArray[np.float32]

    def odds(self, evidence: Tensor) -> Tensor:
        """Log odds (n,) for the evidence (n, EVIDENCE)."""
        scaled = tf.clip_by_value((evidence - self.centre) / self.spread, -6.0, 6.0)
        inner = tf.nn.relu(tf.matmul(scaled, tf.constant(self.hidden)) + self.hidden_bias)
        return tf.linalg.matvec(inner, tf.constant(self.last)) + self.last_bias


def read_judge(path: Path) -> Judge:
    """The judge stored by `save_judge`."""
    with np.load(path) as stored:
        return Judge(**{name: stored[name].astype(np.float32) for name in Judge.__slots__})


def save_judge(judge: Judge, path: Path) -> None:
    """Store the judge, in half precision."""
    np.savez_compressed(path, **{name: getattr(judge, name).astype(np.float16) for name in Judge.__slots__})


def evidence_of(levels: Sequence[Tensor], raw: Tensor, same: Tensor, boxes: Tensor, found: Any, window: int) -> Tensor:
    """(n, EVIDENCE) for detections `found` with `boxes` (n, 4) in their windows: NanoDet's features of the box at each
    of its `levels` and of the whole window, the highest logits of its classes in the window, those of persons and of
    vehicles whose boxes are the `same` (n, anchors), and the detector's score, class, size and aspect."""
    count = tf.shape(boxes)[0]
    rows = tf.range(count)
    parts = []
    for level in levels:
        crop = tf.image.crop_and_resize(level, boxes / window, rows, (_SAMPLES, _SAMPLES))
        parts.append(tf.reduce_mean(crop, axis=(1, 2)))
    parts.append(tf.reduce_mean(levels[2], axis=(1, 2)))
    logits = tf.maximum(raw[..., :CLASSES], LEAST_LOGIT)
    parts.append(tf.reduce_max(logits, axis=1))
    six = tf.gather(logits, COCO80_ROWS, axis=2)
    kinds = (six[..., 0], tf.reduce_max(six[..., 1:], axis=2))
    parts.extend(tf.reduce_max(tf.where(same, kind, LEAST_LOGIT), axis=1, keepdims=True) for kind in kinds)
    height, width = (found.boxes[:, n + 2] - found.boxes[:, n] + 1.0 for n in (0, 1))
    score = tf.clip_by_value(found.scores, 1e-3, 1 - 1e-3)
    own = [tf.math.log(score / (1 - score)), tf.math.log(tf.maximum(height, width)), tf.math.log(height / width)]
    parts.append(tf.stack(own, axis=1))
    parts.append(tf.one_hot(found.classes, len(COCO_IDS)))
    return tf.concat(parts, axis=1)
