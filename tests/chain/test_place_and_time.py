"""What a run publishes and stores of place and time: both from one reading of the picture."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.captures import FOLDER, Site, capture, plain
from tests.imaging.builders import TiffBuilder, with_exif

TIFF = TiffBuilder("<")
WEST = {1: TIFF.ascii("north"), 2: TIFF.double(60.5), 3: TIFF.ascii("w"), 4: TIFF.ratio((10, 1), (45, 1)),
        5: TIFF.short(1), 6: TIFF.ratio((12, 1)), 17: TIFF.ratio((-90, 1), kind=10)}  # fmt: skip
DATED = {0x9003: TIFF.ascii("2021:05:01 12:00: 0"), 0x9011: TIFF.ascii("+02:00")}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def _exif(site: Site, name: str) -> tuple[dict[int, Any], dict[int, Any]]:
    with Image.open(site.output / FOLDER / name) as picture:
        return dict(picture.getexif().get_ifd(0x8769)), dict(picture.getexif().get_ifd(0x8825))


def _record(site: Site, name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((site.output / FOLDER / name).with_suffix(".json").read_bytes())
    return record


def test_published_and_recorded_place_and_time_agree(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.put("phone.jpg", with_exif(plain(1), TIFF.build({0x0112: TIFF.short(1)}, DATED, WEST)))
    site.put("vendor.jpg", capture(2, "vendor.jpg", exif=DATED, gps=WEST))
    with caplog.at_level(logging.WARNING):
        report = site.run(site.workspace(remote_json=True, write_exif_to_db=True))
    assert report.succeeded
    phone, vendor = (_record(site, name) for name in ("phone.jpg", "vendor.jpg"))

    assert (phone["exif_gpsposisjon"], phone["exif_heading"]) == ("srid=4326;POINT Z( -10.75 60.5 -12.0 )", "270.0")
    assert phone["exif_tid"] == "2021-05-01T12:00:00.000000+02:00"
    assert phone["bildeid"] == "2021-05-01T12.00.00.000000_phone"
    place = {1: "N", 2: (60, 30, 0), 3: "W", 4: (10, 45, 0), 5: b"\1", 6: 12, 17: 270}
    assert _exif(site, "phone.jpg") == ({0x9003: "2021:05:01 12:00:00", 0x9011: "+02:00"}, place)

    assert (vendor["exif_gpsposisjon"], vendor["exif_heading"]) == ("srid=4326;POINT Z( 10.5 59.5 100 )", "12.5")
    place = {1: "N", 2: (59, 30, 0), 3: "E", 4: (10, 30, 0), 5: b"\0", 6: 100, 17: 12.5}
    assert _exif(site, "vendor.jpg") == ({0x9003: "2021:05:01 10:00:02", 0x9291: "25"}, place)
    assert "vendor.jpg: the position of its standard EXIF tags is not that of tag 40055" in caplog.text

    (when,) = site.rows("SELECT Tidspunkt FROM PICTURES WHERE Filnavn = 'phone.jpg'")
    assert datetime.fromisoformat(str(when[0])) == datetime(2021, 5, 1, 10, tzinfo=UTC)


def test_a_picture_without_date_keeps_its_row_when_it_is_touched(site: Site) -> None:
    path = site.put("plain.jpg", plain(1))
    for seconds in (1_500_000_000, 1_600_000_000):
        os.utime(path, (seconds, seconds))
        assert site.run(site.workspace(write_exif_to_db=True, force_remask=True)).succeeded
        ((name, identifier),) = site.rows()
        assert (name, identifier[:7], identifier[26:]) == ("plain.jpg", "sha256-", "_plain")
