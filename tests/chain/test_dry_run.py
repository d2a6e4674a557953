"""The dry run: the planned work and its duration, without any change."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from anonymisation.chain.discover import FoundFolder, Selection
from anonymisation.chain.dry_run import MAX_LISTED, Plan, make_plan, render_plan
from anonymisation.chain.mask import mask_folder
from anonymisation.core.text import duration
from anonymisation.workspace.folder_state import state_folder
from anonymisation.workspace.timing import RECENT, Timing, keep_timing, seconds_per_picture
from tests.captures import FOLDER, CountingDetector, Site, names_below

OTHER = "TilSladding/2021/F2_2021_06_01"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(3)
    site.fill(2, OTHER, first=10)
    return site


def test_a_plan_lists_the_work_and_changes_nothing(site: Site) -> None:
    before = names_below(site.root)
    workspace = site.workspace(archive=True, write_exif_to_db=True, remote_json=True)
    plan = make_plan(workspace)
    sizes = {folder: sum(p.stat().st_size for p in (site.input / folder).iterdir()) for folder in (FOLDER, OTHER)}
    work = {found.folder: (found.pictures, found.pending, found.to_mask, found.pending_bytes) for found in plan.folders}
    assert work == {FOLDER: (3, 3, 3, sizes[FOLDER]), OTHER: (2, 2, 2, sizes[OTHER])}
    assert (plan.to_do, plan.to_mask, plan.size, plan.seconds) == (5, 5, sum(sizes.values()), None)
    text = render_plan(plan)
    assert "A run would take 2 folders, in which 5 pictures" in text
    assert "unknown: no earlier run" in text
    assert names_below(site.root) == before
    assert not any(path.exists() for path in (site.output, site.archive, site.state, site.errors))


def test_the_time_comes_from_earlier_runs_with_the_same_model(site: Site) -> None:
    workspace = site.workspace()
    report = mask_folder(workspace, FOLDER, CountingDetector())
    plan = make_plan(workspace)
    assert [found.folder for found in plan.folders] == [OTHER]
    assert plan.seconds == pytest.approx(report.seconds / 3 * 2)
    assert plan.seconds is not None
    assert f"about {duration(plan.seconds)}" in render_plan(plan)
    assert make_plan(site.workspace(force_remask=True)).to_mask == 5
    (site.model / "saved_model.pb").write_bytes(b"another model")
    assert make_plan(workspace).seconds is None


def test_pictures_that_only_need_another_step_take_no_masking_time(site: Site) -> None:
    for folder in (FOLDER, OTHER):
        mask_folder(site.workspace(), folder, CountingDetector())
    plan = make_plan(site.workspace(archive=True))
    assert (plan.to_do, plan.to_mask, plan.seconds) == (5, 0, 0.0)


def test_the_speed_is_that_of_the_folders_masked_last(tmp_path: Path) -> None:
    for number in range(RECENT + 5):
        folder = f"f{number}"
        state_folder(tmp_path, folder).mkdir(parents=True)
        keep_timing(tmp_path, folder, Timing("m", 10, 10.0 if number < 5 else 30.0))
        os.utime(state_folder(tmp_path, folder) / "timing.json", (number, number))
    assert seconds_per_picture(tmp_path, "m") == pytest.approx(3.0)
    assert seconds_per_picture(tmp_path, "other") is None
    for damage in (b"", b"{}", b"[]", b'{"model":"m","pictures":0,"seconds":1}'):
        for path in (tmp_path / "folders").glob("*/timing.json"):
            path.write_bytes(damage)
        assert seconds_per_picture(tmp_path, "m") is None


def test_a_range_of_days_selects_folders(site: Site) -> None:
    def folders(**days: Any) -> list[str]:
        return [found.folder for found in make_plan(site.workspace(), Selection(**days)).folders]

    first, last = date(2021, 5, 1), date(2021, 6, 1)
    assert {FOLDER: first, OTHER: last}[OTHER] == last
    assert folders(date_from=date(2021, 5, 2)) == [OTHER]
    assert folders(date_to=date(2021, 5, 31)) == [FOLDER]
    assert folders(date_from=first, date_to=last) == [FOLDER, OTHER]
    assert folders(date_from=last, date_to=last) == [OTHER]
    assert folders(date_from=date(2021, 6, 2)) == []
    with pytest.raises(ValueError, match="first day before the last"):
        Selection(date_from=last, date_to=first)


def test_long_plans_are_cut_but_their_totals_are_exact() -> None:
    plan = Plan(tuple(FoundFolder(f"f{n}\n", 2, 1, pending_bytes=10) for n in range(MAX_LISTED + 7)), None)
    values = plan.to_dict()
    assert (len(values["folders"]), values["folder_count"], values["to_do"]) == (MAX_LISTED, 207, 207)
    text = render_plan(plan)
    assert "  … and 7 more folders" in text
    assert len(text.splitlines()) == MAX_LISTED + 4
