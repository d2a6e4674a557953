"""What is hidden in panoramas, and at what cost: `python -m benchmarks.panoramas [--coco FOLDER] [--height 1500]`.

Objects are drawn at the seam, near, far, and above the horizon: people and a motorcycle from the photographs in
scikit-image, or those of a COCO folder (`instances.json` and `images`) that are whole and at least 140 pixels high. The
built-in model searches each panorama as a flat picture and with `panorama_views`. Printed per place: the share of the
objects' pixels that each hides, and the objects of which it hides at least three quarters; the share of all other
pixels that is hidden; and the median seconds a panorama.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2  # noqa: TID253
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymisation.core.settings import load_settings
from anonymisation.masking.geometry import union
from anonymisation.masking.models.factory import load_detector
from anonymisation.masking.panoramas.search import detect
from anonymisation.masking.panoramas.sphere import Sphere
from scripts.samples.cutouts import FloatImage, load_cutouts
from scripts.samples.panorama import CAMERA_METRES, Card, empty_panorama, set_in

# Name → azimuth in degrees, distance, and height of the foot above the camera, both in metres.
PLACES: Final = {
    "seam, 15 m": (180.0, 15.0, -CAMERA_METRES),
    "seam, 2.5 m": (180.0, 2.5, -CAMERA_METRES),
    "seam, 40° up": (180.0, 8.0, 6.0),
    "40° up": (-70.0, 8.0, 6.0),
    "60° up": (-30.0, 3.0, 4.0),
    "40 m": (37.0, 40.0, -CAMERA_METRES),
    "8 m": (-120.0, 8.0, -CAMERA_METRES),
    "1.2 m": (60.0, 1.2, -CAMERA_METRES),
    "0.8 m": (110.0, 0.8, -CAMERA_METRES),
}
AT_SEAM: Final = tuple(name for name in PLACES if name.startswith("seam"))
HIDDEN: Final = 0.75
_TALL: Final = {1: 1.75, 2: 1.1, 3: 1.5, 4: 1.2, 6: 3.0, 8: 3.0}  # metres, by COCO id
_LEAST_HEIGHT: Final = 140


def objects(folder: Path | None) -> list[tuple[FloatImage, float]]:
    """Objects with opacity, (h, w, 4) float32, and their height in metres."""
    if folder is None:
        return [(one.pixels, one.metres_tall) for one in load_cutouts().values()]
    described = json.loads((folder / "instances.json").read_text("utf-8"))
    images = {image["id"]: image for image in described["images"]}
    whole = sorted(described["annotations"], key=lambda one: -one["area"])
    return [cut for one in whole for cut in _cut(folder, images[one["image_id"]], one)]


def _cut(folder: Path, image: dict, one: dict) -> Iterator[tuple[FloatImage, float]]:  # type: ignore[type-arg]
    left, top, width, height = (int(side) for side in one["bbox"])
    ends = left < 3 or top < 3 or left + width > image["width"] - 3 or top + height > image["height"] - 3
    if one.get("iscrowd") or not isinstance(one["segmentation"], list) or ends or height < _LEAST_HEIGHT:
        return
    if one["category_id"] == 1 and height < 1.8 * width:  # only people who stand
        return
    with Image.open(folder / "images" / image["file_name"]) as opened:
        pixels = np.asarray(opened.convert("RGB"), np.float32) / 255
    opacity = np.zeros(pixels.shape[:2], np.float32)
    for part in one["segmentation"]:
        cv2.fillPoly(opacity, [np.array(part).reshape(-1, 2).round().astype(int)], 1)
    whole = np.concatenate([pixels, cv2.GaussianBlur(opacity, (3, 3), 0)[:, :, None]], axis=2)
    yield whole[top : top + height + 1, left : left + width + 1], _TALL[one["category_id"]]


def panoramas(
    cards: list[tuple[FloatImage, float]], height: int, count: int
) -> Iterator[tuple[NDArray[np.uint8], dict[str, NDArray[np.bool_]]]]:
    """Panoramas, each with one object at the seam and the others around it, and the pixels of each by place."""
    for number in range(count):
        random = np.random.default_rng(number)
        names = [name for name in PLACES if name not in AT_SEAM] + [AT_SEAM[number % len(AT_SEAM)]]
        panorama, drawn = empty_panorama(height, number), {}
        for place, name in enumerate(names):
            azimuth, distance, foot = PLACES[name]
            pixels, tall = cards[(number * len(names) + place) % len(cards)]
            shift = random.uniform(-2, 2) if name in AT_SEAM else random.uniform(-8, 8)
            drawn[name] = set_in(panorama, Card(pixels, azimuth + shift, distance, foot, tall))
        yield panorama, drawn


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coco", type=Path, help="a folder with COCO annotations instead of the three cut-outs")
    parser.add_argument("--height", type=int, default=1500, help="of a panorama, in pixels")
    parser.add_argument("--panoramas", type=int, default=9)
    chosen = parser.parse_args()
    detector = load_detector(load_settings().settings)
    ways = {"flat": None, "views": Sphere()}
    pixels: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for panorama, drawn in panoramas(objects(chosen.coco), chosen.height, chosen.panoramas):
        others = ~np.any([*drawn.values()], axis=0)
        for way, sphere in ways.items():
            started = time.perf_counter()
            found = detect(detector, panorama, sphere)
            seconds[way].append(time.perf_counter() - started)
            hidden = union(found, *others.shape)
            for name, own in [*drawn.items(), ("everything else", others)]:
                share = float(hidden[own].mean())
                sums = pixels[name, way]
                for index, value in enumerate((int(hidden[own].sum()), int(own.sum()), int(share >= HIDDEN), 1)):
                    sums[index] += value
    print(f"{'place':16} " + " ".join(f"{way:>16}" for way in ways))
    for name in [*PLACES, "everything else"]:
        cells = [pixels[name, way] for way in ways]
        print(f"{name:16} " + " ".join(f"{sums[0] / max(sums[1], 1):9.3f} {sums[2]:3}/{sums[3]:<2}" for sums in cells))
    print("seconds          " + " ".join(f"{statistics.median(values):16.2f}" for values in seconds.values()))


if __name__ == "__main__":
    main()
