"""Notes of how far a run is: read while it goes on, forgotten at its end."""

from __future__ import annotations

import os
from pathlib import Path

from anonymisation.reporting.progress import FORGOTTEN_SECONDS, ProgressNote, forget_progress, read_progress


def begin(state: Path, run: str) -> Path:
    """Note that a run has begun; the folder of its notes."""
    runs = state / "runs"
    before = set(runs.iterdir()) if runs.exists() else set()
    ProgressNote(state, run, "a/b").close()
    (own,) = set(runs.iterdir()) - before
    return own


def test_the_end_of_a_run_forgets_it_and_what_was_left_long_ago(tmp_path: Path) -> None:
    begin(tmp_path, "ends")
    other = begin(tmp_path, "goes on")
    left = begin(tmp_path, "never ended")
    now = other.stat().st_mtime
    os.utime(left, (now - FORGOTTEN_SECONDS - 60, now - FORGOTTEN_SECONDS - 60))
    forget_progress(tmp_path, "ends", now=now)
    assert list((tmp_path / "runs").iterdir()) == [other]
    assert [item.folder for item in read_progress(tmp_path, "goes on")] == ["a/b"]


def test_a_run_that_left_nothing_is_forgotten_too(tmp_path: Path) -> None:
    forget_progress(tmp_path, "nothing")
    assert not list(tmp_path.iterdir())
