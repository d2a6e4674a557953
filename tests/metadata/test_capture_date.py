"""The date of a capture folder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.imaging.exif.read import ExifTags
from anonymisation.metadata.capture_date import capture_date, date_in_path, exif_date

Tags = Callable[..., ExifTags]
Properties = Callable[..., bytes]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("06/2018/06_Ev134/F1_2018_06_21", date(2018, 6, 21)),
        ("2020-06-02", date(2020, 6, 2)),
        ("2017_01_01/2018_06_21/x", date(2018, 6, 21)),
        ("2018_06_21 2017-01-01", date(2017, 1, 1)),
        ("06_2018_06_21_05", date(2018, 6, 21)),
        ("2018_06_21/2018_13_40", date(2018, 6, 21)),
        ("2019_02_2020_02_29", date(2020, 2, 29)),
        ("1234_2018_06_21", date(2018, 6, 21)),
        ("2018_06-21", None),
        ("2019_02_29", None),
        ("12018_06_21", None),
        ("2018_06_211", None),
        ("0000_01_01", None),
        ("2018/06/21", None),
        ("20180621", None),
        (".", None),
    ],
)
def test_the_last_valid_date_of_the_path(path: str, wanted: date | None) -> None:
    assert date_in_path(PurePosixPath(path)) == wanted


@given(st.dates(), st.dates(), st.sampled_from("_-"), st.text(st.characters(exclude_categories=("N", "Cs"))))
def test_any_date_is_found_behind_any_other(first: date, last: date, mark: str, between: str) -> None:
    path = PurePosixPath(f"{first.isoformat()}x{between}x{last.isoformat().replace('-', mark)}")
    assert date_in_path(path) == last


def test_order_of_sources(tags: Tags, properties: Properties) -> None:
    day, folder, plain = 86_400.0, PurePosixPath("a/2018_06_21"), PurePosixPath("a")
    vendor = tags(image_properties=properties(attributes='Date="2020-06-02T23:59:59"'), taken=datetime(2001, 1, 1))
    assert capture_date(folder, vendor, day) == date(2018, 6, 21)
    assert capture_date(plain, vendor, day) == date(2020, 6, 2)
    assert capture_date(plain, date(2019, 1, 1), day) == date(2019, 1, 1)
    assert capture_date(plain, tags(present=False), day) == date(1970, 1, 2)
    assert capture_date(plain, None, day) == date(1970, 1, 2)


@pytest.mark.parametrize("xml", [b"<broken", b"<ImageProperties/>", b"", None])
def test_a_useless_vendors_tag_leaves_it_to_the_standard_ones(tags: Tags, xml: bytes | None) -> None:
    assert exif_date(tags(image_properties=xml, taken=datetime(2001, 1, 1, 5))) == date(2001, 1, 1)
    assert exif_date(tags(image_properties=xml)) is None
