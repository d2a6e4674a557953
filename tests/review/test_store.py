"""What reviewers add: kept whatever happens to the picture, refused where it is nonsense, seen by running steps."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.append_log import to_line
from anonymisation.masking.detections import Detections
from anonymisation.review.model import AddedBox, Box, Review
from anonymisation.review.store import (
    MAX_BOXES,
    MAX_REASON,
    ReviewedBoxes,
    add_box,
    folder_with_key,
    latest_folders,
    mark_hidden,
    mark_ok,
    read_reviews,
    reviews_file,
    with_boxes,
    withdraw_box,
)
from anonymisation.workspace.folder_state import MASKED, FileStamp, PictureState, open_state, state_folder

FOLDER = "2021/EV6/F1_2021_05_01"
BOX = Box(0.1, 0.2, 0.3, 0.4)
OTHER = Box(0.5, 0.5, 1.0, 1.0)


def review_of(state: Path, name: str = "a.jpg") -> Review:
    return read_reviews(state, FOLDER)[name]


def boxes_of(added: Iterable[AddedBox]) -> list[Box]:
    return [one.box for one in added]


def write_lines(state: Path, *lines: Mapping[str, object]) -> None:
    """A journal as another version of the software wrote it."""
    place = reviews_file(state, FOLDER)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"".join(to_line({"name": "a.jpg", **line}) for line in lines))


@pytest.mark.parametrize(
    "sides",
    [(0.3, 0.2, 0.1, 0.4), (0.1, 0.4, 0.3, 0.2), (-0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3, 1.1), (math.nan, 0, 1, 1),
     (0.1, 0.2, 0.1, 0.4), (0.1, 0.2, math.inf, 0.4)],
)  # fmt: skip
def test_a_box_that_is_none_is_refused(sides: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Box(*sides)


def test_boxes_wait_until_they_are_hidden(tmp_path: Path) -> None:
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    assert add_box(tmp_path, FOLDER, "a.jpg", OTHER, "ola").number == 1
    assert boxes_of(review_of(tmp_path).waiting) == [BOX, OTHER]
    assert review_of(tmp_path).by == "ola"

    mark_hidden(tmp_path, FOLDER, "a.jpg", [0])
    assert boxes_of(review_of(tmp_path).waiting) == [OTHER]
    assert boxes_of(review_of(tmp_path).boxes) == [BOX, OTHER]
    assert read_reviews(tmp_path, "another") == {}


def test_a_box_that_is_withdrawn_before_it_is_hidden_is_never_hidden(tmp_path: Path) -> None:
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    add_box(tmp_path, FOLDER, "a.jpg", OTHER, "kari")
    taken = withdraw_box(tmp_path, FOLDER, "a.jpg", 0, "ola", "a  sign,\nno face")
    assert taken.withdrawn is not None
    assert (taken.withdrawn.by, taken.withdrawn.reason) == ("ola", "a sign, no face")
    review = review_of(tmp_path)
    assert boxes_of(review.active) == boxes_of(review.waiting) == [OTHER]
    assert review.remaining == frozenset()
    # Who drew it, who withdrew it, when and why stay known.
    assert (review.boxes[0].by, review.boxes[0].withdrawn) == ("kari", taken.withdrawn)


def test_a_box_that_is_withdrawn_after_it_was_hidden_remains_until_the_next_masking(tmp_path: Path) -> None:
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    mark_hidden(tmp_path, FOLDER, "a.jpg", [0])
    withdraw_box(tmp_path, FOLDER, "a.jpg", 0, "kari", "a sign")
    assert review_of(tmp_path).remaining == {0}
    assert review_of(tmp_path).waiting == ()
    mark_hidden(tmp_path, FOLDER, "a.jpg", [])
    assert review_of(tmp_path).remaining == frozenset()


@pytest.mark.parametrize(
    ("number", "reason"), [(1, "why"), (-1, "why"), (0, ""), (0, " \n "), (0, "x" * (MAX_REASON + 1))]
)
def test_what_cannot_be_withdrawn_is_refused(tmp_path: Path, number: int, reason: str) -> None:
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    with pytest.raises(ValueError, match=r"region|reason"):
        withdraw_box(tmp_path, FOLDER, "a.jpg", number, "kari", reason)
    assert boxes_of(review_of(tmp_path).active) == [BOX]


def test_a_box_is_withdrawn_once(tmp_path: Path) -> None:
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    withdraw_box(tmp_path, FOLDER, "a.jpg", 0, "kari", "first")
    with pytest.raises(ValueError, match="region 1"):
        withdraw_box(tmp_path, FOLDER, "a.jpg", 0, "ola", "second")
    assert review_of(tmp_path).by == "kari"
    assert add_box(tmp_path, FOLDER, "a.jpg", BOX, "ola").number == 1  # drawn again, it counts again
    assert boxes_of(review_of(tmp_path).waiting) == [BOX]


def test_ok_is_said_of_what_was_seen_and_of_nothing_else(tmp_path: Path) -> None:
    mark_ok(tmp_path, FOLDER, "a.jpg", "this", "kari")
    assert review_of(tmp_path).is_ok("this")
    assert not review_of(tmp_path).is_ok("that")
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "ola", seen="this")
    assert not review_of(tmp_path).is_ok("this")
    assert review_of(tmp_path).is_judged("this")
    assert not review_of(tmp_path).is_judged("that")
    withdraw_box(tmp_path, FOLDER, "a.jpg", 0, "ola", "a sign")
    assert not review_of(tmp_path).is_judged("this")


def test_ok_ends_when_less_is_hidden_than_was_looked_at(tmp_path: Path) -> None:
    for box in (BOX, OTHER):
        add_box(tmp_path, FOLDER, "a.jpg", box, "kari", seen="this")
    mark_hidden(tmp_path, FOLDER, "a.jpg", [0])
    withdraw_box(tmp_path, FOLDER, "a.jpg", 0, "kari", "a sign")
    mark_ok(tmp_path, FOLDER, "a.jpg", "this", "kari")
    mark_hidden(tmp_path, FOLDER, "a.jpg", [0, 1])
    assert review_of(tmp_path).is_ok("this")
    mark_hidden(tmp_path, FOLDER, "a.jpg", [1])
    assert not review_of(tmp_path).is_judged("this")


def test_what_an_earlier_version_kept_hides_as_before_and_is_looked_at_again(tmp_path: Path) -> None:
    drawn = [{"box": list(box.as_tuple()), "by": "kari", "at": ""} for box in (BOX, OTHER)]
    write_lines(tmp_path, *drawn, {"hidden": 1}, {"ok": "Built-in@1", "by": "kari", "at": ""})
    review = review_of(tmp_path)
    assert boxes_of(review.waiting) == [OTHER]
    assert review.hidden == {0}
    assert not review.is_judged("this")


def test_a_line_torn_by_a_kill_costs_no_other_box(tmp_path: Path) -> None:
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    with reviews_file(tmp_path, FOLDER).open("ab") as stream:
        stream.write(b'{"name":"a.jpg","box":[0.5')
    add_box(tmp_path, FOLDER, "a.jpg", OTHER, "kari")
    assert boxes_of(review_of(tmp_path).boxes) == [BOX, OTHER]


def test_a_damaged_line_moves_no_later_box(tmp_path: Path) -> None:
    """Otherwise the line that withdraws or hides the lost box would mean another one, which would be uncovered."""
    for box in (BOX, OTHER, BOX):
        add_box(tmp_path, FOLDER, "a.jpg", box, "kari")
    withdraw_box(tmp_path, FOLDER, "a.jpg", 0, "ola", "a sign")
    mark_hidden(tmp_path, FOLDER, "a.jpg", [2])
    lines = reviews_file(tmp_path, FOLDER).read_bytes().splitlines(keepends=True)
    reviews_file(tmp_path, FOLDER).write_bytes(b"".join([lines[0][:20] + b"\n", *lines[1:]]))
    review = review_of(tmp_path)
    assert [added.number for added in review.active] == [1, 2]
    assert [added.number for added in review.waiting] == [1]
    assert add_box(tmp_path, FOLDER, "a.jpg", OTHER, "kari").number == 3
    assert withdraw_box(tmp_path, FOLDER, "a.jpg", 2, "ola", "a sign").number == 2
    assert [added.number for added in review_of(tmp_path).active] == [1, 3]


@pytest.mark.parametrize(
    "line",
    [
        {"polygon": [[0, 0], [1, 1]], "by": "kari", "at": ""},
        {"ok": "this"},
        {"box": [0.1, 0.1, 0.2], "by": "kari", "at": ""},
        {"box": {"a": 1}, "by": "kari", "at": ""},
        {"box": [0.1, 0.1, 0.2, 0.2], "by": ["kari"], "at": ""},
        {"withdrawn": float("inf"), "reason": "", "by": "kari", "at": ""},
        {"hidden": None},
        {"name": ["a.jpg"], "hidden": [0]},
        {},
    ],
)
def test_a_line_of_an_unknown_kind_costs_no_other(tmp_path: Path, line: Mapping[str, object]) -> None:
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    with reviews_file(tmp_path, FOLDER).open("ab") as stream:
        stream.write(to_line({"name": "a.jpg", **line}))
    add_box(tmp_path, FOLDER, "a.jpg", OTHER, "kari")
    assert boxes_of(review_of(tmp_path).waiting) == [BOX, OTHER]


def test_reviews_that_cannot_be_read_are_not_none(tmp_path: Path) -> None:
    reviews_file(tmp_path, FOLDER).mkdir(parents=True)
    boxes = ReviewedBoxes(tmp_path, FOLDER)
    for read in (lambda: read_reviews(tmp_path, FOLDER), lambda: boxes.of("a.jpg"), lambda: list(boxes.waiting())):
        with pytest.raises(ShareUnavailableError, match=r"reviews\.jsonl cannot be read"):
            read()


def test_nobody_draws_for_ever(tmp_path: Path) -> None:
    write_lines(tmp_path, *[{"box": list(BOX.as_tuple()), "by": "kari", "at": ""}] * MAX_BOXES)
    with pytest.raises(ValueError, match="already"):
        add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    withdraw_box(tmp_path, FOLDER, "a.jpg", 7, "kari", "a sign")
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")


def test_a_step_that_runs_sees_what_is_added_meanwhile(tmp_path: Path) -> None:
    boxes = ReviewedBoxes(tmp_path, FOLDER)
    assert boxes.of("a.jpg").active == ()
    add_box(tmp_path, FOLDER, "a.jpg", BOX, "kari")
    assert boxes_of(boxes.of("a.jpg").active) == [BOX]
    assert [(name, boxes_of(review.waiting)) for name, review in boxes.waiting()] == [("a.jpg", [BOX])]
    mark_hidden(tmp_path, FOLDER, "a.jpg", [0])
    assert list(boxes.waiting()) == []
    assert boxes_of(boxes.of("a.jpg").active) == [BOX]
    withdraw_box(tmp_path, FOLDER, "a.jpg", 0, "kari", "a sign")
    assert boxes.of("a.jpg").active == ()


@given(st.integers(0, 3), st.integers(0, 3), st.sampled_from([(1, 1), (15, 15)]))
def test_added_boxes_are_marked_whole_beside_what_was_detected(found: int, added: int, size: tuple[int, int]) -> None:
    masks = np.zeros((found, *size), np.float32)
    detections = Detections.of([[0, 0, 0.5, 0.5]] * found, [0.5] * found, [3] * found, masks)
    both = with_boxes(detections, [AddedBox(number, BOX, "kari", "") for number in range(added)])
    assert len(both) == found + added
    assert np.all(both.masks[found:] == 1)
    assert np.array_equal(both.boxes[:found], detections.boxes)
    assert len(set(both.objects.tolist())) == len(both)


def test_nothing_is_hidden_of_a_picture_without_boxes() -> None:
    assert Review().waiting == ()


@given(st.lists(st.tuples(st.sampled_from(["box", "withdraw", "hide", "less", "ok"]), st.integers(0, 5)), max_size=25))
def test_whatever_happens_no_active_box_is_forgotten(deeds: list[tuple[str, int]]) -> None:
    """Against the plain rules, told anew: what is active is hidden or waits, and ok ends when less is hidden."""
    review, active, hidden, ok = Review(), set[int](), set[int](), False
    by = {"by": "kari", "at": "", "reason": "a sign"}
    for deed, number in deeds:
        if deed == "box":
            active.add(len(review.boxes))
            review, ok = review.with_line({"box": list(BOX.as_tuple()), "of": "this", **by}), False
        elif deed == "withdraw" and number in active:
            active.discard(number)
            review, ok = review.with_line({"withdrawn": number, **by}), False
        elif deed in {"hide", "less"}:
            now = hidden | active if deed == "hide" else {n for n in hidden | active if n < number}
            review, ok, hidden = review.with_line({"hidden": sorted(now)}), ok and hidden <= now, now
        elif deed == "ok":
            review, ok = review.with_line({"ok": "this", **by}), True
        assert {added.number for added in review.active} == active
        assert {added.number for added in review.waiting} == active - hidden
        assert review.remaining == hidden - active
        assert review.is_ok("this") == ok


def test_reviewers_who_draw_and_withdraw_at_once_lose_nothing(tmp_path: Path) -> None:
    def review_one(who: str) -> list[int]:
        numbers = [add_box(tmp_path, FOLDER, "a.jpg", BOX, who).number for _ in range(6)]
        withdraw_box(tmp_path, FOLDER, "a.jpg", numbers[0], who, "a sign")
        return numbers

    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(review_one, ["kari", "ola", "per", "ida"]))
    boxes = review_of(tmp_path).boxes
    assert sorted(number for numbers in drawn for number in numbers) == list(range(24))
    for who, numbers in zip(["kari", "ola", "per", "ida"], drawn, strict=True):
        assert {boxes[number].by for number in numbers} == {who}
        assert [boxes[number].withdrawn is None for number in numbers] == [False] + [True] * 5


def test_the_folders_that_changed_last_are_found_without_reading_the_others(tmp_path: Path) -> None:
    for number in range(6):
        with open_state(tmp_path, f"F{number}") as state:
            state.put(PictureState("a.jpg", MASKED, FileStamp(1, 1), "0" * 64, "m", "d", "v"))
        os.utime(state_folder(tmp_path, f"F{number}") / "pictures.jsonl", (1000 + number % 4, 1000 + number % 4))
    (tmp_path / "folders/no state").mkdir()
    (tmp_path / "folders/a file").write_text("x")
    (state_folder(tmp_path, "F3") / "folder.json").write_text("no name")
    assert latest_folders(tmp_path, 3) == ["F2", "F5", "F1"]
    assert latest_folders(tmp_path / "none", 3) == []
    key = state_folder(tmp_path, "F2").name.rpartition("-")[2]
    assert folder_with_key(tmp_path, key) == "F2"
    assert folder_with_key(tmp_path, "0" * 16) is None
