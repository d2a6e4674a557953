"""One run per folder: a second one is told who works there, and a killed one leaves no lock."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from anonymisation.chain.mask import mask_folder
from anonymisation.core.errors import FolderLockedError
from anonymisation.reporting.summary import render_summary
from anonymisation.workspace.folder_state import open_state
from tests.captures import FOLDER, CountingDetector, Site
from tests.faults.chain_process import PROCESSES, hold_folder

OTHER = "TilSladding/2021/EV6/S1D1/F2_2021_05_01"


def test_a_folder_is_worked_on_by_one_process_and_freed_by_its_death(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fill(1)
    site.fill(1, OTHER, first=1)
    mine, its = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=hold_folder, args=(site.state, FOLDER, its), daemon=True)
    process.start()
    holder = mine.recv()
    assert holder not in {os.getpid(), None}
    with pytest.raises(FolderLockedError, match=f"process {holder} on ") as caught:
        mask_folder(site.workspace(), FOLDER, CountingDetector())
    assert caught.value.retryable
    assert caught.value.exit_code == 3
    report = site.run(site.workspace())  # the other folder goes through all the same
    assert [(folder.folder, folder.succeeded) for folder in report.folders] == [(FOLDER, False), (OTHER, True)]
    assert report.exit_code == 3
    locked = report.folders[0].mask
    assert locked is not None
    assert (locked.found, locked.masked, locked.left) == (1, 0, 1)  # what is known is reported
    assert report.total("mask", "found") == 2
    assert "not reached" in render_summary(report)
    os.kill(holder, signal.SIGKILL)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert mask_folder(site.workspace(), FOLDER, CountingDetector()).masked == 1


def test_a_lock_is_free_after_the_work_and_after_an_error(tmp_path: Path) -> None:
    with open_state(tmp_path, FOLDER):
        pass
    with pytest.raises(RuntimeError, match="broken"), open_state(tmp_path, FOLDER):
        raise RuntimeError("broken")
    with open_state(tmp_path, FOLDER) as state:
        assert state.pictures == {}
        with pytest.raises(FolderLockedError, match=f"process {os.getpid()} on "), open_state(tmp_path, FOLDER):
            raise AssertionError("the lock was given twice")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["folder.json", "gate", "lock"]
