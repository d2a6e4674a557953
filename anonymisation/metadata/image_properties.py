"""The record's keys that the vendor's ImageProperties (EXIF tag 40055) gives."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from anonymisation.imaging.exif.place import compass_degrees
from anonymisation.metadata.position import digits, is_nan, number_of, point_text, warn_of_unusable
from anonymisation.metadata.road_reference import read_road_reference, split_road
from anonymisation.metadata.timestamps import Timestamp, parse_timestamp
from anonymisation.metadata.xml_tree import XmlElement, local_name

ROOT = "ImageProperties"


@dataclass(frozen=True, slots=True)
class ImageName:
    """The parts of the recorder's own path of the picture; a part is None where the path is too short."""

    folder: str | None
    file_name: str | None
    section_reference: str | None


def split_image_name(name: str | None) -> ImageName:
    r"""Split ImageName (`D:\...\06_Ev134\Hp05\F1\x.jpg`); in the folder, `\` becomes `/`.

    The section reference consists of the 4th and 3rd last parts.
    """
    parts = (name or "").replace("\\", "/").split("/")
    reference = "/".join(parts[-4:-2]) if len(parts) >= 4 else None
    return ImageName("/".join(parts[:-1]) or None, parts[-1] or None, reference)


def read_date(root: XmlElement) -> Timestamp | None:
    """ImageProperties@Date; None where the date is missing or invalid."""
    return parse_timestamp(root.attributes.get("Date"))


def read_image_properties(root: XmlElement, *, source: str) -> dict[str, str | None]:
    """The record's keys from `root` (redacted), without the time; a key whose element is missing is None.

    `exif_kvalitet` is "2" with a position in GeoTag, else "1"; the standard tags do not matter here.
    `exif_filnavn` is None where ImageName is missing; the caller then uses the file's own name.
    """
    if local_name(root.name) != ROOT:
        logging.getLogger(__name__).warning("%s: tag 40055 holds %s, expected %s", source, root.name, ROOT)
    name = split_image_name(root.text("ImageName"))
    road = split_road(root.text("VegComValues", "VCRoad"), source=source)
    reference = read_road_reference(name.file_name or "", root.text("VegComValues", "VCHP"))
    position = read_geotag(root, source=source)
    return {
        "exif_speed": _number(root.text("Speed")),
        "exif_heading": read_heading(root.text("Heading"), source=source),
        "exif_gpsposisjon": position,
        "exif_strekningsnavn": root.text("VegComValues", "VCArea"),
        "exif_fylke": root.text("VegComValues", "VCCountyNo"),
        "exif_vegkat": road.category,
        "exif_vegstat": road.status,
        "exif_vegnr": road.number,
        "exif_hp": reference.hp,
        "exif_strekning": reference.section,
        "exif_delstrekning": reference.subsection,
        "exif_ankerpunkt": reference.anchor,
        "exif_kryssdel": reference.junction,
        "exif_sideanleggsdel": reference.side_facility,
        "exif_meter": root.text("VegComValues", "VCMeter"),
        "exif_feltkode": root.text("VegComValues", "VCLane"),
        "exif_mappenavn": name.folder,
        "exif_filnavn": name.file_name,
        "exif_strekningreferanse": name.section_reference,
        "exif_kvalitet": "1" if position is None else "2",
    }


def read_geotag(root: XmlElement, *, source: str) -> str | None:
    """The position in GeoTag, as records have it; None without one, with a warning where it is there and not valid."""
    tag = root.child("GeoTag")
    if tag is None or not tag.content:
        return None
    texts = {name: tag.text(name) for name in ("dLongitude", "dLatitude", "dAltitude")}
    position = point_text(*texts.values())
    if position is not None:
        warn_of_unusable(texts, source=source)
    else:
        logging.getLogger(__name__).warning("%s: its GeoTag holds no valid position; the position is left out", source)
    return position


def read_heading(text: str | None, *, source: str, tag: str = "tag 40055") -> str | None:
    """The heading as written where it is from 0 to below 360, else brought into that range; None where it is neither.

    The digits of a heading in the range stay as they are, unless it is published as 0.
    """
    text = _number(text)
    if text is None:
        return None
    degrees = number_of(text)
    try:
        turned = None if degrees is None else compass_degrees(degrees)
    except ValueError:
        turned = None
    if turned is None:
        message = "%s: the Heading in %s is not a direction; it is left out"
        logging.getLogger(__name__).warning(message, source, tag)
        return None
    return text if degrees is not None and abs(turned - degrees) < 1 else digits(turned)


def _number(text: str | None) -> str | None:
    return None if text is None or is_nan(text) else text
