"""Makes EXIF like that of the survey cars' recorder, with invented values: tags 40055, 40056, 40091 and common tags.

Driver, plate and comment are planted on purpose: no output may contain them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from xml.sax.saxutils import escape

from PIL import Image

TAG_IMAGE_PROPERTIES: Final = 40055
TAG_REFLINK_INFO: Final = 40056
TAG_XP_TITLE: Final = 40091
TAG_DATE_TIME: Final = 306
TAG_EXIF_IFD: Final = 0x8769
TAG_GPS_IFD: Final = 0x8825
TAG_DATE_TIME_ORIGINAL: Final = 36867

PLANTED_DRIVER: Final = "Planted Driver"
PLANTED_PLATE: Final = "ZZ99999"
PLANTED_COMMENT: Final = "Planted comment: passed my own house"

_NAMESPACES: Final = (
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)
_PROLOGUE: Final = '\ufeff<?xml version="1.0" encoding="utf-8"?>'


@dataclass(frozen=True, slots=True)
class Station:
    """Place and time of a picture, and its name on the recorder."""

    taken: datetime
    recorder_path: str  # the path on the recording car, with backslashes
    road: str
    section: str
    county: int
    lane: str
    metre: float
    latitude: float
    longitude: float
    altitude: float
    heading: float

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):
            raise ValueError(f"expected degrees, got latitude {self.latitude} and longitude {self.longitude}")


def vendor_exif(station: Station, sequence: int) -> bytes:
    """Return the content of the EXIF segment of a picture taken at `station`, the `sequence`-th of its folder."""
    exif = Image.Exif()
    exif[TAG_DATE_TIME] = f"{station.taken:%Y:%m:%d %H:%M:%S}"
    exif[TAG_XP_TITLE] = "Bilde fra ViaPhoto Recorder\0".encode("utf-16-le")
    exif[TAG_IMAGE_PROPERTIES] = _image_properties(station, sequence).encode()
    exif[TAG_REFLINK_INFO] = _reflink_info(station, sequence).encode()
    exif.get_ifd(TAG_EXIF_IFD)[TAG_DATE_TIME_ORIGINAL] = f"{station.taken:%Y:%m:%d %H:%M:%S}"
    gps = exif.get_ifd(TAG_GPS_IFD)
    gps[1], gps[2] = "N", _degrees(station.latitude)
    gps[3], gps[4] = "E", _degrees(station.longitude)
    gps[5], gps[6] = b"\0", station.altitude
    return exif.tobytes()


def _degrees(value: float) -> tuple[float, float, float]:
    minutes = (value % 1) * 60
    return float(int(value)), float(int(minutes)), round((minutes % 1) * 60, 3)


def _image_properties(station: Station, sequence: int) -> str:
    taken = f"{station.taken:%Y-%m-%dT%H:%M:%S.%f}0"
    return (
        f'{_PROLOGUE}<ImageProperties Date="{taken}" {_NAMESPACES}>'
        f"<ImageName>{escape(station.recorder_path)}</ImageName>"
        f"<ImageSequenceNumber>{sequence}</ImageSequenceNumber><Speed>41.5</Speed>"
        f"<Distance>{20.0 * sequence}</Distance>"
        f"<AirTemperature>NaN</AirTemperature><SurfaceTemperature>NaN</SurfaceTemperature>"
        f"<Heading>{station.heading}</Heading><Friction>NaN</Friction>"
        f"<VegComValues><VCArea>Sample road</VCArea><VCCountyNo>{station.county}</VCCountyNo>"
        f"<VCRoad>{station.road}</VCRoad><VCHP>{station.section}</VCHP><VCLane>{station.lane}</VCLane>"
        f"<VCLaneName>{station.lane}</VCLaneName><VCMeter>{station.metre}</VCMeter></VegComValues>"
        f"<GeoTag><dLatitude>{station.latitude}</dLatitude><dLongitude>{station.longitude}</dLongitude>"
        f"<dAltitude>{station.altitude}</dAltitude></GeoTag>"
        f"<Surroundings><EquipmentID>S01</EquipmentID><Driver>{PLANTED_DRIVER}</Driver><CarID>{PLANTED_PLATE}</CarID>"
        f"<Comment>{PLANTED_COMMENT}</Comment></Surroundings>"
        f"<SoundFile/><Note/><Comment/><Version>5.0</Version><RecorderVersion>8.9.8.6</RecorderVersion></ImageProperties>"
    )


def _reflink_info(station: Station, sequence: int) -> str:
    return (
        f"{_PROLOGUE}<AdditionalInfoNorway2 {_NAMESPACES}><ActivFileVersion>1</ActivFileVersion>"
        f"<RoadInfo><ReflinkId>{100000 + station.county}</ReflinkId>"
        f"<ReflinkPosition>{0.01 * sequence}</ReflinkPosition>"
        f"<RoadIdent>{station.road} {station.section} m{station.metre:.0f}</RoadIdent></RoadInfo>"
        f"<GnssInfo><Latitude>{station.latitude}</Latitude><Longitude>{station.longitude}</Longitude>"
        f"<Altitude>{station.altitude}</Altitude><Heading>{station.heading}</Heading></GnssInfo></AdditionalInfoNorway2>"
    )
