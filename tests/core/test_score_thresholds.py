from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anonymisation.core.errors import ConfigurationError
from anonymisation.core.score_thresholds import GROUPS, NAMES, SIZES, group_of, size_of, threshold_of
from anonymisation.core.settings import load_settings
from anonymisation.masking.labels import CLASSES
from anonymisation.masking.thresholds import Given


def refusal(value: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(overrides={"score_thresholds": value})
    (problem,) = caught.value.problems
    assert problem.key == "score_thresholds"
    return problem.message


def test_the_names_are_those_of_the_classes_that_are_hidden() -> None:
    labels = [kind.label for kind in CLASSES]
    assert sorted(label for group in GROUPS.values() for label in group) == sorted(labels)
    assert set(NAMES) == {*labels, "person", "vehicle"}
    assert [group_of(label) for label in labels] == ["person", *["vehicle"] * 5]


@pytest.mark.parametrize(
    ("area", "size"),
    [(0, "small"), (1023, "small"), (1024, "medium"), (9216, "medium"), (9217, "large"), (10**9, "large")],
)
def test_sizes_are_those_of_coco(area: float, size: str) -> None:
    assert size_of(area) == size


def test_a_class_goes_before_its_group_and_a_group_before_the_default() -> None:
    given: Given = {"vehicle": {"small": 0.1, "large": 0.4}, "bus": 0.7, "car": {"large": 0.2}}
    least = {
        (label, size): threshold_of(label, size, 0.15, given) for label in ("car", "bus", "truck") for size in SIZES
    }
    assert least == {
        ("car", "small"): 0.1, ("car", "medium"): 0.15, ("car", "large"): 0.2,
        ("bus", "small"): 0.7, ("bus", "medium"): 0.7, ("bus", "large"): 0.7,
        ("truck", "small"): 0.1, ("truck", "medium"): 0.15, ("truck", "large"): 0.4,
    }  # fmt: skip
    assert threshold_of("person", "small", 0.15, given) == 0.15
    assert threshold_of("car", "small", 0.15, {"car": 0}) == 0


def test_a_mapping_from_a_file_is_taken_and_replaced_by_a_later_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text("score_thresholds:\n  person: 0.1\n  vehicle: {small: 0, large: 1}\n")
    settings = load_settings(path).settings
    assert settings.score_thresholds == {"person": 0.1, "vehicle": {"small": 0, "large": 1}}
    assert settings.score_threshold == 0.15
    later = load_settings(path, {"score_thresholds": {"bus": 0.3}}).settings
    assert later.score_thresholds == {"bus": 0.3}
    assert len({settings.picture_digest(), later.picture_digest(), load_settings().settings.picture_digest()}) == 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"lorry": 0.2}, "lorry: unknown class, expected one of person, vehicle, bicycle, car"),
        ({"Cars": 0.2}, "Cars: unknown class (did you mean car?)"),
        ({1: 0.2}, "1: unknown class"),
        ({"car": {"smal": 0.2}}, "car: smal: unknown size (did you mean small?), expected one of small, medium, large"),
        ({"car": {"all": 0.2}}, "car: all: unknown size"),
        ({"car": {}}, "car: expected a number or sizes"),
        ({"car": 1.01}, "car: expected a number from 0 to 1, or numbers by size"),
        ({"car": {"small": -0.01}}, "car.small: expected a number from 0 to 1"),
        ({"car": {"small": {"small": 0.1}}}, "car.small: expected a number"),
        ({"person": float("nan")}, "person: expected a number from 0 to 1"),
        ({"person": float("inf")}, "person: expected a number from 0 to 1"),
        ({"person": {"large": float("nan")}}, "person.large: expected a number from 0 to 1"),
        ({"person": "0.2"}, "person: expected a number"), ({"person": True}, "person: expected a number"),
        ({"person": None}, "person: expected a number"), ({"person": [0.1]}, "person: expected a number"),
        (None, "expected classes and their least scores, such as"), (0.2, "expected classes and their least scores"),
        ([["person", 0.2]], "expected classes and their least scores"),
    ],
)  # fmt: skip
def test_what_is_no_threshold_is_refused_naming_its_key(value: Any, message: str) -> None:
    assert refusal(value).startswith(message)


def test_all_problems_of_the_mapping_come_at_once() -> None:
    text = refusal({"person": 2, "tram": 0.1, "bus": {"tiny": 0.1, "large": 3}})
    for part in ("person: expected", "tram: unknown class", "bus: tiny: unknown size", "bus.large: expected"):
        assert part in text


def test_a_class_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text("score_thresholds:\n  car: 0.1\n  car: 0.4\n")
    with pytest.raises(ConfigurationError, match="'car' is given twice"):
        load_settings(path)
