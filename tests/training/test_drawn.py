"""Drawn signs, boards and road furniture."""

from __future__ import annotations

import numpy as np
import pytest

from training.drawn import KINDS, draw, draw_kind


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_cut_to_what_it_covers_and_is_not_one_flat_colour(kind: str) -> None:
    for seed in range(3):
        thing = draw_kind(kind, np.random.default_rng(seed))
        assert thing.pixels.shape == (*thing.alpha.shape, 3)
        assert 0.02 < thing.alpha.mean() <= 1
        for edge in (thing.alpha[0], thing.alpha[-1], thing.alpha[:, 0], thing.alpha[:, -1]):
            assert edge.max() > 0.05
        assert thing.pixels[thing.alpha > 0.5].std() > 1


def test_the_same_seed_draws_the_same_thing_and_others_differ() -> None:
    one, same, other = (draw(np.random.default_rng(seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.pixels, same.pixels)
    np.testing.assert_array_equal(one.alpha, same.alpha)
    assert one.pixels.shape != other.pixels.shape or (one.pixels != other.pixels).any()
