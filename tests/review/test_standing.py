"""What is reported as standing at the same place of the picture through a drive, and what is not."""

from __future__ import annotations

import numpy as np

from anonymisation.masking.fixed_regions import FixedRegions, polygons
from anonymisation.review.rows import Seen
from anonymisation.review.standing import LEAST_PICTURES, Standing, standing_finds, without_region

Box = tuple[float, float, float, float]
BONNET: Box = (0.82, 0.1, 1.0, 0.9)


def shaken(box: Box, rng: np.random.Generator, by: float = 0.004) -> Box:
    top, left, bottom, right = np.clip(np.array(box) + rng.normal(0, by, 4), 0, 1).tolist()
    return (top, left, bottom, right)


def standing_of(drive: list[list[Seen]]) -> list[Standing]:
    return standing_finds(len(drive), drive.__getitem__)


def passing(rng: np.random.Generator) -> list[Seen]:
    """Cars and persons anywhere, of any size, as in a street."""
    found = []
    for _ in range(rng.integers(0, 6)):
        top, left = rng.uniform(0.2, 0.7, 2).tolist()
        side = float(rng.uniform(0.02, 0.3))
        found.append(Seen("person", float(rng.uniform(0.15, 0.9)), (top, left, min(1.0, top + 2 * side), left + side)))
    return found


def test_a_bonnet_is_reported_once_with_its_place_and_what_it_is_taken_for() -> None:
    rng = np.random.default_rng(1)
    drive = [passing(rng) for _ in range(100)]
    for number in range(5, 95):
        drive[number].append(Seen("truck" if number % 4 == 0 else "car", 0.4, shaken(BONNET, rng)))
    (found,) = standing_of(drive)
    assert (found.label, found.pictures, found.total) == ("car", 90, 100)
    np.testing.assert_allclose(found.box, BONNET, atol=0.01)
    assert any(seen.box[0] > 0.75 for seen in drive[found.example])
    place = "(10 to 90 % from the left, 82 to 100 % from the top)"
    assert str(found) == f"a car at the same place in 90 of 100 pictures {place}"


def test_several_are_reported_those_in_most_pictures_first() -> None:
    rng = np.random.default_rng(2)
    dirt: Box = (0.1, 0.2, 0.16, 0.26)
    drive = [
        [Seen("car", 0.9, BONNET), *([Seen("person", 0.2, shaken(dirt, rng, 0.001))] if number % 4 else [])]
        for number in range(80)
    ]
    assert [(found.label, found.pictures) for found in standing_of(drive)] == [("car", 80), ("person", 60)]


def test_what_moves_and_what_stands_for_a_while_is_not_reported() -> None:
    rng = np.random.default_rng(3)
    drive = [passing(rng) for _ in range(200)]
    assert standing_of(drive) == []
    for number in range(40, 120):  # a queue, or a red light
        drive[number].append(Seen("car", 0.9, shaken((0.4, 0.4, 0.6, 0.6), rng)))
    assert standing_of(drive) == []


def test_a_vehicle_ahead_whose_distance_changes_is_not_reported() -> None:
    rng = np.random.default_rng(5)
    drive, distance = [], 25.0
    for _ in range(300):  # 15 to 40 m
        distance = float(np.clip(distance + rng.normal(0, 3), 15, 40))
        half, bottom = 2.5 / distance, 0.45 + 2 / distance
        drive.append([Seen("truck", 0.9, (bottom - 2 * half, 0.5 - half, bottom, 0.5 + half))])
    assert standing_of(drive) == []


def test_what_a_fixed_region_covers_is_known() -> None:
    found = standing_of([[Seen("car", 0.9, BONNET), Seen("person", 0.9, (0.1, 0.7, 0.2, 0.8))]] * 30)
    bottom = polygons([[[0, 1], [0, 0.8], [1, 0.8], [1, 1]]])
    half = polygons([[[0.75, 0], [0.75, 1], [1, 1], [1, 0]]])
    assert [one.label for one in without_region(found, FixedRegions())] == ["person", "car"]
    assert [one.label for one in without_region(found, FixedRegions(hidden=bottom))] == ["person"]
    assert [one.label for one in without_region(found, FixedRegions(unsearched=(*bottom, *half)))] == ["person"]


def test_a_short_drive_is_none() -> None:
    drive = [[Seen("car", 0.9, BONNET)]] * (LEAST_PICTURES - 1)
    assert standing_of(drive) == standing_of([]) == standing_of([[]] * 50) == []
    assert len(standing_of([*drive, drive[0]])) == 1


def test_a_picture_counts_once_however_often_something_is_found_in_it() -> None:
    drive = [[] if number % 3 else [Seen("car", 0.9, BONNET)] * 3 for number in range(60)]
    assert standing_of(drive) == []


def test_of_a_long_drive_every_picture_counts() -> None:
    rng = np.random.default_rng(4)
    drive = [[*passing(rng), *([Seen("car", 0.5, BONNET)] if number % 10 else [])] for number in range(3000)]
    assert [(found.pictures, found.total) for found in standing_of(drive)] == [(2700, 3000)]
