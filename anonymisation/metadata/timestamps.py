"""The time of exposure of a picture, from the vendor's tag, the standard tags or the file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from anonymisation.core.errors import ImageMetadataError
from anonymisation.core.picture_ids import time_in_id
from anonymisation.imaging.exif.moments import parse_moment

_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?"
    r"(?:Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A time as the record shows it (`text`) and as local wall clock time without zone (`moment`).

    `text` has an offset where one is known. `from_file`: it is the file's time, which a copy does not keep. `standard`:
    it is that of a standard tag, to the second.

    Raises:
        ValueError: `moment` has a time zone.
    """

    text: str
    moment: datetime
    from_file: bool = False
    standard: bool = False

    def __post_init__(self) -> None:
        if self.moment.tzinfo is not None:
            raise ValueError(f"expected a moment without zone, got {self.moment!r}")

    @property
    def for_id(self) -> str:
        """The time as in IDs: `%Y-%m-%dT%H.%M.%S.%f`."""
        return time_in_id(self.moment)


def parse_timestamp(text: str | None) -> Timestamp | None:
    """Read ISO 8601 as the vendor writes it, or a date as `parse_moment` does; None without a valid date.

    The text of ISO 8601 keeps every digit. The moment has six digits of the fraction (further digits are cut off) and
    ignores an offset: the recorder writes wall clock time, and IDs are made from wall clock time.
    """
    match = _ISO.fullmatch((text or "").strip())
    if match is None:
        return _other_form(text or "")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    microsecond = int((match[7] or "0")[:6].ljust(6, "0"))
    try:
        moment = datetime(year, month, day, hour, minute, second, microsecond)  # noqa: DTZ001 - wall clock
    except ValueError:
        return _other_form(match[0])
    return Timestamp(match[0].strip(), moment)


def timestamp_of(moment: datetime) -> Timestamp:
    """The timestamp of a standard tag: its text has microseconds, and the offset where the zone is known."""
    return Timestamp(moment.isoformat(timespec="microseconds"), moment.replace(tzinfo=None))


def file_timestamp(path: Path) -> Timestamp:
    """The older of the file's mtime and ctime, in UTC. The text has no offset, as in the original program.

    Raises:
        OSError: the file cannot be reached.
        ImageMetadataError: its time is outside the calendar.
    """
    status = path.lstat()
    seconds = min(status.st_mtime, status.st_ctime)
    try:
        wall_clock = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    except (OverflowError, ValueError, OSError) as error:
        raise ImageMetadataError(f"{path}: its file time {seconds} is not a valid date; set it with touch") from error
    return Timestamp(wall_clock.isoformat(timespec="microseconds"), wall_clock, from_file=True)


def _other_form(text: str) -> Timestamp | None:
    try:
        moment = parse_moment(text)
    except ValueError:
        return None
    return None if moment is None else timestamp_of(moment)
