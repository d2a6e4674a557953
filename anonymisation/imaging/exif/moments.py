"""The three dates of EXIF with their fractions and offsets: read as cameras write them, written as the standard says.

Tag numbers and meanings: CIPA DC-008 (EXIF 2.32), sections 4.6.4 D and 4.6.5 F.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

from anonymisation.imaging.exif.spelled_dates import in_numbers
from anonymisation.imaging.exif.tiff import ASCII, Directory, Entry, Tiff
from anonymisation.imaging.exif.values import TagProblem, require_readable, shown

_MAX_TEXT: Final = 64  # characters; the longest form that is read has about 40
_FORM: Final = "expected YYYY:MM:DD HH:MM:SS"
_BLANK: Final = re.compile(r"[0 :/.\-TZ]*")  # the standard's blanks and zeros for an unknown date
_BREAKS: Final = re.compile(r"\s*([:/.,\-])\s*")
_DATE: Final = r"(?P<year>\d{4})(?P<sep>[:/.\-_])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})"
_TIME: Final = (
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d{1,2})(?:[:.](?:(?P<second>\d{1,2})(?:[.,:](?P<fraction>\d+))?)?)?"
    r"(?: ?(?P<half>[AaPp])[Mm])?"
)
_DASHED_TIME: Final = r"(?P<hour>\d{1,2})(?P<dash>[-_ ])(?P<minute>\d\d)(?P=dash)(?P<second>\d\d)"
_COMPACT_DATE: Final = r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
_COMPACT_TIME: Final = r"(?P<hour>\d\d)(?P<minute>\d\d)(?:(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
_ZONE_NAME: Final = r"[A-Za-z]{3,5}|[A-Za-z]+(?:/[A-Za-z_]+)+"
_ZONE: Final = rf"(?:(?P<zone>Z|z|(?:UTC|GMT)?[+\-]\d{{1,2}}(?::?\d\d)?|{_ZONE_NAME})(?: ?\([A-Za-z ]+\))?)"
_BETWEEN: Final = r"(?: ?[Tt] ?|[ _:,])"
_MOMENTS: Final = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"{_DATE}(?:{_BETWEEN}{_TIME} ?{_ZONE}?|[ :]*)",
        rf"{_DATE}(?: ?[Tt] ?|[ _:,\-]){_DASHED_TIME} ?{_ZONE}?",
        rf"{_DATE}{_BETWEEN}{_COMPACT_TIME} ?{_ZONE}?",
        rf"{_COMPACT_DATE}(?:(?: ?[Tt] ?|[ _\-]?){_COMPACT_TIME} ?{_ZONE}?)?",
        rf"{_COMPACT_DATE}{_BETWEEN}{_TIME} ?{_ZONE}?",
    )
)
_STANDARD: Final = re.compile(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_STANDARD_LENGTH: Final = 19
_DAY: Final = re.compile(_DATE, re.ASCII)
_OFFSET: Final = re.compile(r"(?:UTC|GMT)?(?P<sign>[+\-])(?P<hours>\d{1,2})(?::?(?P<minutes>[0-5]\d))?", re.ASCII)
_MAX_OFFSET: Final = timedelta(hours=14)  # no place on Earth has more
_UTC_NAMES: Final = frozenset(("Z", "UTC", "GMT"))
# Names that stand for one offset everywhere and at all times; CST, IST or BST stand for several.
_FIXED_NAMES: Final = {"WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "JST": 9, "KST": 9}
_SAME_MOMENT: Final = timedelta(minutes=15)  # a camera writes its dates at once; an edited picture has a later one


@dataclass(frozen=True, slots=True)
class DateTag:
    """The name and number of a date, and the numbers of its fraction and offset; `main`: it is in the main directory.

    The fraction and the offset are always in the EXIF directory.
    """

    name: str
    date: int
    fraction: int
    offset: int
    main: bool = False

    @property
    def numbers(self) -> tuple[int, int, int]:
        """The numbers of the three tags."""
        return self.date, self.fraction, self.offset


ORIGINAL: Final = DateTag("DateTimeOriginal", 0x9003, 0x9291, 0x9011)
DIGITIZED: Final = DateTag("DateTimeDigitized", 0x9004, 0x9292, 0x9012)
CHANGED: Final = DateTag("DateTime", 0x0132, 0x9290, 0x9010, main=True)
DATE_TAGS: Final = (ORIGINAL, DIGITIZED, CHANGED)
"""In the order in which they are asked for the time of exposure."""


@dataclass(frozen=True, slots=True)
class Times:
    """The dates of a picture: wall clock time, with a time zone only where an offset is known; None when absent.

    `taken` is the first of the others, or None where the first one that is given cannot be read: then a later one is
    not the time of exposure, and none of them counts.
    """

    taken: datetime | None = None
    original: datetime | None = None
    digitized: datetime | None = None
    changed: datetime | None = None


NO_TIMES: Final = Times()


def read_times(tiff: Tiff, problems: list[TagProblem]) -> Times:
    """Read the three dates; what is there and cannot be read is left out and added to `problems`.

    A date of blanks or zeros, by which cameras say that their clock is not set, is absent; if another date takes its
    place, that is added to `problems` as well.
    """
    if tiff.cut & {"main", "exif"} and _entry(tiff, ORIGINAL.date) is None:
        reason = "may be in the part of the EXIF that cannot be read; no other date of its EXIF takes its place"
        problems.append(TagProblem(ORIGINAL.name, reason))
        return NO_TIMES
    found: list[datetime | None] = []
    unset: list[DateTag] = []
    for tag in DATE_TAGS:
        entry = _entry(tiff, tag.date)
        try:
            moment = None if entry is None else _complete(*_parsed(date_text(entry)), tiff, tag, problems)
        except ValueError as error:
            first = not any(found)
            rest = "no other date of its EXIF takes its place" if first else "it is left out"
            problems.append(TagProblem(tag.name, f"cannot be read ({error}); {rest}"))
            if first:
                return NO_TIMES
            moment = None
        else:
            if moment is not None:
                problems += [TagProblem(t.name, f"is not set; {tag.name} is used instead") for t in unset]
                unset.clear()
            elif entry is not None and not any(found):
                unset.append(tag)
        found.append(moment)
    problems += _contradictions(tiff, found)
    return Times(next((moment for moment in found if moment), None), *found)


def parse_moment(text: str) -> datetime | None:
    """Read a date as cameras write it; None where it consists of blanks and zeros.

    Colons, dashes, slashes or dots, or no separators at all; a space, T or colon before the time; parts of one digit,
    also after a space; English names of months, as `ctime` writes them; no seconds, or no time, which is midnight then;
    AM or PM; a fraction, of which six digits count; Z, an offset, or the name of a zone: one that has several offsets,
    or that is not known, leaves the time without an offset. 24:00:00 is the
    end of the day, as in ISO 8601; any other time in hour 24 is in the first hour of the same day, as phones wrote it
    whose hours counted from 1 (Nexus 4, Nokia 7 plus). Second 60, a leap second, is the first of the next minute.

    Raises:
        ValueError: it is no such date.
    """
    return _parsed(text)[0]


def _parsed(text: str) -> tuple[datetime | None, bool]:
    """As `parse_moment`, and whether the text names a zone whose offset is not known."""
    if _BLANK.fullmatch(text):
        return None, False
    plain = " ".join(text.split())
    try:
        if len(plain) <= _MAX_TEXT:
            plain = _BREAKS.sub(r"\1", in_numbers(plain))
            matches = (form.fullmatch(plain) for form in _MOMENTS)
            if (match := next(filter(None, matches), None)) is not None:
                return _moment(match.groupdict())
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{shown(text)} is no valid date: {error}") from None
    raise ValueError(f"{_FORM}, got {shown(text)}")


def parse_day(text: str) -> date | None:
    """Read a date without time, as `parse_moment` reads one; None where it consists of blanks and zeros.

    Raises:
        ValueError: it is no such date.
    """
    if _BLANK.fullmatch(text):
        return None
    match = _DAY.fullmatch(_BREAKS.sub(r"\1", text.strip())) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise ValueError(f"expected YYYY:MM:DD, got {shown(text)}")
    return date(*(int(match[part]) for part in ("year", "month", "day")))


def date_text(entry: Entry) -> str:
    """The text of a date, with NULs as spaces; what follows the first NUL counts only if it belongs to the date.

    A date in the standard's form has 19 characters and a NUL; any other byte in its place does not count, either.

    Raises:
        ValueError: the entry holds no ASCII text.
    """
    require_readable(entry)
    if entry.raw is None:
        raise ValueError("expected text, got numbers")
    raw = _without_garbage(entry.raw.rstrip(b"\0 "))
    if not raw.isascii() or len(raw) > 4 * _MAX_TEXT:
        raise ValueError(f"{_FORM}, got {len(raw)} other bytes")
    whole_text = raw.replace(b"\0", b" ").decode("ascii").strip()
    before = raw.split(b"\0", 1)[0].decode("ascii").strip()
    return before if _is_moment(before) and not _is_moment(whole_text) else whole_text


def time_entries(times: Times) -> tuple[dict[int, Entry], dict[int, Entry]]:
    """The tags of `times` in the standard's form, for the main and for the EXIF directory.

    A fraction or offset is written only where it is known.
    """
    main: dict[int, Entry] = {}
    exif: dict[int, Entry] = {}
    for tag, moment in zip(DATE_TAGS, (times.original, times.digitized, times.changed), strict=True):
        if moment is None:
            continue
        day = f"{moment.year:04d}:{moment:%m:%d %H:%M:%S}"
        (main if tag.main else exif)[tag.date] = _ascii(day)
        if moment.microsecond:
            exif[tag.fraction] = _ascii(f"{moment.microsecond:06d}".rstrip("0"))
        if (offset := _offset_text(moment)) is not None:
            exif[tag.offset] = _ascii(offset)
    return main, exif


def _without_garbage(raw: bytes) -> bytes:
    """The standard's form without what is no part of a date: one byte at its end, or bytes after a NUL."""
    if not _STANDARD.match(raw):
        return raw
    rest = raw[_STANDARD_LENGTH:]
    one = len(rest) == 1 and not rest.isdigit() and rest not in b"Zz"
    return raw[:_STANDARD_LENGTH] if one or (rest[:1] == b"\0" and not rest.isascii()) else raw


def _contradictions(tiff: Tiff, found: Sequence[datetime | None]) -> list[TagProblem]:
    """Offsets that contradict the first one that is known, of dates at the same time or of dates that are missing."""
    aware = [(tag, moment) for tag, moment in zip(DATE_TAGS, found, strict=True) if moment and moment.tzinfo]
    if not aware:
        return []
    first, known = aware[0]
    problems = []
    for tag, moment in zip(DATE_TAGS, found, strict=True):
        offset = _offset_of(tiff, tag) if moment is None else moment.tzinfo
        if tag is first or offset is None or offset.utcoffset(None) == known.utcoffset():
            continue
        if moment and abs(moment.replace(tzinfo=None) - known.replace(tzinfo=None)) > _SAME_MOMENT:
            continue
        problems.append(_contradiction(tag, first.name, "and is not used" if moment is None else "and is kept"))
    return problems


def _contradiction(tag: DateTag, other: str, what: str) -> TagProblem:
    return TagProblem(_offset_name(tag), f"contradicts the offset of {other}, {what}; the time zone is uncertain")


def _offset_of(tiff: Tiff, tag: DateTag) -> timezone | None:
    """The offset in the tag of its own; None where there is none, or none that can be read."""
    entry = _entry(tiff, tag.offset)
    try:
        return None if entry is None else _zone(date_text(entry))
    except ValueError:
        return None


def _offset_name(tag: DateTag) -> str:
    return tag.name.replace("DateTime", "OffsetTime")


def _complete(
    moment: datetime | None, nameless: bool, tiff: Tiff, tag: DateTag, problems: list[TagProblem]
) -> datetime | None:
    """`moment` with the fraction and offset of its own tags, where its text gives none.

    `nameless`: the text names a zone whose offset is not known.
    """
    if moment is None:
        return None
    if not moment.microsecond and (entry := _entry(tiff, tag.fraction)) is not None:
        try:
            moment = moment.replace(microsecond=_microsecond(entry))
        except ValueError as error:
            problems.append(TagProblem(tag.name.replace("DateTime", "SubSecTime"), f"is left out: {error}"))
    if moment.tzinfo is not None:
        own = _offset_of(tiff, tag)
        if own is not None and own.utcoffset(None) != moment.utcoffset():
            problems.append(_contradiction(tag, f"the text of {tag.name}", "which is used"))
    elif (entry := _entry(tiff, tag.offset)) is not None:
        try:
            moment = moment.replace(tzinfo=_zone(date_text(entry)))
        except ValueError as error:
            problems.append(TagProblem(_offset_name(tag), f"is left out: {error}"))
    if nameless and moment.tzinfo is None:
        problems.append(TagProblem(tag.name, "names a time zone whose offset is not known; it is read without one"))
    return moment


def _moment(parts: Mapping[str, str | None]) -> tuple[datetime, bool]:
    year, month, day, hour, minute, second = (
        int(parts.get(part) or 0) for part in ("year", "month", "day", "hour", "minute", "second")
    )
    fraction = int((parts.get("fraction") or "0")[:6].ljust(6, "0"))
    more = timedelta(0)
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            raise ValueError("the hour must be 1 to 12 before AM or PM")
        hour = hour % 12 + (12 if half in "Pp" else 0)
    if hour == 24:
        more += timedelta(days=int(minute == second == fraction == 0))
        hour = 0
    if second == 60:
        more += timedelta(seconds=1)
        second = 59
    name = parts.get("zone") or ""
    nameless = name[-1:].isalpha() and name.upper() not in _UTC_NAMES | _FIXED_NAMES.keys()
    zone = None if nameless else _zone(name)
    return datetime(year, month, day, hour, minute, second, fraction, tzinfo=zone) + more, nameless


def _microsecond(entry: Entry) -> int:
    """SubSecTime: the digits behind the point. Leading spaces are zeros, as GoPro wrote them."""
    raw = (entry.raw or b"x").split(b"\0", 1)[0].rstrip()
    digits = raw.replace(b" ", b"0")
    if digits and not digits.isdigit():
        raise ValueError("expected digits")
    return int(digits[:6].ljust(6, b"0"))


def _zone(text: str) -> timezone | None:
    """The zone of an offset such as +02:00, +0200, +2 or Z, or of a name such as CEST; None for blanks."""
    if not text.strip(" :"):
        return None
    if text.upper() in _UTC_NAMES:
        return UTC
    if (hours := _FIXED_NAMES.get(text.upper())) is not None:
        return timezone(timedelta(hours=hours)) if hours else UTC
    match = _OFFSET.fullmatch(text)
    shift = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0)) if match else None
    if match is None or shift is None or shift > _MAX_OFFSET:
        raise ValueError(f"expected an offset such as +02:00, got {shown(text)}")
    return timezone(-shift if match["sign"] == "-" else shift) if shift else UTC


def _offset_text(moment: datetime) -> str | None:
    offset = moment.utcoffset()
    if offset is None:
        return None
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    return f"{'-' if offset < timedelta(0) else '+'}{hours:02d}:{minutes:02d}"


def _is_moment(text: str) -> bool:
    try:
        return parse_moment(text) is not None
    except ValueError:
        return False


def _entry(tiff: Tiff, tag: int) -> Entry | None:
    """The entry of `tag` in the EXIF directory, else in the main one: some writers put the dates into the other."""
    directories: tuple[Directory, ...] = (tiff.exif, tiff.main)
    return next((directory[tag] for directory in directories if tag in directory), None)


def _ascii(text: str) -> Entry:
    return Entry(ASCII, text.encode("ascii") + b"\0")
