"""Roads and references along them, in the vendor's spelling."""

from __future__ import annotations

import logging

import pytest

from anonymisation.metadata.road_reference import Road, RoadReference, read_road_reference, split_road


@pytest.mark.parametrize(
    ("designation", "road", "logged"),
    [
        ("EV134", Road("E", "V", "134"), False),
        ("FV013", Road("F", "V", "13"), False),
        ("KV000", Road("K", "V", "0"), False),
        ("PS1", Road("P", "S", "1"), False),
        ("E6", Road(None, None, "E6"), False),
        ("06", Road(None, None, "6"), False),
        ("7", Road(None, None, "7"), False),
        (None, Road(), False),
        ("XV12", Road("X", "V", "12"), True),
        ("EL12", Road("E", "L", "12"), True),
        ("ev134", Road("e", "v", "134"), True),
        ("E134", Road("E", None, "134"), True),
        ("0134", Road(None, None, "134"), True),
        ("EV 006", Road("E", "V", "6"), False),
        ("EV6A", Road("E", "V", "6A"), False),
    ],
)
def test_roads(designation: str | None, road: Road, logged: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert split_road(designation, source="a.jpg") == road
    assert [("a.jpg" in message) for message in caplog.messages] == [True] * logged


@pytest.mark.parametrize(
    ("file_name", "vchp", "reference"),
    [
        (
            "EV00006_S57D1_m12345_KD2_m00010_f1.jpg", "S57D1",
            RoadReference(section="57", subsection="1", anchor="12345", junction="2"),
        ),
        ("EV6_S1D2_m3_SD4_m1.jpg", None, RoadReference(section="1", subsection="2", anchor="3", side_facility="4")),
        ("EV6_S1D2_m3_AD4_m1.jpg", "7", RoadReference(section="1", subsection="2", anchor="3", side_facility="4")),
        ("FV00013_S1D1_m00014_f1.jpg", "S3D4", RoadReference(section="3", subsection="4")),
        ("EV6_S1D2_m3_XD4.jpg", None, RoadReference()),
        ("Fy06_Ev134_hp05_f1_m03173.jpg", "05", RoadReference(hp="5")),
        ("", "00", RoadReference(hp="0")),
        ("", "S1", RoadReference(hp="S1")),
        ("", None, RoadReference()),
    ],
)  # fmt: skip
def test_references(file_name: str, vchp: str | None, reference: RoadReference) -> None:
    assert read_road_reference(file_name, vchp) == reference
