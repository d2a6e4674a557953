"""Releases that were killed or stopped: nothing is lost, the next run finishes them, and reports keep their counts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import anonymisation.chain.release as release_module
from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.discover import discover
from anonymisation.chain.mask import mask_folder
from anonymisation.chain.release import release_folder
from anonymisation.core.errors import ShareUnavailableError
from anonymisation.reporting.partial import partial_report
from anonymisation.workspace.paths import ImagePaths
from anonymisation.workspace.set_aside import set_aside
from tests.captures import FOLDER, CountingDetector, Site, capture, names_below
from tests.chain.test_release import FILES, _archive_missing, up_to_release


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(3)
    return site


def left_aside(site: Site, name: str = "p001.jpg") -> Path:
    """What a killed release leaves."""
    return set_aside(site.input / FOLDER / name)


@pytest.mark.parametrize("state_lost", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_a_killed_release_is_finished_by_the_next_run(site: Site, state_lost: bool, alone: bool) -> None:
    """Discovery takes the folder, even where only a picture that is set aside is left of it."""
    workspace = up_to_release(site, **FILES)
    left_aside(site)
    if alone:
        for name in ("p000.jpg", "p002.jpg"):
            (site.input / FOLDER / name).unlink()
    if state_lost:
        shutil.rmtree(site.state)
    assert [found.folder for found in discover(workspace).folders] == [FOLDER]
    detector = CountingDetector()
    report = site.run(workspace, detector)
    assert report.succeeded
    assert detector.calls == 0
    assert report.total("release", "released") == (1 if alone else 3)
    assert list(site.input.iterdir()) == []


def test_what_is_set_aside_comes_back_without_delete_input_too(site: Site) -> None:
    up_to_release(site, **FILES)
    left_aside(site)
    workspace = site.workspace(archive=True, **FILES)
    assert [gap.place for gap in check_folder(workspace, FOLDER).gaps] == ["input"]
    assert site.run(workspace).succeeded
    assert len(names_below(site.input)) == 3
    assert check_folder(workspace, FOLDER).missing == 0


def test_the_release_step_alone_finishes_a_killed_one(site: Site) -> None:
    workspace = up_to_release(site, **FILES)
    left_aside(site)
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.kept, report.folder_removed) == (3, 0, True)


def test_an_original_whose_name_is_taken_is_verified_where_it_is(site: Site) -> None:
    workspace = up_to_release(site, **FILES)
    aside = left_aside(site)
    site.put("p001.jpg", capture(88))
    (gap,) = [gap for gap in check_folder(workspace, FOLDER).gaps if str(aside) in gap.problem]
    assert gap.picture == f"{FOLDER}/p001.jpg"
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.kept, report.failed) == (3, 1, 1)  # all but the new one
    assert names_below(site.input) == [f"{FOLDER}/p001.jpg"]
    assert (site.input / FOLDER / "p001.jpg").read_bytes() == capture(88)


def test_an_original_whose_name_is_taken_stays_until_it_is_verified(site: Site) -> None:
    workspace = up_to_release(site, **FILES)
    _archive_missing(site)
    aside = left_aside(site)
    site.put("p001.jpg", capture(88))
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.kept, report.failed) == (2, 2, 2)
    assert any(f"stays as {aside}; rename one of the two" in failure.reason for failure in report.failures)
    assert (site.input / FOLDER / "p001.jpg").read_bytes() == capture(88)
    assert aside.read_bytes() == capture(1, "p001.jpg")
    (site.input / FOLDER / "p001.jpg").rename(site.input / FOLDER / "p009.jpg")
    assert site.run(workspace).succeeded
    assert list(site.input.iterdir()) == []
    assert {capture(1, "p001.jpg"), capture(88)} <= {
        path.read_bytes() for path in (site.archive / FOLDER).glob("*.jpg")
    }


def test_an_error_in_the_middle_keeps_the_counts_of_what_was_released(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = up_to_release(site, **FILES)
    known = release_module._Release.original

    def away(release: Any, paths: ImagePaths) -> str | None:
        if paths.name == "p001.jpg":
            raise ShareUnavailableError("the archive is away")
        return known(release, paths)

    monkeypatch.setattr(release_module._Release, "original", away)
    with pytest.raises(ShareUnavailableError) as ended:
        release_folder(workspace, FOLDER)
    report = partial_report(ended.value)
    assert (report.released, report.kept, report.failed) == (1, 2, 0)


def test_a_folder_that_is_gone_and_not_released_is_no_finished_one(site: Site) -> None:
    """As when its share is unmounted and leaves an empty folder."""
    workspace = up_to_release(site, **FILES)
    away = (site.input / FOLDER).rename(site.root / "away")
    steps: list[Callable[[], object]] = [
        lambda: mask_folder(workspace, FOLDER, CountingDetector()),
        lambda: archive_folder(workspace, FOLDER),
        lambda: release_folder(workspace, FOLDER),
    ]
    for step in steps:
        with pytest.raises(ShareUnavailableError, match="is not there any more, and nothing of it was released"):
            step()
    away.rename(site.input / FOLDER)
    assert release_folder(workspace, FOLDER).folder_removed
    assert mask_folder(workspace, FOLDER, CountingDetector()).found == 0
    assert archive_folder(workspace, FOLDER).failed == release_folder(workspace, FOLDER).failed == 0
