"""Lane, metre, county, road and section in the names of a path, as the 2022 form reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.metadata.path_names import NO_NAMES, read_names, read_section, split_path
from anonymisation.metadata.road_reference import Road, RoadReference


@pytest.mark.parametrize(
    ("name", "lane"),
    [
        ("EV6_S1D1_m00014_f1.jpg", "1"),
        ("EV6_S1D1_m00014_f5K.jpg", "5K"),
        ("EV6_S1D1_m00014_F12.jpg", "12"),
        ("F1_2021_06_02", "1"),
        ("F5K_2021_06_02", "5K"),
        ("Fy06_Ev134_hp05_f1_m03212.jpg", "1"),  # the lane before the metre
        ("EV6_f3o2-x.jpg", "3o2"),
        ("FV00013", None),
        ("fast.jpg", None),
    ],
)
def test_a_lane_is_a_digit_and_the_letters_and_digits_behind_it(name: str, lane: str | None) -> None:
    assert read_names([name]).lane == lane


def test_the_last_name_with_a_lane_stands() -> None:
    assert read_names(["F5K_2021", "a_f1.jpg"]).lane == "1"
    assert read_names(["F5K_2021", "a.jpg"]).lane == "5K"


@pytest.mark.parametrize(
    ("names", "metre"),
    [
        (["RV3_S4D10_m01237_f1.jpg"], "1237"),
        (["RV3_S4D10_m00000_f1.jpg"], "0"),
        (["RV3_S3D2_km01_277_f2.jpg"], "1277"),
        (["RV3_km01,277.jpg"], "1277"),
        (["EV6_S57D1_m12345_KD2_m00010_f1.jpg"], "10"),
        (["m12345_KD2", "EV6_S57D1_m12345_KD2_m00010_f1.jpg"], "10"),
        (["hp01_f1_m01237.jpg"], "1237"),
        (["hp01_f1_m00005_m01237.jpg"], "1237"),
        (["hp01_f1_m00000.jpg"], "0"),
        (["FV13_S2D1_m02000_AD1_f1.jpg"], None),  # an anchor point alone
        (["m00007_f1", "m00008_f1.jpg"], "7"),  # the first
        (["m00007", "a.jpg"], None),
        (["km12_f1.jpg"], None),
        (["a.jpg"], None),
    ],
)
def test_a_metre_stands_before_the_lane_or_else_last_in_the_file_name(names: list[str], metre: str | None) -> None:
    assert read_names(names).metre == metre


def test_roads_and_counties_are_read_as_in_the_2020_form() -> None:
    names = read_names(["06", "06_Ev134", "Hp05", "Rv003_hp01.jpg"])
    assert (names.road, names.county) == (Road("R", "V", "3"), "6")
    assert read_names(["2021", "360", "Planar", "2022.jpg"]) == NO_NAMES


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("FV13_S2D1_m02000_AD1_m00030_f1.jpg", RoadReference(None, "2", "1", "02000", None, "1")),
        ("EV6_S57D1_m12345_KD2_m00010_f1.jpg", RoadReference(None, "57", "1", "12345", "2", None)),
        ("EV6_S57D10_m00010_f1.jpg", RoadReference(section="57", subsection="10")),
        ("S1D2.jpg", RoadReference(section="1", subsection="2")),
        ("EV6_XS1D2_m1.jpg", RoadReference()),
        ("EV6_S1D2x_m1.jpg", RoadReference()),
        ("Fy06_Ev134_hp05_f1.jpg", RoadReference()),
    ],
)
def test_a_section_is_a_part_of_the_file_name(name: str, section: RoadReference) -> None:
    assert read_section(name) == section
    assert read_names(["S9D9", name]).reference == section


def test_a_path_is_split_at_both_slashes() -> None:
    assert split_path(r"D:\Opptak/2021\a.jpg") == ("D:", "Opptak", "2021", "a.jpg")
    assert split_path(None) == split_path("") == ()
    assert read_names(()) == NO_NAMES


@given(st.lists(st.text(st.characters(exclude_characters="/\\")), max_size=4))
def test_any_names_can_be_read(names: list[str]) -> None:
    found = read_names(names)
    for number in (found.metre, found.county):
        assert number is None or number == "0" or not number.startswith("0")
