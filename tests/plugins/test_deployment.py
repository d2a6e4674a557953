"""The table of environment variables."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from anonymisation_airflow import deployment
from anonymisation_airflow.deployment import PREFIX, Deployment


def test_defaults() -> None:
    found = Deployment.from_environment({})
    assert (found.input, found.archive, found.state) == (None, None, None)
    assert (found.schedule, found.timezone, found.pool, found.queue) == ("0 2 * * *", "UTC", "gpu", "gpu")
    assert (found.db_conn_id, found.smtp_conn_id) == ("anonymisation_db", "smtp_default")
    assert (found.retries, found.retry_delay, found.max_folders) == (3, timedelta(minutes=2), 500)
    assert (found.gpu_pod_template, found.gpu_executor_config) == (None, {})
    assert (found.deadline, found.stall, found.timeout) == (timedelta(hours=8), timedelta(minutes=30), None)


def test_what_only_some_deployments_set() -> None:
    found = Deployment.from_environment({f"{PREFIX}DEADLINE_MINUTES": "90", f"{PREFIX}GPU_POD_TEMPLATE": "/pod.yaml"})
    assert found.deadline == timedelta(minutes=90)
    assert found.gpu_executor_config == {"pod_template_file": "/pod.yaml"}


def test_every_variable_of_the_table_is_read() -> None:
    names = {line.split()[0] for line in (deployment.__doc__ or "").splitlines() if line.strip().startswith(PREFIX)}
    given = dict.fromkeys(names, "7") | {f"{PREFIX}START": "2026-01-01T00:00Z"}
    found, default = Deployment.from_environment(given), Deployment.from_environment({})
    same = [name for name in Deployment.__slots__ if getattr(found, name) == getattr(default, name)]
    assert not same
    assert len(names) == len(Deployment.__slots__)


def test_paths_and_no_schedule() -> None:
    found = Deployment.from_environment({f"{PREFIX}INPUT": "/data/in put", f"{PREFIX}SCHEDULE": "None"})
    assert found.input == Path("/data/in put")
    assert found.schedule is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RETRIES", "-1"),
        ("RETRIES", "often"),
        ("MAX_FOLDERS", "0"),
        ("RETRY_SECONDS", "1.5"),
        ("DEADLINE_MINUTES", "6h"),
        ("START", "tomorrow"),
        ("STALL_MINUTES", "1000000000"),
        ("RETRIES", "9" * 10),
    ],
)
def test_numbers_that_are_none_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{PREFIX}{name}: expected a.*, got '{value}'"):
        Deployment.from_environment({PREFIX + name: value})
