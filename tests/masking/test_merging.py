from __future__ import annotations

import numpy as np
import pytest

from anonymisation.masking.merging import same_objects, whole_objects

WHOLE: list[float] = [0, 0, 1, 1]
LEFT, RIGHT = [0, 0, 1, 0.6], [0, 0.4, 1, 1]


def numbers(*found: tuple[list[float], int, list[float], int]) -> list[int]:
    boxes, classes, crops, sources = zip(*found, strict=True)
    result: list[int] = same_objects(
        np.array(boxes, float), np.array(classes, np.int32), np.array(crops, float), np.array(sources, np.int32)
    ).tolist()
    return result


def test_an_object_in_the_whole_view_and_in_a_tile_is_one_object() -> None:
    car = [0.5, 0.1, 0.6, 0.3]
    assert numbers((car, 3, WHOLE, 0), ([0.51, 0.11, 0.6, 0.31], 3, LEFT, 1)) == [0, 0]


def test_classes_are_not_mixed() -> None:
    car = [0.5, 0.1, 0.6, 0.3]
    assert numbers((car, 3, WHOLE, 0), (car, 8, LEFT, 1)) == [0, 1]


def test_detections_of_one_crop_stay_separate() -> None:
    car = [0.5, 0.1, 0.6, 0.3]
    assert numbers((car, 3, LEFT, 1), ([0.5, 0.11, 0.6, 0.31], 3, LEFT, 1)) == [0, 1]


def test_the_ends_of_a_long_lorry_are_one_object_even_if_no_crop_shows_it_whole() -> None:
    """The two parts share a third of each: their total IoU is only 0.25."""
    assert numbers(([0.4, 0.2, 0.6, 0.6], 8, LEFT, 1), ([0.4, 0.4, 0.6, 0.8], 8, RIGHT, 2)) == [0, 0]


def test_a_complete_lorry_is_merged_with_its_parts() -> None:
    lorry = ([0.4, 0.1, 0.6, 0.9], 8, WHOLE, 0)
    assert numbers(lorry, ([0.4, 0.1, 0.6, 0.6], 8, LEFT, 1), ([0.45, 0.4, 0.55, 0.7], 8, RIGHT, 2)) == [0, 0, 0]


def test_a_small_car_in_front_of_a_large_one_is_a_separate_object() -> None:
    large = ([0.3, 0.05, 0.7, 0.55], 3, WHOLE, 0)
    assert numbers(large, ([0.5, 0.2, 0.6, 0.3], 3, LEFT, 1)) == [0, 1]


def test_neighbours_in_the_overlap_of_two_crops_stay_separate() -> None:
    assert numbers(([0.4, 0.3, 0.5, 0.45], 3, LEFT, 1), ([0.4, 0.45, 0.5, 0.6], 3, RIGHT, 2)) == [0, 1]


def test_objects_without_a_shared_crop_stay_separate() -> None:
    top, bottom = [0, 0, 0.4, 1], [0.6, 0, 1, 1]
    assert numbers(([0.1, 0.1, 0.4, 0.2], 1, top, 1), ([0.6, 0.1, 0.9, 0.2], 1, bottom, 2)) == [0, 1]


def test_empty_boxes_are_accepted() -> None:
    assert numbers(([0.5, 0.5, 0.5, 0.5], 1, WHOLE, 0), ([0.5, 0.5, 0.5, 0.5], 1, LEFT, 1)) == [0, 1]


def test_agreement_is_transitive_and_numbers_follow_the_first_detection() -> None:
    person, car = [0.1, 0.42, 0.3, 0.5], [0.7, 0.42, 0.9, 0.58]
    found = [(car, 3, WHOLE, 0), (person, 1, LEFT, 1), (car, 3, LEFT, 1), (person, 1, RIGHT, 2), (car, 3, RIGHT, 2)]
    assert numbers(*found) == [0, 1, 0, 1, 0]


CAR = ([0.3, 0.2, 0.7, 0.8], 3, 0.9)


def wholes(*found: tuple[list[float], int, float]) -> list[int]:
    boxes, classes, scores = zip(*found, strict=True)
    result: list[int] = whole_objects(
        np.array(boxes, float), np.array(classes, np.int32), np.array(scores, np.float32)
    ).tolist()
    return result


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (([0.4, 0.25, 0.45, 0.3], 3, 0.3), "a mirror, as a car"),
        (([0.4, 0.25, 0.45, 0.3], 3, 0.6), "a mirror, surely detected"),
        (([0.5, 0.25, 0.68, 0.35], 4, 0.4), "a wheel, as a motorcycle"),
        (([0.35, 0.5, 0.5, 0.6], 1, 0.4), "a driver or a reflection"),
        (([0.32, 0.25, 0.69, 0.8], 8, 0.8), "the car itself, as a truck"),
        (([0.35, 0.5, 0.5, 0.82], 6, 0.2), "a part that extends a little beyond the car's box"),
    ],
)
def test_a_part_of_a_car_belongs_to_it(part: tuple[list[float], int, float], what: str) -> None:
    assert wholes(CAR, part) == [0, 0], what
    assert wholes(part, CAR) == [1, 1], what


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (([0.35, 0.5, 0.5, 0.6], 1, 0.6), "a person who is surely there"),
        (([0.35, 0.5, 0.65, 0.6], 1, 0.4), "a person next to the car: too tall for a driver"),
        (([0.4, 0.7, 0.5, 0.95], 3, 0.3), "a car behind it, half hidden"),
        (([0.5, 0.25, 0.6, 0.35], 3, 0.5), "a small car in front, surely detected"),
        (([0.1, 0.2, 0.2, 0.3], 3, 0.2), "a car elsewhere"),
        (([0.4, 0.25, 0.45, 0.3], 3, 0.95), "a distant car, surer than the near one"),
        (([0.4, 0.25, 0.45, 0.3], 2, 0.6), "a distant bicycle, surely detected"),
    ],
)
def test_another_object_in_front_of_a_car_is_counted(other: tuple[list[float], int, float], what: str) -> None:
    assert wholes(CAR, other) == [0, 1], what


def test_a_riders_legs_belong_to_the_rider_and_the_bicycle_stays_an_object() -> None:
    rider, legs = ([0.2, 0.4, 0.6, 0.5], 1, 0.8), ([0.45, 0.42, 0.6, 0.5], 1, 0.3)
    bicycle, motorcycle = ([0.4, 0.35, 0.7, 0.55], 2, 0.7), ([0.41, 0.36, 0.7, 0.55], 4, 0.2)
    assert wholes(rider, legs, bicycle, motorcycle) == [0, 0, 2, 2]


def test_a_part_does_not_join_two_objects() -> None:
    left, right = ([0.3, 0.1, 0.7, 0.5], 3, 0.9), ([0.3, 0.4, 0.7, 0.8], 3, 0.8)
    assert wholes(left, right, ([0.4, 0.41, 0.5, 0.49], 1, 0.3)) in ([0, 1, 0], [0, 1, 1])


def test_the_part_of_a_part_belongs_to_the_whole() -> None:
    assert wholes(([0.4, 0.3, 0.44, 0.34], 3, 0.2), ([0.35, 0.25, 0.55, 0.45], 3, 0.3), CAR) == [2, 2, 2]


def test_a_box_around_a_lorry_and_its_trailer_is_no_third_lorry() -> None:
    lorry, trailer = ([0.3, 0.1, 0.7, 0.4], 8, 0.8), ([0.3, 0.38, 0.7, 0.9], 8, 0.7)
    assert wholes(lorry, trailer, ([0.3, 0.1, 0.7, 0.9], 8, 0.4)) == [0, 1, 1]
    assert wholes(lorry, trailer, ([0.3, 0.1, 0.7, 0.9], 8, 0.6)) == [0, 1, 2], "surely detected"
    assert wholes(lorry, trailer, ([0.3, 0.1, 0.7, 0.9], 1, 0.4)) == [0, 1, 2], "of another kind"
    assert wholes(lorry, trailer, ([0.2, 0.1, 0.75, 0.9], 8, 0.4)) == [0, 1, 2], "a fifth and more is not covered"
    assert wholes(lorry, lorry, ([0.3, 0.1, 0.7, 0.7], 8, 0.4))[2] == 2, "what two cover counts once"
    part = ([0.6, 0.75, 0.65, 0.8], 3, 0.2)
    assert wholes(part, ([0.3, 0.1, 0.7, 0.9], 8, 0.4), lorry, trailer) == [3, 3, 2, 3]


def test_no_object_and_empty_boxes_are_accepted() -> None:
    assert whole_objects(np.zeros((0, 4)), np.zeros(0, np.int32), np.zeros(0, np.float32)).tolist() == []
    assert wholes(([0.5, 0.5, 0.5, 0.5], 3, 0.2), ([0.5, 0.5, 0.5, 0.5], 3, 0.2)) == [0, 1]
