"""Draws the small inputs of `cases/`: cameras' oddities of date, place and scan, and records of other programs.

The names are those of the cases in the folder `shared`, so that a test may take either. What is right for each follows
from the numbers that are written into it. Places, times and roads are made up.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from PIL import Image

from tests.imaging import bombs
from tests.imaging.builders import RawEntry, TiffBuilder, jpeg, scene, segment, with_exif, with_segments

_TIFF: Final = TiffBuilder("<")
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
# In the form of ExifTool: single quotes, properties as elements, and space for more.
_PANORAMA: Final = (
    """<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 12.57'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
 <rdf:Description rdf:about=''
  xmlns:GPano='http://ns.google.com/photos/1.0/panorama/'>
  <GPano:PoseHeadingDegrees>90</GPano:PoseHeadingDegrees>
  <GPano:ProjectionType>equirectangular</GPano:ProjectionType>
  <GPano:UsePanoramaViewer>True</GPano:UsePanoramaViewer>
 </rdf:Description>
</rdf:RDF>
</x:xmpmeta>
"""
    + " " * 99
    + "\n<?xpacket end='w'?>"
)


def _small() -> bytes:
    return jpeg(scene(64, 96), quality=80)


def _dated(text: str) -> bytes:
    """A picture whose DateTimeOriginal is this text."""
    return with_exif(_small(), _TIFF.build({0x010F: _TIFF.ascii("Cam")}, {0x9003: _TIFF.ascii(text)}))


def _placed(
    latitude: tuple[str, RawEntry] = ("N", _TIFF.ratio((60, 1), (15, 1), (0, 1))),
    longitude: tuple[str, RawEntry] = ("E", _TIFF.ratio((8, 1), (30, 1), (0, 1))),
    more: Mapping[int, RawEntry] | None = None,
) -> bytes:
    """A picture at this place."""
    gps = {1: _TIFF.ascii(latitude[0]), 2: latitude[1], 3: _TIFF.ascii(longitude[0]), 4: longitude[1], **(more or {})}
    return with_exif(_small(), _TIFF.build({}, {0x9003: _TIFF.ascii("2019:04:05 06:07:08")}, gps))


def _below_sea_level(reference: RawEntry) -> bytes:
    return _placed(more={5: reference, 6: _TIFF.ratio((35, 2))})


def _adobe_rgb() -> bytes:
    """A picture of Adobe RGB by the rules for camera files: its interoperability index is R03."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 65535
    exif.get_ifd(0x8769)[0xA005] = {1: "R03", 2: b"0100"}
    buffer = io.BytesIO()
    Image.fromarray(scene(64, 96)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def _selecting(first: int, last: int) -> bytes:
    """A baseline picture whose scan says that it holds these coefficients, which only progressive ones choose."""
    data = _small()
    at = data.index(b"\xff\xda")
    at += int.from_bytes(data[at + 2 : at + 4], "big") - 1
    return data[:at] + bytes((first, last)) + data[at + 2 :]


def _arithmetic() -> bytes:
    data = _small().replace(b"\xff\xc0", b"\xff\xc9", 1)
    return data[: len(data) // 2]


# Name → how it is made, and what is right: place and time in the record and in the published EXIF.
PICTURES: Final[dict[str, tuple[Callable[[], bytes], dict[str, Any]]]] = {
    "alt_ref3.jpg": (lambda: _below_sea_level(_TIFF.raw(b"\3")), {"alt": -17.5}),
    "alt_ref_ascii1.jpg": (lambda: _below_sea_level(_TIFF.ascii("1")), {"alt": -17.5}),
    "date_iso_z.jpg": (lambda: _dated("2015-09-03T04:05:06Z"), {"tid": "2015-09-03T04:05:06"}),
    "date_nosec.jpg": (lambda: _dated("2019:04:05 06:07"), {"tid": "2019-04-05T06:07:00"}),
    "date_single.jpg": (lambda: _dated("2019:4:5 6:7:8"), {"tid": "2019-04-05T06:07:08"}),
    "date_space_seconds.jpg": (lambda: _dated("2019:04:05 06:07: 8"), {"tid": "2019-04-05T06:07:08"}),
    "date_subsec.jpg": (lambda: _dated("2019:04:05 06:07:08.125"), {"tid": "2019-04-05T06:07:08.125"}),
    "gps_deg_min_2.jpg": (
        lambda: _placed(("N", _TIFF.ratio((60, 1), (1515, 100))), ("W", _TIFF.ratio((8, 1), (306, 10)))),
        {"lat": 60.2525, "lon": -8.51},  # 15.15 and 30.6 minutes
    ),
    "gps_srational.jpg": (
        lambda: _placed(
            ("S", _TIFF.ratio((60, 1), (15, 1), (9, 1), kind=10)),
            ("W", _TIFF.ratio((8, 1), (30, 1), (36, 1), kind=10)),
        ),
        {"lat": -60.2525, "lon": -8.51},  # 9 and 36 seconds
    ),
    "gps_west_word.jpg": (
        lambda: _placed(longitude=("West", _TIFF.ratio((8, 1), (30, 1), (0, 1)))),
        {"lat": 60.25, "lon": -8.5},
    ),
    "r03_adobe_rgb.jpg": (_adobe_rgb, {"interop": "R03"}),
    "sos_se0.jpg": (lambda: _selecting(0, 0), {}),
    "sos_ss1_se63.jpg": (lambda: _selecting(1, 63), {}),
    "extra_20_before_eoi.jpg": (lambda: _small()[:-2] + bytes(range(1, 21)) + b"\xff\xd9", {}),
    "arith_cut.jpg": (_arithmetic, {}),
    "gpano.jpg": (lambda: with_segments(_small(), segment(0xE1, _XMP + _PANORAMA.encode())), {}),
    "exif_bomb_28k.jpg": (lambda: with_exif(_small(), bombs.shared_bytes(2000, kind=12)), {}),
}

# As before 2019: without an ID, with keys of the road network's, and with the point of the centre line.
OLDER: Final[dict[str, Any]] = {
    "exif_tid": "2018-06-21T11:01:00.2394114", "exif_dato": "2018-06-21", "exif_speed": "26.188885995120323",
    "exif_heading": "281.71", "exif_gpsposisjon": "srid=4326;POINT Z( 10.25 60.500000000000014 51.724000000000004 )",
    "exif_strekningsnavn": "Åsen", "exif_fylke": "99", "exif_vegkat": "E", "exif_vegstat": "V", "exif_vegnr": "901",
    "exif_hp": "5", "exif_meter": "3173.01614226494", "exif_feltkode": "1",
    "exif_mappenavn": "D:/Tegnet/99/99_2018_06_21/99_Ev901/Hp05_Åsen/F1_2018_06_21",
    "exif_filnavn": "Fy99_Ev901_hp05_f1_m03173.jpg", "exif_strekningreferanse": "99_Ev901/Hp05_Åsen",
    "exif_xptitle": "Tegnet bilde", "retning": "MED", "mappenavn": "99/2018/99_Ev901/Hp05_Åsen/F1_2018_06_21",
    "forrige_uuid": None, "stedfestet": "historisk",
    "senterlinjeposisjon": "srid=25833;POINT Z( 212345.5 6634567.25 51.7 )", "veglenkeid": 704311,
    "veglenkepos": 0.58593426, "feltoversikt": "1#2", "lenkeretning": 246.97, "kommune": 0, "vegnr": None,
    "retningsnudd": "Ikke snudd", "exif_imageproperties": "<?xml version=\"1.0\" ?>\n<ImageProperties/>\n",
}  # fmt: skip
# As after the step that adds the road network: the system of the centre line has heights of its own.
CENTRED: Final[dict[str, Any]] = OLDER | {
    "bildeid": "2018-06-21T11.01.00.239411_Fy99_Ev901_hp05_m03173", "detekterte_objekter": {"car": "2"},
    "senterlinjeposisjon": "srid=5973;POINT Z(212345.512 6634567.253 2.809)", "versjon": "X",
    **dict.fromkeys(
        (
            "exif_strekning", "exif_delstrekning", "exif_ankerpunkt", "exif_kryssdel", "exif_sideanleggsdel",
            "exif_reflinkid", "exif_reflinkposisjon", "exif_roadident", "exif_kvalitet",
        )
    ),
}  # fmt: skip


def write_cases(folder: Path) -> Path:
    """Write pictures, what is right for them, and records into `folder`, which is returned."""
    for name in ("pictures", "records"):
        (folder / name).mkdir()
    for name, (made, _) in PICTURES.items():
        (folder / "pictures" / name).write_bytes(made())
    for name, content in (
        ("expected", {name: right for name, (_, right) in PICTURES.items()}),
        ("records/older_without_bildeid", OLDER),
        ("records/senterlinje_5973", CENTRED),
    ):
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False, indent=4), "utf-8")
    return folder
