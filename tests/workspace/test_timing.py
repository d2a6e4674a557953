"""The estimate from earlier runs: notes that cannot be used cost only themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymisation.files.append_log import to_line
from anonymisation.workspace.folder_state import state_folder
from anonymisation.workspace.timing import Timing, keep_timing, seconds_per_picture


@pytest.mark.parametrize(
    "note",
    [
        {"model": "m", "pictures": 10**400, "seconds": 1.0},
        {"model": "m", "pictures": 1, "seconds": float("inf")},
        {"model": "m", "pictures": 1, "seconds": float("nan")},
        {"model": "m", "pictures": "many", "seconds": 1.0},
        {"model": "m", "pictures": 0, "seconds": 1.0},
        {"model": "m"},
    ],
)
def test_a_note_of_nonsense_is_left_out(tmp_path: Path, note: dict[str, object]) -> None:
    assert seconds_per_picture(tmp_path, "m") is None
    for folder in ("a", "b", "c"):
        keep_timing(tmp_path, folder, Timing("m", 2, 3.0))
    (state_folder(tmp_path, "b") / "timing.json").write_bytes(to_line(note))
    (state_folder(tmp_path, "c") / "timing.json").unlink()
    (state_folder(tmp_path, "c") / "timing.json").mkdir()
    assert seconds_per_picture(tmp_path, "m") == 1.5


def test_keys_of_a_newer_version_are_ignored(tmp_path: Path) -> None:
    keep_timing(tmp_path, "a", Timing("m", 2, 3.0))
    path = state_folder(tmp_path, "a") / "timing.json"
    path.write_bytes(to_line({"model": "m", "pictures": 4, "seconds": 2.0, "gpu": True}))
    assert seconds_per_picture(tmp_path, "m") == 0.5
