"""Nights and backfills as the scheduler makes them: from the stored DAG, with the plugins of a deployment."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dags.airflow_program import printed_by

MAKE_RUNS = """
import json, os, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction
from pendulum import parse

found = {}
for schedule in sys.argv[1:]:
    os.environ["ANONYMISATION_SCHEDULE"] = schedule
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    assert not bag.import_errors, bag.import_errors
    stored = json.dumps(DagSerialization.to_dict(bag.dags["anonymise_captures"]))
    dag = DagSerialization.from_dict(json.loads(stored))
    after = TimeRestriction(parse("2026-05-01"), None, catchup=True)
    night = dag.timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=after)
    days = [dag.iter_dagrun_infos_between(parse(first), parse(last)) for first, last in (
        ("2026-05-01", "2026-05-04T23:59:00"), ("2026-05-01T18:00:00", "2026-05-01T19:00:00"))]
    found[schedule] = {
        "summary": dag.timetable.summary,
        "night": night and night.run_after.isoformat(),
        "key": night and night.partition_key,
        "days": [[run.partition_key for run in runs] for runs in days],
    }
print(json.dumps(found))
"""
SCHEDULES = ("0 2 * * *", "30 1 * * 1-4", "0 2,14 * * *", "none")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """For each schedule its first night from 1 May 2026, a Friday, in Oslo, and the days of two backfills."""
    home = tmp_path_factory.mktemp("airflow_home")
    return printed_by(MAKE_RUNS, home, *SCHEDULES, ANONYMISATION_TIMEZONE="Europe/Oslo")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_backfill_has_one_run_for_each_day_whatever_the_schedule(runs: Any, schedule: str) -> None:
    """The times of day do not count."""
    assert runs[schedule]["days"] == [["20260501", "20260502", "20260503", "20260504"], ["20260501"]]


def test_the_nights_are_those_of_the_schedule(runs: Any) -> None:
    nights = {schedule: (found["summary"], found["night"], found["key"]) for schedule, found in runs.items()}
    assert nights == {
        "0 2 * * *": ("0 2 * * *", "2026-05-01T00:00:00+00:00", "20260501"),
        "30 1 * * 1-4": ("30 1 * * 1-4", "2026-05-03T23:30:00+00:00", "20260504"),
        "0 2,14 * * *": ("0 2,14 * * *", "2026-05-01T00:00:00+00:00", "20260501"),
        "none": ("None", None, None),
    }
