"""Sharing folders out among runs, and which failures are worth another try."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation import errors


@given(st.sets(st.text(min_size=1, max_size=4), max_size=30), st.integers(1, 7))
def test_parts_take_every_folder_once_and_come_to_an_end(folders: set[str], limit: int) -> None:
    from anonymisation_airflow.tasks import share_of_run

    seen: list[str] = []
    after, remaining = "", len(folders)
    while remaining:
        # Folders of earlier parts still need work here, as they do when they fail: they must not be taken again.
        taken, remaining = share_of_run(list(folders), after, limit)
        assert 0 < len(taken) <= limit
        seen += taken
        after = taken[-1]
    assert seen == sorted(folders)


def test_runs_of_further_parts_are_named_after_the_first() -> None:
    from anonymisation_airflow.next_part import next_run_id

    assert next_run_id("scheduled__2021", 2) == "scheduled__2021__part2"
    assert next_run_id("scheduled__2021__part2", 3) == "scheduled__2021__part3"


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.ShareUnavailableError("away"), "retry"),
        (errors.DatabaseUnavailableError("away"), "retry"),
        (errors.FolderLockedError("locked"), "retry"),
        (errors.ConfigurationError([]), "fail"),
        (errors.ModelUnavailableError("damaged"), "fail"),
        (errors.PicturesFailedError("two"), "fail"),
        (errors.LoadFailedError("refused"), "fail"),
        (OSError("disk"), "default"),
        (MemoryError(), "default"),
    ],
)
def test_only_what_can_pass_is_tried_again(error: Exception, action: str) -> None:
    from anonymisation_airflow.retries import retry_policy

    assert retry_policy().evaluate(error, 1, 3).action.value == action
