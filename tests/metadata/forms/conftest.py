"""Makes pictures of the 2022 form out of the XML of the vendor's tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from anonymisation.imaging.exif.camera import CameraTags
from anonymisation.imaging.exif.moments import NO_TIMES, Times
from anonymisation.imaging.exif.place import Place
from anonymisation.imaging.exif.read import ExifTags
from anonymisation.metadata.record import Description, RecordContext, describe

Elements = Mapping[str, str | None]

PICTURE: Final = "TilSladding/2021/Planar/FV00013/S1/D1/F1_2021_06_02/FV00013_S1D1_m00054_f1.jpg"
STORED: Final = r"D:\Opptak\2022\360\EV00018\S10\D1\F5K_2022_05_03\EV00018_S10D1_m01257_f5K.jpg"
TAKEN: Final = datetime(2021, 6, 2, 9, 42, 46)
GNSS: Final[Elements] = {
    "Latitude": "61.21", "Longitude": "6.56", "Altitude": "48.85", "Roll": "0.29", "Pitch": "NaN",
    "Heading": "302.29", "Speed": "22.468", "GeoidalSeparation": "45.5", "NorthRmsError": "0.1",
    "EastRmsError": "0.2", "DownRmsError": "0.3", "RollRmsError": "0.4", "PitchRmsError": "0.5",
    "HeadingRmsError": "0.6",
}  # fmt: skip
ROAD: Final[Elements] = {"ReflinkId": "384067", "ReflinkPosition": "0.027", "RoadIdent": "EV18 S10D1 m1257"}
INFO: Final[Elements] = {"StorageFile": STORED, "roadtype": "Vanlig veg", "meter": "1257.456", "fylke": "34"}
GEOTAG: Final[Elements] = {"dLongitude": "6.5", "dLatitude": "61.2", "dAltitude": "7.25"}
PLACE: Final = Place(latitude=59.75, longitude=9.5, altitude=51.5, heading=270.5)


def elements(values: Elements) -> str:
    """XML elements; a name whose value is None has none."""
    return "".join(f"<{name}>{text}</{name}>" for name, text in values.items() if text is not None)


def additional(road: Elements | None = ROAD, gnss: Elements | None = GNSS, info: Elements | None = None) -> bytes:
    """Tag 40056 in the form of May 2020; a part that is None is missing."""
    parts = (("RoadInfo", road), ("GnssInfo", gnss), ("ImageInfo", info))
    inside = "".join(f"<{name}>{elements(part)}</{name}>" for name, part in parts if part is not None)
    return f"\ufeff<AdditionalInfoNorway2>{inside}</AdditionalInfoNorway2>".encode()


def first_form(values: Elements) -> bytes:
    """Tag 40056 in the form of March 2020."""
    return f"\ufeff<ReflinkInfo>{elements(values)}</ReflinkInfo>".encode()


def properties_xml(
    values: Elements | None = None, *, top: Elements | None = None, geotag: Elements | None = None,
    date: str = 'Date="2021-06-02T09:42:46.3948628"',
) -> bytes:  # fmt: skip
    """Tag 40055 with VegComValues (None: without), elements at the top, and GeoTag."""
    parts = elements(top or {})
    parts += "" if values is None else f"<VegComValues>{elements(values)}</VegComValues>"
    parts += "" if geotag is None else f"<GeoTag>{elements(geotag)}</GeoTag>"
    return f"\ufeff<ImageProperties {date}>{parts}</ImageProperties>".encode()


Make = Callable[..., Description]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The description of a picture of the 2022 form from its tags and settings."""

    def describe_it(
        *, link: bytes | None = None, properties: bytes | None = None, picture: str = PICTURE, present: bool = True,
        place: Place = PLACE, camera: CameraTags | None = None, times: Times = NO_TIMES,
        template: str = "Vegbilder/{relative_input_dir}", **options: Any,
    ) -> Description:  # fmt: skip
        path = tmp_path / picture
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch()
        tags = CameraTags("Camera", TAKEN, 13.888, 51.5) if camera is None else camera
        exif = ExifTags(present=False)
        if present:
            exif = ExifTags(True, properties, link, camera=tags, place=place, xp_title="T", times=times)
        given: dict[str, Any] = {"form": 2022, "owner": "Owner", "county": "34"}
        context = RecordContext(tmp_path, "TilSladding", template, "X", **(given | options))
        return describe(path, exif, context, objects={"car": 1}, size=(480, 270))

    return describe_it
