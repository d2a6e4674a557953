"""The folders of the shares are made once and recognised after that, so that an unmounted share is no empty one."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.mask import mask_folder
from anonymisation.chain.release import release_folder
from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.access import ShareAwayError
from anonymisation.files.permissions import new_file_exactly
from anonymisation.workspace.roots import MARKER, make_folder
from tests.captures import FOLDER, CountingDetector, Site, checksums, names_below

SETTINGS: dict[str, Any] = {"archive": True, "delete_input": True, "remote_json": True}
ROLES = ("output", "archive")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(2)
    return site


@pytest.fixture
def used(site: Site) -> Site:
    """A site whose folders were used; all its originals are released. Then the road car delivers again."""
    assert site.run(site.workspace(**SETTINGS)).succeeded
    site.fill(2, first=10)
    return site


def place(site: Site, role: str) -> Path:
    return {"output": site.output, "archive": site.archive}[role]


def unmount(path: Path, *, mount_point: bool) -> Path:
    """Take the content of a share away; returns where it is now."""
    away = path.with_name(f"{path.name}.away")
    path.rename(away)
    if mount_point:
        path.mkdir()
    return away


def test_folders_are_made_and_marked_on_first_use(site: Site) -> None:
    workspace = site.workspace(archive=True)
    workspace.require_shares()
    markers = [(site.output / MARKER).read_bytes(), (site.archive / MARKER).read_bytes()]
    assert all(markers)
    assert len(set(markers)) == 2
    workspace.require_shares()
    assert markers == [(site.output / MARKER).read_bytes(), (site.archive / MARKER).read_bytes()]
    assert not (site.input / MARKER).exists()


@pytest.mark.parametrize("role", ROLES)
def test_the_parent_of_a_new_folder_must_be_there(site: Site, role: str) -> None:
    missing = site.root / "mnt" / "share"
    setattr(site, role, missing)
    with pytest.raises(ShareUnavailableError, match=rf"{role} folder {missing} cannot be created: its parent folder"):
        site.workspace(**SETTINGS).require_shares()
    assert not missing.parent.exists()


@pytest.mark.parametrize("mount_point", [False, True])
@pytest.mark.parametrize("role", ROLES)
def test_an_unmounted_share_stops_every_step_and_nothing_is_lost(used: Site, role: str, mount_point: bool) -> None:
    workspace = used.workspace(**SETTINGS)
    mask_folder(workspace, FOLDER, CountingDetector())
    originals = checksums(used.input)
    path = place(used, role)
    away = unmount(path, mount_point=mount_point)
    steps: list[Callable[[], object]] = [
        lambda: mask_folder(workspace, FOLDER, CountingDetector()),
        lambda: archive_folder(workspace, FOLDER),
        lambda: check_folder(workspace, FOLDER),
        lambda: release_folder(workspace, FOLDER),
        lambda: used.run(workspace),
    ]
    for step in steps:
        with pytest.raises(ShareUnavailableError, match=r"is its share mounted\?") as caught:
            step()
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == 3
        assert caught.value.retryable
    assert path.exists() is mount_point
    assert not mount_point or names_below(path) == []
    assert checksums(used.input) == originals
    if mount_point:
        path.rmdir()
    away.rename(path)
    assert used.run(workspace).succeeded
    assert names_below(used.input) == []


def test_a_share_that_is_mounted_in_time_is_waited_for(used: Site) -> None:
    away = unmount(used.archive, mount_point=False)
    threading.Timer(0.3, away.rename, [used.archive]).start()
    assert used.run(used.workspace(file_access_timeout_seconds=60, **SETTINGS)).succeeded


def confirmation(error: ShareUnavailableError) -> str:
    return str(error).partition("confirm it with: ")[2]


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def emptied(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def replaced(path: Path) -> None:
    emptied(path)
    (path / MARKER).write_bytes(b"of another share\n")


@pytest.mark.parametrize("change", [moved, emptied, replaced])
@pytest.mark.parametrize("role", ROLES)
def test_a_change_on_purpose_is_confirmed_once(used: Site, role: str, change: Callable[[Path], None]) -> None:
    """With the very command of the message, also where the path has a space."""
    workspace = used.workspace(**SETTINGS)
    path = place(used, role)
    change(path)
    with pytest.raises(ShareUnavailableError) as caught:
        workspace.require_shares()
    subprocess.run(confirmation(caught.value), shell=True, check=True)
    workspace.require_shares()
    assert (path / MARKER).read_bytes()  # filled in
    emptied(path)
    with pytest.raises(ShareUnavailableError):  # the confirmation was for that change alone
        workspace.require_shares()


def test_the_confirmation_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    root = tmp_path / "with a space; and more"
    root.mkdir()
    site = Site(root)
    workspace = site.workspace()
    workspace.require_shares()
    moved(site.output)
    with pytest.raises(ShareUnavailableError) as caught:
        workspace.require_shares()
    subprocess.run(shlex.split(f"sh -c {shlex.quote(confirmation(caught.value))}"), check=True)
    workspace.require_shares()


def older_version(site: Site) -> None:
    """What a version left that knew no markers."""
    shutil.rmtree(site.state / "roots")
    for path in (site.output, site.archive):
        (path / MARKER).unlink()


def test_a_deployment_of_an_older_version_goes_on(used: Site) -> None:
    older_version(used)
    assert used.run(used.workspace(**SETTINGS)).succeeded
    assert all((path / MARKER).is_file() for path in (used.output, used.archive))
    unmount(used.archive, mount_point=True)
    with pytest.raises(ShareUnavailableError):
        used.workspace(**SETTINGS).require_shares()


def test_an_unreadable_journal_matters_to_its_own_folder_alone(used: Site) -> None:
    older_version(used)
    (used.state / "folders" / "A-unreadable" / "pictures.jsonl").mkdir(parents=True)
    used.workspace(**SETTINGS).require_shares()
    older_version(used)
    unmount(used.archive, mount_point=True)
    with pytest.raises(ShareUnavailableError, match="is empty, and pictures were written there before"):
        used.workspace(**SETTINGS).require_shares()


@pytest.mark.parametrize("mount_point", [False, True])
@pytest.mark.parametrize("role", ROLES)
def test_a_share_that_is_away_at_the_upgrade_is_noticed(used: Site, role: str, mount_point: bool) -> None:
    older_version(used)
    unmount(place(used, role), mount_point=mount_point)
    with pytest.raises(ShareUnavailableError, match="pictures were written there before") as caught:
        used.workspace(**SETTINGS).require_shares()
    subprocess.run(confirmation(caught.value), shell=True, check=True)
    used.workspace(**SETTINGS).require_shares()


def test_an_archive_that_is_configured_later_is_new(site: Site) -> None:
    assert site.run(site.workspace()).succeeded
    shutil.rmtree(site.state / "roots")
    assert site.run(site.workspace(archive=True)).succeeded
    assert len(names_below(site.archive)) == 2


def test_a_lost_state_folder_takes_the_marked_folders_as_they_are(used: Site) -> None:
    markers = [(path / MARKER).read_bytes() for path in (used.output, used.archive)]
    shutil.rmtree(used.state)
    assert used.run(used.workspace(**SETTINGS)).succeeded
    assert [(path / MARKER).read_bytes() for path in (used.output, used.archive)] == markers


def test_two_deployments_share_an_archive(used: Site, tmp_path: Path) -> None:
    marker = (used.archive / MARKER).read_bytes()
    (tmp_path / "second").mkdir()
    second = Site(tmp_path / "second")
    second.archive = used.archive
    second.fill(1, "elsewhere", first=30)
    assert second.run(second.workspace(**SETTINGS)).succeeded
    assert used.run(used.workspace(**SETTINGS)).succeeded
    assert (used.archive / MARKER).read_bytes() == marker


def first_use(root: Path, start: Any) -> None:
    workspace = Site(root).workspace(archive=True)
    start.wait()
    workspace.require_shares()


def test_workers_that_start_at_once_agree(site: Site) -> None:
    context = multiprocessing.get_context("fork")
    for _ in range(4):
        start = context.Event()
        workers = [context.Process(target=first_use, args=(site.root, start)) for _ in range(6)]
        for worker in workers:
            worker.start()
        start.set()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0] * 6
        site.workspace(archive=True).require_shares()
        for path in (site.output, site.archive, site.state):
            shutil.rmtree(path)


def test_a_folder_that_cannot_be_marked_is_used_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a read-only archive, for a check; it must only be there."""
    site.output.mkdir()
    site.archive.mkdir()

    def read_only(path: Path, mode: int) -> IO[bytes]:
        if site.archive in path.parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return new_file_exactly(path, mode)

    monkeypatch.setattr("anonymisation.workspace.roots.new_file_exactly", read_only)
    workspace = site.workspace(archive=True)
    with caplog.at_level(logging.WARNING):
        workspace.require_shares()
        workspace.require_shares()
    assert len([record for record in caplog.records if "cannot be marked" in record.getMessage()]) == 1
    assert not (site.archive / MARKER).exists()
    site.archive.rmdir()
    with pytest.raises(ShareUnavailableError, match="is missing, and was used before"):
        workspace.require_shares()
    site.archive.mkdir()
    monkeypatch.undo()
    workspace.require_shares()
    assert (site.archive / MARKER).is_file()


@pytest.mark.parametrize("role", ["input", *ROLES])
@pytest.mark.parametrize("mount_point", [False, True])
def test_no_folder_is_made_below_a_share_that_is_gone(used: Site, role: str, mount_point: bool) -> None:
    workspace = used.workspace(**SETTINGS)
    path = used.input if role == "input" else place(used, role)
    unmount(path, mount_point=mount_point)
    with pytest.raises(ShareAwayError):
        make_folder(workspace.shares, path / "2022" / "new")
    assert path.exists() is mount_point
    assert not mount_point or list(path.iterdir()) == []


def vanishing(site: Site, path: Path, *, mount_point: bool) -> CountingDetector:
    """A detector during whose first picture a share is unmounted."""
    done: list[Path] = []

    def before(_: object) -> None:
        if not done:
            done.append(unmount(path, mount_point=mount_point))

    return CountingDetector(before=before)


@pytest.mark.parametrize("mount_point", [False, True])
@pytest.mark.parametrize("role", ["input", "output"])
@pytest.mark.parametrize("threads", [False, True])
def test_a_share_that_vanishes_while_pictures_are_masked_is_not_made_again(
    site: Site, role: str, mount_point: bool, threads: bool
) -> None:
    """With local_json and local_mask, the input folder was made again beneath its mount point."""
    path = site.input if role == "input" else site.output
    workspace = site.workspace(local_json=True, local_mask=True, remote_json=True, enable_async=threads)
    with pytest.raises(ShareUnavailableError):
        mask_folder(workspace, FOLDER, vanishing(site, path, mount_point=mount_point))
    assert path.exists() is mount_point
    assert not mount_point or list(path.iterdir()) == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("role", ROLES)
def test_a_pipe_in_place_of_a_marker_is_named_and_not_waited_for(used: Site, role: str) -> None:
    marker = place(used, role) / MARKER
    marker.unlink()
    os.mkfifo(marker)
    before = checksums(used.input)
    with pytest.raises(ShareUnavailableError, match=rf"{role} folder .*{MARKER} is not a file; remove it"):
        used.run(used.workspace(**SETTINGS))
    assert checksums(used.input) == before
