"""The exact probability that guessing does as well as an attack, from sums of binomial terms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEVEL: Final = 0.001
"""An attack succeeds if the probability that guessing does as well is at most this."""

_SHUFFLES: Final = 19_999


def at_least(successes: int, trials: int, chance: float) -> float:
    """The probability of at least `successes` successes in `trials` trials."""
    terms = (
        math.comb(trials, count) * chance**count * (1 - chance) ** (trials - count)
        for count in range(successes, trials + 1)
    )
    return min(1.0, math.fsum(terms))


def at_least_of(successes: int, chances: Sequence[float]) -> float:
    """The same for trials with different chances."""
    distribution = np.ones(1)
    for chance in chances:
        distribution = np.convolve(distribution, [1 - chance, chance])
    return min(1.0, float(distribution[successes:].sum()))


def shuffled_at_least(likeness: NDArray[np.float64], random: np.random.Generator) -> float:
    """The fraction of random pairings of published and original pictures that are as similar as the right pairing.

    Args:
        likeness: (n, n), of each original (row) and each published picture (column); the right pairs on the diagonal.
        random: generator for the pairings.
    """
    rows = np.arange(len(likeness))
    columns = random.permuted(np.tile(rows, (_SHUFFLES, 1)), axis=1)
    shuffled = likeness[rows, columns].sum(axis=1)
    # If all pairings are alike, sums in another order may still differ in their last digits.
    return (1 + int(np.sum(shuffled >= likeness.trace() - 1e-9))) / (1 + _SHUFFLES)
