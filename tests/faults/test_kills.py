"""Promises 2 and 3 under kill -9: whole files only, nothing lost, and the next run finishes the job by itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from anonymisation.chain.mask import mask_folder
from anonymisation.files.digests import sha256_of_file
from anonymisation.workspace.folder_state import MASKED, read_pictures
from tests.captures import (
    FOLDER,
    FULL,
    CountingDetector,
    Site,
    capture,
    checksums,
    files_below,
    require_whole_files,
)
from tests.faults.chain_process import killed_run

PICTURES = 12
NESTED = "TilSladding/2021/EV6/S1D1/F2_2021_05_01"


@pytest.fixture(scope="module")
def full_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of captures with a marker file, and the number of changes that a whole run makes to its files."""
    root = tmp_path_factory.mktemp("full")
    site = Site(root)
    site.fill(PICTURES)
    site.put("ready", b"")
    return root


@pytest.fixture(scope="module")
def changes(full_site: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    root = tmp_path_factory.mktemp("count")
    shutil.copytree(full_site, root, dirs_exist_ok=True)
    told = killed_run(root, FULL, archive=True, kill_at=None)
    assert told is not None
    assert told[1]
    assert told[0] > 10 * PICTURES
    return told[0]


def require_nothing_lost(site: Site, originals: set[str]) -> None:
    assert originals <= checksums(site.input, site.archive)
    require_whole_files(site.output, site.archive)


def require_finished(site: Site, originals: set[str]) -> None:
    """Everything stands at its place, once, and no trace of the kill is left."""
    assert list(files_below(site.input)) == []
    assert not (site.input / FOLDER).exists()  # of its parents an empty one may stay after a kill between two removals
    assert originals <= checksums(site.archive)
    require_whole_files(site.output, site.archive)
    suffixes = [path.suffix for path in files_below(site.output)]
    assert {suffix: suffixes.count(suffix) for suffix in suffixes} == dict.fromkeys(
        (".jpg", ".webp", ".json"), PICTURES
    )
    assert [path for path in files_below(site.root) if path.suffix == ".part"] == []
    assert [name for name, _ in site.rows()] == [f"p{number:03d}.jpg" for number in range(PICTURES)]
    states = read_pictures(site.state, FOLDER)
    assert {name: known.status for name, known in states.items()} == {
        f"p{number:03d}.jpg": MASKED for number in range(PICTURES)
    }


@pytest.mark.parametrize("share", [step / 16 for step in range(16)])
def test_a_killed_run_is_finished_by_the_next(full_site: Path, changes: int, share: float, tmp_path: Path) -> None:
    shutil.copytree(full_site, tmp_path, dirs_exist_ok=True)
    site = Site(tmp_path)
    originals = {sha256_of_file(path) for path in site.input.rglob("*.jpg")}
    assert killed_run(tmp_path, FULL, archive=True, kill_at=1 + int(share * changes)) is None
    require_nothing_lost(site, originals)
    masked_before = len([path for path in files_below(site.output) if path.suffix == ".jpg" and path.name[0] != "."])
    detector = CountingDetector()
    report = site.run(site.workspace(archive=True, **FULL), detector)
    assert report.succeeded, report.folders
    # Nothing is masked twice: what stands on the output share is taken as it is, even where its state was not kept.
    assert detector.calls == PICTURES - masked_before
    for folder in report.folders:
        mask = folder.mask
        assert mask is not None
        assert mask.found == mask.masked + mask.already_done
        assert mask.masked == detector.calls
    require_finished(site, originals)


def test_a_run_killed_again_and_again_gets_through(full_site: Path, changes: int, tmp_path: Path) -> None:
    shutil.copytree(full_site, tmp_path, dirs_exist_ok=True)
    site = Site(tmp_path)
    originals = {sha256_of_file(path) for path in site.input.rglob("*.jpg")}
    kills = 0
    while killed_run(tmp_path, FULL, archive=True, kill_at=changes // 6 + kills) is None:
        require_nothing_lost(site, originals)
        kills += 1
        assert kills < 60
    assert kills > 5
    require_finished(site, originals)


@pytest.mark.parametrize("kill_at", range(1, 40, 9))
def test_a_kill_while_masking_leaves_the_rest_of_the_folder_alone(tmp_path: Path, kill_at: int) -> None:
    settings: dict[str, Any] = {"remote_mask": True, "remote_json": True, "enable_async": False}
    site = Site(tmp_path)
    site.fill(4)
    site.fill(2, NESTED, first=10)
    assert killed_run(tmp_path, settings, archive=False, kill_at=kill_at) is None
    require_whole_files(site.output)
    assert len(list(files_below(site.input))) == 6
    report = site.run(site.workspace(**settings))
    assert report.succeeded
    assert [path for path in files_below(site.root) if path.suffix == ".part"] == []
    assert report.total("mask", "found") == report.total("mask", "masked") + report.total("mask", "already_done")
    assert sorted(path.name for path in files_below(site.output) if path.suffix == ".jpg") == sorted(
        path.name for path in files_below(site.input)
    )


def test_force_remask_goes_on_where_the_same_run_was_killed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fill(3)
    workspace = site.workspace(force_remask=True)
    mask_folder(workspace, FOLDER, CountingDetector(), run="night 1")
    site.put("p003.jpg", capture(3))
    detector = CountingDetector()
    report = mask_folder(workspace, FOLDER, detector, run="night 1")
    assert (report.masked, report.already_done, detector.calls) == (1, 3, 1)
    report = mask_folder(workspace, FOLDER, detector, run="night 2")
    assert (report.masked, report.already_done) == (4, 0)


def test_a_release_killed_before_it_removed_the_folder_is_ended_later(full_site: Path, tmp_path: Path) -> None:
    """What the kills above may or may not hit: the last picture is gone, its neighbours are still there."""
    shutil.copytree(full_site, tmp_path, dirs_exist_ok=True)
    site = Site(tmp_path)
    keep = {**FULL, "delete_input": False}
    assert site.run(site.workspace(archive=True, **keep)).succeeded
    neighbours = {path.name: path.read_bytes() for path in (site.input / FOLDER).iterdir() if path.suffix != ".jpg"}
    workspace = site.workspace(archive=True, **FULL)
    assert site.run(workspace).succeeded
    assert not (site.input / FOLDER).exists()
    for name, data in neighbours.items():
        site.put(name, data)
    report = site.run(workspace)
    assert [folder.folder for folder in report.folders] == [FOLDER]
    assert report.succeeded
    assert not (site.input / FOLDER).exists()
    site.put("notes.txt", b"of the driver")
    assert site.run(workspace).folders == ()  # nothing of ours is left: not taken again every night
    assert (site.input / FOLDER / "notes.txt").exists()
