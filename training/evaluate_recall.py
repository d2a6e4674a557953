"""Pixel recall of persons and vehicles, and share of clean pixels hidden, on annotated pictures.

    python -m training.evaluate_recall --data FOLDER [--model SAVED_MODEL] [--threshold 0.15] [--limit N]

FOLDER holds either NAME.jpg with class rasters NAME.png in CamVid's numbers, or `images/` with a COCO `instances.json`.
A folder of pictures without either is taken as empty: only the share of its pixels that is hidden has a meaning then.
The detector, its tiles and the geometry are the package's own, without dilation.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2  # noqa: TID253 - reads the pictures
import numpy as np
from numpy.typing import NDArray

PERSON: Final = (9, 10)
"""CamVid's pedestrian and bicyclist."""
VEHICLE: Final = (8,)
UNLABELLED: Final = 11
COCO_PERSON: Final = 1

Hide = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """(H, W) bool: pixels of persons, of vehicles, and pixels of which nothing is known."""

    person: NDArray[np.bool_]
    vehicle: NDArray[np.bool_]
    unknown: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if not self.person.shape == self.vehicle.shape == self.unknown.shape:
            raise ValueError(f"expected masks of one size, got {self.person.shape} and others")

    @property
    def clean(self) -> NDArray[np.bool_]:
        """What should stay visible."""
        return np.asarray(~(self.person | self.vehicle | self.unknown), np.bool_)


Example = tuple[NDArray[np.uint8], Truth]


@dataclass(slots=True)
class Tally:
    """Pixels of a kind, and how many of them were hidden."""

    hidden: int = 0
    total: int = 0

    def add(self, hidden: NDArray[np.bool_], which: NDArray[np.bool_]) -> None:
        """Count one picture."""
        self.hidden += int(np.count_nonzero(hidden & which))
        self.total += int(np.count_nonzero(which))

    @property
    def share(self) -> float | None:
        """0..1, or None where there was no such pixel."""
        return round(self.hidden / self.total, 4) if self.total else None


def pictures(folder: Path, limit: int | None = None, only: Collection[str] | None = None) -> Iterator[Example]:
    """(H, W, 3) RGB pictures with their truth, in the order of names, evenly thinned to `limit`;
    `only`: those of these file names.

    Raises FileNotFoundError when the folder holds no picture, ValueError when a raster and its picture differ in size.
    """
    coco = _coco_truths(folder) if (folder / "instances.json").exists() else None
    paths = sorted((folder / "images" if coco else folder).glob("*.jpg"))
    paths = [path for path in paths if only is None or path.name in only]
    if not paths:
        raise FileNotFoundError(f"{folder}: expected pictures (*.jpg), found none")
    count = len(paths) if limit is None else min(limit, len(paths))
    for index in range(count):
        path = paths[index * len(paths) // count]
        pixels = _read(path, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        height, width = pixels.shape[:2]
        yield pixels, coco(path.name, height, width) if coco else _raster_truth(path, height, width)


def _read(path: Path, form: int) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(path), form)
    if pixels is None:
        raise FileNotFoundError(f"{path}: expected a readable picture")
    return np.asarray(pixels, np.uint8)


def _raster_truth(path: Path, height: int, width: int) -> Truth:
    if not path.with_suffix(".png").exists():
        nothing = np.zeros((height, width), np.bool_)
        return Truth(nothing, nothing, nothing)
    raster = _read(path.with_suffix(".png"), cv2.IMREAD_UNCHANGED)
    if raster.shape != (height, width):
        raise ValueError(f"{path}: expected a raster of {height} × {width}, got {raster.shape}")
    return Truth(np.isin(raster, PERSON), np.isin(raster, VEHICLE), np.asarray(raster == UNLABELLED))


def _coco_truths(folder: Path) -> Callable[[str, int, int], Truth]:
    from pycocotools import mask as coding  # type: ignore[import-untyped]

    content = json.loads((folder / "instances.json").read_text())
    annotations: dict[int, list[dict[str, Any]]] = {}
    for annotation in content["annotations"]:
        annotations.setdefault(annotation["image_id"], []).append(annotation)
    numbers = {picture["file_name"]: picture["id"] for picture in content["images"]}

    def truth(name: str, height: int, width: int) -> Truth:
        person, vehicle, unknown = (np.zeros((height, width), np.bool_) for _ in range(3))
        for annotation in annotations.get(numbers.get(name, -1), []):
            outline = annotation["segmentation"]
            coded = coding.frPyObjects(outline, height, width)
            coded = coding.merge(coded) if isinstance(coded, list) else coded
            kind = person if annotation["category_id"] == COCO_PERSON else vehicle
            target = unknown if annotation.get("iscrowd") else kind
            target |= coding.decode(coded).astype(np.bool_)
        return Truth(person, vehicle, unknown)

    return truth


def measure(examples: Iterable[Example], hide: Hide) -> dict[str, float | None]:
    """`person_recall`, `vehicle_recall`, `clean_hidden` (0..1 over all pixels of all pictures), `seconds` a picture."""
    person, vehicle, clean = Tally(), Tally(), Tally()
    seconds, count = 0.0, 0
    for pixels, truth in examples:
        start = time.perf_counter()
        hidden = hide(pixels)
        seconds, count = seconds + time.perf_counter() - start, count + 1
        person.add(hidden, truth.person & ~truth.unknown)
        vehicle.add(hidden, truth.vehicle & ~truth.unknown)
        clean.add(hidden, truth.clean)
    shares = {"person_recall": person.share, "vehicle_recall": vehicle.share, "clean_hidden": clean.share}
    return {**shares, "seconds": round(seconds / count, 3)}


def package_hide(model: Path | None, threshold: float | None) -> Hide:
    """What the package hides with its default settings, another model or another threshold; without dilation."""
    from anonymisation.masking.factory import load_detector
    from anonymisation.masking.geometry import union
    from anonymisation.settings import load_settings

    overrides: dict[str, Any] = {} if model is None else {"model_type": str(model)}
    if threshold is not None:
        overrides["score_threshold"] = threshold
    detector = load_detector(load_settings(overrides=overrides).settings)
    return lambda pixels: union(detector.detect(pixels), pixels.shape[0], pixels.shape[1])


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, nargs="+", help="folders of annotated pictures")
    parser.add_argument("--model", type=Path, help="folder of a SavedModel; default: the built-in model")
    parser.add_argument("--threshold", type=float, help="score threshold; default: the package's")
    parser.add_argument("--limit", type=int, help="at most so many pictures of each folder, evenly spread")
    options = parser.parse_args()
    hide = package_hide(options.model, options.threshold)
    for folder in options.data:
        print(json.dumps({"data": folder.name, **measure(pictures(folder, options.limit), hide)}), flush=True)


if __name__ == "__main__":
    main()
