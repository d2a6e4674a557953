"""Originals go to the archive once, verified, and never over a different file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import anonymisation.chain.archive as archive_module
from anonymisation.chain.archive import archive_folder
from anonymisation.chain.mask import mask_folder
from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.digests import sha256_of_file
from anonymisation.files.names import rename_new
from anonymisation.reporting.partial import partial_report
from anonymisation.workspace.folder_state import PictureState, read_pictures
from anonymisation.workspace.paths import ImagePaths
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, CountingDetector, Site, capture, checksums, names_below


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Three captures, masked."""
    site = Site(tmp_path)
    site.fill(3)
    mask_folder(site.workspace(), FOLDER, CountingDetector())
    return site


def test_originals_are_copied_once_with_their_times(site: Site) -> None:
    original = site.input / FOLDER / "p000.jpg"
    os.utime(original, ns=(1_600_000_000_000_000_000, 1_600_000_000_123_000_000))
    workspace = site.workspace(archive=True)
    mask_folder(workspace, FOLDER, CountingDetector())
    report = archive_folder(workspace, FOLDER)
    assert (report.archived, report.already_archived, report.failed) == (3, 0, 0)
    assert report.size == sum(path.stat().st_size for path in (site.input / FOLDER).iterdir())
    copy = site.archive / FOLDER / "p000.jpg"
    assert sha256_of_file(copy) == sha256_of_file(original)
    assert copy.stat().st_mtime_ns == original.stat().st_mtime_ns
    assert all(known.archived for known in read_pictures(site.state, FOLDER).values())
    again = archive_folder(workspace, FOLDER)
    assert (again.archived, again.already_archived, again.size) == (0, 3, 0)


def test_without_an_archive_nothing_is_done(site: Site) -> None:
    report = archive_folder(site.workspace(), FOLDER)
    assert (report.archived, report.failed) == (0, 0)
    assert not site.archive.exists()


def test_only_masked_pictures_are_archived(site: Site) -> None:
    site.put("p001.jpg", b"broken")
    site.put("p009.jpg", capture(9))
    workspace = site.workspace(archive=True)
    mask_folder(site.workspace(), FOLDER, CountingDetector())
    site.put("p010.jpg", capture(10))
    archive_folder(workspace, FOLDER)
    assert [name[-8:] for name in names_below(site.archive)] == ["p000.jpg", "p002.jpg", "p009.jpg"]


@pytest.mark.parametrize(
    "settings", [{"archive_json": True, "remote_json": True}, {"archive_mask": True, "remote_mask": True}]
)
def test_derived_files_are_archived_and_updated(site: Site, settings: dict[str, bool]) -> None:
    suffix = ".json" if "archive_json" in settings else ".webp"
    workspace = site.workspace(archive=True, force_remask=True, **settings)
    mask_folder(workspace, FOLDER, CountingDetector())
    assert archive_folder(workspace, FOLDER).failed == 0
    first = (site.output / FOLDER / f"p000{suffix}").read_bytes()
    assert (site.archive / FOLDER / f"p000{suffix}").read_bytes() == first
    newer = site.workspace(archive=True, force_remask=True, application_version="9", mask_dilation_pixels=9, **settings)
    mask_folder(newer, FOLDER, CountingDetector())
    assert archive_folder(newer, FOLDER).failed == 0
    second = (site.archive / FOLDER / f"p000{suffix}").read_bytes()
    assert second == (site.output / FOLDER / f"p000{suffix}").read_bytes() != first


def test_a_different_file_in_the_archive_is_never_overwritten(site: Site) -> None:
    (site.archive / FOLDER).mkdir(parents=True)
    other = site.archive / FOLDER / "p001.jpg"
    other.write_bytes(b"of last year")
    report = archive_folder(site.workspace(archive=True), FOLDER)
    assert (report.archived, report.failed) == (2, 1)
    assert report.failures[0].picture == f"{FOLDER}/p001.jpg"
    assert str(other) in report.failures[0].reason
    assert other.read_bytes() == b"of last year"
    assert not read_pictures(site.state, FOLDER)["p001.jpg"].archived


@pytest.mark.parametrize("released", [False, True])
def test_another_picture_with_an_archived_name_replaces_nothing(site: Site, released: bool) -> None:
    """The archive keeps the first picture, so its masked picture and record must stay too."""
    settings = {"remote_json": True, "delete_input": released}
    assert site.run(site.workspace(archive=True, **settings)).succeeded
    before = checksums(site.archive) | checksums(site.output)
    site.put("p001.jpg", capture(77))
    report = site.run(site.workspace(archive=True, **settings))
    assert (report.total("mask", "masked"), report.total("mask", "failed"), report.succeeded) == (0, 1, False)
    assert "the archive holds a different picture" in report.folders[0].failures[0].reason
    assert checksums(site.archive) | checksums(site.output) == before
    assert (site.input / FOLDER / "p001.jpg").read_bytes() == capture(77)


def test_an_input_that_changed_between_masking_and_archiving_is_not_archived(site: Site) -> None:
    site.put("p001.jpg", capture(78))
    report = archive_folder(site.workspace(archive=True), FOLDER)
    assert (report.archived, report.failed) == (2, 1)
    assert "has changed since it was masked" in report.failures[0].reason
    assert len(names_below(site.archive)) == 2


@pytest.fixture
def put_in_archive(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of copies in the archive, in the order in which they get them."""
    names: list[str] = []

    def note(part: Path, target: Path) -> None:
        if site.archive in target.parents:
            names.append(target.name)
        rename_new(part, target)

    monkeypatch.setattr("anonymisation.chain.archive.rename_new", note)
    return names


def test_wrong_bytes_never_get_a_name_in_the_archive(site: Site, put_in_archive: list[str]) -> None:
    """Otherwise a kill at that moment would leave them there, and the picture could never be archived."""
    site.put("p001.jpg", capture(78))
    assert archive_folder(site.workspace(archive=True), FOLDER).failed == 1
    assert sorted(put_in_archive) == ["p000.jpg", "p002.jpg"]


def test_a_damaged_copy_never_gets_a_name_in_the_archive(
    site: Site, put_in_archive: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    utime = os.utime

    def damage(part: Path, ns: tuple[int, int]) -> None:
        if part.stat().st_size == (site.input / FOLDER / "p001.jpg").stat().st_size:
            part.write_bytes(b"other bytes")
        utime(part, ns=ns)

    site.put("p001.jpg", capture(1) + b"longer than the others" * 99)
    mask_folder(site.workspace(), FOLDER, CountingDetector())
    monkeypatch.setattr("anonymisation.files.atomic.os.utime", damage)
    report = archive_folder(site.workspace(archive=True), FOLDER)
    assert [failure.picture[-8:] for failure in report.failures] == ["p001.jpg"]
    assert "does not read back" in report.failures[0].reason
    assert sorted(put_in_archive) == ["p000.jpg", "p002.jpg"]
    assert len(names_below(site.archive)) == 2


def test_a_file_that_appears_during_the_copy_is_not_replaced(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a.jpg and A.jpg on a share that ignores case."""
    other = site.archive / FOLDER / "p001.jpg"
    utime = os.utime

    def add_other(part: Path, ns: tuple[int, int]) -> None:
        other.write_bytes(b"of another picture")
        utime(part, ns=ns)

    monkeypatch.setattr("anonymisation.files.atomic.os.utime", add_other)
    for name in ("p000.jpg", "p002.jpg"):
        (site.input / FOLDER / name).unlink()
    report = archive_folder(site.workspace(archive=True), FOLDER)
    assert (report.archived, report.failed) == (0, 1)
    assert "the archive holds a different picture" in report.failures[0].reason
    assert other.read_bytes() == b"of another picture"
    assert not read_pictures(site.state, FOLDER)["p001.jpg"].archived


def test_a_copy_counts_once_its_folder_is_flushed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    place = site.archive / FOLDER
    fsync = os.fsync

    def lost(descriptor: int) -> None:
        if place.exists() and os.fstat(descriptor).st_ino == place.stat().st_ino:
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr("anonymisation.files.atomic.os.fsync", lost)
        with pytest.raises(ShareUnavailableError, match="Input/output error"):
            archive_folder(site.workspace(archive=True), FOLDER)
    assert not any(known.archived for known in read_pictures(site.state, FOLDER).values())
    assert archive_folder(site.workspace(archive=True), FOLDER).failed == 0
    assert all(known.archived for known in read_pictures(site.state, FOLDER).values())


def test_a_failed_copy_is_reported(site: Site) -> None:
    (site.archive / FOLDER / "p001.jpg").mkdir(parents=True)
    report = archive_folder(site.workspace(archive=True), FOLDER)
    assert (report.archived, report.failed) == (2, 1)
    assert "cannot be archived" in report.failures[0].reason


def test_pictures_masked_before_there_was_an_archive_are_archived_and_released_now(site: Site) -> None:
    detector = CountingDetector()
    workspace = site.workspace(archive=True, delete_input=True, write_exif_to_db=True)
    report = site.run(workspace, detector)
    assert report.succeeded
    assert detector.calls == 0
    assert (report.total("archive", "archived"), report.total("release", "released")) == (3, 3)
    assert names_below(site.input) == []


def test_each_new_parent_in_the_archive_is_flushed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    inodes = set()
    fsync = os.fsync

    def note(descriptor: int) -> None:
        inodes.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    assert archive_folder(site.workspace(archive=True), FOLDER).archived == 3
    place = site.archive / FOLDER
    folders = [place, *(parent for parent in place.parents if parent.is_relative_to(site.root))]
    assert {folder.stat().st_ino for folder in folders} <= inodes


def test_an_equal_copy_that_appears_during_the_copy_is_taken(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two deployments with one archive, and one delivery to both."""

    def be_late(part: Path, target: Path) -> None:
        target.write_bytes(part.read_bytes())
        rename_new(part, target)

    monkeypatch.setattr("anonymisation.chain.archive.rename_new", be_late)
    report = archive_folder(site.workspace(archive=True), FOLDER)
    assert (report.archived, report.already_archived, report.failed) == (0, 3, 0)
    assert len(names_below(site.archive)) == 3
    assert all(known.archived for known in read_pictures(site.state, FOLDER).values())


def test_an_error_in_the_middle_keeps_the_counts_of_what_was_archived(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = site.workspace(archive=True, enable_async=False)
    known = archive_module._archive_picture

    def away(workspace: Workspace, paths: ImagePaths, picture: PictureState) -> bool:
        if paths.name == "p002.jpg":
            raise ShareUnavailableError("the archive is away")
        return known(workspace, paths, picture)

    monkeypatch.setattr(archive_module, "_archive_picture", away)
    with pytest.raises(ShareUnavailableError) as ended:
        archive_folder(workspace, FOLDER)
    report = partial_report(ended.value)
    assert (report.archived, report.failed) == (2, 0)
    assert report.size == sum((site.archive / FOLDER / f"p00{number}.jpg").stat().st_size for number in range(2))
