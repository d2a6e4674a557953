"""The figures: known answers on drawn rasters and on COCO outlines."""

from __future__ import annotations

import json
from pathlib import Path

import cv2  # noqa: TID253 - writes pictures
import numpy as np
import pytest
from numpy.typing import NDArray

from training.evaluate_recall import measure, pictures


def left_half(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    hidden = np.zeros(pixels.shape[:2], np.bool_)
    hidden[:, : pixels.shape[1] // 2] = True
    return hidden


def test_rasters(tmp_path: Path) -> None:
    raster = np.zeros((40, 80), np.uint8)
    raster[:10, 30:50] = 9  # half of it in the hidden half
    raster[10:20, :20] = 8  # hidden
    raster[20:30] = 11  # neither hidden nor clean
    cv2.imwrite(str(tmp_path / "a.png"), raster)
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((40, 80, 3), np.uint8))
    figures = measure(pictures(tmp_path), left_half)
    assert figures["person_recall"] == 0.5
    assert figures["vehicle_recall"] == 1.0
    clean = 40 * 80 - 200 - 200 - 800
    assert figures["clean_hidden"] == pytest.approx((30 * 40 - 100 - 200) / clean, abs=1e-4)


def test_coco_outlines_and_crowds(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.jpg"), np.zeros((40, 80, 3), np.uint8))
    square = [[20, 0, 60, 0, 60, 40, 20, 40]]
    crowd = {"size": [40, 80], "counts": [0, 400, 2800]}  # the first ten columns
    annotations = [
        {"image_id": 1, "category_id": 3, "segmentation": square, "iscrowd": 0},
        {"image_id": 1, "category_id": 1, "segmentation": crowd, "iscrowd": 1},
    ]
    content = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": annotations}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    figures = measure(pictures(tmp_path), left_half)
    assert figures["person_recall"] is None
    assert figures["vehicle_recall"] == pytest.approx(0.5, abs=0.03)
    assert figures["clean_hidden"] == pytest.approx(10 / 30, abs=0.03)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        measure(pictures(tmp_path), left_half)
