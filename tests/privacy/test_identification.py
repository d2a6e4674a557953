"""Trying every candidate is no better than guessing against the product, and always succeeds against a plain blur."""

from __future__ import annotations

import numpy as np
import pytest

from tests.privacy.faces import FaceCandidates
from tests.privacy.identification import CANDIDATES, identify, nearest
from tests.privacy.publishing import product
from tests.privacy.scenes import CarCandidates
from tests.privacy.stats import LEVEL, at_least
from tests.privacy.weak_blurs import WeakBlur

TRIALS = 10
MOST = 3  # right ones of 10 with default settings; guessing gives more in 1.3 % of all cases
CASES = [
    (15, 440, 33),
    (15, 200, 15),
    pytest.param(15, 200, 100, marks=pytest.mark.slow),
    pytest.param(1, 440, 33, marks=pytest.mark.slow),
]
FACES = {"close up": FaceCandidates(120, head_only=True), "far away": FaceCandidates(40, head_only=False)}


@pytest.mark.parametrize(("blur", "car", "plate"), CASES)
def test_plates(blur: float, car: int, plate: int) -> None:
    hides = {
        "default": product(blur),
        "gray": product(blur, normalised=False),
        "colour": product(blur, gray=False, normalised=False),
    }
    outcomes = identify(CarCandidates(car, plate), hides, TRIALS, seed=1)
    assert outcomes["default"].right <= MOST
    for name, outcome in outcomes.items():
        assert at_least(outcome.right, TRIALS, 1 / CANDIDATES) > LEVEL, (name, outcome)


@pytest.mark.parametrize("face", FACES.values(), ids=FACES)
def test_faces(face: FaceCandidates) -> None:
    """With tones, faces differ only by the tone of their region."""
    hides = {
        "default": product(),
        "gray": product(normalised=False),
        "colour": product(gray=False, normalised=False),
    }
    outcomes = identify(face, hides, TRIALS, seed=2)
    assert outcomes["default"].right <= MOST
    for name, outcome in outcomes.items():
        assert at_least(outcome.right, TRIALS, outcome.bound) > LEVEL, (name, outcome)


@pytest.mark.parametrize(("side", "car", "plate", "trials"), [(2, 440, 33, 4), (40, 440, 33, 4), (40, 200, 15, 8)])
def test_the_attack_identifies_plates_behind_a_plain_blur(side: int, car: int, plate: int, trials: int) -> None:
    outcome = identify(CarCandidates(car, plate), {"blur": WeakBlur(side, "normalised")}, trials, seed=3)["blur"]
    assert at_least(outcome.right, trials, 1 / CANDIDATES) < LEVEL, outcome


@pytest.mark.parametrize("face", FACES.values(), ids=FACES)
def test_the_attack_identifies_faces_behind_a_plain_blur(face: FaceCandidates) -> None:
    hides = {"colour": WeakBlur(40, "colour"), "normalised": WeakBlur(40, "normalised")}
    outcomes = identify(face, hides, 4, seed=4)
    assert {outcome.right for outcome in outcomes.values()} == {4}


def test_any_of_several_equal_candidates_may_be_picked() -> None:
    random = np.random.default_rng(5)
    same, other = np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), 200, np.uint8)
    everywhere = np.ones((4, 4), np.uint8)
    assert {nearest(same, [other, same, same], everywhere, random) for _ in range(50)} == {1, 2}
