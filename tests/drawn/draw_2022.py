"""Draws pictures as the recorders of 2018 to 2022 leave them, for the records of the 2022 form.

Their records lie in `reference/form2022`, written by hand from docs/reference/record.md and
docs/how-to/records-of-2022.md: one picture for each way in which values come into a record. `wide_row` makes the rows
of the wide table. Roads, places, times and people are made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.drawn.draw import DRIVER, number, point, row
from tests.imaging.builders import RawEntry, TiffBuilder, jpeg, scene, with_exif

Tree = Mapping[str, "str | Tree"]

_TIFF: Final = TiffBuilder("<")
_NORTH_EAST: Final = {
    1: _TIFF.ascii("N"), 2: _TIFF.ratio((60, 1), (30, 1), (0, 1)),
    3: _TIFF.ascii("E"), 4: _TIFF.ratio((10, 1), (15, 1), (0, 1)),
}  # fmt: skip
_PLACED: Final = _NORTH_EAST | {
    6: _TIFF.ratio((5172, 100)), 12: _TIFF.ascii("K"), 13: _TIFF.ratio((13888, 1000)),
    16: _TIFF.ascii("T"), 17: _TIFF.ratio((5410, 20)),
}  # fmt: skip
_MILES: Final = _NORTH_EAST | {12: _TIFF.ascii("M"), 13: _TIFF.ratio((20, 1))}
_GEO_TAG: Final = {"dLongitude": "10.25", "dLatitude": "60.500000000000014", "dAltitude": "51.724000000000004"}
_GNSS: Final = {
    "Latitude": "60.5", "Longitude": "10.25", "Altitude": "51.75", "Roll": "0.5", "Pitch": "-1.25",
    "Heading": "281.71", "Speed": "22.468", "GeoidalSeparation": "45.5", "NorthRmsError": "0.01",
    "EastRmsError": "0.02", "DownRmsError": "0.03", "RollRmsError": "0.04", "PitchRmsError": "0.05",
    "HeadingRmsError": "0.06",
}  # fmt: skip
_ROAD: Final = {"ReflinkId": "704311", "ReflinkPosition": "0.25"}
_BASE_LINE: Final = {
    "BaseLinePosition": "1200", "BaseLineTickInterval": "210", "BaseLineTickOffset": "0", "TiltPoint": "1250",
    "Tilt": "0",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Capture:
    """One picture; an empty `camera` and a `date` of None: without the tag."""

    path: str
    properties: Tree | None = None  # of tag 40055
    stored: str = ""  # the recorder's folder, which ImageName gets
    date: str | None = "2022:05:03 10:11:12"  # DateTimeOriginal
    vendors_date: str = ""
    link: tuple[str, Tree] | None = None  # root and content of tag 40056
    gps: Mapping[int, RawEntry] | None = None
    camera: str = "Tegnet kamera 5"
    title: bool = True
    exif: bool = True


def _values(road: str, parcel: str, area: str = "TEGNET FK X55", **more: str) -> Tree:
    return {
        "VCCounty": "Oppdiktet", "VCArea": area, "VCRoad": road, "VCHP": parcel, "VCLane": "1",
        "VCLaneName": "1", **more,
    }  # fmt: skip


def _image(capture: str, **more: str) -> Tree:
    """ImageInfo, whose path is that of the capture on the recorder's disk."""
    return {"StorageFile": "D:\\Tegnet\\" + capture.removeprefix("TilSladding/").replace("/", "\\"), **more}


_JUNCTION: Final = (
    "TilSladding/2021/Planar/EV00904/S57/D1/m12345_KD2/F1_2021_06_02/EV00904_S57D1_m12345_KD2_m00010_f1.jpg"
)
_MUNICIPAL: Final = "TilSladding/2022/Planar/KV00907/S1/D1/F5K_2022_05_03/KV00907_S1D1_m00100_f5K.jpg"
_SPHERE: Final = "TilSladding/2022/360/EV00901/S10/D1/F1_2022_05_03/EV00901_S10D1_m01237_f1.jpg"

CAPTURES: Final = (
    Capture(
        _JUNCTION, date="2021:06:02 09:42:46", vendors_date="2021-06-02T09:42:46.3948628",
        stored="D:\\Tegnet\\2021\\Planar\\EV00904\\S57\\D1\\m12345_KD2\\F1_2021_06_02",
        properties={
            "Speed": "26.188885995120323", "Heading": "302.25",
            "VegComValues": _values("EV904", "S57D1", VCCountyNo="99", VCMeter="10.004"),
            **_BASE_LINE, "GeoTag": _GEO_TAG,
        },
        link=("AdditionalInfoNorway2", {"RoadInfo": _ROAD | {"RoadIdent": "EV904 S57D1 m10 KD2"}, "GnssInfo": _GNSS}),
    ),
    Capture(  # the tag of March 2020 has no position, and this DateTimeOriginal no time
        "TilSladding/2021/Planar/FV00903/S1/D1/F1_2021_06_02/FV00903_S1D1_m00014_f1.jpg",
        date="2021:06:02", vendors_date="2021-06-02T09:42:48.1000000",
        stored="D:\\Tegnet\\2021\\Planar\\FV00903\\S1\\D1\\F1_2021_06_02",
        properties={
            "VegComValues": _values("FV903", "S1D1", VCCountyNo="99", VCMeter="14.344072423939158"),
            "GeoTag": _GEO_TAG,
        },
        link=("ReflinkInfo", _ROAD),
    ),
    Capture(  # no tag 40056: road, metre and place are those of names and standard tags
        "TilSladding/2021/Planar/FV00903/S2/D1/m02000_AD1/F1_2021_06_02/FV00903_S2D1_m02000_AD1_m00030_f1.jpg",
        date="2021:06:02 09:43:00", vendors_date="2021-06-02T09:43:00.5",
        stored="D:\\Tegnet\\2021\\Planar\\FV00903\\S2\\D1\\m02000_AD1\\F1_2021_06_02",
        properties={"VegComValues": _values("FV903", "S2D1", VCCountyNo=""), "BaseLinePosition": "1200"},
        gps=_PLACED,
    ),
    Capture(  # values that are no numbers, a comma, and a road identity without section
        _MUNICIPAL,
        link=("AdditionalInfoNorway2", {
            "RoadInfo": _ROAD | {"RoadIdent": "KV907 hp1 m200"},
            "GnssInfo": _GNSS | {
                "Latitude": "60.25", "Longitude": "10.5", "Altitude": "60", "Roll": "NaN", "Heading": "NaN",
                "Speed": "NaN", "GeoidalSeparation": "",
            },
            "ImageInfo": _image(_MUNICIPAL, roadtype="Kanalisert veg", meter="200,125", fylke="97"),
        }),
    ),
    Capture(  # standard tags alone: a date with dots, miles, and no altitude
        "TilSladding/2022/Planar/RV00905/S3/D2/F2_2022_05_03/RV00905_S3D2_km01_277_f2.jpg",
        date="2022.05.03 10.11.12", gps=_MILES, camera="", title=False,
    ),
    Capture("TilSladding/2022/Planar/EV00901/S5/D1/F1_2022_05_03/EV00901_S5D1_m03212_f1.jpg", exif=False),
    Capture(
        _SPHERE,
        link=("AdditionalInfoNorway2", {
            "RoadInfo": _ROAD | {"RoadIdent": "EV901 S10D1 m1237"},
            "GnssInfo": _GNSS | {"Altitude": "60", "GeoidalSeparation": "45", "Speed": "0"},
            "ImageInfo": _image(_SPHERE, roadtype="", meter="1237.456", fylke=""),
        }),
    ),
    Capture(  # the car's own position is missing; no road identity
        "TilSladding/2022/360/FV00902/S2/D1/F2_2022_05_03/FV00902_S2D1_m00300_f2.jpg",
        vendors_date="2022-05-03T10:11:12.75", stored="D:\\Tegnet\\2022\\360\\FV00902\\S2\\D1\\F2_2022_05_03",
        properties={
            "VegComValues": _values("FV902", "S2D1", VCCountyNo="99", VCMeter="300.25"),
            "GeoTag": {"dLongitude": "10.75", "dLatitude": "60.75", "dAltitude": "40.5"},
        },
        link=("AdditionalInfoNorway2", {
            "RoadInfo": _ROAD | {"RoadIdent": ""},
            "GnssInfo": _GNSS | {
                        "Latitude": "NaN", "Longitude": "NaN", "Altitude": "40.5", "GeoidalSeparation": "45.25",
                    },
        }),
    ),
    Capture(
        "TilSladding/99/2018/99_Ev901/Hp05_Åsen/F1_2018_06_21/Fy99_Ev901_hp05_f1_m03212.jpg",
        date="2018:06:21 11:01:00", vendors_date="2018-06-21T11:01:00.2394114",
        stored="D:\\Tegnet\\99\\99_2018_06_21\\99_Ev901\\Hp05_Åsen\\F1_2018_06_21",
        properties={
            "Speed": "26.188885995120323", "Heading": "281.71",
            "VegComValues": _values("EV901", "5", "Åsen", VCCountyNo="99", VCMeter="3212.5"),
            "GeoTag": _GEO_TAG,
        },
    ),
)  # fmt: skip


def _xml(name: str, content: str | Tree, attributes: str = "") -> str:
    inside = content if isinstance(content, str) else "".join(_xml(inner, part) for inner, part in content.items())
    return f"<{name}{attributes}>{inside}</{name}>"


def _tag(name: str, content: Tree, attributes: str = "") -> RawEntry:
    head = '\ufeff<?xml version="1.0" encoding="utf-8"?>\r\n'
    return _TIFF.raw((head + _xml(name, content, attributes)).encode(), kind=7)


def drawn(seed: int, capture: Capture) -> bytes:
    """The picture: 48 × 32, and 96 × 48 as a sphere."""
    height, width = (48, 96) if "/360/" in capture.path else (32, 48)
    plain = jpeg(scene(height, width, seed), quality=60)
    if not capture.exif:
        return plain
    main = {0x0112: _TIFF.short(1)}
    if capture.camera:
        main[0x0110] = _TIFF.ascii(capture.camera)
    if capture.title:
        main[40091] = _TIFF.raw("Tegnet bilde\0".encode("utf-16-le"))
    if capture.properties is not None:
        name = {"ImageName": f"{capture.stored}\\{Path(capture.path).name}"}
        car = {"Surroundings": {"Driver": DRIVER, "CarID": "TE 12345", "Comment": f"kjørt av {DRIVER}"}}
        main[40055] = _tag("ImageProperties", {**name, **capture.properties, **car}, f' Date="{capture.vendors_date}"')
    if capture.link is not None:
        main[40056] = _tag(*capture.link)
    exif = {} if capture.date is None else {0x9003: _TIFF.ascii(capture.date)}
    return with_exif(plain, _TIFF.build(main, exif, capture.gps))


def write_2022(folder: Path) -> None:
    """Draw the pictures below `folder`, and next to one of them the preview that a recorder left."""
    for seed, capture in enumerate(CAPTURES):
        path = folder / capture.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn(seed, capture))
    sphere = folder / _SPHERE
    sphere.with_name(f"{sphere.stem}_preview.jpg").write_bytes(jpeg(scene(14, 24)))


_AS_THEY_STAND: Final = {
    "Dataeier": "exif_dataeier", "Kamera": "exif_camera", "Bildetype": "exif_imagetype",
    "Bildebredde": "exif_imagewidth", "Bildehoyde": "exif_imageheight", "Strekningsnavn": "exif_strekningsnavn",
    "Strekningsreferanse": "exif_strekningreferanse", "Vegtype": "exif_roadtype", "Baselineinfo": "exif_basislinje",
    "PreviewFilnavn": "exif_preview_filnavn", "XpTitle": "exif_xptitle",
}  # fmt: skip
_NUMBERS: Final = {"Moh": "exif_moh", "Hastighet": "exif_speed_ms"} | {
    name: f"exif_{name.lower()}"
    for name in (
        "Roll", "Pitch", "Geoidalseparation", "Northrmserror", "Eastrmserror", "Downrmserror", "Rollrmserror",
        "Pitchrmserror", "Headingrmserror",
    )
}  # fmt: skip


def _number(text: str | None) -> Any:
    found = number(text)
    return None if found != found else found  # NaN becomes NULL


def wide_row(record: dict[str, Any]) -> dict[str, Any]:
    """The row of a record of 2022, without the JSON, made without the code under test."""
    place, height = point(record["exif_gpsposisjon"])
    narrow = row(record | {"exif_gpsposisjon": None, "exif_heading": None})
    return {
        **{column: value for column, value in narrow.items() if column != "JsonData"},
        **{column: record[key] for column, key in _AS_THEY_STAND.items()},
        **{column: _number(record[key]) for column, key in _NUMBERS.items()},
        "Posisjon": place,
        "PosisjonHoyde": None if height != height else height,
        "Retning": _number(record["exif_heading"]),
    }
