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

from anonymisation.masking.labels import CLASSES
from tests.imaging.builders import scene

CATEGORIES = [{"id": kind.coco_id, "name": kind.label} for kind in CLASSES]


def put_picture(path: Path, height: int, width: int, seed: int = 0) -> Path:
    """Write a JPEG of that size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.fromarray(scene(height, width, seed=seed)).save(buffer, "JPEG", quality=90)
    path.write_bytes(buffer.getvalue())
    return path


def put_raster(path: Path, values: NDArray[np.integer[Any]]) -> Path:
    """Write a PNG of one number per pixel."""
    Image.fromarray(values).save(path)
    return path


def box(left: int, top: int, width: int, height: int) -> list[list[float]]:
    """The outline of exactly those pixels."""
    right, bottom = left + width, top + height
    return [[left, top, right, top, right, bottom, left, bottom]]


def annotation(number: int, image: int, category: int, outline: Any, **more: Any) -> dict[str, Any]:
    """An entry of `annotations`."""
    return {"id": number, "image_id": image, "category_id": category, "segmentation": outline, **more}


def put_coco(
    path: Path,
    sizes: Iterable[tuple[int, int]],
    annotations: Iterable[dict[str, Any]],
    categories: list[dict[str, Any]] | None = None,
) -> Path:
    """Write `instances.json` for pictures 1.jpg, 2.jpg … of those heights and widths, with these numbers."""
    images = [
        {"id": number, "file_name": f"{number}.jpg", "height": height, "width": width}
        for number, (height, width) in enumerate(sizes, 1)
    ]
    content = {"images": images, "annotations": list(annotations), "categories": categories or CATEGORIES}
    path.write_text(json.dumps(content))
    return path
