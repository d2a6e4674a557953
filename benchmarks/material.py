"""Capture folders of real size for the benchmarks: photograph-like pictures with the vendor's EXIF; scripted models."""

from __future__ import annotations

import io
import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymisation.masking.detections import Detections
from tests.captures import properties
from tests.imaging.builders import TiffBuilder, scene, with_exif

# Width and height in pixels by the name that results use; the first is the road cars' own.
SIZES: Final = {"2.8 MP": (2692, 1032), "5 MP": (2592, 1944), "24 MP": (6000, 4000)}
FOLDER: Final = "TilSladding/2021/EV6/S1D1/F1_2021_05_01"
_GRAIN: Final = 5.0  # standard deviation, grey levels: gives files of the size that the road cars' have
_VARIANTS: Final = 4  # different pictures; the others are copies under other names


def photograph(width: int, height: int, seed: int) -> bytes:
    """A JPEG of quality 85, 4:2:0, with grain, and with the EXIF of a road car."""
    grain = np.random.default_rng(seed).normal(0, _GRAIN, (height, width, 1)).astype(np.float32)
    detail = scene(height // 4, width // 4, seed)
    coarse = np.asarray(Image.fromarray(detail).resize((width, height), Image.Resampling.BILINEAR), np.float32)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(coarse + grain, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
    tiff = TiffBuilder("<")
    main = {40055: tiff.raw(properties("picture.jpg", seed), kind=7)}
    return with_exif(buffer.getvalue(), tiff.build(main))


def write_folder(root: Path, data: list[bytes], number: int) -> None:
    """`number` pictures, each a file of its own, taking turns among `data`."""
    root.mkdir(parents=True)
    for index in range(number):
        (root / f"Fy06_Ev134_hp05_f1_m{index:06d}.jpg").write_bytes(data[index % len(data)])


def photographs(size: str, number: int) -> list[bytes]:
    """Up to four different pictures of that size."""
    width, height = SIZES[size]
    return [photograph(width, height, seed) for seed in range(min(number, _VARIANTS))]


def write_empty_files(root: Path, number: int, per_folder: int) -> None:
    """`number` files with picture names and one byte each, so many in each folder."""
    for index in range(number):
        folder = root / f"F1_2021_05_01_{index // per_folder:05d}"
        if index % per_folder == 0:
            folder.mkdir(parents=True)
        descriptor = os.open(folder / f"m{index:07d}.jpg", os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, b"x")
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class ScriptedModel:
    """Finds so many objects, the same on every picture, and takes so many seconds without any CPU, as a GPU does.

    Objects are persons and vehicles with masks of 33 × 33 samples; each covers about 0.5 % of the picture.
    """

    objects: int
    seconds: float = 0.0
    identity: str = "Scripted@000000000000"

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:  # noqa: ARG002
        """Detections for an upright picture (H, W, 3)."""
        if self.seconds:
            time.sleep(self.seconds)
        return detections(self.objects)


@cache  # a model that costs nothing finds the same on every picture
def detections(number: int) -> Detections:
    """`number` ellipses spread over the lower two thirds of the picture."""
    if not number:
        return Detections.empty()
    random = np.random.default_rng(7)
    top, left = random.uniform(0.3, 0.85, number), random.uniform(0.02, 0.9, number)
    boxes = np.stack([top, left, top + 0.1, left + 0.065], axis=1).astype(np.float32)
    classes = random.choice([1, 3, 8], number).astype(np.int32)
    y, x = np.mgrid[-1:1:33j, -1:1:33j]
    ellipse = np.clip(1.5 - y**2 - x**2, 0, 1).astype(np.float32)
    scores = np.full(number, 0.9, np.float32)
    return Detections(boxes, scores, classes, np.repeat(ellipse[None], number, 0), np.arange(number, dtype=np.int32))
