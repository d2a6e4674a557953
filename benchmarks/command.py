"""What a picture costs through `anonymise run`, the whole chain, with a SavedModel that costs next to nothing."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from benchmarks.material import FOLDER, detections, photographs, write_folder
from benchmarks.measuring import Figures

# Mask file, record, archive, rows in a database, and the originals removed: everything that a night does.
_SETTINGS: Final = {
    "remote_json": True, "remote_mask": True, "archive_json": True, "archive_mask": True, "write_exif_to_db": True,
    "delete_input": True, "tiles": False, "capture_settle_seconds": 0,
}  # fmt: skip


def command(size: str, objects: int, number: int) -> Figures:
    """CPU and wall of one picture more: a run over `number` pictures less one over a quarter of them, both real runs.

    So the start of Python and TensorFlow is left out; it is given as `start CPU` and `start wall`.
    """
    few = max(2, number // 4)
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        root = Path(place)
        config = root / "config.yml"
        config.write_text(yaml.safe_dump({**_SETTINGS, "model_type": str(_model(root / "model", objects))}), "utf-8")
        data = photographs(size, number)
        small, large = (_run(root / str(count), config, data, count) for count in (few, number))
    wall, cpu = ((after - before) / (number - few) for before, after in zip(small, large, strict=True))
    return {
        "CPU": 1e3 * cpu, "wall": 1e3 * wall, "start CPU": small[1] - few * cpu, "start wall": small[0] - few * wall
    }  # fmt: skip


def _run(root: Path, config: Path, data: list[bytes], number: int) -> tuple[float, float]:
    """Wall and CPU seconds of one run."""
    write_folder(root / "in" / FOLDER, data, number)
    folders = ["-i", str(root / "in"), "-o", str(root / "out"), "-a", str(root / "archive")]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "anonymisation", "run", *folders, "-k", str(config)], check=True, capture_output=True
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if len(list((root / "archive").rglob("*.jpg"))) != number or list((root / "in").rglob("*.jpg")):
        raise RuntimeError(f"expected {number} pictures archived and released")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _model(folder: Path, objects: int) -> Path:
    from tests.masking.scripted_models import save_constant  # loads TensorFlow, which the other cases do without

    found = detections(objects)
    return save_constant(
        folder,
        {
            "num_detections": np.array([objects], np.float32),
            "detection_boxes": np.concatenate([found.boxes, found.boxes[-1:]])[None],  # a spare row
            "detection_scores": np.append(found.scores, np.float32(0))[None],
            "detection_classes": np.append(found.classes, 1).astype(np.float32)[None],
            "detection_masks": np.concatenate([found.masks, found.masks[-1:]])[None],
        },
    )
