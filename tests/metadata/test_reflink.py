"""Both forms of the vendor's road network reference."""

from __future__ import annotations

import logging

import pytest

from anonymisation.metadata.redaction import read_redacted
from anonymisation.metadata.reflink import read_reflink


def read(xml: str) -> dict[str, str | None]:
    return read_reflink(read_redacted(xml.encode(), source="a.jpg"), source="a.jpg")


def test_first_form() -> None:
    fields = read("<ReflinkInfo><ReflinkId>1125766</ReflinkId><ReflinkPosition>0.58</ReflinkPosition></ReflinkInfo>")
    assert fields == {"exif_reflinkid": "1125766", "exif_reflinkposisjon": "0.58"}


def test_second_form() -> None:
    fields = read(
        "<AdditionalInfoNorway2><ReflinkId>9</ReflinkId><RoadInfo><ReflinkId>384067</ReflinkId>"
        "<RoadIdent>FV13 S1D1 m14</RoadIdent></RoadInfo><GnssInfo><Roll>0.1</Roll><Pitch/>"
        "<HeadingRmsError>0.03</HeadingRmsError></GnssInfo></AdditionalInfoNorway2>"
    )
    assert {key: value for key, value in fields.items() if value is not None} == {
        "exif_reflinkid": "384067",
        "exif_roadident": "FV13 S1D1 m14",
        "exif_roll": "0.1",
        "exif_headingrmserror": "0.03",
    }
    assert len(fields) == 12


@pytest.mark.parametrize("root", ["ReflinkInfo", "AdditionalInfoNorway2"])
def test_missing_elements_are_null(root: str) -> None:
    assert set(read(f"<{root}/>").values()) == {None}


def test_an_unknown_form_gives_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert read("<AdditionalInfoNorway3><ReflinkId>1</ReflinkId></AdditionalInfoNorway3>") == {}
    assert "AdditionalInfoNorway3" in caplog.text
