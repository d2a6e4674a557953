"""Upper confidence bounds on how many pictures have a fault, from a stratified random sample without replacement.

The bounds are exact: whatever the true numbers are, a stated bound is wrong in at most `1 - confidence` of all samples.

How strata are combined. The number of faulty pictures drawn from one stratum is hypergeometric, and that is distributed
as a sum of independent zero-one variables (Vatutin and Mikhailov, 1982); so is the sum over strata, also when each
faulty picture is recognised only with some probability. Among all such sums with mean m and n terms, the binomial
distribution Bin(n, m/n) has the heaviest lower tail at every c <= m - 1 (Hoeffding, 1956, theorem 4). So the bound of
Clopper and Pearson (1934) for the sum over all strata bounds the mean m, whatever the strata. Each stratum contributes
to the mean at least the smallest drawn share of a stratum for every faulty picture that it holds. Dividing by that
share bounds the number of faulty pictures.

How stages are combined. Who looks at a bound and may then decide to draw more must pay for the look. The k-th look uses
a part of the error probability: 0.8, 0.1, 0.05, … (`share_of_stage`). The parts add up to 1, so all looks together err
with at most `1 - confidence`. A single look loses little: 95 % are computed as 96 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Final

from scipy.special import betaincinv

FIRST_STAGE: Final = 0.8  # of the error probability; the second stage gets 0.1, the third 0.05, …
SENSITIVITY_SHARE: Final = 0.2  # of the error probability, spent on the reviewers' own miss rate where it is measured


@dataclass(frozen=True, slots=True)
class Stratum:
    """What was seen of one stratum: `drawn` of its `population` pictures were reviewed, `faulty` of these had a fault.

    Raises:
        ValueError: not 0 <= faulty <= drawn <= population.
    """

    population: int
    drawn: int
    faulty: int

    def __post_init__(self) -> None:
        if not 0 <= self.faulty <= self.drawn <= self.population:
            raise ValueError(f"expected 0 <= faulty <= drawn <= population, got {self}")


@dataclass(frozen=True, slots=True)
class Seeded:
    """Known faults that were shown to the reviewers among the sample, and how many of them they recognised.

    Raises:
        ValueError: not 0 <= recognised <= shown.
    """

    shown: int
    recognised: int

    def __post_init__(self) -> None:
        if not 0 <= self.recognised <= self.shown:
            raise ValueError(f"expected 0 <= recognised <= shown, got {self}")

    def least_sensitivity(self, confidence: float) -> float:
        """The lower bound on the probability with which the reviewers recognise a fault; 0 where none was shown."""
        return clopper_pearson_lower(self.recognised, self.shown, confidence)


@dataclass(frozen=True, slots=True)
class Bound:
    """With probability `confidence` at most `pictures` of `population` pictures have the fault.

    `sensitivity` is the lower bound on the reviewers' recognition that the number rests on; 1 where it is assumed.
    """

    population: int
    pictures: int
    confidence: float
    sensitivity: float = 1.0

    @property
    def share(self) -> float:
        """The bound as a share of the population; 0 without pictures."""
        return self.pictures / self.population if self.population else 0.0


def clopper_pearson_upper(hits: int, trials: int, confidence: float) -> float:
    """The greatest probability under which `hits` or fewer of `trials` are not rarer than `1 - confidence`; one-sided.

    Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934).
    """
    if hits >= trials:
        return 1.0
    return float(betaincinv(hits + 1, trials - hits, confidence))


def clopper_pearson_lower(hits: int, trials: int, confidence: float) -> float:
    """The least probability under which `hits` or more of `trials` are not rarer than `1 - confidence`; one-sided."""
    return 1.0 - clopper_pearson_upper(trials - hits, trials, confidence) if trials else 0.0


def share_of_stage(stage: int) -> float:
    """The part of the error probability that the look at stage `stage` (from 1) may spend: 0.8, 0.1, 0.05, …"""
    if stage < 1:
        raise ValueError(f"expected a stage from 1 on, got {stage}")
    return FIRST_STAGE if stage == 1 else (1 - FIRST_STAGE) * 0.5 ** (stage - 1)


def upper_bound(strata: Sequence[Stratum], confidence: float, *, stage: int = 1, seeded: Seeded | None = None) -> Bound:
    """Bound the number of faulty pictures in all strata.

    Args:
        strata: disjoint; a stratum of which nothing was drawn counts as faulty throughout.
        confidence: between 0.5 and 1, without the ends.
        stage: how many times a bound has been computed from this sample, this time included.
        seeded: the known faults that were shown. None: the reviewers are assumed to recognise every fault.

    Raises:
        ValueError: the confidence or stage lies outside its range.
    """
    if not 0.5 < confidence < 1:
        raise ValueError(f"expected a confidence between 0.5 and 1, got {confidence}")
    error = (1 - confidence) * share_of_stage(stage)
    sensitivity = 1.0
    if seeded is not None:
        sensitivity = seeded.least_sensitivity(1 - error * SENSITIVITY_SHARE)
        error *= 1 - SENSITIVITY_SHARE
    population = sum(stratum.population for stratum in strata)
    pictures = _unseen(strata) + _faulty_in([s for s in strata if s.drawn], error, sensitivity)
    return Bound(population, min(population, pictures), confidence, sensitivity)


def _unseen(strata: Sequence[Stratum]) -> int:
    return sum(stratum.population for stratum in strata if not stratum.drawn)


def _faulty_in(strata: Sequence[Stratum], error: float, sensitivity: float) -> int:
    """The bound on the number of faulty pictures in strata of which something was drawn."""
    population = sum(stratum.population for stratum in strata)
    drawn = sum(stratum.drawn for stratum in strata)
    faulty = sum(stratum.faulty for stratum in strata)
    if not drawn or not sensitivity:
        return population
    # Hoeffding's theorem needs c <= m - 1, so a smaller mean than c + 1 is never rejected.
    mean = max(drawn * clopper_pearson_upper(faulty, drawn, 1 - error), faulty + 1.0)
    least_share = min(stratum.drawn / stratum.population for stratum in strata)
    bound = math.floor(mean / (least_share * sensitivity) + 1e-9)
    # Where reviewers recognise everything, a drawn picture without a fault is known to have none.
    return min(bound, population - drawn + faulty if sensitivity == 1.0 else population)


def at_most(share: float, digits: int = 2) -> str:
    """An upper bound in percent, without the sign, rounded up to so many significant digits: it still holds."""
    return _percent(share, digits, ROUND_CEILING)


def at_least(share: float, digits: int = 3) -> str:
    """A lower bound in percent, without the sign, rounded down to so many significant digits."""
    return _percent(share, digits, ROUND_FLOOR)


def _percent(share: float, digits: int, rounding: str) -> str:
    exact = Decimal(str(round(100 * share, 6)))  # what the sixth digit rounds away is an error of the arithmetic
    return f"{Context(prec=digits, rounding=rounding).create_decimal(exact).normalize():f}"


def sample_size(
    population: int,
    bound: float,
    confidence: float,
    *,
    tolerated: int = 0,
    stage: int = 1,
    seeded: int = 0,
) -> int:
    """The least number of pictures to draw so that `tolerated` faulty ones still give `bound` (a share).

    Assumes that reviewers recognise all of `seeded` known faults.

    Raises:
        ValueError: the bound is not between 0 and 1, `tolerated` is negative, or even the whole population is not
            enough: too few known faults, or too many tolerated ones.
    """
    if not 0 < bound < 1 or tolerated < 0:
        raise ValueError(f"expected a bound between 0 and 1 and no negative tolerance, got {bound} and {tolerated}")
    known = Seeded(seeded, seeded) if seeded else None

    def suffices(drawn: int) -> bool:
        seen = Stratum(population, drawn, min(tolerated, drawn))
        return upper_bound([seen], confidence, stage=stage, seeded=known).pictures <= bound * population

    if not suffices(population):
        raise ValueError(
            f"a bound of {bound:g} is out of reach with {tolerated} tolerated faults and {seeded} known faults among "
            f"{population} pictures; give a larger bound, fewer tolerated faults, or none or more known faults"
        )
    low, high = 0, population
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle + 1, high)
    return low
