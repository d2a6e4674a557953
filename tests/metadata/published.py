"""What a record says of place and time, and what another program reads in the EXIF to publish."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from anonymisation.database.layouts.formatters import as_point
from anonymisation.imaging.exif.read import Provenance, published_exif, read_exif
from anonymisation.metadata.record import RecordContext, describe

PROVENANCE = Provenance("0" * 64, "P0.1_K20200101", "Built-in@000000000000", {})
TYPES = {1: 2, 2: 5, 3: 2, 4: 5, 5: 1, 6: 5, 16: 2, 17: 5}  # of the GPS tags, in the standard


@dataclass(frozen=True, slots=True)
class Said:
    """Degrees, metres and ISO 8601; None where nothing is said."""

    latitude: float | None
    longitude: float | None
    altitude: float | None
    heading: float | None
    time: str | None


def record_and_published(
    data: bytes, path: Path = Path("/in/a.jpg"), *, sha256: str = "0" * 64
) -> tuple[dict[str, Any], Said, Said, Image.Exif]:
    """The record, what it says, what the EXIF to publish says to a strict reader, and this EXIF."""
    context = RecordContext(path.parent, "TilSladding", "x", "X")
    made = describe(path, read_exif(data, source=path.name), context, objects=None, sha256=sha256)
    encoded = published_exif(
        data,
        image_properties=made.record["exif_imageproperties"],
        reflink_info=None,
        provenance=PROVENANCE,
        times=made.times,
        place=made.place,
    )
    reader = Image.Exif()
    reader.load(encoded)
    return made.record, _of_record(made.record), _of_exif(reader, encoded), reader


def _of_record(record: dict[str, Any]) -> Said:
    point = as_point(record["exif_gpsposisjon"])
    heading = None if record["exif_heading"] is None else float(record["exif_heading"])
    if point is None:
        return Said(None, None, None, heading, record["exif_tid"])
    longitude, latitude = point.coordinates[:2]
    return Said(latitude, longitude, point.height, heading, record["exif_tid"])


def _of_exif(reader: Image.Exif, encoded: bytes) -> Said:
    _require_standard_types(encoded)
    gps, exif = reader.get_ifd(0x8825), reader.get_ifd(0x8769)
    below = {b"\0": 1, b"\1": -1}[gps[5]] if 6 in gps else 1
    return Said(
        None if 2 not in gps else {"N": 1, "S": -1}[gps[1]] * _degrees(gps[2]),
        None if 4 not in gps else {"E": 1, "W": -1}[gps[3]] * _degrees(gps[4]),
        None if 6 not in gps else below * float(gps[6]),
        None if 17 not in gps else float(gps[17]),
        _time(exif.get(0x9003), exif.get(0x9291), exif.get(0x9011)),
    )


def _degrees(parts: tuple[Any, ...]) -> float:
    degrees, minutes, seconds = map(float, parts)
    assert minutes < 60
    assert seconds < 60
    return degrees + minutes / 60 + seconds / 3600


def _time(date: str | None, fraction: str | None, offset: str | None) -> str | None:
    if date is None:
        return None
    moment = datetime.strptime(f"{date}.{fraction or 0}", "%Y:%m:%d %H:%M:%S.%f")
    return moment.isoformat(timespec="microseconds") + (offset or "")


def _require_standard_types(encoded: bytes) -> None:
    directory = ImageFileDirectory_v2(encoded[6:14])
    stream = io.BytesIO(encoded[6:])
    stream.seek(directory.next)
    directory.load(stream)
    if 0x8825 in directory:
        gps = ImageFileDirectory_v2(encoded[6:14], group=0x8825)
        stream.seek(directory[0x8825])
        gps.load(stream)
        assert {tag: gps.tagtype[tag] for tag in gps if tag in TYPES}.items() <= TYPES.items()
