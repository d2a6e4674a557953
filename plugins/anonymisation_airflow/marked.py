"""Mails when a person marks a task or a run as failed. Airflow then calls listeners, and no failure callback."""

from __future__ import annotations

import threading
from typing import Any, Final

from airflow.listeners import hookimpl

from anonymisation_airflow.deployment import DAG_ID
from anonymisation_airflow.notifier import RunName, mail_marked

_BY_HAND: Final = "manually set"  # in the text that Airflow's API server gives


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:  # noqa: ARG001 - Airflow's
    """Mail that a task was marked; failures of tasks that ran have mails of their own."""
    _mail_if_by_hand(task_instance, str(error), f"task {task_instance.task_id}")


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """Mail that a run was marked."""
    _mail_if_by_hand(dag_run, msg, "the run")


def _mail_if_by_hand(item: Any, message: str, what: str) -> None:
    if item.dag_id == DAG_ID and _BY_HAND in message:
        run = RunName(item.dag_id, item.run_id)
        # In a thread, since the person who marked it waits for the API server's answer.
        threading.Thread(target=mail_marked, args=(run, what), name="mail", daemon=True).start()
