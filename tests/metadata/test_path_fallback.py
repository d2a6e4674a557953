"""The road reference from names, rule by rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.metadata.path_fallback import below_top_dir, path_elements, read_path


def found(*elements: str) -> dict[str, str]:
    return {key.removeprefix("exif_"): value for key, value in read_path(elements).items() if value is not None}


@pytest.mark.parametrize(
    ("element", "wanted"),
    [
        ("hp01", {"hp": "1"}),
        ("Hp05_Damåsen", {"hp": "5"}),
        ("HP00", {"hp": "0"}),
        ("hp01_hp02", {"hp": "1"}),
        ("F1_2018_06_21", {"feltkode": "1"}),
        ("f12", {"feltkode": "1"}),
        ("f0", {"feltkode": "0"}),
        ("06_Ev134", {"vegkat": "E", "vegstat": "V", "vegnr": "134"}),
        ("FV00013", {"vegkat": "F", "vegstat": "V", "vegnr": "13"}),
        ("rv3_ev6", {"vegkat": "R", "vegstat": "V", "vegnr": "3"}),
        ("Lv12", {}),
        ("Ez12", {}),
        ("06", {"fylke": "6"}),
        ("06 Buskerud", {"fylke": "6"}),
        ("06-x", {"fylke": "6"}),
        ("06_x", {}),
        ("06x", {}),
        ("061", {}),
        ("x 06", {}),
        ("50", {"fylke": "50"}),
        ("12.jpg", {"fylke": "12"}),
        ("m01237", {"meter": "1237"}),
        ("m0000", {"meter": "0"}),
        ("M01237", {}),
        ("m1_m2", {"meter": "1"}),
        ("km12", {"vegkat": "K", "vegstat": "M", "vegnr": "12"}),
        ("km12_34", {"vegkat": "K", "vegstat": "M", "vegnr": "12"}),
        ("km12_345_Ev6", {"meter": "12345", "vegkat": "E", "vegstat": "V", "vegnr": "6"}),
        ("km12_345", {"meter": "12345"}),
        ("km00,045", {"meter": "45"}),
        ("Km01.000", {"meter": "1000"}),
        ("km01-000", {"vegkat": "K", "vegstat": "M", "vegnr": "1"}),
        ("km01_000_m7", {"meter": "7"}),
        ("\u212av12 \u017fv12 m\u0663", {}),
        ("Fy50_Rv003_hp01_f1_m01237.jpg",
         {"vegkat": "R", "vegstat": "V", "vegnr": "3", "hp": "1", "feltkode": "1", "meter": "1237"}),
    ],
)  # fmt: skip
def test_one_element(element: str, wanted: dict[str, str]) -> None:
    assert found(element) == wanted


def test_county_numbers() -> None:
    counties = [f"{number:02d}" for number in range(100) if found(f"{number:02d}")]
    assert counties == [f"{number:02d}" for number in (*range(1, 13), *range(14, 21), 50)]


def test_a_later_element_wins_and_takes_over_what_it_says_alone() -> None:
    assert found("06", "Ev134", "hp05_f1", "Fv286_f2") == {
        "fylke": "6", "vegkat": "F", "vegstat": "V", "vegnr": "286", "hp": "5", "feltkode": "2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "elements"),
    [
        ("/home/f9/TilSladding/06/TilSladding/a.jpg", ("TilSladding", "06", "TilSladding", "a.jpg")),
        ("/home/f9/in/06/a.jpg", ("in", "06", "a.jpg")),
        ("/home/f9/in/../in/06/a.jpg", ("in", "06", "a.jpg")),
        ("/home/f9/a.jpg", ("a.jpg",)),
        ("/home/f9/in/TilSladding", ("in", "TilSladding")),
    ],
)
def test_names_above_the_input_say_nothing(path: str, elements: tuple[str, ...]) -> None:
    assert path_elements(Path(path), input_root=Path("/home/f9/in"), top_dir="TilSladding") == elements


def test_a_relative_path_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "TilSladding" / "06"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert below_top_dir(Path("a.jpg"), "TilSladding") == ("06",)


@given(st.lists(st.text(st.characters(exclude_characters="/\x00"), min_size=1), max_size=6), st.text())
def test_no_path_is_too_odd(names: list[str], top_dir: str) -> None:
    elements = path_elements(Path("/in", *names), input_root=Path("/in"), top_dir=top_dir)
    fields = read_path(elements)
    assert len(fields) == 7
    for value in fields.values():
        assert value is None or value.isascii()
