"""Names that collide, or that a record cannot hold, are refused before anything is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from anonymisation.chain.mask import mask_folder
from tests.captures import FOLDER, CountingDetector, Site, capture, counts


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_stem_collisions_are_failures(site: Site) -> None:
    site.put("a.jpeg", capture(1))
    site.put("a.jpg", capture(2))
    site.put("b.jpg", capture(3))
    assert counts(mask_folder(site.workspace(), FOLDER, CountingDetector())) == (
        3,
        3,
        0,
        0,
        0,
    )  # no derived files, so no collision
    (site.root / "again").mkdir()
    other = Site(site.root / "again")
    for name, number in (("a.jpeg", 1), ("a.jpg", 2), ("b.jpg", 3)):
        other.put(name, capture(number))
    workspace = other.workspace(remote_json=True)
    report = mask_folder(workspace, FOLDER, CountingDetector())
    assert counts(report) == (3, 2, 0, 1, 0)
    assert report.failures[0].picture == f"{FOLDER}/a.jpg"
    assert "a.jpeg" in report.failures[0].reason
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (3, 0, 2, 0, 1)
    (other.input / FOLDER / "a.jpg").rename(other.input / FOLDER / "a2.jpg")
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (3, 1, 2, 0, 0)


LONG = "ø" + "x" * 249 + ".jpg"  # 255 bytes, the most that a file system takes


@pytest.mark.parametrize("setting", ["remote_json", "local_json", "remote_mask", "local_mask"])
def test_a_name_too_long_for_a_derived_file_fails_alone_with_a_copy(
    site: Site, setting: str, caplog: pytest.LogCaptureFixture
) -> None:
    site.fill(1)
    original = site.put(LONG, capture(2))
    assert len(os.fsencode(LONG)) == 255
    workspace = site.workspace(**{setting: True})
    report = site.run(workspace)
    (failure,) = report.folders[0].failures
    assert failure.picture == f"{FOLDER}/{LONG}"
    assert "its name is too long" in failure.reason
    assert "256 bytes" in failure.reason
    assert "rename" in failure.reason
    assert (report.total("mask", "masked"), report.total("mask", "failed")) == (1, 1)
    assert not [record for record in caplog.records if record.exc_info], caplog.text
    copies = sorted(path.name for path in (site.errors / FOLDER).iterdir())
    assert len(copies) == 2
    assert (site.errors / FOLDER / LONG).read_bytes() == original.read_bytes()
    (note,) = [name for name in copies if name.endswith("_error.txt")]
    assert failure.reason in (site.errors / FOLDER / note).read_text()
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (2, 0, 1, 0, 1)
    # Without the file that does not fit the picture is masked, and its copy is removed.
    assert counts(mask_folder(site.workspace(), FOLDER, CountingDetector())) == (2, 1, 1, 0, 0)
    assert list((site.errors / FOLDER).iterdir()) == []
    # A finished picture stays so, but for a record, which the settings may ask for afterwards.
    later = mask_folder(workspace, FOLDER, CountingDetector())
    assert [item.reason for item in later.failures] == ([failure.reason] if setting.endswith("json") else [])


def test_a_very_long_name_goes_through_where_it_fits(site: Site) -> None:
    name = "x" * 250 + ".jpeg"
    site.put(name, capture(1, name))
    settings = {"remote_json": True, "local_json": True, "archive_json": True, "remote_mask": True}
    report = site.run(site.workspace(archive=True, write_exif_to_db=True, **settings))
    assert report.succeeded, report.folders


def test_names_that_are_not_unicode_are_known_failures(site: Site) -> None:
    site.fill(1)
    site.put(os.fsdecode(b"bl\xe5b\xe6r.jpg"), capture(9))
    workspace = site.workspace()
    report = mask_folder(workspace, FOLDER, CountingDetector())
    assert counts(report) == (2, 1, 0, 1, 0)
    assert "not valid UTF-8" in report.failures[0].reason
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (2, 0, 1, 0, 1)
    json.dumps(report.to_dict()).encode("utf-8")
