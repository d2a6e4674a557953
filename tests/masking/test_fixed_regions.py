"""Polygons that are always hidden are hidden whole; those never searched take nothing with them that lies outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.masking.detections import Detections
from anonymisation.masking.fixed_regions import FixedRegions, Polygon, polygons
from anonymisation.masking.geometry import union

HEIGHT, WIDTH = 120, 200
BONNET = Polygon(((0.0, 1.0), (0.1, 0.8), (0.9, 0.8), (1.0, 1.0)))
CONCAVE = Polygon(((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.5, 0.3), (0.1, 0.9)))
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
CENTRES = (COLUMNS + 0.5) / WIDTH, (ROWS + 0.5) / HEIGHT


def hidden(polygon: Polygon) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    return union(FixedRegions(hidden=(polygon,)).with_hidden(Detections.empty()), HEIGHT, WIDTH)


@pytest.mark.parametrize("polygon", [BONNET, CONCAVE])
def test_a_polygon_is_hidden_whole_and_little_more(polygon: Polygon) -> None:
    inside, covered = polygon.holds(*CENTRES), hidden(polygon)
    assert not (inside & ~covered).any()
    assert np.count_nonzero(covered & ~inside) <= 0.12 * np.count_nonzero(inside)


def test_a_concave_polygon_leaves_its_notch_visible() -> None:
    assert not hidden(CONCAVE)[round(0.8 * HEIGHT), WIDTH // 2]


STAR = Polygon(tuple((0.5 + 0.45 * np.sin(0.8 * np.pi * n), 0.5 - 0.45 * np.cos(0.8 * np.pi * n)) for n in range(5)))


def test_the_middle_of_a_star_is_hidden_and_searched() -> None:
    assert hidden(STAR)[HEIGHT // 2, WIDTH // 2]
    assert not hidden(STAR)[round(0.15 * HEIGHT), round(0.25 * WIDTH)]
    middle = Detections.of([(0.45, 0.45, 0.55, 0.55)], [0.9], [1])
    assert len(FixedRegions(unsearched=(STAR,)).searched(middle, HEIGHT, WIDTH)) == 1


points = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(corners=st.lists(points, min_size=3, max_size=8))
def test_no_pixel_of_any_polygon_stays_visible(corners: list[tuple[float, float]]) -> None:
    try:
        polygon = Polygon(tuple(corners))
    except ValueError:
        return
    assert not (polygon.holds(*CENTRES) & ~hidden(polygon)).any()


def test_what_is_found_on_the_bonnet_is_left_out_and_who_stands_behind_it_stays() -> None:
    found = Detections.of([(0.82, 0.2, 0.98, 0.8), (0.5, 0.4, 0.95, 0.5)], [0.9, 0.8], [3, 1])
    kept = FixedRegions(unsearched=(BONNET,)).searched(found, HEIGHT, WIDTH)
    assert kept.classes.tolist() == [1]
    assert kept.counts() == {"person": 1}


def test_two_regions_together_may_hold_a_detection() -> None:
    left, right = polygons([[[0, 0], [0.5, 0], [0.5, 1], [0, 1]], [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]])
    found = Detections.of([(0.4, 0.4, 0.6, 0.6)], [0.9], [3])
    assert len(FixedRegions(unsearched=(left, right)).searched(found, HEIGHT, WIDTH)) == 0
    assert len(FixedRegions(unsearched=(left,)).searched(found, HEIGHT, WIDTH)) == 1


def test_without_regions_nothing_changes() -> None:
    found = Detections.of([(0.4, 0.4, 0.6, 0.6)], [0.9], [3])
    assert FixedRegions().searched(found, HEIGHT, WIDTH) is found
    assert FixedRegions().with_hidden(found) is found
    assert not FixedRegions()


@pytest.mark.parametrize(
    "wrong",
    [
        [[0, 0], [1, 1]],
        [[0, 0], [1, 0], [2, 1]],
        [[0, 0], [1, 0], [float("nan"), 1]],
        [[0, 0], [0.5, 0.5], [1, 1]],
        [[0, 0]] * 101,
    ],
)
def test_what_is_no_polygon_is_refused(wrong: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="expected"):
        polygons([wrong])
