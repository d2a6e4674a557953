"""A mask task that has loaded the model also masks small folders that follow; these stay folders of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Timer
from typing import Any

import pytest

from anonymisation.masking.detector import Detector
from tests.captures import FOLDER, CountingDetector, Site, capture
from tests.plugins.deployed import deployed_site, run  # noqa: F401 - the fixture `site`

OTHER = "TilSladding/2021/F2_2021_06_01"


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """An entry for each time that a model is loaded: whether native libraries write to standard output then."""
    loads: list[bool] = []

    def counting(settings: Any) -> Detector:
        loads.append(os.fstat(1).st_ino == os.fstat(2).st_ino)
        return CountingDetector()()

    monkeypatch.setattr("anonymisation.masking.models.factory.load_detector", counting)
    return loads


def test_the_model_is_loaded_once_for_small_folders(site: Site, loads: list[bool]) -> None:
    """Not for each picture, and not where there is nothing to mask; each folder still has a report of its own."""
    site.fill(9)
    site.fill(4, OTHER, first=20)
    before = os.fstat(2).st_ino
    plain = run()
    assert loads == [True]
    assert os.fstat(2).st_ino == before
    assert [plain.table()[folder]["masked"] for folder in (FOLDER, OTHER)] == [9, 4]
    assert [extra for name, extra in plain.events if name == "anonymisation_loaded_rows"] == [
        {"folder": FOLDER, "rows": 9, "captured": "2021-05-01"},
        {"folder": OTHER, "rows": 4, "captured": "2021-06-01"},
    ]
    assert [extra["pictures"] for name, extra in plain.events if name == "anonymisation_masked_folders"] == [9, 4]
    again = run()
    assert len(loads) == 1
    assert again.events == []


def test_a_large_folder_is_not_masked_ahead(site: Site, loads: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anonymisation_airflow.masking.SMALL", 3)
    site.fill(1)
    site.fill(4, OTHER, first=20)
    assert run().table()[OTHER]["masked"] == 4
    assert len(loads) == 2


def test_a_second_try_masks_its_own_folder_only(site: Site, loads: list[bool]) -> None:
    """A folder that kills the process must not be begun again by the task of another."""
    from tests.plugins.plain_run import PlainRun

    site.fill(1)
    site.fill(1, OTHER, first=20)
    plain = PlainRun(try_number=2)
    plain.go()
    assert [plain.table()[folder]["masked"] for folder in (FOLDER, OTHER)] == [1, 1]
    assert len(loads) == 2


def test_what_fails_ahead_fails_in_its_own_task_only(site: Site, loads: list[bool]) -> None:
    from anonymisation.workspace.folder_state import open_state

    locked = "TilSladding/2021/F3_2021_07_01"
    site.fill(2)
    site.fill(1, OTHER, first=20)
    site.put("torn.jpg", capture(50)[:900], OTHER)
    site.fill(1, locked, first=30)
    with open_state(site.workspace().shares.state, locked), _waiting(0):
        plain = run()
    table = plain.table()
    assert (table[FOLDER]["masked"], table[FOLDER]["error"]) == (2, None)
    assert (table[OTHER]["masked"], table[OTHER]["failed"], table[OTHER]["known_failed"]) == (1, 1, 0)
    assert "is working on this folder" in table[locked]["error"]
    assert {label for label, state in plain.states.items() if state == "failed"} == {
        "folder.release_1", "folder.mask_2", "summary"
    }  # fmt: skip


def test_a_task_waits_for_its_folder_while_another_masks_it_ahead(site: Site) -> None:
    from anonymisation.reporting.progress import ProgressNote
    from anonymisation.workspace.folder_state import open_state
    from tests.plugins.plain_run import PlainRun

    site.fill(1)
    plain, state = PlainRun(), site.workspace().shares.state
    ProgressNote(state, plain.run_id, FOLDER).close()
    with ExitStack() as held:
        held.enter_context(open_state(state, FOLDER))
        Timer(1.5, held.pop_all().close).start()
        plain.go()
    assert plain.states["folder.mask_0"] == "success"


@contextmanager
def _waiting(seconds: float) -> Iterator[None]:
    """Let tasks wait so long for a folder that is masked ahead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("anonymisation_airflow.masking.WAIT_SECONDS", seconds)
        yield
