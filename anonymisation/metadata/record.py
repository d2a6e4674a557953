"""The record of a picture: its metadata under the keys that the database and its downstream users expect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anonymisation.core.errors import ImageMetadataError
from anonymisation.metadata.agreement import recorded_place, recorded_times
from anonymisation.metadata.forms.context import RecordContext
from anonymisation.metadata.forms.form_2020 import FORM_2020
from anonymisation.metadata.forms.known import form_for
from anonymisation.metadata.forms.reading import Reading
from anonymisation.metadata.redaction import read_redacted_tag

if TYPE_CHECKING:
    from anonymisation.imaging.exif.moments import Times
    from anonymisation.imaging.exif.place import Place
    from anonymisation.imaging.exif.read import ExifTags

__all__ = [
    "RECORD_KEYS",
    "Description",
    "Record",
    "RecordContext",
    "build_record",
    "describe",
    "record_from_json",
    "record_to_json",
]

Record = dict[str, Any]
"""Key → text, None, or (only detekterte_objekter) a mapping of texts; always all keys of one form, in its order."""

RECORD_KEYS: Final = FORM_2020.keys
"""The keys of the 2020 form, in order."""


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
    size: tuple[int, int] | None = None,
) -> Record:
    """The record alone, as `describe` makes it."""
    return describe(path, exif, context, objects=objects, sha256=sha256, size=size).record


def describe(
    path: Path,
    exif: ExifTags,
    context: RecordContext,
    *,
    objects: Mapping[str, int] | None,
    sha256: str | None = None,
    size: tuple[int, int] | None = None,
) -> Description:
    """Make the record of the picture at `path`, in the form that `context` asks for (see `metadata.forms`).

    In the 2020 form, with the vendor's tag 40055, the record's values come from this tag; a missing element is null.
    Without the tag, the road reference comes from the path, and time, position and heading come from the standard
    tags. If the vendor's date is missing, the standard tags replace it, with a warning. If there is no date, or one
    that cannot be read (which is logged), the time is that of the file, and the ID begins with a checksum of the
    picture instead: copies have the same ID. The date as written stays in the redacted XML.

    Args:
        path: the picture; only its file times and bytes are read, and only where no other time is known.
        objects: the number of found objects per label; None when no model looked for objects.
        sha256: the checksum of the picture's bytes, where it is known.
        size: width and height in pixels; the 2022 form records them.

    Raises:
        ImageMetadataError: the vendor's XML cannot be read or made safe, so none of it may be published.
        OSError: the file's times are needed and cannot be read.
    """
    source = str(path)
    root = read_redacted_tag(exif.image_properties, source=source)
    link = read_redacted_tag(exif.reflink_info, source=source)
    form = form_for(context)
    values = form.values(
        Reading(
            path=path, exif=exif, context=context, properties=root, link=link, sha256=sha256, size=size, objects=objects
        )
    )
    record: Record = {key: _writable(value(values)) for key, value in form.sources.items()}
    tags = values.outweighing_tags
    if tags is None:
        return Description(record, exif.times, exif.place)
    times = recorded_times(values.taken, exif.times, source=source, tags=tags)
    return Description(record, times, recorded_place(record, exif.place, source=source, tags=tags))


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


def _writable(value: Any) -> Any:
    """Text that UTF-8 can encode: bytes of a file name that are not UTF-8 (lone surrogates in Python) are escaped."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value
