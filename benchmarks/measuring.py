"""What every case measures with: clocks, memory, and base folders of its own."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anonymisation.workspace.workspace import Workspace, open_workspace

Figures = dict[str, float]


class Stopwatch:
    """Wall and CPU seconds of this process' threads since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall(self) -> float:
        """Seconds by the clock."""
        return time.perf_counter() - self._wall

    @property
    def cpu(self) -> float:
        """Seconds of computing."""
        return time.process_time() - self._cpu


def peak_memory() -> float:
    """MB of this process, since it began or forgot its peak."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def forget_peak() -> None:
    """Measure the peak from here: drawing the pictures takes more memory than masking them."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


@contextmanager
def site(**settings: Any) -> Iterator[Workspace]:
    """Base folders, removed afterwards; with mask files, records and an archive."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        root = Path(place)
        model_folder = root / "model"  # read for its identity alone: the scripted model stands in for it
        model_folder.mkdir()
        (model_folder / "saved_model.pb").write_bytes(b"scripted")
        values = {"remote_json": True, "remote_mask": True, "model_type": str(model_folder), **settings}
        yield open_workspace(
            input_dir=root / "in", output_dir=root / "out", archive_dir=root / "archive", overrides=values
        )
