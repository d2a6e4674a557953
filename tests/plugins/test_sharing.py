"""Sharing folders out among runs: each once, none parted, within the limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.chain.discover import FoundFolder
from anonymisation.core.settings import load_settings


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 40), max_size=30), st.integers(1, 7), st.data())
def test_parts_take_every_folder_once_and_come_to_an_end(
    folders: dict[str, int], most: int, data: st.DataObject
) -> None:
    from anonymisation_airflow.sharing import Limits, share_of_run

    limits = Limits(most, data.draw(st.integers(1, 9)))
    largest = data.draw(st.integers(0, 10))
    found = [FoundFolder(name, pictures, 1) for name, pictures in folders.items()]
    seen: list[str] = []
    after, remaining = "", len(folders)
    while remaining:
        # Folders of earlier parts still need work here, as they do when they fail: they must not be taken again.
        units, remaining = share_of_run(found, after, largest, limits)
        names = list(dict.fromkeys(unit.folder for unit in units))
        assert 0 < len(names) <= limits.folders
        assert len(units) <= limits.units
        for name in names:
            shards = [unit.shard for unit in units if unit.folder == name]
            assert [shard.number for shard in shards] == list(range(1, shards[0].count + 1))
            assert len(shards) <= max(1, -(-folders[name] // largest) if largest else 1)
        seen += names
        after = names[-1]
    assert seen == sorted(folders)


@pytest.mark.parametrize(("folders", "units"), [(0, 1), (1, 0)])
def test_limits_that_take_nothing_are_refused(folders: int, units: int) -> None:
    from anonymisation_airflow.sharing import Limits

    with pytest.raises(ValueError, match="at least one"):
        Limits(folders, units)


def test_large_folders_are_split_into_parts_of_about_this_size() -> None:
    from anonymisation_airflow.sharing import Limits, share_of_run

    folders = (FoundFolder("large", pictures=50, pending=50), FoundFolder("small", pictures=10, pending=1))
    for largest, units in ((0, [1, 1]), (10, [5, 1]), (9, [6, 2])):
        size = load_settings(overrides={"max_pictures_per_work_unit": largest}).settings.max_pictures_per_work_unit
        taken, left = share_of_run(folders, "", size, Limits(folders=10, units=100))
        assert ([sum(unit.folder == folder.folder for unit in taken) for folder in folders], left) == (units, 0)
