"""A published hidden region has one of a few forms for any content; by default, only one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.privacy.bounds import published_files, with_extremes
from tests.privacy.faces import FaceCandidates, photographs
from tests.privacy.geometries import AT_THE_EDGE, INSIDE
from tests.privacy.identification import CANDIDATES, MakeCandidates, number_of_forms
from tests.privacy.publishing import Hide, product
from tests.privacy.scenes import CarCandidates
from tests.privacy.weak_blurs import WeakBlur

DEFAULT = product()
GRAY = product(normalised=False)
COLOUR = product(gray=False, normalised=False)
CARS = {f"car {height}, plate {plate}": CarCandidates(height, plate) for height, plate in ((440, 33), (200, 100))}
SCENES = {**CARS, **INSIDE}
ALL_SCENES = {**SCENES, **AT_THE_EDGE}


@pytest.mark.parametrize("quality", [90, 75])
@pytest.mark.parametrize("make", SCENES.values(), ids=SCENES)
def test_by_default_whole_files_are_the_same_for_any_hidden_content(make: MakeCandidates, quality: int) -> None:
    """Down to the last bit: hidden blocks, blocks cut by the mask's edge, their neighbours, and all chroma."""
    random = np.random.default_rng(1)
    candidates = make(random, 4)
    assert len({made.data for made in published_files(candidates, DEFAULT, random, quality)}) == 1


@pytest.mark.parametrize("blur", [1, 5, 30, 100])
def test_the_files_are_the_same_for_any_blur(blur: float) -> None:
    random = np.random.default_rng(2)
    candidates = CarCandidates(200, 100)(random, 4)
    assert len({made.data for made in published_files(candidates, product(blur), random)}) == 1


@pytest.mark.parametrize("make", ALL_SCENES.values(), ids=ALL_SCENES)
@pytest.mark.parametrize(("hide", "most"), [(DEFAULT, 1), (GRAY, 4), (COLOUR, 100)], ids=["default", "gray", "colour"])
def test_extremes_give_no_more_forms_than_promised(make: MakeCandidates, hide: Hide, most: int) -> None:
    """Also if the model detects one object as many: a bound for each of them would not bound the whole."""
    random = np.random.default_rng(3)
    candidates = with_extremes(make(random, 4), random)
    assert number_of_forms(candidates, hide) <= most


@pytest.mark.parametrize("make", SCENES.values(), ids=SCENES)
@pytest.mark.parametrize("hide", [GRAY, COLOUR], ids=["gray", "colour"])
def test_texts_rarely_give_more_than_one_form(make: MakeCandidates, hide: Hide) -> None:
    random = np.random.default_rng(4)
    forms = [number_of_forms(make(random, CANDIDATES), hide) for _ in range(4)]
    assert np.mean(forms) <= 1.5  # two if an average is close to the limit between two tones


@pytest.mark.parametrize("make", [FaceCandidates(120, head_only=True), FaceCandidates(40, head_only=False)])
def test_a_hundred_faces_give_few_forms(make: FaceCandidates) -> None:
    candidates = make.showing(list(photographs()), np.random.default_rng(5))
    assert number_of_forms(candidates, DEFAULT) == 1
    assert number_of_forms(candidates, GRAY) <= 4
    assert number_of_forms(candidates, COLOUR) <= 8  # their colours are similar


def test_a_blur_gives_every_candidate_a_different_form() -> None:
    random = np.random.default_rng(6)
    candidates = CarCandidates(440, 33)(random, CANDIDATES)
    for hide in (WeakBlur(40, "gray"), WeakBlur(40, "normalised")):
        assert number_of_forms(candidates, hide) == CANDIDATES
        assert len({made.data for made in published_files(candidates, hide, random)}) == CANDIDATES


@pytest.mark.parametrize("make", AT_THE_EDGE.values(), ids=AT_THE_EDGE)
def test_visible_pixels_next_to_text_at_the_masks_edge_are_the_same_too(make: MakeCandidates) -> None:
    random = np.random.default_rng(7)
    files = published_files(make(random, 4), DEFAULT, random, quality=75)
    assert len({made.data for made in files}) == 1
