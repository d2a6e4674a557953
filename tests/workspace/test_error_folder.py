"""The error folder holds unmasked originals, so its permissions must not depend on the umask of the process."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anonymisation.chain.mask import mask_folder
from tests.captures import FOLDER, CountingDetector, Site, capture, names_below

PARTS = [Path(), *reversed(Path(FOLDER).parents[:-1]), Path(FOLDER)]


@pytest.fixture(params=[0, 0o022, 0o077], ids=oct)
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A truncated capture and a valid one; the process has the umask of the test."""
    site = Site(tmp_path)
    site.fill(1)
    site.put("torn.jpg", capture(1)[:700])
    before = os.umask(request.param)
    yield site
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def modes_of_folders(base: Path) -> list[int]:
    """The modes from the error folder down to the capture folder."""
    return [mode(base / part) for part in PARTS]


@pytest.mark.parametrize(
    ("settings", "of_folders", "of_files"),
    [
        ({}, 0o700, 0o600),
        ({"error_output_mode": "0750"}, 0o750, 0o640),
        ({"error_output_mode": "2770"}, 0o2770, 0o660),
    ],
)
def test_copies_have_the_configured_permissions(
    site: Site, settings: dict[str, Any], of_folders: int, of_files: int
) -> None:
    report = site.run(site.workspace(**settings))
    assert report.total("mask", "failed") == 1
    assert len(PARTS) == 6
    assert modes_of_folders(site.errors) == [of_folders] * len(PARTS)
    names = names_below(site.errors)
    assert names == [f"{FOLDER}/torn.jpg", f"{FOLDER}/torn_error.txt"]
    assert {mode(site.errors / name) for name in names} == {of_files}


def test_where_nothing_fails_there_is_no_error_folder(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fill(2)
    site.run(site.workspace(archive=True, delete_input=True))
    site.workspace().require_shares()
    assert not site.errors.exists()


def test_a_missing_error_folder_is_made_with_the_permissions(site: Site) -> None:
    errors = site.root / "far" / "away" / "errors"
    mask_folder(site.workspace(error_output_dir=str(errors)), FOLDER, CountingDetector())
    assert names_below(errors) == [f"{FOLDER}/torn.jpg", f"{FOLDER}/torn_error.txt"]
    assert mode(errors) == 0o700
    assert mode(errors.parent) == 0o777 & ~os_umask()  # the parent is not ours alone


def test_a_note_that_cannot_be_written_does_not_cost_the_copy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path)
    site.put("torn.jpg", capture(1)[:700])
    (site.errors / FOLDER / "torn_error.txt").mkdir(parents=True)
    mask_folder(site.workspace(), FOLDER, CountingDetector())
    assert (site.errors / FOLDER / "torn.jpg").read_bytes() == capture(1)[:700]
    assert "its reason cannot be put into the error folder" in caplog.text


def test_existing_folders_keep_their_permissions(site: Site) -> None:
    given = site.errors / PARTS[2]
    given.mkdir(parents=True)
    for folder in (site.errors, site.errors / PARTS[1], given):
        folder.chmod(0o751)
    mask_folder(site.workspace(), FOLDER, CountingDetector())
    assert modes_of_folders(site.errors) == [0o751, 0o751, 0o751, 0o700, 0o700, 0o700]
    assert mode(site.errors / FOLDER / "torn.jpg") == 0o600


def test_an_old_copy_gets_the_permissions_when_the_picture_fails_again(site: Site) -> None:
    old = site.errors / FOLDER / "torn.jpg"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"older")
    old.chmod(0o644)
    mask_folder(site.workspace(), FOLDER, CountingDetector())
    assert old.read_bytes() == capture(1)[:700]
    assert mode(old) == 0o600


def test_other_folders_get_default_permissions(site: Site) -> None:
    site.run(site.workspace(archive=True))
    for base in (site.output, site.archive):
        assert mode(base) == 0o777 & ~os_umask()
    assert mode(site.output / FOLDER / "p000.jpg") == 0o666 & ~os_umask()


@pytest.mark.parametrize("of_original", [0o640, 0o600])
def test_archive_copies_have_no_more_permissions_than_their_originals(site: Site, of_original: int) -> None:
    (site.input / FOLDER / "p000.jpg").chmod(of_original)
    site.run(site.workspace(archive=True))
    assert mode(site.archive / FOLDER / "p000.jpg") == of_original & ~os_umask()


def os_umask() -> int:
    """The current umask."""
    now = os.umask(0)
    os.umask(now)
    return now
