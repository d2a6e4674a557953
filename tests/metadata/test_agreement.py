"""The record and the published EXIF say the same of place and time, however the original says it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.imaging.builders import RawEntry, TiffBuilder, jpeg, with_exif
from tests.metadata.published import Said, record_and_published

Properties = Callable[..., bytes]

PLAIN = jpeg()
TIFF = TiffBuilder("<")
PLACED = {1: TIFF.ascii("N"), 2: TIFF.ratio((59, 1), (54, 1), (50, 1)), 3: TIFF.ascii("E"),
          4: TIFF.ratio((10, 1), (45, 1), (8, 1))}  # fmt: skip
DATED = {0x9003: TIFF.ascii("2020:06:02 09:42:46")}


def _said(
    gps: dict[int, RawEntry], exif: dict[int, RawEntry] | None = None, xml: bytes | None = None
) -> tuple[Said, Said]:
    main = {0x0112: TIFF.short(1)} | ({} if xml is None else {40055: TIFF.raw(xml)})
    _, record, published, _ = record_and_published(
        with_exif(PLAIN, TIFF.build(main, DATED if exif is None else exif, gps))
    )
    return record, published


def _assert_agree(record: Said, published: Said) -> None:
    assert (published.latitude is None) == (record.latitude is None)
    assert (published.latitude, published.longitude) == pytest.approx((record.latitude, record.longitude), abs=1e-8)
    assert published.altitude == pytest.approx(record.altitude, abs=1e-3)
    assert published.heading == pytest.approx(record.heading, abs=1e-5)
    assert published.time == (record.time and record.time[:26] + record.time[26:].lstrip("0123456789"))


# --- The cases -------------------------------------------------------------------------------------------------------


def test_cases(cases: Path) -> None:
    expected = json.loads((cases / "expected.json").read_text("utf-8"))
    tried = 0
    for name, wanted in expected.items():
        path = cases / "pictures" / name
        record, said, published, exif = record_and_published(path.read_bytes(), path)
        for key, attribute in (("lat", "latitude"), ("lon", "longitude"), ("alt", "altitude")):
            if key in wanted:
                assert getattr(said, attribute) == pytest.approx(wanted[key], abs=1e-6), name
                assert getattr(published, attribute) == pytest.approx(wanted[key], abs=1e-6), name
                tried += 1
        if "tid" in wanted:
            assert record["exif_tid"].startswith(wanted["tid"]), name
            assert published.time == record["exif_tid"], name
            tried += 1
        if "interop" in wanted:
            assert exif.get_ifd(0xA005)[1] == wanted["interop"]
            tried += 1
    assert tried >= 14


# --- The same place and time, written in many ways -------------------------------------------------------------------


def _ratios(*numbers: Fraction | int, kind: int = 5) -> RawEntry:
    return TIFF.ratio(*(Fraction(number).as_integer_ratio() for number in numbers), kind=kind)


def _parts(degrees: Fraction, count: int) -> list[Fraction | int]:
    whole, minutes = int(degrees), degrees % 1 * 60
    if count == 1:
        return [degrees]
    return [whole, minutes] if count == 2 else [whole, int(minutes), minutes % 1 * 60]


@st.composite
def _coordinates(draw: st.DrawFn, limit: int, sides: tuple[str, str]) -> tuple[float, RawEntry, RawEntry]:
    """A coordinate to a tenth of a second, with one way to write its reference and its number."""
    tenths = draw(st.integers(-limit * 36_000, limit * 36_000))
    degrees = Fraction(abs(tenths), 36_000)
    word = sides[tenths < 0]
    text = draw(
        st.sampled_from([word[0], word[0].lower(), word, word.upper(), f" {word[0]}", f"{word[0]} ", f"{word[0]}\0"])
    )
    reference = draw(st.sampled_from([TIFF.ascii(text), TIFF.raw(text.encode()), TIFF.raw(text.encode(), kind=7)]))
    parts = _parts(degrees, draw(st.integers(1, 3)))
    number = draw(
        st.sampled_from(
            [_ratios(*parts), _ratios(*parts, kind=10), TIFF.double(*map(float, parts))]
            + ([TIFF.double(-float(degrees))] if tenths < 0 else [])
        )
    )
    return tenths / 36_000, reference, number


@st.composite
def _altitudes(draw: st.DrawFn) -> tuple[float, dict[int, RawEntry]]:
    metres = draw(st.integers(-10_000, 90_000)) / 10
    number = Fraction(round(abs(metres) * 10), 10)
    code = draw(st.sampled_from([1, 3] if metres < 0 else [0, 2]))
    reference = draw(
        st.sampled_from([TIFF.raw(bytes((code,))), TIFF.short(code), TIFF.long(code), TIFF.ascii(str(code))])
    )
    return metres, {5: reference, 6: draw(st.sampled_from([_ratios(number), TIFF.double(float(number))]))}


@settings(max_examples=60)
@given(
    latitude=_coordinates(90, ("North", "South")), longitude=_coordinates(180, ("East", "West")), altitude=_altitudes()
)
def test_one_place_in_many_forms(
    latitude: tuple[float, RawEntry, RawEntry],
    longitude: tuple[float, RawEntry, RawEntry],
    altitude: tuple[float, dict[int, RawEntry]],
) -> None:
    gps = {1: latitude[1], 2: latitude[2], 3: longitude[1], 4: longitude[2], **altitude[1]}
    record, published = _said(gps)
    _assert_agree(record, published)
    if latitude[0] or longitude[0]:
        assert (record.latitude, record.longitude) == pytest.approx((latitude[0], longitude[0]), abs=1e-9)
        assert record.altitude == pytest.approx(altitude[0], abs=1e-6)
    else:
        assert (record.latitude, record.altitude) == (None, None)


ENTRIES = st.one_of(
    st.binary(max_size=6).map(lambda raw: TIFF.raw(raw + b"\0", kind=2)),
    st.sampled_from("NSEWTM01").map(TIFF.ascii),
    st.binary(min_size=1, max_size=3).map(TIFF.raw),
    st.lists(st.integers(0, 400), min_size=1, max_size=4).map(lambda numbers: TIFF.short(*numbers)),
    st.lists(st.floats(), min_size=1, max_size=4).map(lambda numbers: TIFF.double(*numbers)),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3)), min_size=1, max_size=3).map(lambda r: TIFF.ratio(*r)),
    st.tuples(st.integers(-400, 400), st.integers(-2, 2)).map(lambda ratio: TIFF.ratio(ratio, kind=10)),
)


@settings(max_examples=60)
@given(gps=st.dictionaries(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 9, 11, 16, 17, 29, 31]), ENTRIES))
def test_any_values_agree_or_are_left_out_of_both(gps: dict[int, RawEntry]) -> None:
    _assert_agree(*_said({**PLACED, **gps}))
    _assert_agree(*_said(gps))


FORMS = [
    "%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y:%m:%d  %H:%M:%S",
    "%Y.%m.%d %H:%M:%S||", "%Y:%m:%d|%H:%M:%S",
]  # fmt: skip


@settings(max_examples=60)
@given(
    moment=st.datetimes(min_value=datetime(1000, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),
    form=st.sampled_from(FORMS),
    millis=st.integers(0, 999),
    minutes=st.none() | st.integers(-12 * 60, 14 * 60),
    in_text=st.booleans(),
)
def test_one_time_in_many_forms(moment: datetime, form: str, millis: int, minutes: int | None, in_text: bool) -> None:
    zone = None if minutes is None else timezone(timedelta(minutes=minutes))
    expected = moment.replace(microsecond=millis * 1000, tzinfo=zone)
    offset = expected.isoformat()[-6:] if zone else ""
    text = moment.strftime(form).replace("|", "\0")  # strftime ends at a NUL
    if in_text and "\0" not in text:
        exif = {0x9003: TIFF.ascii(f"{text}.{millis:03d}{offset}")}
    else:
        exif = {0x9003: TIFF.ascii(text), 0x9291: TIFF.ascii(f"{millis:03d}"), 0x9011: TIFF.ascii(offset)}
    record, published = _said({}, exif)
    assert record.time == expected.isoformat(timespec="microseconds")
    _assert_agree(record, published)


def test_an_unreadable_date_leaves_every_date_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    exif = {0x9003: TIFF.ascii("2020:99:02 09:42:46"), 0x9004: TIFF.ascii("2001:01:01 00:00:00")}
    data = with_exif(PLAIN, TIFF.build({0x0132: TIFF.ascii("2002:01:01 00:00:00")}, exif))
    record, said, published, reader = record_and_published(data, path, sha256="ab" * 32)
    assert record["bildeid"] == f"sha256-{'ab' * 9}a_a"
    assert said.time is not None
    assert not said.time.startswith(("2001", "2002"))
    assert published.time is None
    assert 0x0132 not in reader
    assert 0x9004 not in reader.get_ifd(0x8769)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "a.jpg: EXIF tag DateTimeOriginal cannot be read" in caplog.text
    assert "the time of its file is used" in caplog.text


# --- With the vendor's tag 40055, whose values are the record's ------------------------------------------------------

GEO_TAG = "<GeoTag><dLongitude>-9.5</dLongitude><dLatitude>61.25</dLatitude><dAltitude>-3.5</dAltitude></GeoTag>"
ALL = {**PLACED, 5: TIFF.raw(b"\0"), 6: TIFF.ratio((12, 1)), 16: TIFF.ascii("M"), 17: TIFF.ratio((90, 1))}


@pytest.mark.parametrize(
    ("inside", "wanted"),
    [
        (f"{GEO_TAG}<Heading>-45</Heading>", Said(61.25, -9.5, -3.5, 315, None)),
        (f"{GEO_TAG}<Heading>90</Heading>", Said(61.25, -9.5, -3.5, 90, None)),
        ("<GeoTag><dLongitude>1</dLongitude><dLatitude>2</dLatitude></GeoTag>", Said(2, 1, None, None, None)),
        ("<Heading>1000</Heading>", Said(None, None, None, None, None)),
    ],
)
def test_the_vendors_place_is_published(
    properties: Properties, caplog: pytest.LogCaptureFixture, inside: str, wanted: Said
) -> None:
    record, published = _said(ALL, xml=properties(inside))
    _assert_agree(record, published)
    assert (record.latitude, record.longitude, record.altitude, record.heading) == (
        wanted.latitude, wanted.longitude, wanted.altitude, wanted.heading,
    )  # fmt: skip
    assert "the position of its standard EXIF tags is not that of tag 40055" in caplog.text


@pytest.mark.parametrize("altitude", ["1e300", "5e9", "-5e9", "500000.1234", "-99999", "12,5"])
def test_an_altitude_of_the_vendors_that_cannot_be_used_is_left_out_with_a_warning(
    properties: Properties, caplog: pytest.LogCaptureFixture, altitude: str
) -> None:
    record, published = _said(ALL, xml=properties(GEO_TAG.replace("-3.5", altitude)))
    _assert_agree(record, published)
    assert (record.latitude, record.altitude) == (61.25, None)
    assert "a.jpg: dAltitude in the vendor's tags cannot be used" in caplog.text


@pytest.mark.parametrize("altitude", ["NaN", "", "-3.5"])
def test_an_unknown_altitude_of_the_vendors_is_no_fault(
    properties: Properties, caplog: pytest.LogCaptureFixture, altitude: str
) -> None:
    _said(ALL, xml=properties(GEO_TAG.replace("-3.5", altitude)))
    assert "cannot be used" not in caplog.text


def test_a_place_that_only_the_vendors_tag_has_is_published_as_well(properties: Properties) -> None:
    data = with_exif(PLAIN, TIFF.build({40055: TIFF.raw(properties(f"{GEO_TAG}<Heading>90</Heading>"))}))
    _, record, published, reader = record_and_published(data)
    assert (record.latitude, record.altitude, record.heading) == (61.25, -3.5, 90)
    _assert_agree(record, published)
    assert reader.get_ifd(0x8825)[0] == b"\2\3\0\0"


@pytest.mark.parametrize(
    ("exif", "warned"),
    [
        (DATED, False),
        ({0x9003: TIFF.ascii("2020:06:02 09:42:47"), 0x9291: TIFF.ascii("9")}, False),
        ({0x9003: TIFF.ascii("2001:01:01 00:00:00")}, True),
        ({0x9004: TIFF.ascii("2020:06:02 09:42:46")}, False),
        ({0x9003: TIFF.ascii("2020:99:02 09:42:46")}, False),
        ({}, False),
    ],
)
def test_the_vendors_time_is_published(
    properties: Properties, caplog: pytest.LogCaptureFixture, exif: dict[int, Any], warned: bool
) -> None:
    record, published = _said({}, exif, properties())
    assert (record.time, published.time) == ("2020-06-02T09:42:46.3948628", "2020-06-02T09:42:46.394862")
    assert ("the time of its standard EXIF tags is not that of tag 40055" in caplog.text) == warned
