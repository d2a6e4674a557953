"""Read the training pictures: COCO folders with their unknown regions, and road pictures without objects."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2  # noqa: TID253 - reads the pictures
import numpy as np
from numpy.typing import NDArray

from training.network import COCO_IDS

HELD_OUT_EVERY: Final = 10
"""Every tenth picture of each source, sorted by name, is kept for validation."""

Polygons = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture and its labels.

    `boxes` (N, 4) float32 x0, y0, x1, y1 in pixels; `classes` (N,) rows of COCO_IDS; `polygons` N tuples of
    (points, 2) outlines, empty if only the box is known; `ignore` (M, 4) regions that may contain unlabelled objects.
    """

    path: Path
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    polygons: tuple[Polygons, ...]
    ignore: NDArray[np.float32]

    def __post_init__(self) -> None:
        if not len(self.boxes) == len(self.classes) == len(self.polygons):
            raise ValueError(f"{self.path}: expected as many boxes as classes and outlines")

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) RGB, read-only. Raises FileNotFoundError if the picture cannot be read."""
        return _decoded(self.path)

    def ignoring(self, boxes: NDArray[np.float32]) -> Sample:
        """The sample with additional regions that may contain unlabelled objects."""
        return replace(self, ignore=np.concatenate([self.ignore, boxes.astype(np.float32).reshape(-1, 4)]))

    def adding(self, boxes: NDArray[np.float32], classes: NDArray[np.int64]) -> Sample:
        """The sample with additional objects that have a box but no outline."""
        return replace(
            self,
            boxes=np.concatenate([self.boxes, boxes]),
            classes=np.concatenate([self.classes, classes]),
            polygons=(*self.polygons, *(() for _ in boxes)),
        )


@lru_cache(maxsize=1536)  # all pictures: about a gigabyte, each used a hundred times
def _decoded(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if picture is None:
        raise FileNotFoundError(f"{path}: expected a readable picture")
    picture.setflags(write=False)
    return np.asarray(picture, np.uint8)


def read_coco(folder: Path) -> list[Sample]:
    """Pictures of `folder`/images with the labels of `folder`/instances.json, sorted by name."""
    content = json.loads((folder / "instances.json").read_text())
    by_picture: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in content["annotations"]:
        by_picture[annotation["image_id"]].append(annotation)
    pictures = sorted(content["images"], key=lambda picture: str(picture["file_name"]))
    return [_sample(folder / "images" / p["file_name"], by_picture[p["id"]]) for p in pictures]


def _sample(path: Path, annotations: Sequence[dict[str, Any]]) -> Sample:
    things = [a for a in annotations if not a.get("iscrowd") and a["category_id"] in COCO_IDS]
    crowds = [a for a in annotations if a.get("iscrowd")]
    return Sample(
        path=path,
        boxes=_corners(things),
        classes=np.array([COCO_IDS.index(a["category_id"]) for a in things], np.int64),
        polygons=tuple(_outlines(a) for a in things),
        ignore=_corners(crowds),
    )


def _corners(annotations: Sequence[dict[str, Any]]) -> NDArray[np.float32]:
    boxes = np.array([a["bbox"] for a in annotations], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _outlines(annotation: dict[str, Any]) -> Polygons:
    outlines = annotation.get("segmentation") or []
    return tuple(np.array(outline, np.float32).reshape(-1, 2) for outline in outlines)


def read_unlabelled(folder: Path) -> list[Sample]:
    """Pictures of a folder, sorted by name, as samples without objects."""
    nothing = np.zeros((0, 4), np.float32)
    paths = sorted(folder.glob("*.jpg"))
    return [Sample(path, nothing, np.zeros(0, np.int64), (), nothing) for path in paths]


def split(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Split into pictures for training and held-out pictures."""
    held_out = [sample for index, sample in enumerate(samples) if index % HELD_OUT_EVERY == HELD_OUT_EVERY // 2]
    train = [sample for index, sample in enumerate(samples) if index % HELD_OUT_EVERY != HELD_OUT_EVERY // 2]
    return train, held_out
