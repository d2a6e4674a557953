"""Loads the detector that the settings name, and computes its identity without loading it."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

from anonymisation.core.errors import ModelUnavailableError
from anonymisation.core.settings import Settings
from anonymisation.files.digests import sha256_of_file
from anonymisation.masking.guard import GuardedDetector
from anonymisation.masking.models.weights import model_folder
from anonymisation.masking.thresholds import Thresholds

_ONEDNN: Final = "TF_ENABLE_ONEDNN_OPTS"
_ONEDNN_UNSET: Final = (
    f"TensorFlow was imported before the model is loaded, and without {_ONEDNN}=1: on some processors the model takes"
    " twice the time, and what it finds depends on the number of threads"
)
_FileKey = tuple[str, int, int]  # relative path, bytes, time of change in ns


def load_detector(
    settings: Settings, *, threads: int | None = None, doubtful_from: float | None = None
) -> GuardedDetector:
    """The model that `model_type` names, with thresholds, class filter, max_num_pixels and tiles; loads TensorFlow.

    The detector stops working when the model fails on its first pictures (see `GuardedDetector`). `threads` limits the
    threads of one operation, see `Devices`. `doubtful_from` is the lowest of the levels for `detect_at`, if
    `score_threshold` is not lower; it does not change what `detect` returns.

    Raises:
        ModelUnavailableError: the model is not installed, is damaged, or has another form.
    """
    folder = model_folder(settings)
    identity = model_identity(settings)
    # TensorFlow reads both variables when it loads. Level 1 logs warnings, but no information.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # oneDNN's convolutions are twice as fast, but off by default on CPUs without AVX-512. Their results are the same
    # for any number of threads and any batch; tests/masking/models/test_factory.py checks this.
    if "tensorflow" in sys.modules and _ONEDNN not in os.environ:
        logging.getLogger(__name__).warning(_ONEDNN_UNSET)
    os.environ.setdefault(_ONEDNN, "1")
    # Imported here: TensorFlow takes seconds and much memory, and `model_identity` does not need it.
    from anonymisation.masking.saved_model import Devices, SavedModel
    from anonymisation.masking.tiling import TilingDetector
    from anonymisation.masking.views import Tiles

    devices = Devices(
        threads=threads,
        memory_growth=settings.gpu_memory_growth,
        mixed_precision=settings.gpu_mixed_precision,
        xla=settings.gpu_xla,
    )
    hidden = frozenset(settings.hidden_classes)
    thresholds = Thresholds(settings.score_threshold, settings.score_thresholds, hidden)
    least = 1.0 if doubtful_from is None else min(doubtful_from, thresholds.default)
    floors = {kind: min(floor, least) if floor <= 1 else floor for kind, floor in thresholds.floors().items()}
    model = SavedModel(folder, score_threshold=thresholds.default, floors=floors, devices=devices)
    tiles = Tiles(settings.tile_pixels, settings.tile_overlap) if settings.tiles else None
    place = model.place if settings.gpu_prefetch else None
    look = partial(model.second_look.look_at, segment=model.segment) if model.second_look is not None else None
    tiling = TilingDetector(model, identity, settings.max_num_pixels, tiles, model.form, place, look, thresholds)
    return GuardedDetector(tiling)


def model_identity(settings: Settings) -> str:
    """The model's name and the first 12 digits of a digest over its files, as in "Built-in@1a2b3c4d5e6f".

    The name of a model given as a path is its folder's name. The digest is computed again only when the files change.

    Raises:
        ModelUnavailableError: the model is not installed or cannot be read.
    """
    folder = model_folder(settings)
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        keys = tuple((path.relative_to(folder).as_posix(), *_change(path)) for path in files)
        digest = _digest(str(folder), keys)
    except OSError as error:
        raise ModelUnavailableError(f"the model in {folder} cannot be read: {error}") from error
    return f"{Path(settings.model_type).name}@{digest[:12]}"


def _change(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=8)
def _digest(folder: str, keys: tuple[_FileKey, ...]) -> str:
    digest = hashlib.sha256()
    for name, _, _ in keys:
        digest.update(f"{name}\0{sha256_of_file(Path(folder) / name)}\n".encode())
    return digest.hexdigest()
