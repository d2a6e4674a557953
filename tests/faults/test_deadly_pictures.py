"""What ends the process is found out: it fails with that reason, and stops nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anonymisation.chain.mask import mask_folder
from anonymisation.reporting.run_report import RunReport
from anonymisation.reporting.summary import render_summary
from anonymisation.workspace.folder_state import state_folder
from tests.captures import FOLDER, CountingDetector, Site, capture, counts, names_below
from tests.faults.conftest import LONG
from tests.faults.deadly_process import Deadly, deadly_run

OTHERS = ("TilSladding/2021/EV6/S1D1/F0_2021_05_01", "TilSladding/2021/EV6/S1D1/F2_2021_05_01")
ONE_BY_ONE: dict[str, Any] = {"enable_async": False}
OVERLAPPING: dict[str, Any] = {"enable_async": True, "max_num_async_workers": 3}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(8)
    return site


def runs_until_the_end(site: Site, deadly: Deadly, settings: dict[str, Any], most: int) -> RunReport:
    for _ in range(most):
        report = deadly_run(site.root, deadly, settings)
        if report is not None:
            return report
    raise AssertionError(f"{most} runs, and none came to its end")


def masked(site: Site) -> list[str]:
    return [name.rpartition("/")[2] for name in names_below(site.output)]


def notes(site: Site) -> list[str]:
    return [path.name for path in state_folder(site.state, FOLDER).glob("in_flight*")]


def require_found_out(site: Site, report: RunReport, number: int, reason: str) -> None:
    """Only that picture failed, with the reason, and everything else is masked."""
    name = f"p{number:03d}"
    assert report.exit_code == 1
    summary = render_summary(report)
    assert f"{FOLDER}/{name}.jpg" in summary
    assert reason in " ".join(summary.split())
    assert [failure.picture for folder in report.folders for failure in folder.failures] == [f"{FOLDER}/{name}.jpg"]
    assert masked(site) == [f"p{other:03d}.jpg" for other in range(8) if other != number]
    assert names_below(site.errors) == [f"{FOLDER}/{name}.jpg", f"{FOLDER}/{name}_error.txt"]
    assert notes(site) == []


@pytest.mark.parametrize(
    ("how", "settings", "most"),
    [("crashed", ONE_BY_ONE, 3), ("hung", ONE_BY_ONE, 3), ("killed", OVERLAPPING, 4)],
)
def test_a_picture_that_ends_the_process_fails_after_a_few_runs(
    site: Site, how: str, settings: dict[str, Any], most: int
) -> None:
    deadly = Deadly(how, (5,))
    report = runs_until_the_end(site, deadly, settings, most)
    require_found_out(site, report, 5, "the process ended 2 times while it worked on this picture alone")
    again = deadly_run(site.root, deadly, settings)
    assert again is not None
    assert again.exit_code == 0  # known to fail, and listed
    assert again.total("mask", "known_failed") == 1
    site.put("p005.jpg", capture(50))
    report = runs_until_the_end(site, deadly, settings, 1)
    assert report.exit_code == 0
    assert len(masked(site)) == 8


def test_a_picture_that_ends_the_process_while_it_is_decoded(site: Site) -> None:
    report = runs_until_the_end(site, Deadly("crashed", (5,), "decode"), OVERLAPPING, 4)
    require_found_out(site, report, 5, "the process ended 2 times while it worked on this picture alone")


def test_several_deadly_pictures_at_once(site: Site) -> None:
    report = runs_until_the_end(site, Deadly("killed", (2, 3)), OVERLAPPING, 6)
    assert report.total("mask", "failed") == 2
    assert masked(site) == ["p000.jpg", "p001.jpg", *(f"p{number:03d}.jpg" for number in range(4, 8))]


def test_it_holds_up_no_other_folder_or_picture(site: Site) -> None:
    for folder in OTHERS:
        site.fill(2, folder, first=10)
    deadly = Deadly("killed", (1,))
    assert deadly_run(site.root, deadly, OVERLAPPING) is None
    assert deadly_run(site.root, deadly, OVERLAPPING) is None
    assert [name for name in names_below(site.output) if FOLDER not in name] == [
        f"{folder}/p01{number}.jpg" for folder in OTHERS for number in range(2)
    ]
    assert deadly_run(site.root, deadly, OVERLAPPING) is None
    assert [name for name in names_below(site.input) if name not in names_below(site.output)] == [f"{FOLDER}/p001.jpg"]
    report = deadly_run(site.root, deadly, OVERLAPPING)
    assert report is not None
    assert report.total("mask", "failed") == 1


@pytest.mark.parametrize("settings", [OVERLAPPING, ONE_BY_ONE] if LONG else [OVERLAPPING])
def test_kills_at_different_pictures_condemn_none(site: Site, settings: dict[str, Any]) -> None:
    """As by an operator, or for want of memory that others took."""
    for number in (1, 3, 6, 7):
        deadly_run(site.root, Deadly("killed", (number,)), settings)
    report = deadly_run(site.root, None, settings)
    assert report is not None
    assert report.exit_code == 0
    assert len(masked(site)) == 8
    assert notes(site) == []


@pytest.mark.parametrize("settings", [OVERLAPPING, ONE_BY_ONE] if LONG else [OVERLAPPING])
def test_a_model_that_ends_the_process_while_it_is_loaded_is_at_fault(site: Site, settings: dict[str, Any]) -> None:
    deadly = Deadly("crashed", where="load")
    report = runs_until_the_end(site, deadly, settings, 4)
    assert report.exit_code == 3
    assert "2 times while it loaded the model" in str(report.folders[0].error)
    assert names_below(site.errors) == []
    assert deadly_run(site.root, deadly, settings) is None  # it is tried again, in case the cause is gone
    assert deadly_run(site.root, deadly, settings) is not None
    last = deadly_run(site.root, None, settings)
    assert last is not None
    assert last.exit_code == 0
    assert len(masked(site)) == 8


@pytest.mark.parametrize(("settings", "condemned"), [(ONE_BY_ONE, 2), (OVERLAPPING, 0)] if LONG else [(ONE_BY_ONE, 2)])
def test_a_model_that_ends_the_process_on_every_picture_is_at_fault(
    site: Site, settings: dict[str, Any], condemned: int
) -> None:
    deadly = Deadly("killed")
    report = runs_until_the_end(site, deadly, settings, 6)
    assert report.exit_code == 3
    assert "while it worked on each of 3 pictures alone, and none got through" in str(report.folders[0].error)
    assert len(names_below(site.errors)) == 2 * condemned
    assert deadly_run(site.root, deadly, settings) is None
    assert deadly_run(site.root, deadly, settings) is not None
    assert deadly_run(site.root, None, settings) is not None
    assert len(masked(site)) == 8 - condemned
    assert notes(site) == []


def test_a_run_that_ends_in_order_leaves_no_note(site: Site) -> None:
    noted: list[list[str]] = []
    detector = CountingDetector(before=lambda _: noted.append(notes(site)))
    assert counts(mask_folder(site.workspace(**OVERLAPPING), FOLDER, detector)) == (8, 8, 0, 0, 0)
    assert noted == [["in_flight"]] * 8
    assert notes(site) == []
