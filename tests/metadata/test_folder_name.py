"""The configured form of `mappenavn`."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

import pytest

from anonymisation.core.settings import MAPPENAVN_FIELDS
from anonymisation.metadata.folder_name import FIELDS, format_folder_name
from anonymisation.metadata.timestamps import timestamp_of

TAKEN = timestamp_of(datetime(2018, 6, 1))
RECORD = {
    "exif_fylke": "6", "exif_vegkat": "E", "exif_vegstat": "V", "exif_vegnr": "134", "exif_hp": None,
    "exif_meter": "3173.01", "exif_feltkode": "1", "exif_strekningreferanse": "06_Ev134/Hp05",
}  # fmt: skip


def fill(template: str, path: str = "/data/TilSladding/06/TilSladding/x/a.jpg", county: str | None = "6") -> str:
    record = RECORD | {"exif_fylke": county}
    return format_folder_name(template, record, TAKEN, path=Path(path), top_dir="TilSladding")


def test_every_field_that_settings_allow_is_filled_in() -> None:
    assert set(FIELDS) == MAPPENAVN_FIELDS


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("Vegbilder\\{relative_input_dir}", "Vegbilder\\06/TilSladding/x"),
        ("{aar}/{maaned}/{dag}", "2018/06/01"),
        ("{fylke}-{vegkat}{vegstat}{vegnr}-{feltkode}", "06-EV134-1"),
        ("{meter} {strekningreferanse}", "3173.01 06_Ev134/Hp05"),
        ("[{hp}]", "[]"),
        ("fixed", "fixed"),
    ],
)
def test_fields(template: str, wanted: str) -> None:
    assert fill(template) == wanted


def test_no_county_and_two_digits() -> None:
    assert (fill("[{fylke}]", county=None), fill("[{fylke}]", county="46")) == ("[]", "[46]")


def test_outside_the_top_folder_it_is_empty_and_said_once_for_the_folder(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert fill("{aar}", "/data/in once/a.jpg") == "2018"
        assert not caplog.messages
        for name in ("a.jpg", "b.jpg"):
            assert fill("V\\{relative_input_dir}", f"/data/in once/{name}") == "V\\"
    assert len(caplog.messages) == 1
    assert "/data/in once:" in caplog.text


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("/data/in/2021/F1/a.jpg", "2021/F1"),
        ("/data/in/a.jpg", ""),
        ("/data/in/../in/2021/a.jpg", "2021"),
        ("/data/in/2021/TilSladding/F1/a.jpg", "F1"),
        ("/data/in/tilsladding/F1/a.jpg", "tilsladding/F1"),
    ],
)
def test_without_the_top_folder_it_is_the_path_below_the_input_folder(
    path: str, below: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = format_folder_name(
        "V\\{relative_input_dir}", RECORD, TAKEN, path=Path(path), top_dir="TilSladding", input_root=Path("/data/in")
    )
    assert folder == f"V\\{below}"
    assert not caplog.messages


def test_directly_in_the_top_folder_it_is_empty_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert fill("V\\{relative_input_dir}", "/data/TilSladding/a.jpg") == "V\\"
    assert not caplog.messages
