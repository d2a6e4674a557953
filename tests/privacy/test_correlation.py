"""Hidden regions do not correlate with their content, in pixels and coefficients of all channels."""

from __future__ import annotations

import pytest

from tests.privacy.correlation import MEASURES, likeness_levels
from tests.privacy.publishing import Hide, product
from tests.privacy.stats import LEVEL
from tests.privacy.weak_blurs import WeakBlur, WeakKind

HIDES = {
    "default": product(),
    "gray": product(normalised=False),
    "colour": product(gray=False, normalised=False),
    "blur 1": product(1, gray=False, normalised=False),
}


@pytest.mark.parametrize("hide", HIDES.values(), ids=HIDES)
def test_no_content_leaks(hide: Hide) -> None:
    levels = likeness_levels(hide, seed=1)
    assert set(levels) == set(MEASURES)
    assert min(levels.values()) > LEVEL / len(MEASURES), levels


@pytest.mark.parametrize(("kind", "channels"), [("colour", {"Y", "Cb", "Cr"}), ("gray", {"Y"}), ("normalised", {"Y"})])
def test_the_attack_detects_the_content_behind_a_plain_blur(kind: WeakKind, channels: set[str]) -> None:
    levels = likeness_levels(WeakBlur(40, kind), seed=2)
    seen = {name.partition(",")[0] for name, level in levels.items() if level < LEVEL / len(MEASURES)}
    assert seen == channels


def test_coefficients_alone_show_fine_structure() -> None:
    levels = likeness_levels(WeakBlur(3, "colour"), seed=3)
    assert max(levels.values()) < LEVEL / len(MEASURES)
