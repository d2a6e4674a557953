"""A comparison as a value: which sides, on which pictures, what differs; what people say of it, and what follows.

A region that one side alone hides is an object that the other side misses, or hidden by mistake. A person says which.
Nobody looks at what both sides hide, or both leave visible. So a comparison says which side is better, not how good
it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import msgspec
import numpy as np
from scipy.stats import binomtest

from anonymisation.review.certificate.bounds import Stratum, at_most, upper_bound
from anonymisation.review.comparison.differences import Difference, Side

FORMAT: Final = 1
SIDES: Final[tuple[Side, Side]] = ("a", "b")
CONFIDENCE: Final = 0.95
_DRAWS: Final = 2000  # of the bootstrap, and of signs
_EXACT: Final = 12  # values, of which all signs are tried


class SideInfo(msgspec.Struct, frozen=True):
    """One side: its name, the identity of its model, and the settings in which it differs from those in force."""

    name: str
    model: str
    settings: dict[str, Any] = {}


class ComparedPicture(msgspec.Struct, frozen=True):
    """A picture that both sides have seen, and how many of its pixels each hides."""

    folder: str
    name: str
    version: str
    height: int
    width: int
    hidden_a: int
    hidden_b: int


class Region(msgspec.Struct, frozen=True):
    """A difference that a person is to judge: its number (from 1), and the index of its picture."""

    number: int
    picture: int
    difference: Difference


class Study(msgspec.Struct, frozen=True):
    """A comparison of two sides on a random sample of `population` pictures. `failures`: pictures left out, and why."""

    id: str
    title: str
    by: str
    at: str
    a: SideInfo
    b: SideInfo
    population: int
    pictures: tuple[ComparedPicture, ...]
    regions: tuple[Region, ...]
    failures: tuple[str, ...] = ()
    format: int = FORMAT


class Saying(msgspec.Struct, frozen=True):
    """What a person says of the region `number`: it shows a person or vehicle (`is_object`), or nothing to hide."""

    number: int
    by: str
    at: str
    is_object: bool


@dataclass(frozen=True, slots=True)
class SideResult:
    """The result of one side.

    `missed` pictures show an object that only the other side hides; `missed_at_most` bounds their share in the
    population. `false_regions` are hidden by this side alone and show nothing to hide; `false_share` is their mean
    share of a picture's pixels.
    """

    missed: int
    missed_at_most: float
    false_regions: int
    false_share: float


@dataclass(frozen=True, slots=True)
class Result:
    """The result of both sides.

    `p_value` is that of the exact sign test over pictures in which one side alone misses something: how often chance
    gives so uneven numbers if the sides are equally good. `more_false` is how much more of a picture *a* hides falsely
    than *b*, and `more_false_between` its 95 % interval by bootstrap over pictures.
    """

    a: SideResult
    b: SideResult
    judged: int
    p_value: float
    more_false: float
    more_false_between: tuple[float, float]


def result_of(study: Study, sayings: Mapping[int, Saying]) -> Result:
    """The result of what was judged; a region without a saying counts for neither side."""
    count = len(study.pictures)
    misses = {side: np.zeros(count, np.bool_) for side in SIDES}
    false = {side: np.zeros(count) for side in SIDES}
    regions = dict.fromkeys(SIDES, 0)
    for region in study.regions:
        saying = sayings.get(region.number)
        if saying is None:
            continue
        own, other = region.difference.side, _other(region.difference.side)
        picture = study.pictures[region.picture]
        if saying.is_object:
            misses[other][region.picture] = True
        else:
            regions[own] += 1
            false[own][region.picture] += region.difference.pixels / (picture.height * picture.width)
    only_a, only_b = (int(np.count_nonzero(misses[s] & ~misses[_other(s)])) for s in SIDES)
    side_a, side_b = (_side(study, misses[s], regions[s], false[s]) for s in SIDES)
    return Result(
        a=side_a,
        b=side_b,
        judged=sum(region.number in sayings for region in study.regions),
        p_value=float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0,
        more_false=float(np.mean(false["a"] - false["b"])) if count else 0.0,
        more_false_between=_interval(false["a"] - false["b"]),
    )


def in_words(study: Study, result: Result) -> list[str]:
    """The result as sentences."""
    sentences = []
    confidence, pictures = f"{100 * CONFIDENCE:.0f} % confidence", len(study.pictures)
    for side, other, own in ((study.a, study.b, result.a), (study.b, study.a, result.b)):
        sentences.append(
            f"{side.name} misses something that {other.name} hides in {own.missed} of {pictures} pictures: with "
            f"{confidence} in at most {at_most(own.missed_at_most)} % of all."
        )
        sentences.append(
            f"{side.name} alone hides {own.false_regions} regions falsely, {100 * own.false_share:.2g} % of the pixels."
        )
    return [*sentences, _recall_in_words(study, result), _false_in_words(study, result)]


def _recall_in_words(study: Study, result: Result) -> str:
    if result.p_value >= 1 - CONFIDENCE:
        return f"Neither is shown to miss less (sign test, p = {result.p_value:.2g})."
    better = study.a if result.a.missed < result.b.missed else study.b
    return f"{better.name} misses less (sign test, p = {result.p_value:.2g})."


def _false_in_words(study: Study, result: Result) -> str:
    low, high = (100 * edge for edge in result.more_false_between)
    between = f"{study.a.name} minus {study.b.name}: {low:.2g} to {high:.2g} % of the pixels"
    if low <= 0 <= high:
        return f"Neither is shown to hide less falsely ({between})."
    return f"{(study.a if high < 0 else study.b).name} hides less falsely ({between})."


def _other(side: Side) -> Side:
    return "b" if side == "a" else "a"


def _side(study: Study, missed: Any, false_regions: int, false: Any) -> SideResult:
    count, pictures = int(np.count_nonzero(missed)), len(study.pictures)
    bound = upper_bound([Stratum(study.population, pictures, count)], CONFIDENCE) if pictures else None
    return SideResult(
        count, 1.0 if bound is None else bound.share, false_regions, float(false.mean()) if pictures else 0
    )


def _interval(values: Any) -> tuple[float, float]:
    """The 95 % interval of the mean, by bootstrap (percentiles; Efron, 1979); the same for the same values.

    It holds 0 unless the sign-flip test (Fisher, 1935) rejects that the sides are equal: with a few pictures that
    differ, percentiles alone would leave it out too often.
    """
    if not len(values) or not values.any():
        return 0.0, 0.0
    random = np.random.default_rng(0)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(_DRAWS)]
    edge = 100 * (1 - CONFIDENCE) / 2
    low, high = float(np.percentile(means, edge)), float(np.percentile(means, 100 - edge))
    return (low, high) if _flipped_p(values[values != 0], random) < 1 - CONFIDENCE else (min(low, 0.0), max(high, 0.0))


def _flipped_p(values: Any, random: np.random.Generator) -> float:
    """How often the mean is as far from 0 if chance chooses the sign of each value; exact for a few values."""
    if len(values) <= _EXACT:
        signs = np.array(list(product((-1, 1), repeat=len(values))))
        return float(np.mean(np.abs(signs @ values) >= abs(values.sum()) * (1 - 1e-9)))
    sums = np.array([(random.choice((-1, 1), len(values)) * values).sum() for _ in range(_DRAWS)])
    return float((1 + np.count_nonzero(np.abs(sums) >= abs(values.sum()) * (1 - 1e-9))) / (1 + _DRAWS))
