"""Records that are configured after masking, or that are lost, are written without the model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from anonymisation.metadata.record import record_from_json
from tests.captures import FOLDER, CountingDetector, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(2)
    return site


def test_a_record_that_is_configured_later_or_lost_is_written(site: Site) -> None:
    site.run(site.workspace())
    detector = CountingDetector()
    place = site.output / FOLDER / "p000.json"
    for _ in range(2):  # first because remote_json is new, then because the file was lost
        assert not place.exists()
        report = site.run(site.workspace(remote_json=True), detector)
        assert (report.succeeded, report.total("mask", "masked"), detector.calls) == (True, 0, 0)
        assert record_from_json(place.read_bytes())["exif_filnavn"] == "p000.jpg"
        place.unlink()


def test_a_foreign_file_with_the_name_of_a_record_is_not_used(site: Site) -> None:
    site.run(site.workspace(local_json=True))
    shutil.rmtree(site.state)
    (site.input / FOLDER / "p000.json").write_text('{"camera": "x"}')
    site.run(site.workspace(local_json=True, write_exif_to_db=True))
    assert len(site.rows("SELECT * FROM PICTURES")) == len(list((site.input / FOLDER).glob("*.jpg")))
