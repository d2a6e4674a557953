"""Promise 5: nothing outside the folders is read, whatever links a delivery has, and whenever they appear."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.chain import archive, release
from anonymisation.chain import discover as discovery
from anonymisation.chain import mask as pipeline
from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.discover import Selection, discover
from anonymisation.chain.mask import mask_folder
from anonymisation.chain.release import release_folder
from anonymisation.core.errors import ConfigurationError
from anonymisation.imaging.exif.read import read_provenance
from anonymisation.workspace.listing import list_folder, list_pictures
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, CountingDetector, Site, capture, counts, files_below, names_below, shows

SECRET: Final = b"root:x:0:0:a file that only we may read"
ALL: Final[dict[str, Any]] = {"archive": True, "delete_input": True, "remote_json": True}
NOT_MASKED: Final = "is a link and is not followed; it is not masked"
UNREADABLE: Final = "cannot be read: is a link and is not followed"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Three captures, and a secret and a picture outside of all folders."""
    site = Site(tmp_path)
    site.fill(3)
    (tmp_path / "passwd").write_bytes(SECRET)
    (tmp_path / "real.jpg").write_bytes(capture(9))
    return site


def link(site: Site, name: str, target: str) -> Path:
    """Replace the entry with that name in the capture folder by a link."""
    path = site.input / FOLDER / name
    path.unlink(missing_ok=True)
    path.symlink_to(site.root / target)
    return path


def written(site: Site) -> Iterator[Path]:
    """Every file that a run can have written."""
    for base in (site.output, site.archive, site.errors, site.state):
        yield from files_below(base)


def require_nothing_of_outside(site: Site) -> None:
    """No file written by a run holds the secret or the picture from outside, or any part of them, masked or not."""
    for path in written(site):
        assert not path.is_symlink()
        data = path.read_bytes()
        assert SECRET[:9] not in data, path
        assert capture(9)[-1000:] not in data, path
    for base in (site.output, site.archive, site.errors):
        assert not any(path.name.startswith(("passwd", "outside", "broken", "inside")) for path in files_below(base))


@contextmanager
def after_listing(monkeypatch: pytest.MonkeyPatch, module: Any, act: Callable[[], object]) -> Iterator[None]:
    """Call `act` after a step has listed its pictures, before it opens the first one."""

    def listing(*arguments: Any) -> list[Any]:
        found = list_pictures(*arguments)
        act()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(module, "list_pictures", listing)
        yield


def found_in(report: Any) -> dict[str, str]:
    """The failures as {name of the picture: reason}."""
    return {Path(failure.picture).name: failure.reason for failure in report.failures}


def test_pictures_that_are_links_are_reported_and_not_read(site: Site) -> None:
    links = {"passwd.jpg": "passwd", "outside.jpeg": "real.jpg", "broken.jpg": "no", "inside.jpg": "in/also.jpg"}
    site.put("also.jpg", capture(5), ".")
    for name, target in links.items():
        link(site, name, target)
    report = site.run(site.workspace(**ALL))
    assert not report.succeeded
    assert report.exit_code == 1
    assert sorted(report.broken) == [f"{FOLDER}/{name}: {NOT_MASKED}" for name in sorted(links)]
    assert (report.total("mask", "found"), report.total("mask", "masked")) == (4, 4)
    assert report.total("release", "released") == 4
    assert sorted(names_below(site.input)) == [f"{FOLDER}/{name}" for name in sorted(links)]
    assert (site.root / "passwd").read_bytes() == SECRET
    assert (site.root / "real.jpg").read_bytes() == capture(9)
    require_nothing_of_outside(site)
    again = site.run(site.workspace(**ALL))  # the same every night until someone removes them
    assert len(again.broken) == 4
    assert not again.succeeded


def test_a_link_that_appears_after_discovery_is_a_gap(site: Site) -> None:
    workspace = site.workspace()
    link(site, "passwd.jpg", "passwd")
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (3, 3, 0, 0, 0)
    (gap,) = check_folder(workspace, FOLDER).gaps
    assert (gap.picture, gap.place, gap.problem) == (f"{FOLDER}/passwd.jpg", "input", NOT_MASKED)
    require_nothing_of_outside(site)


@pytest.mark.parametrize("threads", [False, True])
def test_a_link_that_appears_between_listing_and_reading_is_a_failed_picture(
    site: Site, monkeypatch: pytest.MonkeyPatch, threads: bool
) -> None:
    def swap() -> None:
        link(site, "p001.jpg", "passwd")
        link(site, "p002.jpg", "real.jpg")

    workspace = site.workspace(archive=True, enable_async=threads, file_access_timeout_seconds=60)
    with after_listing(monkeypatch, pipeline, swap):
        report = mask_folder(workspace, FOLDER, CountingDetector())
    assert counts(report) == (3, 1, 0, 2, 0)
    assert found_in(report) == {"p001.jpg": UNREADABLE, "p002.jpg": UNREADABLE}
    assert names_below(site.errors) == [f"{FOLDER}/p001_error.txt", f"{FOLDER}/p002_error.txt"]
    assert names_below(site.output) == [f"{FOLDER}/p000.jpg"]
    require_nothing_of_outside(site)
    assert check_folder(site.workspace(), FOLDER).missing == 0  # failed pictures are not gaps
    link(site, "p001.jpg", "passwd").unlink()
    site.put("p001.jpg", capture(1, "p001.jpg"))
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (2, 1, 1, 0, 0)
    assert names_below(site.errors) == [f"{FOLDER}/p001_error.txt", f"{FOLDER}/p002_error.txt"]


def test_a_link_that_appears_during_detection_copies_nothing_to_the_error_folder(site: Site) -> None:
    def swap(pixels: NDArray[np.uint8]) -> None:
        if shows(pixels, 1):
            link(site, "p001.jpg", "passwd")
            raise RuntimeError("the model stumbles")

    report = mask_folder(site.workspace(enable_async=False), FOLDER, CountingDetector(before=swap))
    assert counts(report) == (3, 2, 0, 1, 0)
    assert names_below(site.errors) == [f"{FOLDER}/p001_error.txt"]
    require_nothing_of_outside(site)


def test_a_link_that_appears_before_archiving_copies_nothing_to_the_archive(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = site.workspace(**ALL)
    mask_folder(workspace, FOLDER, CountingDetector())
    taken = site.root / "taken.jpg"
    (site.input / FOLDER / "p001.jpg").rename(taken)
    link(site, "p001.jpg", "real.jpg")
    assert archive_folder(workspace, FOLDER).archived == 2
    (site.input / FOLDER / "p001.jpg").unlink()
    taken.rename(site.input / FOLDER / "p001.jpg")
    with after_listing(monkeypatch, archive, lambda: link(site, "p001.jpg", "passwd")):
        report = archive_folder(workspace, FOLDER)
    assert (report.archived, report.already_archived, report.failed) == (0, 2, 1)
    assert found_in(report)["p001.jpg"].endswith("is a link and is not followed")
    assert names_below(site.archive) == [f"{FOLDER}/p000.jpg", f"{FOLDER}/p002.jpg"]
    require_nothing_of_outside(site)
    gaps = {(Path(gap.picture).name, gap.place) for gap in check_folder(workspace, FOLDER).gaps}
    assert gaps == {("p001.jpg", "input"), ("p001.jpg", "archive")}


@pytest.mark.parametrize("target", ["passwd", "taken.jpg"], ids=["another file", "the original itself"])
def test_a_link_that_appears_before_the_release_removes_no_original(
    site: Site, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    workspace = site.workspace(**ALL)
    mask_folder(workspace, FOLDER, CountingDetector())
    archive_folder(workspace, FOLDER)
    original = capture(1, "p001.jpg")
    (site.root / "taken.jpg").write_bytes(original)

    with after_listing(monkeypatch, release, lambda: link(site, "p001.jpg", target)):
        report = release_folder(workspace, FOLDER)
    assert (report.released, report.failed) == (2, 1)
    assert found_in(report) == {"p001.jpg": f"not released: the original {UNREADABLE}"}
    assert (site.root / "taken.jpg").read_bytes() == original
    assert (site.root / "passwd").read_bytes() == SECRET
    assert not report.folder_removed
    again = release_folder(workspace, FOLDER)
    assert (again.released, again.folder_removed) == (0, False)
    assert (site.input / FOLDER / "p001.jpg").is_symlink()


def test_sidecars_next_to_a_link_stay_as_long_as_the_link(site: Site) -> None:
    workspace = site.workspace(local_json=True, capture_marker_file="ready", **ALL)
    site.put("ready", b"")
    link(site, "passwd.jpg", "passwd")
    report = site.run(workspace)
    assert report.total("release", "released") == 3
    names = ["p000.json", "p001.json", "p002.json", "passwd.jpg", "ready"]
    assert names_below(site.input) == [f"{FOLDER}/{name}" for name in names]
    (site.input / FOLDER / "passwd.jpg").unlink()
    assert site.run(workspace).succeeded
    assert list(site.input.iterdir()) == []


STEPS: Final[dict[str, Callable[[Workspace], object]]] = {
    "mask": lambda workspace: mask_folder(workspace, FOLDER, CountingDetector()),
    "archive": lambda workspace: archive_folder(workspace, FOLDER),
    "check": lambda workspace: check_folder(workspace, FOLDER),
    "release": lambda workspace: release_folder(workspace, FOLDER),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("part", [FOLDER, str(Path(FOLDER).parent), "TilSladding"])
def test_a_folder_that_became_a_link_is_refused(site: Site, step: str, part: str) -> None:
    workspace = site.workspace(**ALL)
    workspace.require_shares()
    for before in STEPS:
        if before == step:
            break
        STEPS[before](workspace)
    elsewhere = site.root / "elsewhere"
    (site.input / part).rename(elsewhere)
    (site.input / part).symlink_to(elsewhere)
    originals, here = names_below(elsewhere), sorted(written(site))
    with pytest.raises(ConfigurationError, match=f"{site.input / part} is a link and is not followed"):
        STEPS[step](workspace)
    assert names_below(elsewhere) == originals
    assert sorted(written(site)) == here


def test_the_input_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.input.rmdir()
    (tmp_path / "mount").mkdir()
    site.input.symlink_to("mount")
    site.fill(1)
    assert site.run(site.workspace(**ALL)).succeeded


@pytest.mark.parametrize("base", ["out", "arch", "out_error"])
def test_a_folder_that_leads_into_another_base_folder_is_refused(site: Site, base: str) -> None:
    site.fill(1, "other")
    original = site.input / "other" / "p000.jpg"
    place = site.root / base / FOLDER
    place.parent.mkdir(parents=True)
    place.symlink_to(site.input / "other")
    before = original.read_bytes()
    report = site.run(site.workspace(archive=True))
    (folder,) = [folder for folder in report.folders if folder.folder == FOLDER]
    assert "leads into the input folder" in str(folder.error)
    assert original.read_bytes() == before


def test_links_to_other_disks_in_output_and_archive_are_allowed(site: Site) -> None:
    for base in (site.output, site.archive):
        disk = site.root / f"{base.name}_disk"
        (base / "TilSladding").mkdir(parents=True)
        disk.mkdir()
        (base / "TilSladding" / "2021").symlink_to(disk)
    assert site.run(site.workspace(**ALL)).succeeded
    assert len(names_below(site.root / "arch_disk")) == 3
    assert list(site.input.iterdir()) == []


@pytest.mark.parametrize("target", ["kept.jpg", "passwd", "no"])
def test_a_link_in_place_of_a_masked_picture_or_record_is_replaced(site: Site, target: str) -> None:
    workspace = site.workspace(archive=True, remote_json=True)
    assert site.run(workspace).succeeded
    for suffix, index in ((".jpg", 0), (".json", 1)):
        path = site.output / FOLDER / f"p00{index}{suffix}"
        path.rename(site.root / "kept.jpg")  # the file that was written, with its time
        path.symlink_to(site.root / target)
        assert check_folder(workspace, FOLDER).missing == 1
        report = site.run(workspace)
        assert report.succeeded, report
        assert report.total("mask", "masked") == (suffix == ".jpg")
        assert not path.is_symlink()
        assert path.stat().st_size > 100
    assert (site.root / "passwd").read_bytes() == SECRET


def test_an_unknown_link_in_the_output_is_reported_and_not_read(site: Site) -> None:
    workspace = site.workspace()
    assert site.run(workspace).succeeded
    (site.output / FOLDER / "x.jpg").symlink_to(site.root / "real.jpg")
    (gap,) = check_folder(workspace, FOLDER).gaps
    assert gap.problem == "is in the output folder and cannot be read (is a link and is not followed); remove it"


@pytest.mark.parametrize("to", ["original", "copy", "nowhere"])
def test_a_link_in_the_archive_is_not_a_copy(site: Site, to: str) -> None:
    """It may lead to the original, which would be removed, or to any file that may not stay."""
    copy = site.root / "copy.jpg"
    copy.write_bytes((site.input / FOLDER / "p001.jpg").read_bytes())
    target = {"original": site.input / FOLDER / "p001.jpg", "copy": copy, "nowhere": site.root / "no"}[to]
    place = site.archive / FOLDER / "p001.jpg"
    place.parent.mkdir(parents=True)
    place.symlink_to(target)
    workspace = site.workspace(**ALL)
    mask_folder(site.workspace(remote_json=True), FOLDER, CountingDetector())  # masked before there was an archive
    report = archive_folder(workspace, FOLDER)
    assert (report.archived, report.failed) == (2, 1)
    assert "is a link and is not followed" in found_in(report)["p001.jpg"]
    assert "the archive copy" in found_in(release_folder(workspace, FOLDER))["p001.jpg"]
    assert (site.input / FOLDER / "p001.jpg").read_bytes() == copy.read_bytes()
    assert place.readlink() == target


def test_a_picture_whose_archive_name_is_a_link_fails_before_it_is_masked(site: Site) -> None:
    place = site.archive / FOLDER / "p001.jpg"
    place.parent.mkdir(parents=True)
    place.symlink_to(site.root / "passwd")
    report = mask_folder(site.workspace(archive=True), FOLDER, CountingDetector())
    assert found_in(report) == {"p001.jpg": f"the archive copy {place} {UNREADABLE}"}


def test_output_files_are_not_adopted_through_a_link(site: Site) -> None:
    assert site.run(site.workspace()).succeeded
    masked = site.output / FOLDER / "p000.jpg"
    masked.rename(site.root / "kept.jpg")
    masked.symlink_to(site.root / "kept.jpg")
    site.state.rename(site.root / "lost")
    report = mask_folder(site.workspace(), FOLDER, CountingDetector())
    assert counts(report) == (3, 1, 2, 0, 0)
    assert not masked.is_symlink()
    assert read_provenance(masked.read_bytes()) is not None


def test_discovery_by_date_reads_no_link(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put("a.jpg", capture(1), "x")
    os.utime(site.input / "x" / "a.jpg", (0, 0))

    def swapped(path: Path, folder: str) -> Any:
        found = list_folder(path, folder)
        if folder == "x":
            (path / "a.jpg").unlink()
            (path / "a.jpg").symlink_to(site.root / "real.jpg")
        return found

    monkeypatch.setattr(discovery, "list_folder", swapped)
    selection = Selection(date_from=date(2021, 5, 1))  # the date of the picture outside
    assert [found.folder for found in discover(site.workspace(), selection).folders] == [FOLDER]
