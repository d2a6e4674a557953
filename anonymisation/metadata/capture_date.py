"""The date of a capture folder; a backfill selects folders by this date."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from anonymisation.core.errors import ImageMetadataError
from anonymisation.metadata.image_properties import read_date
from anonymisation.metadata.redaction import read_redacted

if TYPE_CHECKING:
    from anonymisation.imaging.exif.read import ExifTags

# Within a lookahead, so that a date that begins inside a wrong one is found as well.
_DATE: Final = re.compile(r"(?<![0-9])(?=([0-9]{4})([_-])([0-9]{2})\2([0-9]{2})(?![0-9]))")


def capture_date(relative_folder: PurePosixPath, exif: ExifTags | date | None, mtime: float) -> date:
    """The last date in the folder's path below the input folder, else the first picture's EXIF date, else its mtime.

    Args:
        relative_folder: the folder's path relative to the input folder.
        exif: the first picture's tags, or its EXIF date where the caller knows the date already.
        mtime: modification time of the first picture, in seconds since 1970; its date in UTC counts.
    """
    in_path = date_in_path(relative_folder)
    if in_path is not None:
        return in_path
    taken = exif if exif is None or isinstance(exif, date) else exif_date(exif)
    return taken or datetime.fromtimestamp(mtime, UTC).date()


def date_in_path(relative: PurePosixPath) -> date | None:
    """The last `YYYY_MM_DD` or `YYYY-MM-DD` in `relative` that is a valid date and not part of a longer number."""
    found = None
    for match in _DATE.finditer(relative.as_posix()):
        try:
            found = date(int(match[1]), int(match[3]), int(match[4]))
        except ValueError:
            continue
    return found


def exif_date(exif: ExifTags) -> date | None:
    """The date of the vendor's tag, else of the standard tags. An unreadable tag gives None; masking reports it."""
    if exif.image_properties:
        try:
            timestamp = read_date(read_redacted(exif.image_properties, source="tag 40055"))
        except ImageMetadataError:
            timestamp = None
        if timestamp is not None:
            return timestamp.moment.date()
    return None if exif.times.taken is None else exif.times.taken.date()
