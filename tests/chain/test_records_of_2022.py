"""Runs whose records are of the 2022 form, alone and among records of the 2020 form."""

from __future__ import annotations

import json
import logging
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from anonymisation.imaging.exif.read import read_exif
from anonymisation.metadata.forms.known import form_of
from tests.captures import (
    FOLDER,
    SECRET_DRIVER,
    CountingDetector,
    Site,
    capture,
    names_below,
    pixels_of,
    plain,
    properties,
)
from tests.imaging.builders import TiffBuilder, jpeg, with_exif
from tests.metadata.forms.conftest import GEOTAG, INFO, additional, first_form, properties_xml

WIDE: dict[str, Any] = {
    "record_form": 2022, "data_eier": "Statens vegvesen", "table_name": "VEGBILDER_2022",
    "table_primary_key": "bildeid", "db_table": "VEGBILDER_2022", "write_exif_to_db": True, "remote_json": True,
    "local_json": True, "archive_json": True,
}  # fmt: skip
ROWS = "SELECT Filnavn, Dataeier, Bildetype, Hastighet, Bildebredde, JsonData FROM VEGBILDER ORDER BY Filnavn"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def record(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def form(path: Path) -> int | None:
    found = form_of(record(path))
    return None if found is None else found.name


def test_both_forms_in_one_state_folder_and_one_table(site: Site) -> None:
    site.put("p001.jpg", capture(1, "p001.jpg"))
    older = {**WIDE, "record_form": 2020, "table_name": None}
    assert site.run(site.workspace(archive=True, **older)).succeeded
    site.put("p002.jpg", capture(2, "p002.jpg"))
    workspace = site.workspace(archive=True, **WIDE)
    report = site.run(workspace)
    assert report.succeeded, [folder.failures or folder.error for folder in report.folders]
    assert (report.total("mask", "masked"), report.total("mask", "already_done")) == (1, 1)
    outputs = site.output / FOLDER
    assert [form(outputs / f"p00{n}.json") for n in (1, 2)] == [2020, 2022]
    rows = site.rows(ROWS)
    assert [row[:5] for row in rows] == [
        ("p001.jpg", "Statens vegvesen", "Planar", None, None),
        ("p002.jpg", "Statens vegvesen", "Planar", None, 144),
    ]
    assert [json.loads(row[5]) for row in rows] == [record(outputs / f"p00{n}.json") for n in (1, 2)]
    shutil.rmtree(workspace.shares.state)
    detector = CountingDetector()
    last = site.workspace(archive=True, delete_input=True, **WIDE)
    report = site.run(last, detector)
    assert report.succeeded, [folder.failures or folder.error for folder in report.folders]
    assert (detector.calls, report.total("release", "released")) == (0, 2)
    assert names_below(site.input) == []
    assert [name for name in names_below(site.archive) if name.endswith(".jpg")] == [
        f"{FOLDER}/p001.jpg", f"{FOLDER}/p002.jpg",
    ]  # fmt: skip
    assert len(site.rows(ROWS)) == 2


def drawn(link: bytes, camera: str = "Sphere 5", xml: bytes | None = None) -> bytes:
    """A drawn picture with tag 40056, taken on 3 May 2022 at 12:00."""
    tiff = TiffBuilder("<")
    main = {0x0110: tiff.ascii(camera), 40056: tiff.raw(link, kind=7)}
    if xml is not None:
        main[40055] = tiff.raw(xml, kind=7)
    exif = {0x9003: tiff.ascii("2022:05:03 12:00:00")}
    return with_exif(jpeg(pixels_of(1)), tiff.build(main, exif, {}))


def test_pictures_with_the_link_become_complete_rows(site: Site) -> None:
    folder = "TilSladding/2022/360/EV00018/S10/D1/F5K_2022_05_03"
    site.put("EV00018_S10D1_m01257_f5K.jpg", drawn(additional(info=INFO)), folder)
    tag = properties_xml({"VCCountyNo": "46", "VCMeter": "54,5"}, top={"Tilt": "1"}, geotag=GEOTAG)
    march = first_form({"ReflinkId": "7", "ReflinkPosition": "0,5"})
    site.put("FV00013_S1D1_m00054_f1.jpg", drawn(march, "Camera 5", tag), "TilSladding/2022/Planar/F1")
    site.put("EV134_S5D1_m03212_f1.jpg", plain(3), "TilSladding/2022/06")
    report = site.run(site.workspace(**{**WIDE, "image_type": "360", "fylkesnummer": 34, "archive_json": False}))
    assert report.succeeded, [folder.failures or folder.error for folder in report.folders]
    rows = site.rows(
        "SELECT Filnavn, Kamera, Moh, Vegtype, FylkeNummer, Vegkategori, Vegnummer, Strekning, Meter, Hastighet, "
        "Baselineinfo, Feltkode, VegIdentitet, ExifKvalitet, ReflinkPosisjon, Roll FROM VEGBILDER ORDER BY ID DESC"
    )
    assert [row for row in rows if row[0] != "EV134_S5D1_m03212_f1.jpg"] == [
        (
            "FV00013_S1D1_m00054_f1.jpg", "Camera 5", None, "Ukjent", 46, "F", 13, 1, 54.5, None, ";;;;1", "1",
            "FV13 S1D1 m54.5", 2, 0.5, None,
        ),
        (
            "EV00018_S10D1_m01257_f5K.jpg", "Sphere 5", 3.3500000000000014, "Vanlig veg", 34, "E", 18, 10, 1257.46,
            22.47, None, "5K", "EV18 S10D1 m1257", 2, 0.027, 0.29,
        ),
    ]  # fmt: skip
    [row] = [row for row in rows if row[0] == "EV134_S5D1_m03212_f1.jpg"]
    assert row == (
        "EV134_S5D1_m03212_f1.jpg", None, None, "Ukjent", 6, "E", 134, 5, 3212, None, None, "1", "EV134 S5D1 m3212", 0,
        None, None,
    )  # fmt: skip


def test_a_record_that_the_table_refuses_fails_its_picture_before_anything_is_published(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.put("whole.jpg", capture(1, "whole.jpg"))
    homeless = properties("a.jpg", 2).replace(b"<VCMeter>2</VCMeter>", b"")
    original = site.put("metreless.jpg", capture(2, xml=homeless))
    options = {**WIDE, "delete_input": True}
    workspace = site.workspace(archive=True, **options)
    report = site.run(workspace)
    assert not report.succeeded
    [failure] = [failure for folder in report.folders for failure in folder.failures]
    assert "column Meter would be empty" in failure.reason
    assert [name for name in names_below(site.output) if "metreless" in name] == []
    assert [name for name in names_below(site.archive) if "metreless" in name] == []
    assert original.exists()
    assert [row[0] for row in site.rows(ROWS)] == ["whole.jpg"]
    errors = workspace.shares.errors / FOLDER
    assert sorted(path.name for path in errors.iterdir()) == [
        "metreless.jpg", "metreless_error.txt", "metreless_exif_error.json",
    ]  # fmt: skip
    kept = (errors / "metreless_exif_error.json").read_text("utf-8")
    assert form_of(json.loads(kept)) is not None
    assert SECRET_DRIVER not in kept
    assert stat.S_IMODE((errors / "metreless_exif_error.json").stat().st_mode) == 0o600
    detector = CountingDetector()
    again = site.run(site.workspace(archive=True, **options), detector)
    assert (detector.calls, again.total("mask", "known_failed")) == (0, 1)
    assert site.run(site.workspace(archive=True, **{**options, "table_name": "PICTURES"})).total("mask", "masked") == 1
    assert list(errors.iterdir()) == []


def test_an_owner_that_is_missing_is_named_at_the_start(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.put("p.jpg", capture(1))
    with caplog.at_level(logging.WARNING):
        report = site.run(site.workspace(**{**WIDE, "data_eier": None, "archive_json": False}))
    [failure] = [failure for folder in report.folders for failure in folder.failures]
    assert "column Dataeier would be empty" in failure.reason
    warnings = [message for message in caplog.messages if "set data_eier" in message]
    assert len(warnings) == 1
    assert caplog.messages.index(warnings[0]) < caplog.messages.index(f"{FOLDER}/p.jpg: {failure.reason}")


def test_time_and_place_of_the_masked_picture_are_those_of_its_record(site: Site) -> None:
    tiff = TiffBuilder("<")
    exif = {0x9003: tiff.ascii("2022:05:03 10:11:12"), 0x9291: tiff.ascii("75")}
    gps = {
        1: tiff.ascii("S"), 2: tiff.ratio((59, 1), (30, 1), (0, 1)), 3: tiff.ascii("W"),
        4: tiff.ratio((9, 1), (0, 1), (0, 1)), 5: tiff.raw(b"\x01"), 6: tiff.ratio((515, 10)),
        12: tiff.ascii("K"), 13: tiff.ratio((1388, 100)), 16: tiff.ascii("T"), 17: tiff.ratio((27050, 100)),
    }  # fmt: skip
    site.put("p.jpg", capture(1, exif=exif, gps=gps))
    site.put("tagged.jpg", capture(2, exif={0x9003: tiff.ascii("2022:05:03")}))
    report = site.run(site.workspace(record_form=2022, remote_json=True, image_type="360"))
    assert report.succeeded, [folder.failures or folder.error for folder in report.folders]
    made = record(site.output / FOLDER / "p.json")
    keys = ("exif_tid", "exif_gpsposisjon", "exif_altitude", "exif_speed_ms", "exif_heading", "exif_kvalitet")
    assert [made[key] for key in keys] == [
        "2022-05-03T10:11:12", "srid=4326;POINT Z( -9.0 -59.5 51.5 )", "51.5", "13.88", "270.5", "1",
    ]  # fmt: skip
    published = read_exif((site.output / FOLDER / "p.jpg").read_bytes())
    assert published.camera.exposed is not None
    assert published.camera.exposed.isoformat() == made["exif_tid"]
    place = published.place
    assert (place.longitude, place.latitude, place.altitude, place.heading) == (-9.0, -59.5, 51.5, 270.5)
    tagged = record(site.output / FOLDER / "tagged.json")
    assert (tagged["exif_tid"], tagged["exif_gpsposisjon"]) == (
        "2021-05-01T10:00:02.2500000", "srid=4326;POINT Z( 10.5 59.5 100 )",
    )  # fmt: skip
    original = read_exif((site.output / FOLDER / "tagged.jpg").read_bytes()).times.original
    assert original is not None
    assert original.isoformat() == "2021-05-01T10:00:02.250000"
