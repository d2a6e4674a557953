"""A run that has not ended when it should have: Airflow's deadline alert, told by mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asgiref.sync import sync_to_async

from anonymisation_airflow.notifier import RunName, mail_late


async def run_is_late(context: Mapping[str, Any]) -> None:
    """Mail that the run goes on after its deadline; called by Airflow's triggerer, which must not be kept waiting."""
    run = context["dag_run"]
    due = str(context["deadline"]["deadline_time"])
    await sync_to_async(mail_late)(RunName(run["dag_id"], run["dag_run_id"]), due)
