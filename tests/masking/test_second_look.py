"""The second look drops doubtful detections and refines masks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from anonymisation.masking.second_look import SecondLook, Segment

LOOK = SecondLook(
    pixels=513 * 385,
    step=16,
    least_side=100.0,
    judged_share=0.05,
    least_odds=-2.0,
    sure_score=0.95,
    seen_odds=0.5,
    mask_weight=1.0,
    odds_weight=1.0,
    odds_bias=2.0,
    reach=0.2,
    outside_odds=-3.0,
)
PICTURE = np.full((480, 640, 3), 90, np.uint8)
LARGE, SMALL = [0.2, 0.2, 0.8, 0.7], [0.1, 0.1, 0.2, 0.2]


def found(*things: tuple[list[float], float], mask: float = 0.9) -> Detections:
    boxes, scores = zip(*things, strict=True)
    return Detections.of(boxes, scores, [1] * len(things), np.full((len(things), 28, 28), mask))


class Segmenter:
    """Returns the same log odds for every picture, and records its inputs."""

    def __init__(self, odds: float | NDArray[np.float32]) -> None:
        self.odds = np.broadcast_to(np.asarray(odds, np.float32), (49, 65))
        self.shown: list[NDArray[np.uint8]] = []

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.shown.append(pixels)
        return np.stack([np.full_like(self.odds, -20), self.odds], axis=-1)


def at(look: SecondLook, pixels: NDArray[np.uint8], before: Detections, segment: Segment) -> Detections:
    return look.look_at(pixels, segment)(before)


def odds_of(share: float) -> float:
    return float(np.log(share / (1 - share)))


@pytest.mark.parametrize("score", [0.2, 0.5, 0.9])
def test_a_large_detection_is_dropped_if_the_sum_of_both_log_odds_is_low(score: float) -> None:
    before = found((LARGE, score), (SMALL, 0.2))
    enough = -2.0 - odds_of(score)
    after = at(LOOK, PICTURE, before, Segmenter(enough - 0.1))
    np.testing.assert_array_equal(after.scores, before.scores[1:])
    np.testing.assert_array_equal(after.masks, before.masks[1:])
    np.testing.assert_array_equal(after.objects, before.objects[1:])
    assert len(at(LOOK, PICTURE, before, Segmenter(enough + 0.1))) == 2


def test_a_sure_detection_is_kept_for_any_second_look() -> None:
    assert len(at(LOOK, PICTURE, found((LARGE, 0.96)), Segmenter(-30.0))) == 1
    assert len(at(LOOK, PICTURE, found((LARGE, 0.94)), Segmenter(-30.0))) == 0


def person_in_the_middle() -> Detections:
    mask = np.full((1, 28, 28), 0.02, np.float32)
    mask[:, 6:22, 6:22] = 0.95
    return Detections.of([LARGE], [0.9], [1], mask)


def test_another_object_in_its_box_does_not_uncover_a_detection() -> None:
    """The network mistakes the person for a dog, and sees another person in the corner."""
    odds = np.full((49, 65), -9.0, np.float32)
    odds[10:20, 13:24] = 5.0
    before = person_in_the_middle()
    look = replace(LOOK, least_odds=-9.0)
    after = at(look, PICTURE, before, Segmenter(odds))
    np.testing.assert_array_equal(after.masks, before.masks)
    np.testing.assert_array_equal(after.boxes, before.boxes)


def test_an_outline_that_drops_most_of_a_mask_is_not_used() -> None:
    for columns, believed in ((31, True), (25, False)):
        odds = np.full((49, 65), -9.0, np.float32)
        odds[:, :columns] = 5.0  # the detection covers the columns 20 to 38
        before = person_in_the_middle()
        after = at(LOOK, PICTURE, before, Segmenter(odds))
        assert (not np.array_equal(after.masks, before.masks)) == believed


def test_masks_of_one_sample_are_not_refined() -> None:
    before = Detections.of([LARGE], [0.2], [1])
    assert before.masks.shape == (1, 1, 1)
    assert at(LOOK, PICTURE, before, Segmenter(-9.0)) is before


def test_a_detection_is_judged_by_a_fraction_of_its_marked_pixels() -> None:
    odds = np.full((49, 65), -9.0, np.float32)
    odds[13:35, 19:22] = 0.4  # 3 of 33 columns of the box
    for share, remains in ((0.02, 1), (0.2, 0)):
        look = replace(LOOK, judged_share=share)
        assert len(at(look, PICTURE, found((LARGE, 0.2)), Segmenter(odds))) == remains


@pytest.mark.parametrize(("odds", "remains", "drawn"), [(-0.7, 0, 0), (-0.5, 1, 0), (0.4, 1, 0), (0.6, 1, 1)])
def test_a_detection_neither_absent_nor_seen_stays_unchanged(odds: float, remains: int, drawn: int) -> None:
    before = found((LARGE, 0.2))
    after = at(LOOK, PICTURE, before, Segmenter(odds))
    assert len(after) == remains
    assert remains == drawn or np.array_equal(after.masks, before.masks)
    assert not drawn or (after.masks != before.masks).any()


def test_only_large_detections_get_a_second_look() -> None:
    segmenter = Segmenter(-9.0)
    before = found((SMALL, 0.2))
    assert at(LOOK, PICTURE, before, segmenter) is before
    assert at(LOOK, PICTURE, Detections.empty(), segmenter).counts() == {}
    assert segmenter.shown == []
    # A side of 100 pixels of the second look's input, and slightly less.
    for side, remains in ((0.2252, 0), (0.2248, 1)):
        box = [0.1, 0.1, 0.1 + side, 0.1 + side]
        assert len(at(LOOK, PICTURE, found((box, 0.2)), segmenter)) == remains


def test_masks_follow_the_outlines_of_the_network() -> None:
    odds = np.full((49, 65), -9.0, np.float32)
    odds[:, 26:] = 9.0
    before = found((LARGE, 0.9))
    after = at(LOOK, PICTURE, before, Segmenter(odds))
    hidden = union(after, 480, 640)
    columns, rows = (np.flatnonzero(hidden.any(axis=axis)) for axis in (0, 1))
    assert columns[0] == pytest.approx(25.5 / 64 * 639, abs=8)
    # Beyond the box, up to the reach, only sure pixels are hidden.
    assert columns[-1] == pytest.approx(0.8 * 640, abs=2)
    assert [rows[0], rows[-1]] == pytest.approx([0.08 * 480, 0.92 * 480], abs=2)
    near = at(replace(LOOK, reach=0.0), PICTURE, before, Segmenter(odds))
    assert np.flatnonzero(union(near, 480, 640).any(axis=0))[-1] == pytest.approx(0.7 * 640, abs=2)


def test_holes_in_an_outline_are_hidden_too() -> None:
    odds = np.full((49, 65), 5.0, np.float32)
    odds[20:26, 22:26] = -20.0  # such as a face that is not recognised
    odds[28:34, 30:] = -20.0  # open to the right
    hidden = union(at(LOOK, PICTURE, found((LARGE, 0.9)), Segmenter(odds)), 480, 640)
    assert hidden[23 * 10, 24 * 10]
    assert not hidden[31 * 10, 40 * 10]


class Groups:
    """Returns the same log odds of both groups for every picture."""

    def __init__(self, odds: NDArray[np.float32]) -> None:
        self.odds = odds

    def __call__(self, _: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.odds


def rider_and_bus() -> tuple[Detections, NDArray[np.float32]]:
    """A person in the left of a bus's box, and what a network says that sees the rest of the bus."""
    left = [LARGE[0], LARGE[1], LARGE[2], 0.42]
    both = Detections.of([LARGE, left], [0.9, 0.9], [6, 1], np.full((2, 28, 28), 0.9))
    odds = np.full((49, 65, 2), -9.0, np.float32)
    odds[12:37, 14:26, 0] = 6.0
    odds[:, 26:, 1] = 6.0
    return both, odds


def hidden_by(found: Detections, kind: int) -> NDArray[np.bool_]:
    return union(found.rows(found.classes == kind), 480, 640)


def test_a_person_who_is_hidden_is_not_in_the_outline_of_a_vehicle() -> None:
    both, odds = rider_and_bus()
    after = at(LOOK, PICTURE, both, Groups(odds))
    bus, person = hidden_by(after, 6), hidden_by(after, 1)
    assert not bus[150:330, 150:220].any()
    assert bus[150:330, 310:430].all()
    assert person[150:330, 150:220].all()


def test_a_person_whom_nothing_else_hides_stays_in_the_outline_of_a_vehicle() -> None:
    both, odds = rider_and_bus()
    unsure = odds.copy()
    unsure[12:37, 14:26, 0] = -2.5  # too low for the person's mask, were it less sure, and not for that of the bus
    for finds, seen in ((both.rows(both.classes == 6), odds), (both, unsure)):
        after = at(LOOK, PICTURE, finds, Groups(seen))
        assert hidden_by(after, 6)[150:330, 150:220].all()


def test_a_box_ends_where_its_mask_ends() -> None:
    odds = np.full((49, 65), -20.0, np.float32)
    odds[12:37, 15:43] = 5.0
    after = at(LOOK, PICTURE, found((LARGE, 0.9)), Segmenter(odds))
    assert after.boxes[0] == pytest.approx([12 / 48, 15 / 64, 36 / 48, 42 / 64], abs=0.06)
    hidden = union(after, 480, 640)
    assert hidden[140:340:20, 170:400:20].all()


def test_around_a_box_only_sure_pixels_are_hidden() -> None:
    for outside, hidden in ((-7.1, False), (-6.9, True)):
        look = replace(LOOK, outside_odds=outside)
        after = at(look, PICTURE, found((LARGE, 0.9)), Segmenter(5.0))
        assert union(after, 480, 640)[60, 300] == hidden
        assert union(after, 480, 640)[240, 300]


def test_a_mask_stays_unchanged_if_the_second_opinion_has_no_weight() -> None:
    slope = np.tile(np.linspace(0.01, 0.99, 28), (1, 28, 1))
    before = Detections.of([LARGE], [0.9], [3], slope)
    look = replace(LOOK, odds_weight=0.0, odds_bias=0.0, reach=0.0)
    after = at(look, PICTURE, before, Segmenter(3.0))
    one, other = (union(detections, 480, 640) for detections in (before, after))
    assert np.count_nonzero(one ^ other) < 0.01 * np.count_nonzero(one)


def test_a_mask_and_the_second_opinion_are_weighted() -> None:
    def hidden(odds: float, **changes: Any) -> bool:
        """Whether the left of a detection is hidden if its mask and the second opinion are surer on the right."""
        mask = np.full((1, 28, 28), 0.2, np.float32)
        mask[..., 20:] = 0.9
        look = replace(LOOK, reach=0.0, **changes)
        right = np.where(np.arange(65) > 33, 9.0, odds).astype(np.float32)
        after = at(look, PICTURE, Detections.of([LARGE], [0.9], [1], mask), Segmenter(np.tile(right, (49, 1))))
        return bool(union(after, 480, 640)[240, 200])

    logit = float(np.log(0.2 / 0.8))
    assert hidden(-2.0 - logit + 0.1)
    assert not hidden(-2.0 - logit - 0.1)
    assert hidden(-2.0 - logit - 0.1, odds_bias=2.2)
    assert hidden(-2.0 - logit - 0.1, mask_weight=0.8)
    assert not hidden(-2.0 - logit + 0.1, odds_weight=1.5)


def test_a_detection_whose_new_mask_would_be_empty_stays_unchanged() -> None:
    before = found((LARGE, 0.9), mask=0.3)
    after = at(replace(LOOK, odds_bias=-5.0), PICTURE, before, Segmenter(2.0))
    np.testing.assert_array_equal(after.boxes, before.boxes)
    np.testing.assert_array_equal(after.masks, before.masks)


@pytest.mark.parametrize(
    ("height", "width", "shown"), [(480, 640, (385, 513)), (1032, 2692, (273, 721)), (1, 90_000, (17, 12337))]
)
def test_pictures_are_scaled_to_about_one_number_of_pixels(height: int, width: int, shown: tuple[int, int]) -> None:
    assert LOOK.shown(height, width) == shown


def test_the_network_gets_the_scaled_picture() -> None:
    pixels = np.zeros((960, 1280, 3), np.uint8)
    pixels[:, 640:] = 200
    segmenter = Segmenter(5.0)
    at(LOOK, pixels, found((LARGE, 0.9)), segmenter)
    assert segmenter.shown[0].shape == (385, 513, 3)
    assert segmenter.shown[0][:, :250].max() == 0
    assert segmenter.shown[0][:, 262:].min() == 200


@pytest.mark.parametrize(
    "change",
    [
        {"reach": -0.1},
        {"sure_score": 1.5},
        {"mask_weight": -1.0},
        {"odds_weight": -1.0},
        {"least_odds": float("inf")},
        {"pixels": float("nan")},
        {"pixels": 10**400},
        {"odds_bias": float("nan")},
        {"step": 0},
        {"pixels": 100},
        {"least_side": 0.0},
        {"judged_share": 0.0},
        {"judged_share": 1.0},
    ],
)
def test_invalid_values_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(LOOK, **change)  # type: ignore[arg-type]
