"""How likely guessing does as well as an attack did: exact, with nothing but sums of binomial terms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEVEL: Final = 0.001
"""An attack succeeds where guessing would do as well in at most this share of all cases."""

_SHUFFLES: Final = 19_999


def at_least(successes: int, trials: int, chance: float) -> float:
    """The probability of so many successes or more in so many trials."""
    terms = (
        math.comb(trials, count) * chance**count * (1 - chance) ** (trials - count)
        for count in range(successes, trials + 1)
    )
    return min(1.0, math.fsum(terms))


def at_least_of(successes: int, chances: Sequence[float]) -> float:
    """The same for trials that each have a chance of their own."""
    distribution = np.ones(1)
    for chance in chances:
        distribution = np.convolve(distribution, [1 - chance, chance])
    return min(1.0, float(distribution[successes:].sum()))


def shuffled_at_least(likeness: NDArray[np.float64], random: np.random.Generator) -> float:
    """How often pairing published and original pictures at random makes them as alike as the right pairing does.

    Args:
        likeness: (n, n), of each original (row) and each published picture (column); the right pairs on the diagonal.
        random: for the pairings.
    """
    rows = np.arange(len(likeness))
    columns = random.permuted(np.tile(rows, (_SHUFFLES, 1)), axis=1)
    shuffled = likeness[rows, columns].sum(axis=1)
    # Sums in another order may differ in their last digits where all pairings are alike.
    return (1 + int(np.sum(shuffled >= likeness.trace() - 1e-9))) / (1 + _SHUFFLES)
