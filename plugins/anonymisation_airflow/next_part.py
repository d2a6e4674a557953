"""Triggers another run for the folders that exceed one run."""

from __future__ import annotations

import re
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from anonymisation_airflow.tasks import DISCOVER, NEXT_PART_KEY


class NextPartOperator(TriggerDagRunOperator):
    """Triggers the same DAG with the form that `discover` left for the remaining folders; skips when none remain.

    The next run waits for this run where the DAG allows one run at a time.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trigger_dag_id="{{ dag.dag_id }}", logical_date=None, skip_when_already_exists=True, **kwargs)

    def execute(self, context: Context) -> None:
        form = context["ti"].xcom_pull(task_ids=DISCOVER, key=NEXT_PART_KEY)
        if form is None:
            raise AirflowSkipException("every folder fits into this run")
        self.conf = {key: value for key, value in form.items() if key != "remaining"}
        self.trigger_run_id = next_run_id(context["dag_run"].run_id, form["part"])
        super().execute(context)


def next_run_id(run_id: str, part: int) -> str:
    """Return the name of the run that takes part number `part` of the work of `run_id`."""
    return f"{first_run_id(run_id)}__part{part}"


def first_run_id(run_id: str) -> str:
    """Return the name of the first part's run; for the first part, this is `run_id` itself."""
    return re.sub(r"__part[0-9]+$", "", run_id)
