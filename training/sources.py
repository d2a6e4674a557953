"""Where the training pictures come from, how often each is drawn, and what is not known of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.data import Sample, read_coco, read_unlabelled, split
from training.network import build_network, load_weights
from training.teacher import Teacher

START_WEIGHTS: Final = "yolox_nano_coco_weights.npz"
DEEPLAB: Final = "deeplabv3_mnv2_pascal_quant.tflite"
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
    labelled: tuple[int, ...] = ()
    unknown_score: float | None = None


SOURCES: Final = (
    Source("coco", 1.0),
    Source("coco_person", 0.5, labelled=(0,), unknown_score=UNKNOWN_SCORE),
    Source("traffic", 0.6, unknown_score=UNKNOWN_SCORE),
    Source("roads", 0.6, unknown_score=ROAD_SCORE),
)


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
