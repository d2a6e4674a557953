"""The 2022 form's default reader: times, and numbers that cannot be used."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from anonymisation.imaging.exif.camera import NO_CAMERA, CameraTags
from anonymisation.imaging.exif.moments import Times
from tests.metadata.forms.conftest import GNSS, PICTURE, Elements, Make, additional, properties_xml

EXPOSED = CameraTags(exposed=datetime(2022, 5, 3, 8))


@pytest.mark.parametrize(
    ("camera", "date", "tid", "moment"),
    [
        (EXPOSED, 'Date="2021-06-02T09:42:46.39"', "2022-05-03T08:00:00", "2022-05-03T08.00.00"),
        (NO_CAMERA, 'Date="2021-06-02T09:42:46.3948628"', "2021-06-02T09:42:46.3948628", "2021-06-02T09.42.46"),
        (NO_CAMERA, "", "2022-06-12T02:13:20.000000", "2022-06-12T02.13.20"),
        (NO_CAMERA, 'Date="soon"', "2022-06-12T02:13:20.000000", "2022-06-12T02.13.20"),
    ],
)  # fmt: skip
def test_the_time_is_to_the_second_then_the_vendors_then_the_files(
    make: Make, tmp_path: Path, camera: CameraTags, date: str, tid: str, moment: str
) -> None:
    path = tmp_path / PICTURE
    path.parent.mkdir(parents=True)
    path.touch()
    os.utime(path, (1_655_000_000, 1_655_000_000))
    record = make(properties=properties_xml(date=date), camera=camera).record
    assert (record["exif_tid"], record["exif_dato"]) == (tid, tid[:10])
    assert record["bildeid"].startswith(f"{moment}_FV00013")


@pytest.mark.parametrize(
    ("date", "message"),
    [
        ('Date="2021-06-02T09:42:46"', "DateTimeOriginal gives no time of day; the Date of tag 40055 is used"),
        ('Date="soon"', "no EXIF tag DateTimeOriginal with a time of day, no valid Date in tag 40055; the time of its"),
    ],
)
def test_what_takes_the_place_of_a_day_without_time_is_logged(
    make: Make, caplog: pytest.LogCaptureFixture, date: str, message: str
) -> None:
    day = datetime(2022, 5, 3)
    make(properties=properties_xml(date=date), camera=NO_CAMERA, times=Times(taken=day, original=day))
    assert message in caplog.text


@pytest.mark.parametrize(
    ("heading", "recorded", "warned"),
    [
        ("302.29", "302.29", False),
        ("NaN", "NaN", False),
        ("360", "0.0", False),
        ("-90", "270.0", False),
        ("361", None, True),
        ("north", None, True),
    ],
)
def test_a_heading_is_recorded_as_it_is_published(
    make: Make, caplog: pytest.LogCaptureFixture, heading: str, recorded: str | None, warned: bool
) -> None:
    made = make(link=additional(gnss={**GNSS, "Heading": heading}))
    assert made.record["exif_heading"] == recorded
    assert made.place.heading == (None if recorded in {None, "NaN"} else float(str(recorded)))
    assert ("the Heading in tag 40056 is not a direction" in caplog.text) == warned


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"Latitude": "91"}, "Latitude"), ({"Longitude": "E6"}, "Longitude"), ({"Altitude": "1e9"}, "Altitude")],
)
def test_a_number_that_cannot_be_used_is_named_and_an_unknown_one_is_not(
    make: Make, caplog: pytest.LogCaptureFixture, changes: Elements, named: str
) -> None:
    made = make(link=additional(gnss={**GNSS, **changes}))
    assert f"{named} in the vendor's tags cannot be used" in caplog.text
    assert (made.place.altitude, made.place.latitude) == ((None, 61.21) if named == "Altitude" else (51.5, 59.75))
    caplog.clear()
    make(link=additional(gnss={**GNSS, **dict.fromkeys(changes, "NaN")}))
    assert "cannot be used" not in caplog.text
