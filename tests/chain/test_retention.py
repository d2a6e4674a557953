"""What is kept too long is removed and logged, and nothing else is; an original is never the last that is left."""

from __future__ import annotations

import errno
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from anonymisation.chain.check import check_folder
from anonymisation.chain.retention import enforce_retention, retention_log
from anonymisation.chain.run import run_folder
from anonymisation.review.protection_report import Period, collect
from anonymisation.workspace.folder_state import open_state, read_pictures
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, CountingDetector, Site, capture

SETTINGS: dict[str, Any] = {"delete_input": True, "remote_json": True, "archive_retention_days": 30}
LATER = 31 * 86_400.0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(3)
    return site


def night(site: Site, **changes: Any) -> Workspace:
    """Everything masked, archived and released, with these settings."""
    workspace = site.workspace(archive=True, **{**SETTINGS, **changes})
    run_folder(workspace, FOLDER, CountingDetector())
    return workspace


def archived(site: Site) -> list[str]:
    return sorted(path.name for path in site.archive.rglob("*.jpg"))


def logged(site: Site) -> list[dict[str, Any]]:
    path = retention_log(site.state)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_by_default_everything_is_kept(site: Site) -> None:
    workspace = night(site, archive_retention_days=0)
    enforce_retention(workspace, now=time.time() + 100 * LATER)
    assert len(archived(site)) == 3
    assert logged(site) == []


def test_old_originals_are_removed_logged_and_no_longer_expected(site: Site) -> None:
    workspace = night(site)
    assert enforce_retention(workspace, now=time.time() + LATER - 2 * 86_400).originals == 0
    report = enforce_retention(workspace, now=time.time() + LATER)
    assert (report.originals, report.kept, archived(site)) == (3, [], [])
    lines = logged(site)
    assert [Path(line["file"]).name for line in lines] == ["p000.jpg", "p001.jpg", "p002.jpg"]
    known = read_pictures(site.state, FOLDER)
    assert all(line["sha256"] == known[Path(line["file"]).name].sha256 for line in lines)
    assert retention_log(site.state).stat().st_mode & 0o077 == 0
    assert check_folder(workspace, FOLDER).missing == 0
    assert enforce_retention(workspace, now=time.time() + 2 * LATER).originals == 0


def test_an_original_that_comes_back_is_archived_before_it_is_released_again(site: Site) -> None:
    workspace = night(site)
    kept = next(site.archive.rglob("p001.jpg")).read_bytes()
    enforce_retention(workspace, now=time.time() + LATER)
    site.put("p001.jpg", kept)
    report = run_folder(workspace, FOLDER, CountingDetector())
    assert report.succeeded, report
    assert archived(site) == ["p001.jpg"]
    assert not (site.input / FOLDER / "p001.jpg").exists()
    assert read_pictures(site.state, FOLDER)["p001.jpg"].retired == ""


@pytest.mark.parametrize("harm", ["missing", "cut", "foreign"])
def test_an_original_whose_masked_picture_is_not_whole_stays(site: Site, harm: str) -> None:
    workspace = night(site)
    masked = site.output / FOLDER / "p001.jpg"
    if harm == "missing":
        masked.unlink()
    else:
        masked.write_bytes(masked.read_bytes()[:-200] if harm == "cut" else capture(9))
    report = enforce_retention(workspace, now=time.time() + LATER)
    assert (report.originals, archived(site)) == (2, ["p001.jpg"])
    assert f"{FOLDER}/p001.jpg: stays in the archive, since its masked picture" in report.kept[0]


def test_a_file_that_is_not_the_masked_original_stays(site: Site) -> None:
    workspace = night(site)
    other = next(site.archive.rglob("p002.jpg"))
    other.write_bytes(capture(50))
    report = enforce_retention(workspace, now=time.time() + LATER)
    assert other.exists()
    assert "differs from the original that was masked" in report.kept[0]


def test_originals_that_are_not_released_stay(site: Site) -> None:
    workspace = night(site, delete_input=False)
    assert enforce_retention(workspace, now=time.time() + LATER).originals == 0
    assert len(archived(site)) == 3


def test_a_folder_in_use_is_left_for_the_next_time(site: Site) -> None:
    workspace = night(site)
    with open_state(site.state, FOLDER):
        report = enforce_retention(workspace, now=time.time() + LATER)
    assert (report.originals, len(archived(site))) == (0, 3)
    assert "3 originals stay until no run works on the folder" in report.kept[0]


def test_old_failed_pictures_are_removed_with_their_notes(site: Site) -> None:
    site.put("torn.jpg", capture(7)[:900])
    workspace = night(site, archive_retention_days=0, error_retention_days=10)
    assert enforce_retention(workspace).failures == 0
    report = enforce_retention(workspace, now=time.time() + 11 * 86_400)
    assert report.failures == 2
    assert {Path(line["file"]).name for line in logged(site)} == {"torn.jpg", "torn_error.txt"}
    assert [path for path in site.errors.rglob("*") if path.is_file() and not path.name.startswith(".")] == []
    assert site.errors.is_dir()


def test_a_link_in_the_error_folder_leads_nowhere_else(site: Site, tmp_path: Path) -> None:
    workspace = night(site, archive_retention_days=0, error_retention_days=10)
    treasure = tmp_path / "elsewhere" / "keep.txt"
    treasure.parent.mkdir()
    treasure.write_text("keep")
    site.errors.mkdir(exist_ok=True)
    (site.errors / "way").symlink_to(treasure.parent)
    enforce_retention(workspace, now=time.time() + 11 * 86_400)
    assert treasure.read_text() == "keep"


def stuck(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A share on which files of this name cannot be removed."""
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)


def test_an_original_that_cannot_be_removed_is_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = night(site)
    with monkeypatch.context() as patch:
        stuck(patch, "p000.jpg")
        report = enforce_retention(workspace, now=time.time() + LATER)
    assert (report.originals, archived(site)) == (2, ["p000.jpg"])
    assert "p000.jpg cannot be removed: Permission denied" in report.kept[0]
    assert read_pictures(site.state, FOLDER)["p000.jpg"].retired == ""
    today = datetime.now(UTC).date()
    period = Period(today - timedelta(days=1), today + timedelta(days=1))
    assert collect(site.state, period).removed == {"original": 2}
    assert enforce_retention(workspace, now=time.time() + LATER).originals == 1
    assert archived(site) == []
    assert collect(site.state, period).removed == {"original": 3}


def test_a_failed_picture_that_cannot_be_removed_stops_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put("a_torn.jpg", capture(7)[:900])
    site.put("b_torn.jpg", capture(8)[:900])
    workspace = night(site, archive_retention_days=0, error_retention_days=10)
    stuck(monkeypatch, "a_torn.jpg")
    report = enforce_retention(workspace, now=time.time() + 11 * 86_400)
    assert (report.failures, len(report.kept)) == (3, 1)


def test_an_original_restored_from_a_back_up_goes_when_it_is_old_again(site: Site) -> None:
    workspace = night(site)
    path = next(site.archive.rglob("p001.jpg"))
    kept = path.read_bytes()
    enforce_retention(workspace, now=time.time() + LATER)
    path.write_bytes(kept)
    assert enforce_retention(workspace).originals == 0
    assert enforce_retention(workspace, now=time.time() + LATER).originals == 1
    assert archived(site) == []
