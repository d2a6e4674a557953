"""The record of a picture: its metadata under the keys that the database and its downstream users expect."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anonymisation.core.errors import ConfigProblem, ConfigurationError, ImageMetadataError
from anonymisation.core.picture_ids import picture_key
from anonymisation.files.plain import sha256_of_plain
from anonymisation.metadata.agreement import recorded_place, recorded_times
from anonymisation.metadata.folder_name import FIELDS, format_folder_name
from anonymisation.metadata.image_properties import read_date, read_image_properties
from anonymisation.metadata.path_fallback import path_elements, read_path
from anonymisation.metadata.redaction import read_redacted_tag
from anonymisation.metadata.reflink import read_reflink
from anonymisation.metadata.standard_exif import read_standard_exif
from anonymisation.metadata.timestamps import Timestamp, file_timestamp, timestamp_of
from anonymisation.metadata.xml_tree import XmlElement, pretty_xml

if TYPE_CHECKING:
    from anonymisation.imaging.exif.moments import Times
    from anonymisation.imaging.exif.place import Place
    from anonymisation.imaging.exif.read import ExifTags

Record = dict[str, Any]
"""Key → text, None, or (only detekterte_objekter) a mapping of texts; always all of RECORD_KEYS, in that order."""

RECORD_KEYS: Final = (
    "exif_tid", "exif_dato", "exif_speed", "exif_heading", "exif_gpsposisjon", "exif_strekningsnavn", "exif_fylke",
    "exif_vegkat", "exif_vegstat", "exif_vegnr", "exif_hp", "exif_strekning", "exif_delstrekning", "exif_ankerpunkt",
    "exif_kryssdel", "exif_sideanleggsdel", "exif_meter", "exif_feltkode", "exif_mappenavn", "exif_filnavn",
    "exif_strekningreferanse", "exif_imageproperties", "exif_reflinkinfo", "exif_reflinkid", "exif_reflinkposisjon",
    "exif_roadident", "exif_roll", "exif_pitch", "exif_geoidalseparation", "exif_northrmserror", "exif_eastrmserror",
    "exif_downrmserror", "exif_rollrmserror", "exif_pitchrmserror", "exif_headingrmserror", "exif_xptitle",
    "exif_kvalitet", "bildeid", "senterlinjeposisjon", "detekterte_objekter", "versjon", "mappenavn",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordContext:
    """The settings for records: where the input begins, the template of `mappenavn`, and the version tag.

    Raises:
        ConfigurationError: `exif_mappenavn` cannot be filled in.
    """

    input_root: Path
    exif_top_dir: str
    exif_mappenavn: str
    version: str

    def __post_init__(self) -> None:
        try:
            self.exif_mappenavn.format(**dict.fromkeys(FIELDS, ""))
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            message = f"cannot be filled in ({error}); fields are {', '.join(FIELDS)}, all text"
            raise ConfigurationError([ConfigProblem("settings", "exif_mappenavn", message)]) from error


@dataclass(frozen=True, slots=True)
class Description:
    """The record of a picture, and the times and the place that its published EXIF may state: those of the record."""

    record: Record
    times: Times
    place: Place


def build_record(
    path: Path,
    exif: ExifTags,
    context: RecordContext,
    *,
    objects: Mapping[str, int] | None,
    sha256: str | None = None,
) -> Record:
    """The record alone, as `describe` makes it."""
    return describe(path, exif, context, objects=objects, sha256=sha256).record


def describe(
    path: Path,
    exif: ExifTags,
    context: RecordContext,
    *,
    objects: Mapping[str, int] | None,
    sha256: str | None = None,
) -> Description:
    """Make the record of the picture at `path`.

    With the vendor's tag 40055, the record's values come from this tag; a missing element is null. Without the tag, the
    road reference comes from the path, and time, position and heading come from the standard tags. If the vendor's date
    is missing, the standard tags replace it, with a warning. If there is no date, or one that cannot be read (which is
    logged), the time is that of the file, and the ID begins with a checksum of the picture instead: copies have the
    same ID. The date as written stays in the redacted XML.

    Args:
        path: the picture; only its file times and bytes are read, and only where no other time is known.
        objects: the number of found objects per label; None when no model looked for objects.
        sha256: the checksum of the picture's bytes, where it is known.

    Raises:
        ImageMetadataError: the vendor's XML cannot be read or made safe, so none of it may be published.
        OSError: the file's times are needed and cannot be read.
    """
    source = str(path)
    root = read_redacted_tag(exif.image_properties, source=source)
    link = read_redacted_tag(exif.reflink_info, source=source)
    record = _values(path, exif, context, root, link)
    taken = _taken(path, exif, root)
    moment = _checksum_for_id(sha256 or sha256_of_plain(path)) if taken.from_file else taken.for_id
    record |= {
        "exif_tid": taken.text,
        "exif_dato": taken.moment.date().isoformat(),
        "bildeid": f"{moment}_{picture_key(record['exif_filnavn'])}",
        "detekterte_objekter": None if objects is None else {label: str(n) for label, n in sorted(objects.items())},
        "versjon": context.version,
        "mappenavn": format_folder_name(
            context.exif_mappenavn,
            record,
            taken,
            path=path,
            top_dir=context.exif_top_dir,
            input_root=context.input_root,
        ),
    }
    record = {key: _writable(value) for key, value in record.items()}
    if root is None:
        return Description(record, exif.times, exif.place)
    times = recorded_times(taken, exif.times, source=source)
    return Description(record, times, recorded_place(record, exif.place, source=source))


def _values(
    path: Path, exif: ExifTags, context: RecordContext, root: XmlElement | None, link: XmlElement | None
) -> Record:
    """The record without its time and what hangs on it."""
    source = str(path)
    record: Record = dict.fromkeys(RECORD_KEYS)
    if root is None:
        elements = path_elements(path, input_root=context.input_root, top_dir=context.exif_top_dir)
        record |= read_path(elements) | read_standard_exif(exif.place)
    else:
        record |= read_image_properties(root, source=source)
        record["exif_imageproperties"] = pretty_xml(root)
    if link is not None:
        record |= read_reflink(link, source=source)
        record["exif_reflinkinfo"] = pretty_xml(link)
    record["exif_filnavn"] = record["exif_filnavn"] or path.name
    record["exif_xptitle"] = (exif.xp_title or "").lstrip("\ufeff").rstrip("\x00") if exif.present else None
    return record


def _checksum_for_id(sha256: str) -> str:
    """What stands for the time in the ID of a picture without date: as long as a time, so that columns hold it."""
    return f"sha256-{sha256[:19]}"


def record_to_json(record: Mapping[str, Any]) -> bytes:
    """The record as JSON for its file: UTF-8, indented by 4, with no unnecessary escapes."""
    return json.dumps(record, ensure_ascii=False, indent=4).encode("utf-8")


def record_from_json(data: bytes) -> Record:
    """Read the file of a record. Keys are not checked, so that records of older versions load as well.

    Raises:
        ImageMetadataError: not UTF-8, not JSON, or not an object.
    """
    try:
        record = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise ImageMetadataError(f"the record cannot be read ({error}); remove it and make it again") from error
    if not isinstance(record, dict):
        raise ImageMetadataError(f"the record is a {type(record).__name__}, expected keys and values; make it again")
    return record


def _taken(path: Path, exif: ExifTags, root: XmlElement | None) -> Timestamp:
    if root is not None:
        taken = read_date(root)
        if taken is not None:
            return taken
        given = bool(root.attributes.get("Date", "").strip())
        other = None if given else exif.times.taken
        instead = "the time of its file" if other is None else "its standard EXIF time"
        message = "%s: no valid Date in tag 40055; %s is used instead"
        logging.getLogger(__name__).warning(message, path, instead)
    else:
        other = exif.times.taken
        if other is None and exif.present:
            logging.getLogger(__name__).warning("%s: its EXIF has no usable date; the time of its file is used", path)
    return file_timestamp(path) if other is None else timestamp_of(other)


def _writable(value: Any) -> Any:
    """Text that UTF-8 can encode: bytes of a file name that are not UTF-8 (lone surrogates in Python) are escaped."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value
