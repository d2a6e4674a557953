"""Draws the captures that the project may ship, and writes the records and rows that are right for them.

`python -m tests.drawn.draw` writes them again. The forms are those of real captures of 2018 and 2020, as far as records
depend on them: the vendor's XML in the tags 40055 and 40056, two pictures whose XML names one of another road, and
one without EXIF. Roads, places, times and people are made up. Records and rows are golden: read what changes.
"""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from anonymisation.imaging.exif.read import read_exif
from anonymisation.metadata.record import RecordContext, build_record
from tests.drawn import DRAWN
from tests.imaging.builders import TiffBuilder, jpeg, photograph, with_exif

DRIVER: Final = "Tegnet Sjåfør"
FILE_TIME: Final = 1_591_999_600  # of the picture without EXIF
_HEAD: Final = (
    '\ufeff<?xml version="1.0" encoding="utf-8"?><{} xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"{}>'
)
_OLD: Final = "TilSladding/99/2018/99_Ev901/Hp05_Åsen/F1_2018_06_21"
_OTHER: Final = "TilSladding/99/2018/99_Fv902/hp01/F2_2018_06_21"


def properties(name: str, date: str, *, folder: str, road: str, parcel: str, meter: str, area: str = "Åsen") -> bytes:
    """The text of tag 40055."""
    inside = (
        f"<ImageName>{folder}\\{name}</ImageName><ImageSequenceNumber>7</ImageSequenceNumber>"
        f"<Speed>26.188885995120323</Speed><AirTemperature>NaN</AirTemperature><Latitude>60°30'00.00\"N</Latitude>"
        f"<Longitude>10°15'00.00\"E</Longitude><Heading>281.71</Heading><VegComValues><VCCounty>Oppdiktet</VCCounty>"
        f"<VCArea>{area}</VCArea><VCCountyNo>99</VCCountyNo><VCRoad>{road}</VCRoad><VCHP>{parcel}</VCHP><VCLane>1</VCLane>"
        f"<VCMeter>{meter}</VCMeter></VegComValues><GeoTag><dLatitude>60.500000000000014</dLatitude>"
        f"<dLongitude>10.25</dLongitude><dAltitude>51.724000000000004</dAltitude></GeoTag><Surroundings>"
        f"<EquipmentID>P14</EquipmentID><Driver>{DRIVER}</Driver><CarID>TE 12345</CarID><Comment>kjørt av {DRIVER}"
        f"</Comment></Surroundings><SoundFile/><Note/><Comment>{DRIVER}</Comment><Version>5.0</Version>"
    )
    return (_HEAD.format("ImageProperties", f' Date="{date}"') + inside + "</ImageProperties>").encode()


def reflink(ident: str) -> bytes:
    """The text of tag 40056."""
    errors = "".join(
        f"<{axis}RmsError>0.02{number}4993</{axis}RmsError>"
        for number, axis in enumerate(("North", "East", "Down", "Roll", "Pitch", "Heading"))
    )
    inside = (
        f"<ActivFileVersion>1</ActivFileVersion><RoadInfo><ReflinkId>384067</ReflinkId><ReflinkPosition>0.0272261468"
        f"</ReflinkPosition><RoadIdent>{ident}</RoadIdent></RoadInfo><GnssInfo><Latitude>60.5</Latitude><Roll>0.296"
        f"</Roll><Pitch>1.596</Pitch><GeoidalSeparation>45.455001831054688</GeoidalSeparation>{errors}</GnssInfo>"
    )
    return (_HEAD.format("AdditionalInfoNorway2", "") + inside + "</AdditionalInfoNorway2>").encode()


def pictures() -> dict[str, tuple[bytes, bytes | None] | None]:
    """Path → the texts of both tags; None: no EXIF."""
    via = "D:\\Tegnet\\99\\99_2018_06_21\\99_Ev901\\Hp05_Åsen\\F1_2018_06_21"
    old = {
        meter: properties(
            f"Fy99_Ev901_hp05_f1_m0{meter}.jpg", f"2018-06-21T11:01:{date}", folder=via, road="EV901", parcel="5",
            meter=f"{meter}.01614226494",
        )
        for meter, date in ((3173, "00.2394114"), (3272, "10.4418293"), (3292, "11.986232"))
    }  # fmt: skip
    of_2020 = "C:\\DATA\\Tegnet\\2020_06_02\\{}\\F1_2020_06_02"
    newer = {"road": "FV903", "parcel": "S1D1", "meter": "14.344072423939158", "area": "TEGNET FK X55"}
    crossing = newer | {"road": "EV904", "parcel": "S57D1"}
    first = of_2020.format("FV00903\\S1\\D1")
    second = of_2020.format("EV00904\\S57\\D1\\m12345_KD2")
    return {
        **{f"{_OLD}/Fy99_Ev901_hp05_f1_m0{meter}.jpg": (text, None) for meter, text in old.items()},
        f"{_OTHER}/Fy99_Fv902_hp01_F2_m4478.jpg": (old[3292], None),
        f"{_OTHER}/Fy99_Fv902_hp01_F2_m4498.jpg": (old[3272], None),
        "TilSladding/2020/EV00904/S57/D1/m12345_KD2/F1_2020_06_02/EV00904_S57D1_m12345_KD2_m00010_f1.jpg": (
            properties("EV00904_S57D1_m12345_KD2_m00010_f1.jpg", "2020-06-02T10:00:00.5", folder=second, **crossing),
            reflink("EV904 S57D1 m10 KD2"),
        ),
        "TilSladding/2020/FV00903/S1/D1/F1_2020_06_02/FV00903_S1D1_m00014_f1.jpg": (
            properties("FV00903_S1D1_m00014_f1.jpg", "2020-06-02T09:42:46.3948628", folder=first, **newer),
            reflink("FV903 S1D1 m14"),
        ),
        "TilSladding/50/2017/50_Rv905/Hp01/F1_2017_05_05/Fy50_Rv905_hp01_f1_m01237.jpg": None,
    }


def drawn(number: int, tags: tuple[bytes, bytes | None] | None) -> bytes:
    """The picture: a scene with grain, 144 × 96."""
    plain = jpeg(photograph(96, 144, number), quality=80)
    if tags is None:
        return plain
    tiff = TiffBuilder("<")
    main = {40055: tiff.raw(tags[0], kind=7), 40091: tiff.raw("\ufeffTegnet bilde\0".encode("utf-16-le"))}
    if tags[1] is not None:
        main[40056] = tiff.raw(tags[1], kind=7)
    time = {0x9003: tiff.ascii("2018:06:21 11:01:00")}
    place = {
        1: tiff.ascii("N"), 2: tiff.ratio((60, 1), (30, 1), (0, 1)),
        3: tiff.ascii("E"), 4: tiff.ratio((10, 1), (15, 1), (0, 1)), 6: tiff.ratio((5172, 100)),
    }  # fmt: skip
    return with_exif(plain, tiff.build(main, time, place))


_AS_NUMBERS: Final = {
    "FylkeNummer": "exif_fylke", "Vegkategori": "exif_vegkat", "Vegstatus": "exif_vegstat", "Vegnummer": "exif_vegnr",
    "HP": "exif_hp", "Strekning": "exif_strekning", "Delstrekning": "exif_delstrekning",
    "Ankerpunkt": "exif_ankerpunkt", "Kryssdel": "exif_kryssdel", "Sideanleggsdel": "exif_sideanleggsdel",
    "Meter": "exif_meter",
}  # fmt: skip


def number(text: str | None) -> Any:
    """The number that a text is, else the text."""
    for kind in (int, float):
        try:
            return None if text is None else kind(text)
        except ValueError:
            continue
    return text


def point(text: str | None) -> tuple[str, float | None]:
    """A point in the words of the original program's reference rows, and its height."""
    words = "SDOGeometry(gtype={}, srid={}, point={}, elem_info=None, ordinates=None, is_null={})"
    if text is None:
        return words.format(None, None, None, True), None
    east, north, height = map(float, text.partition("(")[2].rstrip(" )").split())
    return words.format(2001, 4326, [east, north], False), height


def row(record: dict[str, Any]) -> dict[str, Any]:
    """The row of a record, made without the code under test."""
    place, height = point(record["exif_gpsposisjon"])
    time = datetime.fromisoformat(record["exif_tid"][:26])
    return {
        "ID": record["bildeid"],
        "Tidspunkt": f"{time}+00:00",
        "Retning": number(record["exif_heading"]),
        "Posisjon": place,
        "PosisjonHoyde": height,
        "SenterlinjePosisjon": point(None)[0],
        "SenterlinjeHoyde": None,
        **{column: number(record[key]) for column, key in _AS_NUMBERS.items()},
        "Mappenavn": record["mappenavn"],
        "Filnavn": record["exif_filnavn"],
        "JsonData": json.dumps(record, ensure_ascii=False),
        "ReflinkID": number(record["exif_reflinkid"]),
        "ReflinkPosisjon": number(record["exif_reflinkposisjon"]),
        "DetekterteObjekter": json.dumps(record["detekterte_objekter"]),
        "Aar": int(record["exif_tid"][:4]),
        "Feltkode": record["exif_feltkode"],
        "VegIdentitet": record["exif_roadident"],
        "Versjon": record["versjon"],
        "ExifKvalitet": int(record["exif_kvalitet"]),
    }


def write(folder: Path) -> None:
    """Write pictures, records and rows below `folder`."""
    shutil.rmtree(folder / "captures", ignore_errors=True)
    context = RecordContext(folder / "captures", "TilSladding", "Vegbilder\\{relative_input_dir}", "X")
    records = {}
    for seed, (relative, tags) in enumerate(pictures().items()):
        path = folder / "captures" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn(seed, tags))
        os.utime(path, (FILE_TIME, FILE_TIME))
        record = build_record(path, read_exif(path.read_bytes()), context, objects={"car": 2})
        if tags is None:  # as in the original program, whose ID of such a picture has the time of its file
            record["bildeid"] = f"{record['exif_tid'].replace(':', '.')}_{record['bildeid'].partition('_')[2]}"
        records[relative] = record
    (folder / "reference").mkdir(exist_ok=True)
    for name, content in (("metadata", records), ("rows", {path: row(record) for path, record in records.items()})):
        text = json.dumps(dict(sorted(content.items())), ensure_ascii=False, indent=1)
        (folder / "reference" / f"expected_{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(DRAWN)
