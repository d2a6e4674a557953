"""A run of the DAG's functions in this process: plain contexts and XComs in a dictionary, no scheduler, no database."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk.execution_time.context import set_current_context
from airflow.sdk.serde import deserialize, serialize

STEPS = ("mask", "archive", "load", "check", "release")
RETURN = "return_value"


class _Outlets(dict[Any, Any]):
    """Outlets of a task; `add` keeps the asset's name and the extra."""

    def __init__(self, events: list[tuple[str, dict[str, Any]]]) -> None:
        super().__init__()
        self._events = events

    def __missing__(self, alias: Any) -> Any:
        return SimpleNamespace(add=lambda asset, extra: self._events.append((asset.name, extra)))


@dataclass
class PlainRun:
    """One run: `xcoms` by (task, map index, key); `states` by task instance; `form` is what it was triggered with;
    `events` are those of assets."""

    form: dict[str, Any] = field(default_factory=dict)
    run_id: str = "plain"
    run_type: str = "manual"
    partition_key: str | None = None
    try_number: int = 1
    xcoms: dict[tuple[str, int, str], Any] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def context(self, task_id: str, map_index: int = -1) -> Any:
        """What a task of the run is given."""
        from anonymisation_airflow.request import form

        params = {name: param.resolve() for name, param in form().items()} | self.form
        ti = SimpleNamespace(
            dag_id="anonymise_captures",
            task_id=task_id,
            run_id=self.run_id,
            map_index=map_index,
            try_number=self.try_number,
            max_tries=3,
            xcom_push=lambda key, value: self._push(task_id, map_index, key, value),
            xcom_pull=self._pull,
            get_task_states=lambda dag_id, run_ids: {run_ids[0]: self.states},
        )
        run = SimpleNamespace(
            run_id=self.run_id,
            run_type=self.run_type,
            partition_key=self.partition_key,
            start_date=datetime.now(UTC),
            conf=self.form,
        )
        return {"ti": ti, "dag_run": run, "params": params, "outlet_events": _Outlets(self.events)}

    def call(self, task_id: str, function: Callable[..., Any], *arguments: Any, map_index: int = -1) -> bool:
        """Run a task; whether it ended well. What it raises is in `errors`."""
        label = task_id if map_index < 0 else f"{task_id}_{map_index}"
        with set_current_context(self.context(task_id, map_index)):
            try:
                self._push(task_id, map_index, RETURN, function(*arguments))
            except Exception as error:  # noqa: BLE001 - whatever a task raises makes it fail
                self.states[label], self.errors[label] = "failed", error
                return False
        self.states[label] = "success"
        return True

    def go(self) -> list[dict[str, Any]]:
        """The whole run; the work units that it had."""
        from anonymisation_airflow import summary, tasks

        self.call(tasks.DISCOVER, tasks.find_folders)
        units: list[dict[str, Any]] = self._pull(task_ids=tasks.DISCOVER) or []
        for index, unit in enumerate(units):
            for step in STEPS:
                if not self.call(f"{tasks.GROUP}.{step}", getattr(tasks, step), unit, map_index=index):
                    break
        self.call("summary", summary.summarise)
        return units

    def table(self) -> dict[str, dict[str, Any]]:
        """The rows of the summary by folder."""
        return {row["folder"]: row for row in self._pull(task_ids="summary", key="table")}

    def _push(self, task_id: str, map_index: int, key: str, value: Any) -> None:
        if value is not None:  # as Airflow: an XCom is JSON, and None is none
            self.xcoms[task_id, map_index, key] = deserialize(json.loads(json.dumps(serialize(value))))

    def _pull(self, task_ids: Any, key: str = RETURN, map_indexes: int | None = None) -> Any:
        if isinstance(task_ids, str):
            return self.xcoms.get((task_ids, -1, key))
        if map_indexes is not None:
            return [self.xcoms.get((task, map_indexes, key)) for task in task_ids]
        return [value for (task, _, name), value in sorted(self.xcoms.items()) if task in task_ids and name == key]
