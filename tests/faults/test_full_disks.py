"""Disks that fill, on real file systems of a few kB; and errors at every change of the state folder."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from anonymisation.files.digests import sha256_of_file
from anonymisation.reporting.run_report import RunReport
from anonymisation.reporting.summary import render_summary
from anonymisation.workspace.folder_state import MASKED, read_pictures
from tests.captures import FOLDER, CountingDetector, Site, files_below, require_whole_files
from tests.faults.file_errors import failing_change
from tests.faults.memory_disk import MemoryDisks

OTHER = "TilSladding/2021/EV6/S1D1/F2_2021_05_01"

ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EACCES]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(6)
    site.fill(1, OTHER, first=10)
    return site


def require_told(report: RunReport, disk: Path) -> None:
    """The run ends with the environment's exit code, names the file, and says what to do."""
    assert report.exit_code == 3, report.folders
    errors = [folder.error for folder in report.folders if folder.error is not None]
    for error in errors:
        assert str(disk) in error
        assert "disk full" in error
        assert "make room there" in error
        assert error in render_summary(report)
    assert errors


@pytest.mark.parametrize("size", [4, 16, 40])
def test_a_full_state_disk_is_named_and_what_is_finished_stays(
    site: Site, disks: MemoryDisks, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    disks.mount(site.state, f"size={size}k")
    originals = {sha256_of_file(path) for path in site.input.rglob("*.jpg")}
    workspace = site.workspace(remote_json=True, enable_async=False)
    report = site.run(workspace)
    require_told(report, site.state)
    counts = ("masked", "already_done", "failed", "known_failed", "left")
    assert report.total("mask", "found") == 7 == sum(report.total("mask", count) for count in counts)
    assert not [record for record in caplog.records if record.exc_info], caplog.text
    require_whole_files(site.output)
    masked = len([path for path in files_below(site.output) if path.suffix == ".jpg"])
    disks.mount(site.state, "size=10m")
    detector = CountingDetector()
    again = site.run(workspace, detector)
    assert again.succeeded, again.folders
    assert detector.calls == 7 - masked  # a masked picture without a state is taken over
    assert {name for name, known in read_pictures(site.state, FOLDER).items() if known.status == MASKED} == {
        f"p{number:03d}.jpg" for number in range(6)
    }
    assert originals == {sha256_of_file(path) for path in site.input.rglob("*.jpg")}


def test_a_full_output_disk_is_named_and_the_counts_stay(
    site: Site, disks: MemoryDisks, caplog: pytest.LogCaptureFixture
) -> None:
    disks.mount(site.output, "size=32k")
    report = site.run(site.workspace(enable_async=False))
    require_told(report, site.output)
    assert "check the share" not in render_summary(report)
    masked = len([path for path in files_below(site.output) if path.suffix == ".jpg" and path.name[0] != "."])
    assert 0 < masked < 7
    assert report.total("mask", "masked") == masked
    assert report.total("mask", "found") == 7
    assert report.total("mask", "left") == 7 - masked
    lines = [" ".join(line.split()) for line in render_summary(report).splitlines()]
    assert {"images found 7", f"masked {masked}", f"not reached {7 - masked}"} <= set(lines)
    assert not [record for record in caplog.records if record.exc_info], caplog.text


@pytest.mark.parametrize("number", ERRORS)
def test_an_error_at_any_change_of_the_state_is_of_our_own_tree(
    tmp_path: Path, number: int, pytestconfig: pytest.Config
) -> None:
    """One after another of the changes that a run makes in the state folder fails, then a run without faults.

    The errors share every third change among them; --run-slow tries all with each.
    """
    every = bool(pytestconfig.getoption("--run-slow"))
    root = tmp_path / "site"
    root.mkdir()
    site = Site(root)
    site.fill(2)
    workspace = site.workspace(remote_json=True, enable_async=False)
    workspace.require_shares()
    shutil.copytree(root, tmp_path / "copy")
    place, step = (0, 1) if every else (3 * ERRORS.index(number), 3 * len(ERRORS))
    tried = 0
    while True:
        with failing_change(site.state, number, at=place) as changes:
            report = site.run(workspace)
        if changes.count <= place:
            break
        (folder,) = report.folders
        if folder.error is not None:
            assert (folder.error_exit_code, report.exit_code) == (3, 3), (changes.last, folder.error)
            assert str(site.state) in folder.error, (changes.last, folder.error)
            assert ("disk full" in folder.error) == (number in {errno.ENOSPC, errno.EDQUOT}), folder.error
            tried += 1
        assert folder.mask is not None
        assert folder.mask.found == 2, changes.last
        again = site.run(workspace)
        assert again.succeeded, (changes.last, again.folders)
        assert sorted(path.stem for path in site.output.rglob("*.jpg")) == ["p000", "p001"]
        assert {known.status for known in read_pictures(site.state, FOLDER).values()} == {MASKED}, changes.last
        shutil.rmtree(root)
        shutil.copytree(tmp_path / "copy", root)
        place += step
    assert tried >= 1
