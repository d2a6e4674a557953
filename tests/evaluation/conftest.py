"""Small annotated pictures, written as files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import CLASSES
from tests.imaging.builders import TiffBuilder, scene, with_exif

CATEGORIES = [{"id": kind.coco_id, "name": kind.label} for kind in CLASSES]
PERSON, BICYCLE, CAR, TRUCK = 1, 2, 3, 8
HEIGHT, WIDTH = 128, 256  # powers of two, so that shares of them are exact


def put_picture(path: Path, height: int = HEIGHT, width: int = WIDTH, *, seed: int = 0, orientation: int = 1) -> Path:
    """Write a JPEG that stores so many pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.fromarray(scene(height, width, seed=seed)).save(buffer, "JPEG", quality=90)
    tiff = TiffBuilder("<")
    path.write_bytes(with_exif(buffer.getvalue(), tiff.build({0x0112: tiff.short(orientation)})))
    return path


def put_raster(path: Path, values: NDArray[np.integer[Any]]) -> Path:
    """Write a PNG of one number per pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def box(left: int, top: int, width: int, height: int) -> list[list[float]]:
    """The outline of exactly those pixels."""
    right, bottom = left + width, top + height
    return [[left, top, right, top, right, bottom, left, bottom]]


def annotation(number: int, image: int, category: int, outline: Any, **more: Any) -> dict[str, Any]:
    """An entry of `annotations`."""
    return {"id": number, "image_id": image, "category_id": category, "segmentation": outline, **more}


def coco(
    annotations: Iterable[dict[str, Any]] = (),
    sizes: Iterable[tuple[int, int]] = ((HEIGHT, WIDTH),),
    categories: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Annotations of pictures 1.jpg, 2.jpg … of those heights and widths, with these numbers."""
    images = [
        {"id": number, "file_name": f"{number}.jpg", "height": height, "width": width}
        for number, (height, width) in enumerate(sizes, 1)
    ]
    return {"images": images, "annotations": list(annotations), "categories": categories or CATEGORIES}


def put_json(path: Path, content: Any) -> Path:
    """Write JSON."""
    path.write_text(json.dumps(content))
    return path


def found(left: int, top: int, width: int, height: int, kind: int = PERSON, score: float = 0.75) -> Detections:
    """One detection of exactly those pixels of an upright picture of HEIGHT × WIDTH."""
    shares = [top / HEIGHT, left / WIDTH, (top + height) / HEIGHT, (left + width) / WIDTH]
    return Detections.of([shares], [score], [kind])


def together(*parts: Detections) -> Detections:
    """Detections of several objects."""
    return Detections.concatenate(parts)
