"""Reads a run from the metadata database, in the form that `summary.run_report` expects of a task's context.

The page therefore shows the same facts as the run's summary and mail, also during the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk import Context
from airflow.sdk.serde import deserialize
from airflow.utils.session import create_session
from sqlalchemy import func, select

from anonymisation.reporting.run_report import RunReport
from anonymisation_airflow.deadline import ENDED
from anonymisation_airflow.deployment import DAG_ID
from anonymisation_airflow.summary import run_report


@dataclass(frozen=True, slots=True)
class Night:
    """One run of the DAG. Times are in UTC; a time is None until the run starts or ends."""

    run_id: str
    kind: str
    state: str
    start_date: datetime | None
    end_date: datetime | None

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Task:
    """One task instance: its task, its map index (-1 for an unmapped task), and its state."""

    task_id: str
    map_index: int
    state: str


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run with its tasks and XComs, read at one moment. Has the methods of `ti` in a task's context."""

    night: Night
    tasks: tuple[Task, ...]
    xcoms: Mapping[tuple[str, str], Mapping[int, Any]]

    dag_id = DAG_ID

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.night.run_id

    def xcom_pull(self, task_ids: str | Sequence[str], key: str = "return_value", **_: Any) -> Any:
        """Return the value of one task; for a list of tasks, all their values in the order of the map indexes."""
        if isinstance(task_ids, str):
            values = self.xcoms.get((task_ids, key), {})
            return next(iter(values.values()), None)
        return [value for task in task_ids for _, value in sorted(self.xcoms.get((task, key), {}).items())]

    def get_task_states(self, **_: Any) -> dict[str, dict[str, str]]:
        """Return the state of every task, under the key `task` or `task_index`."""
        return {self.run_id: {_label(task): task.state for task in self.tasks}}

    def report(self) -> RunReport:
        """Return the report that the summary contains, or would contain now."""
        return run_report(cast(Context, {"ti": self, "dag_run": self.night}))


def count_nights() -> int:
    """Return the number of runs in the database."""
    with create_session() as session:
        return int(session.scalar(select(func.count()).select_from(DagRun).where(DagRun.dag_id == DAG_ID)) or 0)


def nights(offset: int, limit: int) -> list[Night]:
    """Return `limit` runs after the `offset` newest, the newest first."""
    newest = func.coalesce(DagRun.start_date, DagRun.queued_at, DagRun.run_after)
    query = select(DagRun).where(DagRun.dag_id == DAG_ID).order_by(newest.desc(), DagRun.id.desc())
    with create_session() as session:
        return [_night(run) for run in session.scalars(query.offset(offset).limit(limit))]


def read_run(run_id: str) -> StoredRun | None:
    """Return the run, or None where no run has this name."""
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == DAG_ID, DagRun.run_id == run_id))
        if run is None:
            return None
        own = (TaskInstance.dag_id == DAG_ID, TaskInstance.run_id == run_id)
        columns = (TaskInstance.task_id, TaskInstance.map_index, TaskInstance.state)
        tasks = tuple(
            Task(name, index, str(state or "none"))
            for name, index, state in session.execute(select(*columns).where(*own))
        )
        xcoms: dict[tuple[str, str], dict[int, Any]] = {}
        for row in session.scalars(select(XComModel).where(XComModel.dag_id == DAG_ID, XComModel.run_id == run_id)):
            # Tasks read values in the same way. Types that JSON lacks, such as tuples, carry the name of their class.
            value = deserialize(XComModel.deserialize_value(row))
            xcoms.setdefault((row.task_id, row.key), {})[row.map_index] = value
        return StoredRun(_night(run), tasks, xcoms)


def tasks_by_unit(run: StoredRun) -> Iterator[tuple[int, list[Task]]]:
    """Yield the map index and the tasks of each work unit."""
    units: dict[int, list[Task]] = {}
    for task in run.tasks:
        if task.map_index >= 0:
            units.setdefault(task.map_index, []).append(task)
    yield from sorted(units.items())


def _label(task: Task) -> str:
    return task.task_id if task.map_index < 0 else f"{task.task_id}_{task.map_index}"


def _night(run: DagRun) -> Night:
    return Night(
        run.run_id,
        str(run.run_type.value if hasattr(run.run_type, "value") else run.run_type),
        str(run.state.value if hasattr(run.state, "value") else run.state),
        run.start_date,
        run.end_date,
    )
