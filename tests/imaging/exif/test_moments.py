"""Dates as people's cameras write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.imaging.exif.moments import Times, parse_day, parse_moment, read_times, time_entries
from anonymisation.imaging.exif.tiff import Entry, Tiff
from anonymisation.imaging.exif.values import TagProblem

NOON = datetime(2018, 8, 2, 12)
NORWAY = timezone(timedelta(hours=2))


def _times(
    entries: dict[int, bytes | Entry], main: dict[int, bytes | Entry] | None = None
) -> tuple[Times, list[TagProblem]]:
    exif, outer = (
        {tag: value if isinstance(value, Entry) else Entry(2, value) for tag, value in part.items()}
        for part in (entries, main or {})
    )
    problems: list[TagProblem] = []
    return read_times(Tiff(outer, exif, {}), problems), problems


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018:08:02 12:00:00", NOON),
        ("2007:03:08 15:57: 7", datetime(2007, 3, 8, 15, 57, 7)),
        ("2007: 3: 8  5: 7: 9", datetime(2007, 3, 8, 5, 7, 9)),
        ("2018:8:2 9:05:07", datetime(2018, 8, 2, 9, 5, 7)),
        ("2018:08:02  12:00:00", NOON),
        ("  2018:08:02 12:00:00  ", NOON),
        ("2018-08-02 12:00:00", NOON),
        ("2018/08/02 12:00:00", NOON),
        ("2018.08.02 12.00.00", NOON),
        ("2018_08_02_12:00:00", NOON),
        ("2018:08:02:12:00:00", NOON),
        ("2018-08-02T12:00:00", NOON),
        ("2018-08-02t12:00:00z", NOON.replace(tzinfo=UTC)),
        ("2018-08-02T12:00:00Z", NOON.replace(tzinfo=UTC)),
        ("2018:08:02 12:00:00 UTC", NOON.replace(tzinfo=UTC)),
        ("2018:08:02 12:00:00+02:00", NOON.replace(tzinfo=NORWAY)),
        ("2018-08-02T12:00:00 +0200", NOON.replace(tzinfo=NORWAY)),
        ("2018-08-02T12:00:00.5-03", datetime(2018, 8, 2, 12, 0, 0, 500_000, timezone(-timedelta(hours=3)))),
        ("2018:08:02 12:00Z", NOON.replace(tzinfo=UTC)),
        ("2018:08:02 12:00:00.123", NOON.replace(microsecond=123_000)),
        ("2018:08:02 12:00:00,1234567", NOON.replace(microsecond=123_456)),
        ("2018:08:02 12:00:00:123", NOON.replace(microsecond=123_000)),
        ("2018:08:02 12:00", NOON),
        ("2018:08:02 12:00:  ", NOON),
        ("2018:08:02", datetime(2018, 8, 2)),
        ("2018:08:02   :  :  ", datetime(2018, 8, 2)),
        ("2018:08:02 12:00:00 PM", NOON),
        ("2018:08:02 12:00:00 am", datetime(2018, 8, 2)),
        ("2018:08:02 1:00:00PM", datetime(2018, 8, 2, 13)),
        ("2018:12:31 24:00:00", datetime(2019, 1, 1)),
        ("2019:01:01 24:04:20", datetime(2019, 1, 1, 0, 4, 20)),
        ("2018:12:31 23:59:60", datetime(2019, 1, 1)),
        ("20180802T120000", NOON),
        ("20180802 120000", NOON),
        ("20180802120000", NOON),
        ("20180802T120000Z", NOON.replace(tzinfo=UTC)),
        ("20180802T120000.5+0200", NOON.replace(microsecond=500_000, tzinfo=NORWAY)),
        ("20180802T1200", NOON),
        ("20180802", datetime(2018, 8, 2)),
        ("20180802 12:00:00", NOON),
        ("2018-08-02T120000", NOON),
        ("2018:08:02 12-00-00", NOON),
        ("2018-08-02-12-00-00", NOON),
        ("2018-08-02_12-00-00", NOON),
        ("2018:08:02 12 00 00", NOON),
        ("2018:08:02, 12:00:00", NOON),
        ("2018:08:02 12:00:00 CEST", NOON.replace(tzinfo=NORWAY)),
        ("2018:08:02 12:00:00 cet", NOON.replace(tzinfo=timezone(timedelta(hours=1)))),
        ("2018:08:02 12:00:00 +0200 (CEST)", NOON.replace(tzinfo=NORWAY)),
        ("2018:08:02 02:00:00 PM CEST", NOON.replace(hour=14, tzinfo=NORWAY)),
        ("Thu Aug 02 12:00:00 2018", NOON),
        ("Thu Aug  2 12:00:00 2018\n", NOON),
        ("Thu Aug  2 12:00:00 CEST 2018", NOON.replace(tzinfo=NORWAY)),
        ("Thu Aug 02 12:00:00 +0200 2018", NOON.replace(tzinfo=NORWAY)),
        ("Thu, 02 Aug 2018 12:00:00 +0200", NOON.replace(tzinfo=NORWAY)),
        ("2 August 2018, 12:00", NOON),
        ("02-Aug-2018 12:00:00", NOON),
        ("2018-Aug-02 12:00:00", NOON),
        ("Aug 2, 2018 2:00:00 PM", NOON.replace(hour=14)),
        ("2018/08/02", datetime(2018, 8, 2)),
        ("2018.08.02", datetime(2018, 8, 2)),
        ("2018:12:31 23:59:60.5", datetime(2019, 1, 1, 0, 0, 0, 500_000)),
    ],
)
def test_what_is_readable_is_read(text: str, moment: datetime) -> None:
    found = parse_moment(text)
    assert found == moment
    assert found is not None
    assert found.utcoffset() == moment.utcoffset()
    assert _times({0x9003: text.encode() + b"\0"}) == (Times(moment, moment), [])


@pytest.mark.parametrize("zone", ["CST", "ist", "Local", "Europe/Oslo", "EDT"])
def test_a_zone_without_one_known_offset_leaves_the_time_without(zone: str) -> None:
    times, (problem,) = _times({0x9003: f"2018:08:02 12:00:00 {zone}".encode()})
    assert times == Times(NOON, NOON)
    assert problem.tag == "DateTimeOriginal"
    assert "time zone" in problem.reason
    aware = NOON.replace(tzinfo=NORWAY)
    assert _times({0x9003: f"2018:08:02 12:00:00 {zone}".encode(), 0x9011: b"+02:00"}) == (Times(aware, aware), [])


@pytest.mark.parametrize("text", ["", "    :  :     :  :  ", "0000:00:00 00:00:00", "0000-00-00T00:00:00Z"])
def test_blanks_and_zeros_are_no_date(text: str) -> None:
    assert parse_moment(text) is None
    assert parse_day(text) is None
    assert _times({0x9003: text.encode()}) == (Times(), [])


UNREADABLE = [
    "yesterday", "2020:13:02 03:04:05", "2020:02:30 10:00:00", "2020:00:00 10:00:00", "2020:02:02 25:00:00",
    "2020:02:02 10:60:00", "2020:02:02 10:00:61", "02.06.2020 10:00:00", "2020:02-02 10:00:00", "2020:06", "9" * 19,
    "9999:12:31 24:00:00", "2020:02:02 13:00:00 PM", "2020:02:02 10:00:00 x", "2020:02:02 10:00:00+99:00",
    "20181302T120000", "20180802T126000", "201808021", "2018080212000", "2018:08:02 1-2-3", "2018:08:02 -12:00",
    "Fri Aug 02 12:00:00 2018", "Thu Feb 30 12:00:00 2018", "Thu Aou 02 12:00:00 2018", "02/08/2018 12:00:00",
    "20٢٠:02:02 10:00:00", "2020:02:02 " + " " * 400 + "x",
]  # fmt: skip


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_cannot_be_read_gets_no_other_tags_value(text: str) -> None:
    later = {0x9004: b"2021:01:02 03:04:05\0"}
    times, problems = _times({0x9003: text.encode(), **later}, {0x0132: b"2022:01:02 03:04:05\0"})
    assert times == Times()
    assert [problem.tag for problem in problems] == ["DateTimeOriginal"]
    assert "no other date" in problems[0].reason
    assert "٢" not in problems[0].reason


@pytest.mark.parametrize("text", ["Ola Nordmann", "AB 12345\n", "ola@example.com", "x" * 40])
def test_other_text_is_not_quoted(text: str) -> None:
    _, (problem,) = _times({0x9003: text.encode()})
    assert text.strip() not in problem.reason


@pytest.mark.parametrize(
    ("raw", "taken"),
    [
        (b"2018:08:02 12:00:00\0\0\0", NOON),
        (b"2018:08:02\x0012:00:00\0", NOON),
        (b"\x002018:08:02 12:00:00", NOON),
        (b"2018:08:02 12:00:00\0SECRET", NOON),
        (b"2018:08:02\0\xff", None),
        (b"2018:08:02 12:00:00\xe5", NOON),
        (b"2018:08:02 12:00:00\x01", NOON),
        (b"2018:08:02 12:00:00?\0", NOON),
        (b"2018:08:02 12:00:00Z", NOON.replace(tzinfo=UTC)),
        (b"2018:08:02 12:00:00\0\xff\xfe", NOON),
        (b"2018:08:02 12:00:00\xff\xfe", None),
        (b"2018:08:02 12:0\xff:00", None),
        (b"\0" * 20, None),
        (Entry(3, (2018, 8, 2)), None),
        (Entry(7, b"2018:08:02 12:00:00"), NOON),
    ],
)
def test_null_bytes_and_other_types(raw: bytes | Entry, taken: datetime | None) -> None:
    assert _times({0x9003: raw})[0].taken == taken


def test_the_first_date_that_is_given_is_the_time_of_exposure() -> None:
    original, digitized, changed = ((b"20%d:01:02 03:04:05\0" % year) for year in (20, 21, 22))
    zeros = b"0000:00:00 00:00:00\0"
    y20, y21, y22 = (datetime(year, 1, 2, 3, 4, 5) for year in (2020, 2021, 2022))
    assert _times({0x9003: original, 0x9004: digitized}, {0x0132: changed}) == (Times(y20, y20, y21, y22), [])
    assert _times({0x9004: digitized}, {0x0132: changed}) == (Times(y21, None, y21, y22), [])
    assert _times({0x0132: changed, 0x9003: zeros}) == (
        Times(y22, None, None, y22), [TagProblem("DateTimeOriginal", "is not set; DateTime is used instead")],
    )  # fmt: skip
    times, problems = _times({}, {0x9003: original, 0x0132: b"x"})
    assert times == Times(y20, y20)
    assert [(problem.tag, "it is left out" in problem.reason) for problem in problems] == [("DateTime", True)]


@pytest.mark.parametrize(
    ("fraction", "offset", "expected", "problems"),
    [
        (b"5\0", b"+02:00\0", NOON.replace(microsecond=500_000, tzinfo=NORWAY), []),
        (b"1239999  \0", b"Z\0", NOON.replace(microsecond=123_999, tzinfo=UTC), []),
        (b"  5\0", b"+0200", NOON.replace(microsecond=5000, tzinfo=NORWAY), []),
        (b"   \0", b"   :  \0", NOON, []),
        (b"\0", b"+01:75\0", NOON, ["OffsetTimeOriginal"]),
        (b"\0", b"+0260\0", NOON, ["OffsetTimeOriginal"]),
        (b"x1\0", b"+99:00\0", NOON, ["SubSecTimeOriginal", "OffsetTimeOriginal"]),
        (b"-1\0", b"02:00\0", NOON, ["SubSecTimeOriginal", "OffsetTimeOriginal"]),
        (b"\0", b"Oslo\0", NOON, ["OffsetTimeOriginal"]),
        (Entry(3, (5,)), Entry(3, (2,)), NOON, ["SubSecTimeOriginal", "OffsetTimeOriginal"]),
    ],
)
def test_fraction_and_offset(
    fraction: bytes | Entry, offset: bytes | Entry, expected: datetime, problems: list[str]
) -> None:
    times, found = _times({0x9003: b"2018:08:02 12:00:00\0", 0x9291: fraction, 0x9011: offset})
    assert times.taken is not None
    assert (times.taken, times.taken.utcoffset()) == (expected, expected.utcoffset())
    assert [problem.tag for problem in found] == problems


def test_fraction_and_offset_in_the_text_outweigh_their_tags() -> None:
    times, _ = _times({0x9003: b"2018:08:02 12:00:00.25Z\0", 0x9291: b"5\0", 0x9011: b"+02:00\0"})
    assert times.taken == NOON.replace(microsecond=250_000, tzinfo=UTC)


def test_an_offset_in_the_text_that_contradicts_its_tag_gives_a_warning() -> None:
    times, (problem,) = _times({0x9003: b"2018:08:02 12:00:00+02:00\0", 0x9011: b"+01:00\0"})
    assert times.taken is not None
    assert times.taken.utcoffset() == timedelta(hours=2)
    assert (problem.tag, "contradicts" in problem.reason) == ("OffsetTimeOriginal", True)
    assert _times({0x9003: b"2018:08:02 12:00:00+02:00\0", 0x9011: b"+0200\0"})[1] == []


@pytest.mark.parametrize(
    ("changed", "offset", "tags"),
    [
        (b"2018:08:02 12:00:00\0", b"+01:00\0", ["OffsetTime"]),
        (b"2018:08:02 12:00:02\0", b"Z\0", ["OffsetTime"]),
        (None, b"+01:00\0", ["OffsetTime"]),
        (None, b"+02:00\0", []),
        (None, b"   :  \0", []),
        (b"2018:08:02 12:00:00\0", b"+02:00\0", []),
        (b"2018:08:09 20:00:00\0", b"+01:00\0", []),  # changed a week later in another zone
        (b"2018:08:02 12:00:00\0", None, []),
    ],
)
def test_offsets_that_contradict_each_other_give_a_warning(
    changed: bytes | None, offset: bytes | None, tags: list[str]
) -> None:
    exif: dict[int, bytes | Entry] = {0x9003: b"2018:08:02 12:00:00\0", 0x9011: b"+02:00\0"}
    times, problems = _times(
        exif | ({} if offset is None else {0x9010: offset}), {} if changed is None else {0x0132: changed}
    )
    assert times.taken == NOON.replace(tzinfo=NORWAY)
    assert [problem.tag for problem in problems if "contradicts" in problem.reason] == tags


ZONES: st.SearchStrategy[tzinfo | None] = st.none() | st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
MOMENTS = st.builds(lambda at, zone: at.replace(tzinfo=zone), st.datetimes(min_value=datetime(1, 1, 2)), ZONES)


@given(moments=st.lists(st.none() | MOMENTS, min_size=3, max_size=3))
def test_what_is_written_is_read_again(moments: list[datetime | None]) -> None:
    times = Times(next((moment for moment in moments if moment), None), *moments)
    main, exif = time_entries(times)
    problems: list[TagProblem] = []
    again = read_times(Tiff(main, exif, {}), problems)
    assert again == times
    assert all("contradicts" in problem.reason for problem in problems)
    for one, other in zip(moments, (again.original, again.digitized, again.changed), strict=True):
        assert (one and one.utcoffset()) == (other and other.utcoffset())


@given(raw=st.binary(max_size=80) | st.text("0123456789:-/. TZ+\0", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    times, problems = _times({0x9003: raw, 0x9291: raw, 0x9011: raw})
    assert times.taken is None or not [problem for problem in problems if problem.tag == "DateTimeOriginal"]


@pytest.mark.parametrize(
    ("text", "day"), [("2018:08:02", date(2018, 8, 2)), ("2018-8- 2", date(2018, 8, 2)), (" 2018/08/02 ", NOON.date())]
)
def test_days(text: str, day: date) -> None:
    assert parse_day(text) == day


@pytest.mark.parametrize("text", ["2018:13:02", "02.08.2018", "2018", "x", "2018:08:02 12:00:00"])
def test_no_days(text: str) -> None:
    with pytest.raises(ValueError, match=r"2018|other text|month"):
        parse_day(text)
