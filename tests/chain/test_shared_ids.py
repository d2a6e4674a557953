"""Two pictures with one ID: the row of the greater path stands, and every report names the one that yields."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.load import load_folder
from anonymisation.chain.mask import mask_folder
from anonymisation.chain.release import release_folder
from anonymisation.chain.shared_ids import UNKNOWN
from anonymisation.core.errors import ConfigurationError
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import CheckReport
from anonymisation.reporting.summary import render_summary
from anonymisation.workspace.shards import Shard
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, CountingDetector, Site, capture, names_below

TWIN = "TilSladding/2021/EV6/S1D1/F2_2021_05_01"  # the greater path
SETTINGS: dict[str, Any] = {"archive": True, "delete_input": True, "write_exif_to_db": True}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two folders, each with a picture of one ID and another picture, masked."""
    site = Site(tmp_path)
    for folder, others in ((FOLDER, 5), (TWIN, 6)):
        site.put("p001.jpg", capture(1, "p001.jpg"), folder)
        site.put(f"p00{others}.jpg", capture(others, f"p00{others}.jpg"), folder)
        mask_folder(site.workspace(**SETTINGS), folder, CountingDetector())
    return site


@pytest.fixture
def workspace(site: Site) -> Workspace:
    return site.workspace(**SETTINGS)


def execute(site: Site, sql: str) -> None:
    with closing(sqlite3.connect(site.database)) as connection:
        connection.execute(sql)
        connection.commit()


def folders_of_rows(site: Site) -> list[tuple[str, str]]:
    return sorted(site.rows("SELECT Mappenavn, Filnavn FROM PICTURES"))


def pairs(report: CheckReport) -> list[tuple[str, str]]:
    assert report.collided == len(report.collisions)
    return [(pair.stands, pair.yields) for pair in report.collisions]


YIELDS = [(f"{TWIN}/p001.jpg", f"{FOLDER}/p001.jpg")]


def test_the_check_names_the_picture_that_yields_in_every_run(site: Site, workspace: Workspace) -> None:
    load_folder(workspace, FOLDER)
    assert pairs(check_folder(workspace, FOLDER)) == []
    assert load_folder(workspace, TWIN).collided == 1
    for _ in range(2):
        assert pairs(check_folder(workspace, FOLDER)) == YIELDS
        assert pairs(check_folder(workspace, TWIN)) == []
        loaded = load_folder(workspace, FOLDER)
        assert (loaded.inserted, loaded.updated, loaded.already_loaded) == (0, 0, 2)
    checked = check_folder(workspace, FOLDER)
    assert not [gap for gap in checked.gaps if gap.place == "database"]
    summary = render_summary(RunReport((FolderReport(FOLDER, check=checked),)))
    assert f"the row is of {TWIN}/p001.jpg, not of {FOLDER}/p001.jpg" in summary


def test_the_greater_path_gets_its_row_back_from_a_lesser_one(site: Site, workspace: Workspace) -> None:
    for folder in (FOLDER, TWIN):
        load_folder(workspace, folder)
    with_both = folders_of_rows(site)
    execute(site, "DELETE FROM PICTURES")
    load_folder(workspace, FOLDER)  # the greater one has no row, so this one's stands for now
    assert pairs(check_folder(workspace, FOLDER)) == []
    assert load_folder(workspace, TWIN).collided == 1
    assert folders_of_rows(site) == with_both
    assert pairs(check_folder(workspace, FOLDER)) == YIELDS


def test_a_picture_has_its_own_row_after_the_greater_one_is_withdrawn(site: Site, workspace: Workspace) -> None:
    for folder in (FOLDER, TWIN):
        load_folder(workspace, folder)
    shutil.rmtree(site.input / TWIN)
    shutil.rmtree(site.output / TWIN)
    execute(site, "DELETE FROM PICTURES WHERE Mappenavn LIKE '%F2_2021_05_01'")
    assert load_folder(workspace, FOLDER).inserted == 1
    assert pairs(check_folder(workspace, FOLDER)) == []
    assert {name for _, name in folders_of_rows(site)} == {"p001.jpg", "p005.jpg"}


def test_without_the_registry_a_row_is_one_s_own_if_it_names_one_s_file(site: Site, workspace: Workspace) -> None:
    for folder in (FOLDER, TWIN):
        load_folder(workspace, folder)
    shutil.rmtree(site.state / "identifiers")
    assert pairs(check_folder(workspace, FOLDER)) == [(UNKNOWN, f"{FOLDER}/p001.jpg")]
    assert pairs(check_folder(workspace, TWIN)) == []


@pytest.mark.parametrize("lost", [False, True])
def test_only_the_picture_of_the_row_is_released(site: Site, workspace: Workspace, lost: bool) -> None:
    for folder in (FOLDER, TWIN):
        archive_folder(workspace, folder)
        load_folder(workspace, folder)
    if lost:
        shutil.rmtree(site.state / "identifiers")
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.failed) == (1, 1)
    stands = UNKNOWN if lost else f"{TWIN}/p001.jpg"
    assert f"that of another picture ({stands}), and its record is on no share" in report.failures[0].reason
    assert release_folder(workspace, TWIN).released == 2


@pytest.mark.parametrize("together", [True, False])
def test_the_record_of_a_released_picture_outlives_its_row(tmp_path: Path, together: bool) -> None:
    """The lesser path is released on its own row; the greater one, of the same night or a later one, takes the row."""
    site = Site(tmp_path)
    workspace = site.workspace(**SETTINGS)
    for folder in (FOLDER, TWIN):
        site.put("p001.jpg", capture(1, "p001.jpg"), folder)
        if not together:
            assert site.run(workspace).succeeded
    report = site.run(workspace)
    assert report.succeeded
    assert names_below(site.input) == []
    [(folder, _)] = folders_of_rows(site)
    assert folder.endswith("F2_2021_05_01")
    record = json.loads((site.archive / FOLDER / "p001.json").read_bytes())
    assert record["exif_filnavn"] == "p001.jpg"
    assert record["mappenavn"].endswith("F1_2021_05_01")
    assert not (site.archive / TWIN / "p001.json").exists()


def test_of_two_folders_the_one_that_yields_is_not_released(tmp_path: Path) -> None:
    site = Site(tmp_path)
    workspace = site.workspace(**SETTINGS)
    site.put("p001.jpg", capture(1, "p001.jpg"), TWIN)
    assert site.run(workspace).succeeded
    site.put("p001.jpg", capture(1, "p001.jpg"), FOLDER)
    report = site.run(workspace)
    assert not report.succeeded
    assert names_below(site.input) == [f"{FOLDER}/p001.jpg"]
    assert f"({TWIN}/p001.jpg)" in render_summary(report)


def test_shards_of_one_folder_know_of_each_other_s_rows(tmp_path: Path) -> None:
    site = Site(tmp_path)
    workspace = site.workspace(**SETTINGS)
    shards = [Shard(1, 2), Shard(2, 2)]
    # One ID: the lane is no part of it.
    lesser, greater = next(
        pair
        for number in range(1, 99)
        for pair in [(f"p{number}_f1.jpg", f"p{number}_f2.jpg")]
        if shards[0].holds(pair[0]) != shards[0].holds(pair[1])
    )
    for name in (lesser, greater):
        site.put(name, capture(1, name))
    for shard in shards:
        mask_folder(workspace, FOLDER, CountingDetector(), shard=shard)
        load_folder(workspace, FOLDER, shard)
    reports = [FolderReport(FOLDER, check=check_folder(workspace, FOLDER, shard)) for shard in shards]
    merged = FolderReport.merged(reports)
    assert merged.collided == 1
    assert [(pair.stands, pair.yields) for pair in merged.collisions] == [(f"{FOLDER}/{greater}", f"{FOLDER}/{lesser}")]
    assert FolderReport.from_dict(merged.to_dict()) == merged


def test_without_a_database_nothing_is_asked(site: Site) -> None:
    assert check_folder(site.workspace(), FOLDER).collided == 0
    with pytest.raises(ConfigurationError):
        check_folder(site.workspace(write_exif_to_db=True, database="nonsense"), FOLDER)
