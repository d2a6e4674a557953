"""The stated bound holds: by simulation of nights with known faults, and against values from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest

from anonymisation.review.certificate.bounds import (
    Seeded,
    Stratum,
    at_least,
    at_most,
    clopper_pearson_lower,
    clopper_pearson_upper,
    sample_size,
    share_of_stage,
    upper_bound,
)

NIGHTS = 2000


@pytest.mark.parametrize(("hits", "trials"), [(0, 300), (3, 300), (1, 2), (299, 300), (300, 300)])
def test_bounds_of_one_sample_agree_with_scipy(hits: int, trials: int) -> None:
    upper = binomtest(hits, trials, alternative="less").proportion_ci(0.95, method="exact").high
    lower = binomtest(hits, trials, alternative="greater").proportion_ci(0.95, method="exact").low
    assert clopper_pearson_upper(hits, trials, 0.95) == pytest.approx(upper)
    assert clopper_pearson_lower(hits, trials, 0.95) == pytest.approx(lower)


def test_the_rule_of_three() -> None:
    assert clopper_pearson_upper(0, 1000, 0.95) == pytest.approx(3 / 1000, rel=0.01)


def drawn_from(random: np.random.Generator, faulty: int, population: int, drawn: int) -> int:
    return int(random.hypergeometric(faulty, population - faulty, drawn))


NIGHTS_OF_STRATA = {
    "one folder": ([5000], [40], 300),
    "faults in one folder of ten": ([500] * 10, [45] + [0] * 9, 250),
    "faults spread over twenty folders": ([50] * 20, [1] * 20, 200),
    "small and large folders": ([10] * 15 + [4000], [5] * 15 + [10], 300),
    "few faults": ([300, 700], [0, 3], 400),
    "many faults": ([300, 700], [150, 300], 120),
}


@pytest.mark.parametrize("night", NIGHTS_OF_STRATA)
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_stated_bound_holds_in_simulated_nights(night: str, confidence: float) -> None:
    populations, faults, wanted = NIGHTS_OF_STRATA[night]
    random = np.random.default_rng(19)
    drawn = [-(-wanted * n // sum(populations)) for n in populations]
    held = 0
    for _ in range(NIGHTS):
        strata = [
            Stratum(n, d, drawn_from(random, f, n, d)) for n, f, d in zip(populations, faults, drawn, strict=True)
        ]
        held += upper_bound(strata, confidence).pictures >= sum(faults)
    assert held >= confidence * NIGHTS


def test_the_bound_holds_although_reviewers_miss_faults() -> None:
    random = np.random.default_rng(20)
    held = 0
    for _ in range(NIGHTS):
        recognised = int(random.binomial(drawn_from(random, 60, 4000, 400), 0.8))
        seeded = Seeded(40, int(random.binomial(40, 0.8)))
        held += upper_bound([Stratum(4000, 400, recognised)], 0.95, seeded=seeded).pictures >= 60
    assert held >= 0.95 * NIGHTS


def test_the_bound_holds_for_a_reviewer_who_draws_more_until_he_likes_it() -> None:
    """A reviewer stops at the stage whose bound is good; otherwise he draws 150 pictures more, up to four times."""
    random = np.random.default_rng(21)
    held = 0
    for _ in range(NIGHTS):
        order = random.permutation(3000) < 30  # the faulty pictures, in the order in which they are drawn
        for stage in (1, 2, 3, 4):
            faulty = int(order[: 150 * stage].sum())
            bound = upper_bound([Stratum(3000, 150 * stage, faulty)], 0.95, stage=stage)
            if bound.share < 0.015:
                break
        held += bound.pictures >= 30
    assert held >= 0.95 * NIGHTS


def test_all_looks_together_spend_the_whole_error_probability() -> None:
    assert sum(share_of_stage(stage) for stage in range(1, 60)) == pytest.approx(1)


def test_a_folder_that_was_seen_whole_is_known_exactly() -> None:
    assert upper_bound([Stratum(40, 40, 2)], 0.95).pictures == 2


def test_pictures_of_which_none_was_drawn_count_as_faulty() -> None:
    assert upper_bound([Stratum(40, 40, 0), Stratum(7, 0, 0)], 0.95).pictures == 7


def test_reviewers_who_recognise_nothing_bound_nothing() -> None:
    assert upper_bound([Stratum(1000, 500, 0)], 0.95, seeded=Seeded(20, 0)).pictures == 1000
    assert upper_bound([Stratum(1000, 500, 0)], 0.95, seeded=Seeded(0, 0)).pictures == 1000


@given(
    population=st.integers(1, 200_000),
    bound=st.floats(0.001, 0.5),
    confidence=st.sampled_from([0.8, 0.95, 0.99]),
    tolerated=st.integers(0, 3),
)
def test_the_sample_size_is_the_least_that_reaches_the_bound(
    population: int, bound: float, confidence: float, tolerated: int
) -> None:
    assume(tolerated <= bound * population)
    drawn = sample_size(population, bound, confidence, tolerated=tolerated)
    reached = upper_bound([Stratum(population, drawn, min(tolerated, drawn))], confidence).pictures
    assert reached <= bound * population
    if drawn:
        one_less = Stratum(population, drawn - 1, min(tolerated, drawn - 1))
        assert upper_bound([one_less], confidence).pictures > bound * population


@pytest.mark.parametrize("wrong", [(5, 6, 0), (5, 3, 4), (5, 3, -1)])
def test_numbers_that_cannot_be_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected 0 <= faulty"):
        Stratum(*wrong)


@pytest.mark.parametrize("confidence", [0.5, 1.0, 95.0, float("nan")])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="expected a confidence"):
        upper_bound([Stratum(5, 3, 0)], confidence)


@pytest.mark.parametrize(
    ("share", "most", "least"),
    [
        (0.0104, "1.1", "1"),
        (0.01, "1", "1"),
        (0.08049, "8.1", "8"),
        (0.375, "38", "37"),
        (0.99601, "100", "99"),
        (1.0, "100", "100"),
        (0.0, "0", "0"),
        (0.00004, "0.004", "0.004"),
        (0.07, "7", "7"),
    ],
)
def test_a_bound_is_rounded_to_the_side_on_which_it_holds(share: float, most: str, least: str) -> None:
    assert (at_most(share), at_least(share, 2)) == (most, least)
