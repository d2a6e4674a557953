"""Rows of Airflow's metadata database, as scheduler and tasks write them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

DAG_ID = "anonymise_captures"


def add_run(run_id: str, state: str, began: datetime, ended: datetime | None, kind: str = "manual") -> int:
    """A run of the DAG; its number in the database."""
    from airflow.models.dagrun import DagRun

    values = {"dag_id": DAG_ID, "run_id": run_id, "run_type": kind, "state": state, "start_date": began}
    return int(_insert(DagRun, **values, end_date=ended, queued_at=began, run_after=began))


def add_task(run_id: str, task_id: str, map_index: int, state: str) -> None:
    """A task instance of the run."""
    from airflow.models.taskinstance import TaskInstance

    place = {"dag_id": DAG_ID, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    _insert(TaskInstance, **place, state=state, pool="default_pool", pool_slots=1, try_number=1, max_tries=0)


def add_xcom(run: int, run_id: str, task_id: str, map_index: int, key: str, value: Any) -> None:
    """An XCom of a task instance, in the form in which tasks send them."""
    from airflow.models.xcom import XComModel
    from airflow.sdk.serde import serialize

    place = {"dag_id": DAG_ID, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    _insert(XComModel, dag_run_id=run, key=key, value=serialize(value), **place)


def _insert(model: Any, **values: Any) -> Any:
    from airflow.utils.session import create_session
    from sqlalchemy import CursorResult, insert

    with create_session() as session:
        result = session.execute(insert(model.__table__).values(**values))
        assert isinstance(result, CursorResult)
        return (result.inserted_primary_key or [0])[0] or 0
