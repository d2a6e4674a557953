"""What the EXIF of a masked picture holds, read back by Pillow."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anonymisation.core.errors import ImageMetadataError
from anonymisation.imaging.exif.allow_list import PUBLISHED_TAGS
from anonymisation.imaging.exif.moments import DATE_TAGS
from anonymisation.imaging.exif.place import PLACE_TAGS
from anonymisation.imaging.exif.read import Provenance, published_exif, read_exif, read_provenance
from tests.imaging.builders import RawEntry, TiffBuilder, jpeg, segment, with_exif, with_segments

PLAIN = jpeg()
PROVENANCE = Provenance("ab" * 32, "P0.1_K20200101", "Built-in@1a2b3c4d5e6f", {"person": 2, "car": 1})
BIG = TiffBuilder(">")


def _published(data: bytes, xml: str | None = None, reflink: str | None = None) -> bytes:
    return published_exif(data, image_properties=xml, reflink_info=reflink, provenance=PROVENANCE)


def _parsed(exif: bytes) -> tuple[dict[int, object], dict[int, object], dict[int, object]]:
    assert exif.startswith(b"Exif\0\0")
    reader = Image.Exif()
    reader.load(exif)
    return dict(reader), dict(reader.get_ifd(0x8769)), dict(reader.get_ifd(0x8825))


@pytest.mark.parametrize("order", ["<", ">"])
def test_camera_exposure_time_and_position_pass(order: str) -> None:
    tiff = TiffBuilder(order)
    main = {0x010F: tiff.ascii("Maker & Co. "), 0x0112: tiff.short(6), 0x011A: tiff.ratio((96, 1))}
    exif = {
        0x829A: tiff.ratio((1, 60)),
        0x9000: tiff.raw(b"0232", kind=7),
        0x9003: tiff.ascii("2020:06:02 09:42:48"),
        0x9204: tiff.ratio((-1, 3), kind=10),
        0xA432: tiff.ratio((24, 1), (70, 1), (28, 10), (28, 10)),
    }
    gps = {0: tiff.raw(b"\2\2\0\0"), 1: tiff.ascii("N "), 2: tiff.ratio((59, 1), (45, 1), (47441, 1000))}
    gps |= {3: tiff.ascii("W"), 4: tiff.ratio((9, 1), (0, 1), (0, 1)), 7: tiff.ratio((7, 1), (8, 1), (9, 1))}
    written = _parsed(_published(with_exif(PLAIN, tiff.build(main, exif, gps))))
    assert written[0] | {0x8769: 0, 0x8825: 0, 0x9213: 0} == {
        0x010F: "Maker & Co.", 0x0112: 6, 0x011A: 96, 0x8769: 0, 0x8825: 0, 0x9213: 0,
    }  # fmt: skip
    assert written[1] == {
        0x829A: pytest.approx(1 / 60), 0x9000: b"0232", 0x9003: "2020:06:02 09:42:48",
        0x9204: pytest.approx(-1 / 3), 0xA432: (24, 70, 2.8, 2.8),
    }  # fmt: skip
    assert written[2] == {
        0: b"\2\2\0\0", 1: "N", 2: (59, 45, pytest.approx(47.441)), 3: "W", 4: (9, 0, 0), 7: (7, 8, 9),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("directory", "tag", "value", "written"),
    [
        ("exif", 0x829A, BIG.double(0.004), 1 / 250),
        ("exif", 0x829D, BIG.ratio((28, 10), kind=10), 2.8),
        ("exif", 0x9204, BIG.ratio((1, 3)), 1 / 3),
        ("exif", 0x8827, BIG.long(400), 400),
        ("gps", 0x0B, BIG.double(1.25), 1.25),
        ("gps", 0x1F, BIG.long(3), 3),
        ("gps", 0x07, BIG.double(7, 8, 9.5), (7, 8, 9.5)),
        ("gps", 0x09, BIG.ascii("a "), "A"),
        ("gps", 0x0A, BIG.short(3), "3"),
        ("gps", 0x1D, BIG.ascii("2020-6-2"), "2020:06:02"),
    ],
)
def test_a_value_of_another_type_is_written_in_the_standards(
    directory: str, tag: int, value: RawEntry, written: object
) -> None:
    exif, gps = ({tag: value} if name == directory else {} for name in ("exif", "gps"))
    dated = {0x9003: BIG.ascii("2020:06:03 00:30:00")}
    data = with_exif(PLAIN, BIG.build({0x0112: BIG.short(1)}, dated | exif, gps))
    entries = _parsed(_published(data))[1 if exif else 2]
    assert entries[tag] == (written if isinstance(written, str | tuple) else pytest.approx(written))


@pytest.mark.parametrize(
    ("tag", "value", "name"),
    [
        (0x07, BIG.ratio((25, 1), (0, 1), (0, 1)), "GPSTimeStamp"),
        (0x0B, BIG.ratio((1, 0)), "GPSDOP"),
        (0x0B, BIG.double(-1.0), "GPSDOP"),
        (0x1F, BIG.double(float("nan")), "GPSHPositioningError"),
        (0x1D, BIG.ascii("02.06.2020"), "GPSDateStamp"),
    ],
)
def test_a_gps_value_that_cannot_be_used_is_left_out_with_a_warning(
    tag: int, value: RawEntry, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = with_exif(PLAIN, BIG.build({0x0112: BIG.short(1)}, gps={tag: value}))
    assert tag not in _parsed(_published(data))[2]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"a picture: EXIF tag {name} is left out" in caplog.text


@pytest.mark.parametrize("taken", [None, "2020:06:04 00:00:00", "2020:05:31 23:59:59", "2020:13:02 12:00:00"])
def test_the_day_of_gps_is_that_of_the_record_or_left_out_with_a_warning(
    taken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    gps = {0x1D: BIG.ascii("2020:06:02"), 0x07: BIG.ratio((7, 1), (8, 1), (9, 1)), 0x0B: BIG.ratio((1, 1))}
    exif = {} if taken is None else {0x9003: BIG.ascii(taken)}
    written = _parsed(_published(with_exif(PLAIN, BIG.build({0x0112: BIG.short(1)}, exif, gps))))
    assert written[2] == {0x0B: 1}
    assert "a picture: EXIF tag GPSDateStamp is left out" in caplog.text


@pytest.mark.parametrize("index", ["R98", "R03", "THM", "X01"])
def test_the_interoperability_index_is_kept(index: str) -> None:
    """R03 stands for Adobe RGB. Pillow writes the original, so that both directions are read by another program."""
    original = Image.Exif()
    original.get_ifd(0x8769)[0xA005] = {1: index, 2: b"0100"}
    original.get_ifd(0x8825)[1] = "N"
    data = with_exif(PLAIN, original.tobytes().removeprefix(b"Exif\0\0"))
    reader = Image.Exif()
    reader.load(_published(data))
    wanted = {2: b"0100"} if index == "X01" else {1: index, 2: b"0100"}
    assert dict(reader.get_ifd(0xA005)) == wanted


def test_vendor_tags_are_the_redacted_texts_and_never_the_originals() -> None:
    tiff = BIG.build({40055: BIG.raw(b"<Driver>LEAK</Driver>"), 40056: BIG.raw(b"LEAK"), 40091: BIG.raw(b"T\0\0\0")})
    data = with_exif(PLAIN, tiff)
    assert not {40055, 40056, 40091} & _parsed(_published(data))[0].keys()
    main, _, _ = _parsed(_published(data, "<Driver>FJERNET æ</Driver>", "\ufeff<ReflinkInfo/>"))
    assert main[40055] == b"\xef\xbb\xbf" + "<Driver>FJERNET æ</Driver>".encode()
    assert main[40056] == b"\xef\xbb\xbf<ReflinkInfo/>"
    assert main[40091] == b"T\0\0\0"
    assert b"LEAK" not in _published(data, "<a/>", "<b/>")


@pytest.mark.parametrize("title", ["", "two\nlines", "x" * 129, "bell\a"])
def test_title_that_is_not_plain_and_short_is_dropped(title: str) -> None:
    data = with_exif(PLAIN, BIG.build({40091: BIG.raw(title.encode("utf-16-le") + b"\0\0")}))
    assert 40091 not in _parsed(_published(data, "<a/>"))[0]


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x010F, BIG.ascii(b"\xc3\x85ge")),
        (0x010F, BIG.ascii("x" * 65)),
        (0x010F, BIG.ascii("line\nbreak")),
        (0x010F, BIG.short(7)),
        (0x0110, BIG.ascii("")),
        (0x0112, BIG.short(9)),
        (0x0112, BIG.short(1, 1)),
        (0x011A, BIG.ratio((1, 0))),
        (0x011A, BIG.ratio((1, 1), (2, 1))),
        (0x011A, BIG.ascii("AB 12345")),
        (0x0128, BIG.short(77)),
        (0x0132, BIG.ascii("Ola Nordmann, AB1234")),
    ],
)
def test_malformed_values_are_dropped(tag: int, value: RawEntry) -> None:
    assert set(_parsed(_published(with_exif(PLAIN, BIG.build({tag: value}))))[0]) == {0x9213}


def test_text_behind_a_nul_is_dropped() -> None:
    data = with_exif(PLAIN, BIG.build({0x010F: BIG.ascii(b"Maker\0LEAK")}))
    assert b"LEAK" not in _published(data)
    assert _parsed(_published(data))[0][0x010F] == "Maker"


def test_unlisted_tags_are_dropped_whatever_they_are() -> None:
    listed = {(tag.directory, tag.number) for tag in PUBLISHED_TAGS}
    listed |= {("gps", number) for number in PLACE_TAGS} | {("exif", n) for tag in DATE_TAGS for n in tag.numbers}
    directories: dict[str, dict[int, RawEntry]] = {}
    for name, numbers in {"main": range(1, 65535, 7), "exif": range(0x8000, 0xFFFF, 9), "gps": range(64)}.items():
        numbers_left = [n for n in numbers if (name, n) not in listed and n not in {0x8769, 0x8825}]
        directories[name] = {number: BIG.ascii("LEAK") for number in numbers_left[:1200]}
    data = with_segments(
        PLAIN, segment(0xE1, b"Exif\0\0" + BIG.build(directories["main"], directories["exif"], directories["gps"]))
    )
    assert b"LEAK" in data
    assert set(_parsed(_published(data, "<a/>"))[0]) == {0x9213, 40055}


def test_tags_of_persons_cars_and_devices_are_not_listed() -> None:
    numbers = {tag.number for tag in PUBLISHED_TAGS if tag.directory != "gps"}
    persons = {0x010E, 0x0131, 0x013B, 0x013C, 0x8298, 0x927C, 0x9286, 0xA420, 0xA430, 0xA431, 0xA435}
    assert not numbers & (persons | set(range(0x9C9B, 0x9CA0)) | {0x02BC, 0x83BB, 0x8649, 0xC4A5, 0x014A})
    assert not {tag.number for tag in PUBLISHED_TAGS if tag.directory == "gps"} & {13, 15, 27, 28}


@pytest.mark.parametrize(
    ("properties", "reflink", "left"),
    [
        (70000, 100, {40056}),
        (100, 70000, {40055}),
        (40000, 30000, {40056}),
        (66000, 66000, set()),
        (60000, 100, {40055, 40056}),
    ],
)
def test_too_much_exif_loses_vendor_texts_first(
    properties: int, reflink: int, left: set[int], caplog: pytest.LogCaptureFixture
) -> None:
    data = with_exif(PLAIN, BIG.build({0x0112: BIG.short(6)}))
    with caplog.at_level(logging.WARNING):
        exif = _published(data, "x" * properties, "y" * reflink)
    main = _parsed(exif)[0]
    assert len(exif) <= 65533
    assert main.keys() & {40055, 40056} == left
    assert main[0x0112] == 6
    assert ("left out" in caplog.text) == (len(left) < 2)
    picture = with_segments(PLAIN, segment(0xE1, exif))
    assert read_provenance(picture[: len(exif) + 64]) == PROVENANCE


def test_provenance_too_large_for_a_segment_is_an_error() -> None:
    with pytest.raises(ImageMetadataError, match="65533"):
        published_exif(
            PLAIN, image_properties=None, reflink_info=None, provenance=Provenance("0" * 64, "v" * 70000, "m", {})
        )


def test_provenance_is_json_in_image_history() -> None:
    text = str(_parsed(_published(PLAIN))[0][0x9213])
    assert json.loads(text) == {
        "software": "image-anonymisation", "source_sha256": "ab" * 32, "version": "P0.1_K20200101",
        "model": "Built-in@1a2b3c4d5e6f", "objects": {"car": 1, "person": 2},
    }  # fmt: skip


@settings(max_examples=80)
@given(
    version=st.text(max_size=40),
    model=st.text(max_size=40),
    objects=st.dictionaries(st.text(min_size=1, max_size=12), st.integers(0, 10**6), max_size=6),
)
def test_provenance_comes_back(version: str, model: str, objects: dict[str, int]) -> None:
    provenance = Provenance("09" * 32, version, model, objects)
    exif = published_exif(PLAIN, image_properties="<a/>", reflink_info=None, provenance=provenance)
    assert read_provenance(with_segments(PLAIN, segment(0xE1, exif))) == provenance


def _history(**changes: object) -> str:
    sound = {"software": "image-anonymisation", "source_sha256": "0" * 64, "version": "1", "model": "m", "objects": {}}
    return json.dumps(sound | changes)


@pytest.mark.parametrize(
    "history",
    [
        "",
        "cropped by hand",
        "[]",
        "{}",
        "[" * 5000,
        '{"software":"image-anonymisation"}',
        _history(software="other"),
        _history(source_sha256="xyz"),
        _history(version=None),
        _history(objects={"car": "2"}),
        _history(objects={"car": -2}),
        _history(objects=[]),
    ],
)
def test_other_histories_are_no_provenance(history: str) -> None:
    data = with_exif(PLAIN, BIG.build({0x9213: BIG.ascii(history)}))
    assert read_provenance(data) is None
    sound = with_exif(PLAIN, BIG.build({0x9213: BIG.ascii(_history())}))
    assert read_provenance(sound) == Provenance("0" * 64, "1", "m", {})
    assert read_provenance(sound[:60]) is None


@pytest.mark.parametrize(("sha", "count"), [("AB" * 32, 1), ("ab", 1), ("ab" * 32, -1)])
def test_provenance_refuses_nonsense(sha: str, count: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        Provenance(sha, "v", "m", {"car": count})


def test_published_exif_of_published_exif_is_the_same() -> None:
    main = {0x0112: BIG.short(6), 0x010F: BIG.ascii("Maker"), 40091: BIG.raw("Tittel".encode("utf-16-le"))}
    once = _published(with_exif(PLAIN, BIG.build(main)), "<a/>", "<b/>")
    picture = with_segments(PLAIN, segment(0xE1, once))
    assert _published(picture, "<a/>", "<b/>") == once
    assert read_exif(picture).xp_title == "Tittel"


def test_an_orientation_given_twice_is_published_as_it_was_read() -> None:
    """Viewers obey the first number; were it dropped, the masked picture would stand turned beside its original."""
    tiff = TiffBuilder(">")
    data = with_exif(jpeg(), tiff.build({0x0112: tiff.short(6, 1)}))
    assert read_exif(data).orientation == 6
    provenance = Provenance("0" * 64, "P", "m", {})
    published = published_exif(data, image_properties=None, reflink_info=None, provenance=provenance)
    assert read_exif(with_exif(jpeg(), published.removeprefix(b"Exif\0\0"))).orientation == 6
