"""Plates cannot be read from published pictures; behind a plain blur they can."""

from __future__ import annotations

import numpy as np
import pytest

from tests.privacy.backgrounds import drawn_road, survey_pictures
from tests.privacy.lettering import GUESSING
from tests.privacy.publishing import Hide, Pixels, product
from tests.privacy.reading import Reader, read_plates
from tests.privacy.stats import LEVEL, at_least_of
from tests.privacy.weak_blurs import WeakBlur, WeakKind

SIDE = 40  # side of the default box blur on pictures 2692 pixels wide
CARS = [440, 380, 300]


@pytest.fixture(scope="module")
def pictures() -> tuple[Pixels, ...]:
    """The seven survey pictures, or drawn ones if they are missing."""
    return survey_pictures() or tuple(drawn_road(seed) for seed in range(3))


@pytest.mark.parametrize("car", CARS)
def test_no_plate_is_read_with_default_settings(pictures: tuple[Pixels, ...], car: int) -> None:
    result = read_plates(pictures, car, product(), "normalised", SIDE, seed=car)
    assert result.whole == 0
    assert at_least_of(result.characters, GUESSING * len(pictures)) > LEVEL, result


@pytest.mark.parametrize("kind", ["gray", "normalised"])
def test_the_attack_reads_plates_behind_a_plain_blur(pictures: tuple[Pixels, ...], kind: WeakKind) -> None:
    hide: Hide = WeakBlur(SIDE, kind)
    result = read_plates(pictures[:3], 440, hide, kind, SIDE, seed=440)
    assert result.characters >= 19  # of 21
    assert result.whole >= 1


def test_an_attacker_with_another_font_still_reads_some(pictures: tuple[Pixels, ...]) -> None:
    result = read_plates(pictures[:4], 440, WeakBlur(SIDE, "gray"), "gray", SIDE, seed=440, font="opencv")
    assert at_least_of(result.characters, GUESSING * 4) < LEVEL


def test_a_picture_without_text_still_gives_a_text() -> None:
    flat = np.full((400, 800, 3), 100, np.uint8)
    assert len(Reader.of(33, "pillow", SIDE, "normalised").read(flat, (200, 300))) == 7
