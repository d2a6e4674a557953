"""Cases of `benchmarks.chain` that are about number alone: very many files to look at, and very many small pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.discover import Selection, discover
from anonymisation.chain.load import load_folder
from anonymisation.chain.mask import mask_folder
from anonymisation.chain.release import release_folder
from anonymisation.review.apply import finish_outstanding
from anonymisation.workspace.folder_state import MASKED, FileStamp, PictureState, open_state
from anonymisation.workspace.shards import Shard, units_of
from anonymisation.workspace.workspace import Workspace
from benchmarks.material import FOLDER, ScriptedModel, write_empty_files
from benchmarks.measuring import Figures, Stopwatch, peak_memory, site
from tests.captures import capture

# As long as real ones: the state of a million pictures is some 500 MB.
_KNOWN: Final[dict[str, Any]] = {
    "sha256": "0123456789abcdef" * 4, "model": "mask_rcnn_resnet101@0123456789ab", "digest": "0123456789abcdef",
    "version": "P1.4_K20261101", "width": 2692, "height": 1032, "run": "scheduled__2026-11-22T20:00:00+00:00",
}  # fmt: skip


def discovery(number: int, per_folder: int = 1000) -> Figures:
    """What a nightly run's first task does, over pictures that are all done, with their output and archive known."""
    with site(remote_json=False, remote_mask=False, capture_settle_seconds=0) as workspace:
        shares = workspace.shares
        write_empty_files(shares.input, number, per_folder)
        write_empty_files(shares.output, number, per_folder)
        for folder in sorted(path.name for path in shares.input.iterdir()):
            _note_as_done(workspace, folder)
        return look(workspace)


def look(workspace: Workspace) -> Figures:
    """The work of a nightly run's first task, where nothing is left to do."""
    idle = peak_memory()
    watch = Stopwatch()
    finish_outstanding(workspace)
    found = discover(workspace, Selection(settled_only=True))
    if found.folders or found.unsettled or found.problems:
        raise RuntimeError(f"expected nothing to do: {found}")
    return {"seconds": watch.wall, "CPU seconds": watch.cpu, "MB": peak_memory(), "MB more": peak_memory() - idle}


def _note_as_done(workspace: Workspace, folder: str) -> None:
    with open_state(workspace.shares.state, folder) as state, os.scandir(workspace.shares.input / folder) as entries:
        for entry in entries:
            output = FileStamp.of(workspace.shares.output / folder / entry.name)
            source = FileStamp.from_stat(entry.stat())
            state.put(PictureState(entry.name, MASKED, source, output=output, archived=True, **_KNOWN))


def scaling(number: int, unit: int = 5000) -> Figures:
    """Every step of the chain over one folder of small pictures without objects, in parts of `unit` (0: as a whole).

    `MB` is the peak by the end of a step; all parts go through this one process, where a nightly run takes several.
    """
    with site(remote_mask=False, write_exif_to_db=True, delete_input=True) as workspace:
        _write_captures(workspace.shares.input / FOLDER, number)
        steps: dict[str, Callable[[Shard], object]] = {
            "mask": lambda shard: mask_folder(workspace, FOLDER, lambda: ScriptedModel(0), shard=shard),
            "archive": lambda shard: archive_folder(workspace, FOLDER, shard),
            "load": lambda shard: load_folder(workspace, FOLDER, shard),
            "check": lambda shard: check_folder(workspace, FOLDER, shard),
            "release": lambda shard: release_folder(workspace, FOLDER, shard),
        }
        units = units_of(FOLDER, number, unit, number)
        whole = Stopwatch()
        peaks, times = {}, {}
        for name, step in steps.items():
            watch = Stopwatch()
            for part in units:
                step(part.shard)
            times[f"{name} CPU"] = 1e3 * watch.cpu / number
            peaks[f"{name} MB"] = peak_memory()
        if (workspace.shares.input / FOLDER).exists():
            raise RuntimeError("expected every original released, and the empty folder removed")
        return {"wall": 1e3 * whole.wall / number, "CPU": 1e3 * whole.cpu / number, **times, **peaks}


def _write_captures(root: Path, number: int) -> None:
    """Small pictures, each taken at a moment of its own, from which the key of its row is made."""
    root.mkdir(parents=True)
    like = capture(0)
    moment = b"T10:00:00.2500000"
    if like.count(moment) != 1:
        raise RuntimeError(f"expected the moment {moment!r} once in a capture")
    for index in range(number):
        taken = b"T%02d:%02d:%02d.%07d" % (index // 3600 % 24, index // 60 % 60, index % 60, index)
        (root / f"Fy06_Ev134_hp05_f1_m{index:06d}.jpg").write_bytes(like.replace(moment, taken))
