"""The sources of the training pictures, with sampling weights and the classes that each source labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.data import Sample, read_coco, read_unlabelled, split
from training.nanodet import read_convolutions
from training.network import build_network, load_weights
from training.teacher import SecondTeacher, Teacher

START_WEIGHTS: Final = "yolox_nano_coco_weights.npz"
DEEPLAB: Final = "deeplabv3_mnv2_pascal_quant.tflite"
NANODET: Final = "nanodet-1.5x-416-int8.xml"
"""With its weights in a .bin of the same name."""
SEED: Final = 20180621
UNKNOWN_SCORE: Final = 0.1
"""Detections of the starting network for unlabelled classes count as unknown from this score on."""
ROAD_SCORE: Final = 0.4
"""The same for road pictures: nearly all are empty, so detections below this score count as mistakes."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of training pictures.

    `weight` is the sampling weight of a picture, `labelled` the labelled classes (rows of COCO_IDS). With
    `unknown_score`, detections of other classes by the starting network are added from this score on; with `agreed`,
    only those that the second network confirms.
    """

    name: str
    weight: float
    labelled: tuple[int, ...] = ()
    unknown_score: float | None = None
    agreed: bool = False


SOURCES: Final = (
    Source("coco", 1.0),
    Source("coco_person", 0.5, labelled=(0,), unknown_score=UNKNOWN_SCORE),
    Source("traffic", 0.6, unknown_score=UNKNOWN_SCORE),
    Source("roads", 0.6, unknown_score=ROAD_SCORE),
    Source("roads_more", 0.4, unknown_score=UNKNOWN_SCORE, agreed=True),
)


def collect(data: Path) -> tuple[list[Sample], list[float]]:
    """Training samples (without the held-out ones) and their sampling weights."""
    network = build_network(masks=False)
    load_weights(network, data / START_WEIGHTS)
    samples: list[Sample] = []
    weights: list[float] = []
    for source in SOURCES:
        folder = data / source.name
        read = read_coco(folder) if (folder / "instances.json").exists() else read_unlabelled(folder)
        train, _ = split(read)
        if source.agreed:
            second = SecondTeacher(read_convolutions(data / NANODET), source.unknown_score or UNKNOWN_SCORE)
            train = Teacher(network, source.unknown_score or UNKNOWN_SCORE).agreed(train, second)
        elif source.unknown_score is not None:
            train = Teacher(network, source.unknown_score).marked(train, source.labelled)
        samples += train
        weights += [source.weight] * len(train)
    return samples, weights
