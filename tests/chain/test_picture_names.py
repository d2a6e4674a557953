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


def test_names_that_are_not_unicode_are_known_failures(site: Site) -> None:
    site.fill(1)
    site.put(os.fsdecode(b"bl\xe5b\xe6r.jpg"), capture(9))
    workspace = site.workspace()
    report = mask_folder(workspace, FOLDER, CountingDetector())
    assert counts(report) == (2, 1, 0, 1, 0)
    assert "not valid UTF-8" in report.failures[0].reason
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (2, 0, 1, 0, 1)
    json.dumps(report.to_dict()).encode("utf-8")
