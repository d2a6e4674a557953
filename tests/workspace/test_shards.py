"""Work units: each picture is in one shard, whatever else is in the folder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.workspace.shards import WHOLE, Shard, WorkUnit, units_of
from tests.file_names import file_names


@given(file_names, st.integers(1, 40))
def test_a_picture_is_in_exactly_one_shard(name: str, count: int) -> None:
    assert sum(Shard(number, count).holds(name) for number in range(1, count + 1)) == 1


@given(st.text("ab.1", min_size=1, max_size=6), st.integers(1, 9))
def test_names_with_the_same_derived_files_are_in_the_same_shard(stem: str, count: int) -> None:
    shards = {
        tuple(Shard(number, count).holds(f"{stem}{ending}") for number in range(1, count + 1))
        for ending in (".jpg", ".jpeg", ".JPG", ".json", ".webp")
    }
    assert len(shards) == 1


def test_shards_never_change() -> None:
    """With another rule, running shards would read journals that do not hold their pictures."""
    names = [f"picture_{number}.jpg" for number in range(12)]
    assert [next(n for n in range(1, 6) if Shard(n, 5).holds(name)) for name in names] == [
        5, 2, 5, 5, 3, 3, 3, 1, 5, 1, 2, 1
    ]  # fmt: skip


def test_shards_have_about_the_same_size() -> None:
    sizes = [sum(Shard(number, 20).holds(f"p{n:06d}.jpg") for n in range(20_000)) for number in range(1, 21)]
    assert min(sizes) > 850
    assert max(sizes) < 1150


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_shards_meet_if_a_picture_can_be_in_both(first: int, second: int, data: st.DataObject) -> None:
    one = Shard(data.draw(st.integers(1, first)), first)
    other = Shard(data.draw(st.integers(1, second)), second)
    shared = any(n % first == one.number - 1 and n % second == other.number - 1 for n in range(first * second))
    assert one.meets(other) == other.meets(one) == shared


@pytest.mark.parametrize(
    ("pictures", "largest", "most", "expected"),
    [(0, 10, 99, 1), (10, 10, 99, 1), (11, 10, 99, 2), (95, 10, 99, 10), (95, 10, 4, 4), (10**6, 0, 99, 1)],
)
def test_a_folder_is_split_above_the_size(pictures: int, largest: int, most: int, expected: int) -> None:
    units = units_of("a/b", pictures, largest, most)
    assert units == tuple(WorkUnit("a/b", Shard(number, expected)) for number in range(1, expected + 1))


def test_a_unit_survives_the_round_trip() -> None:
    unit = WorkUnit("a/b", Shard(2, 5))
    assert unit.to_value() == {"folder": "a/b", "shard": 2, "shards": 5}
    assert WorkUnit.from_value(unit.to_value()) == unit
    assert WorkUnit.from_value("a/b") == WorkUnit.from_value({"folder": "a/b"}) == WorkUnit("a/b", WHOLE)
    assert (unit.label, WorkUnit("a/b").label) == ("a/b [2/5]", "a/b")


@pytest.mark.parametrize(("number", "count"), [(0, 1), (2, 1), (-1, 3), (1, 0)])
def test_impossible_shards_are_refused(number: int, count: int) -> None:
    with pytest.raises(ValueError, match="expected a shard from 1 to"):
        Shard(number, count)


def test_a_single_picture_is_taken_alone_and_known_with_those_that_share_its_files() -> None:
    shard = Shard(only="P1.jpg")
    names = ("P1.jpg", "P1.jpeg", "p1.JPG", "P10.jpg")
    assert [name for name in names if shard.takes(name)] == ["P1.jpg"]
    assert [name for name in names if shard.holds(name)] == ["P1.jpg", "P1.jpeg", "p1.JPG"]
    assert shard.is_whole
    with pytest.raises(ValueError, match="expected one picture of a whole folder"):
        Shard(1, 2, "P1.jpg")
