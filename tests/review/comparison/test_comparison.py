"""Two detectors on the same real pictures: what differs, what people say of it, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.review.comparison.differences import Difference, differences
from anonymisation.review.comparison.shadow import Contender, NothingToCompareError, compare
from anonymisation.review.comparison.store import add_saying, read_sayings, read_studies, read_study
from anonymisation.review.comparison.study import ComparedPicture, Region, Saying, SideInfo, Study, in_words, result_of
from anonymisation.workspace.workspace import Workspace
from tests.captures import CAR, CAR_BOX, FOLDER, Site, capture, shows
from tests.doubles import ScriptedDetector

SIGN = (0.0, 0.0, 0.2, 0.1)
BOTH = Detections.of([CAR_BOX, SIGN], [0.9, 0.4], [3, 1])
SIZE, NO_MARGIN = (96, 144), (0, 0)


@pytest.fixture
def night(tmp_path: Path) -> Workspace:
    site = Site(tmp_path)
    workspace = site.workspace(archive=True)
    site.fill(6)
    site.run(workspace)
    return workspace


Found = Detections | Callable[[NDArray[np.uint8]], Detections]


def contenders(workspace: Workspace, a: Found, b: Found) -> tuple[Contender, Contender]:
    return (
        Contender("A", workspace.settings, {}, ScriptedDetector(a, "Old@1")),
        Contender("B", workspace.settings, {"score_threshold": 0.3}, ScriptedDetector(b, "New@2")),
    )


def test_only_what_one_side_alone_hides_differs() -> None:
    assert differences(CAR, CAR, SIZE, NO_MARGIN) == []
    (one,) = differences(CAR, BOTH, SIZE, NO_MARGIN)
    assert (one.side, one.label, one.score) == ("b", "person", 0.4)
    assert one.box == pytest.approx(SIGN, abs=1e-4)
    assert one.pixels == pytest.approx(0.2 * 0.1 * 96 * 144, rel=0.15)


def test_an_object_that_the_other_side_mostly_hides_does_not_differ() -> None:
    top, left, bottom, right = CAR_BOX
    wider = Detections.of([(top, left, bottom, min(1.0, right + 0.3 * (right - left)))], [0.9], [3])
    assert differences(CAR, wider, SIZE, NO_MARGIN) == []
    half = Detections.of([(top, left, bottom, left + 0.3 * (right - left))], [0.9], [3])
    assert [one.side for one in differences(CAR, half, SIZE, NO_MARGIN)] == ["a"]


def test_a_wide_margin_of_one_side_covers_what_the_other_hides() -> None:
    near = Detections.of([(0.0, 0.12, 0.2, 0.22)], [0.9], [3])
    sign = Detections.of([SIGN], [0.9], [1])
    assert {one.side for one in differences(sign, near, SIZE, NO_MARGIN)} == {"a", "b"}
    assert differences(sign, near, SIZE, (20, 20)) == []


def test_parts_of_one_object_are_one_difference() -> None:
    parts = Detections.of([(0, 0, 0.2, 0.1), (0.2, 0, 0.4, 0.1)], [0.9, 0.8], [3, 3], objects=[5, 5])
    (one,) = differences(parts, Detections.empty(), SIZE, NO_MARGIN)
    assert one.box == pytest.approx((0, 0, 0.4, 0.1), abs=1e-4)


def test_both_sides_see_the_same_originals_and_nothing_is_published(night: Workspace) -> None:
    before = {path: path.read_bytes() for path in night.shares.output.rglob("*") if path.is_file()}
    seen: list[NDArray[np.uint8]] = []

    def watch(pixels: NDArray[np.uint8]) -> Detections:
        seen.append(pixels)
        return BOTH

    study = compare(night, [FOLDER], contenders(night, CAR, watch), 4, title="New model", by="kari")
    assert len(study.pictures) == 4
    assert all(any(shows(pixels, number) for number in range(6)) for pixels in seen)
    assert [region.number for region in study.regions] == [1, 2, 3, 4]
    assert study == read_study(night.shares.state, study.id) == next(read_studies(night.shares.state))
    assert {path: path.read_bytes() for path in before} == before
    assert (study.b.model, study.b.settings) == ("New@2", {"score_threshold": 0.3})


def test_originals_come_from_the_archive_and_are_the_very_ones(night: Workspace) -> None:
    for path in night.shares.input.rglob("*.jpg"):
        path.unlink()
    assert night.shares.archive is not None
    other = next(night.shares.archive.rglob("p000.jpg"))
    other.write_bytes(capture(77))  # not what was masked
    study = compare(night, [FOLDER], contenders(night, CAR, BOTH), 6, title="", by="kari")
    assert len(study.pictures) == 5
    (failure,) = study.failures
    assert "p000.jpg: the original is in neither" in failure


def test_without_originals_nothing_can_be_compared(night: Workspace) -> None:
    with pytest.raises(NothingToCompareError, match="there is none"):
        compare(night, ["2099/nothing"], contenders(night, CAR, BOTH), 4, title="", by="kari")


def study_of(*sides: str, pictures: int = 100) -> Study:
    """One difference on each of the first pictures, hidden by that side alone."""
    seen = tuple(ComparedPicture(FOLDER, f"p{n:03d}.jpg", "", 100, 100, 0, 0) for n in range(pictures))
    regions = tuple(
        Region(n + 1, n, Difference("a" if side == "a" else "b", "car", 0.5, SIGN, 200)) for n, side in enumerate(sides)
    )
    return Study("2021-05-01-00000000", "", "", "", SideInfo("A", "x"), SideInfo("B", "y"), 1000, seen, regions)


def said(study: Study, *are_objects: bool) -> dict[int, Saying]:
    return {number: Saying(number, "kari", "", one) for number, one in enumerate(are_objects, start=1)}


def test_the_side_that_misses_less_is_named_with_its_p_value() -> None:
    study = study_of(*"bbbbbbbbba")
    result = result_of(study, said(study, *[True] * 10))
    assert (result.a.missed, result.b.missed) == (9, 1)
    assert result.p_value == pytest.approx(2 * (1 + 10) / 2**10)
    assert "B misses less (sign test, p = 0.021)." in in_words(study, result)
    assert result.a.missed_at_most > 9 / 100


def test_few_differences_show_nothing() -> None:
    study = study_of(*"bb")
    words = in_words(study, result_of(study, said(study, True, True)))
    assert "Neither is shown to miss less (sign test, p = 0.5)." in words


def test_the_side_that_hides_less_falsely_is_named() -> None:
    study = study_of(*"aaaaaaaaaaaaaaaaaaaa")
    result = result_of(study, said(study, *[False] * 20))
    assert result.a.false_share == pytest.approx(20 * 200 / 10_000 / 100)
    low, high = result.more_false_between
    assert 0 < low < result.more_false < high
    assert any(sentence.startswith("B hides less falsely") for sentence in in_words(study, result))


def test_what_nobody_has_judged_counts_for_neither(night: Workspace) -> None:
    study = compare(night, [FOLDER], contenders(night, CAR, BOTH), 4, title="", by="kari")
    add_saying(night.shares.state, study, 2, "kari", is_object=True)
    add_saying(night.shares.state, study, 2, "kari", is_object=False)
    result = result_of(study, read_sayings(night.shares.state, study.id))
    assert (result.judged, result.a.missed, result.b.false_regions) == (1, 0, 1)
    with pytest.raises(ValueError, match="no region 5"):
        add_saying(night.shares.state, study, 5, "kari", is_object=True)


def test_a_few_regions_of_one_side_do_not_show_that_it_hides_more_falsely() -> None:
    study = study_of(*"aaaaa")  # chance gives five of one side in one of sixteen comparisons of equal sides
    result = result_of(study, said(study, *[False] * 5))
    assert result.more_false_between[0] == 0
    assert any(sentence.startswith("Neither is shown to hide less falsely") for sentence in in_words(study, result))


def test_equal_sides_are_seldom_called_different() -> None:
    random, wrong = np.random.default_rng(5), 0
    for _ in range(200):
        sides = "".join(random.choice(("a", "b"), 5))
        study = study_of(*sides)
        low, high = result_of(study, said(study, *[False] * 5)).more_false_between
        wrong += not low <= 0 <= high
    assert wrong <= 0.05 * 200


def test_fixed_regions_hold_for_both_sides(night: Workspace) -> None:
    def side(name: str, found: Detections, **regions: object) -> Contender:
        settings = Site(night.shares.input.parent).workspace(camera_regions=[regions] if regions else []).settings
        return Contender(name, settings, {}, ScriptedDetector(found))

    corner = [[0, 0], [0.15, 0], [0.15, 0.25], [0, 0.25]]
    for kind in ("hide", "ignore"):
        sides = side("A", CAR, **{kind: [corner]}), side("B", BOTH, **{kind: [corner]})
        assert compare(night, [FOLDER], sides, 2, title="", by="kari").regions == (), kind
    assert len(compare(night, [FOLDER], (side("A", CAR), side("B", BOTH)), 2, title="", by="kari").regions) == 2
