"""A small client of Airflow's REST API, for the scripts and tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import requests

RETRY_SECONDS: Final = 1.0
POLL_SECONDS: Final = 1.5
TRIES: Final = 30  # SQLite answers 500 ("database is locked") while the scheduler writes
TIMEOUT_SECONDS: Final = 60.0
PAGE: Final = 100
FINAL_STATES: Final = frozenset({"success", "failed"})


class AirflowApiError(Exception):
    """Airflow refused a request, or did not answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class AirflowApi:
    """Requests to one Airflow at `base_url`, signed in as `user`. The first call signs in."""

    base_url: str
    user: str
    password: str = field(repr=False)
    _token: str | None = field(default=None, repr=False)

    def health(self) -> dict[str, Any]:
        """Return the answer of `/monitor/health`, or {} while Airflow does not answer."""
        try:
            answer = requests.get(f"{self.base_url}/api/v2/monitor/health", timeout=5)
            return dict(answer.json()) if answer.ok else {}
        except (requests.RequestException, ValueError):
            return {}

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> dict[str, Any]:
        """Send one request below `/api/v2`; retry after server errors and broken connections.

        Raises:
            AirflowApiError: Airflow refuses the request (see `status`), or every retry fails.
        """
        problem = ""
        for _ in range(TRIES):
            try:
                answer = requests.request(
                    method,
                    f"{self.base_url}/api/v2/{path}",
                    json=body,
                    params=query,
                    headers={"Authorization": f"Bearer {self._signed_in()}"},
                    timeout=TIMEOUT_SECONDS,
                )
            except requests.RequestException as error:
                problem = str(error)
            else:
                if answer.status_code < 400:
                    return dict(answer.json()) if answer.content else {}
                problem = f"{answer.status_code}: {answer.text[:500]}"
                if answer.status_code == 401:
                    self._token = None
                elif answer.status_code < 500:
                    raise AirflowApiError(f"{method} {path}: {problem}", answer.status_code)
            time.sleep(RETRY_SECONDS)
        raise AirflowApiError(f"{method} {path}: no success in {TRIES} tries, last {problem}")

    def make_pool(self, name: str, slots: int) -> None:
        """Create the pool, unless a pool of this name exists."""
        try:
            self.call("POST", "pools", {"name": name, "slots": slots})
        except AirflowApiError as error:
            if error.status != 409:
                raise

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start runs of the DAG."""
        self.call("PATCH", f"dags/{dag_id}", {"is_paused": False})

    def import_errors(self) -> list[str]:
        """Return the stack traces of DAG files that Airflow cannot import."""
        return [str(error["stack_trace"]) for error in self.call("GET", "importErrors")["import_errors"]]

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow has read the DAG."""
        return self._exists(f"dags/{dag_id}")

    def has_run(self, dag_id: str, run_id: str) -> bool:
        """Whether a run of this name exists."""
        return self._exists(f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], partition_key: str | None = None) -> None:
        """Start a run under the given name, unless an earlier try of this call has already started the run."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf)}
        if partition_key is not None:
            body["partition_key"] = partition_key
        try:
            self.call("POST", f"dags/{dag_id}/dagRuns", body)
        except AirflowApiError as error:
            if error.status != 409:
                raise

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return the run in the form of the API."""
        return self.call("GET", f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return every task instance of the run, from all pages of the answer."""
        path = f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", path, limit=PAGE, offset=len(found))
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return found

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return the value of one XCom, or None where it does not exist."""
        path = f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/xcomEntries/{key}"
        try:
            return self.call("GET", path, map_index=map_index, deserialize="true")["value"]
        except AirflowApiError as error:
            if error.status == 404:
                return None
            raise

    def wait_for_run(
        self, dag_id: str, run_id: str, timeout: float, on_poll: Callable[[list[dict[str, Any]]], None] | None = None
    ) -> str:
        """Wait for the run and return its final state. Each poll calls `on_poll` with the task instances.

        Raises:
            AirflowApiError: the run does not end within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            state = str(self.run(dag_id, run_id)["state"])
            if on_poll is not None:
                on_poll(self.task_instances(dag_id, run_id))
            if state in FINAL_STATES:
                return state
            time.sleep(POLL_SECONDS)
        raise AirflowApiError(f"run {run_id} of {dag_id} has not ended within {timeout:.0f} s")

    def _exists(self, path: str) -> bool:
        try:
            self.call("GET", path)
        except AirflowApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _signed_in(self) -> str:
        if self._token is None:
            answer = requests.post(
                f"{self.base_url}/auth/token",
                json={"username": self.user, "password": self.password},
                timeout=TIMEOUT_SECONDS,
            )
            if answer.status_code in {401, 403}:
                raise AirflowApiError(f"user {self.user} cannot sign in: {answer.status_code}", answer.status_code)
            answer.raise_for_status()
            self._token = str(answer.json()["access_token"])
        return self._token
