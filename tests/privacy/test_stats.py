from __future__ import annotations

import numpy as np
import pytest

from tests.privacy.lettering import ALPHABETS, GUESSING
from tests.privacy.stats import at_least, at_least_of, shuffled_at_least


def test_binomial_tails() -> None:
    assert at_least(0, 10, 0.1) == 1
    assert at_least(10, 10, 0.1) == pytest.approx(1e-10)
    assert at_least(4, 10, 0.1) == pytest.approx(0.0128, abs=1e-4)
    assert at_least(1, 3, 1) == 1


def test_tails_for_different_chances_agree_with_binomial_tails() -> None:
    assert at_least_of(4, [0.1] * 10) == pytest.approx(at_least(4, 10, 0.1))
    assert at_least_of(2, [0.5, 0.2]) == pytest.approx(0.1)


def test_guessing_reads_four_of_forty_nine() -> None:
    assert len(GUESSING) == len(ALPHABETS) == 7
    assert 7 * sum(GUESSING) == pytest.approx(4.04, abs=0.01)


def test_right_pairs_are_distinguished_from_random_ones() -> None:
    random = np.random.default_rng(1)
    noise = random.standard_normal((12, 12))
    assert shuffled_at_least(noise, random) > 0.01
    assert shuffled_at_least(noise + 3 * np.eye(12), random) < 0.001
    assert shuffled_at_least(np.full((12, 12), 0.3), random) == 1
