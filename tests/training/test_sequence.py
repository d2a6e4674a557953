"""What a neighbouring picture confirms: the same group, where it has to be as the car drives on."""

from __future__ import annotations

import numpy as np
import pytest

from anonymisation.evaluation.truth import Region, Rle, Truth
from anonymisation.masking.detections import Detections
from training.sequence import LEVELS, VANISHING, Rule, Shot, best_scores, confirmed, gain, hidden_pixels, neighbours

RULE = Rule(low=0.05, sure=0.5, far=0.5)
DOUBTFUL = ((0.5, 0.6, 0.6, 0.63), 0.1, 1)


def shot(number: int, *finds: tuple[tuple[float, ...], float, int], drive: str = "drive") -> Shot:
    boxes, scores, classes = zip(*finds, strict=True) if finds else ((), (), ())
    marked = np.zeros((100, 200), np.bool_)
    marked[50:60, 120:126] = True
    truth = Truth(100, 200, (Region("person", Rle.of(marked), 60.0),))
    return Shot.of(f"{drive}_{number:04d}_f1.jpg", truth, Detections.of(boxes, scores, classes))


def grown(factor: float, score: float = 0.9, kind: int = 1) -> tuple[tuple[float, ...], float, int]:
    """The doubtful find, as an object that stands still looks after the car has driven on."""
    middle = np.array([*VANISHING, *VANISHING])
    return tuple((middle + factor * (np.array(DOUBTFUL[0]) - middle)).tolist()), score, kind


def test_a_larger_one_further_out_confirms_from_the_next_picture_and_a_smaller_one_from_the_one_before() -> None:
    here = shot(20, DOUBTFUL)
    nearer, farther = shot(40, grown(1.6)), shot(0, grown(0.6))
    assert confirmed(here, None, nearer, RULE).tolist() == [True]
    assert confirmed(here, farther, None, RULE).tolist() == [True]
    assert confirmed(here, nearer, farther, RULE).tolist() == [False]
    assert confirmed(here, None, None, RULE).tolist() == [False]


def test_another_group_another_place_and_another_doubt_confirm_nothing() -> None:
    here = shot(20, DOUBTFUL)
    elsewhere = ((0.5, 0.1, 0.66, 0.15), 0.9, 1)
    others = (grown(1.6, kind=3), grown(1.6, score=0.3), elsewhere)
    assert not any(confirmed(here, None, shot(40, other), RULE).any() for other in others)
    sure = shot(20, (DOUBTFUL[0], 0.4, 1))
    assert not confirmed(sure, None, shot(40, grown(1.6)), RULE).any()


def test_neighbours_are_of_the_same_drive() -> None:
    shots = [shot(0), shot(20), shot(40), shot(0, drive="other")]
    around = [[one and one.place for one in pair] for _, *pair in neighbours(shots, 1)]
    assert around == [[None, 20], [0, 40], [20, None], [None, None]]


def test_what_counts_as_sure_is_hidden_and_the_gain_is_that_over_the_curve() -> None:
    here = shot(20, DOUBTFUL, ((0.1, 0.1, 0.2, 0.2), 0.1, 1))
    assert hidden_pixels(here, np.array([False, False])).tolist() == [0, 60, 0, 0, 0, 19940]
    by_rule = hidden_pixels(here, np.array([True, False]))
    assert by_rule[0] == 60
    curve = np.stack([hidden_pixels(here, here.scores >= level) for level in LEVELS])
    assert gain(curve, by_rule, 0) > 0.9
    assert gain(curve, curve[-1], 0) == 0


def test_the_surest_detection_of_a_pixel_decides() -> None:
    boxes = [[0, 0, 0.5, 1], [0.25, 0, 0.75, 1], [0.25, 0, 0.5, 1]]
    scores = best_scores(Detections.of(boxes, [0.4, 0.75, 0.2], [3] * 3), 100, 100, 0)
    assert [float(value) for value in scores[[10, 30, 60, 90], 50]] == [pytest.approx(0.4), 0.75, 0.75, -1]
