"""A night that has not ended when it should have: Airflow's deadline alert, told by mail.

A deadline is of scheduled nights alone. Someone watches a run by hand, and the runs of a backfill wait for each other
for as long as it takes. The further parts of a night (see `next_part.py`) have the deadline of the night.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from airflow.sdk.definitions.deadline import BaseDeadlineReference
from asgiref.sync import sync_to_async

from anonymisation_airflow.next_part import first_run_id
from anonymisation_airflow.notifier import RunName, mail_late


class NightBegan(BaseDeadlineReference):
    """When the night was due that a run is a part of; None, which means no deadline, for runs of other kinds.

    Known to Airflow by the plugin in `plugins/anonymisation_deadline.py`; evaluated where runs are made.
    """

    required_kwargs: ClassVar[set[str]] = {"dag_id", "run_id"}  # of _evaluate_with, whose name is Airflow's, too

    def _evaluate_with(self, *, session: Any, dag_id: str, run_id: str) -> datetime | None:
        from airflow.models.dagrun import DagRun
        from airflow.utils.types import DagRunType
        from sqlalchemy import select

        night = select(DagRun.queued_at).where(
            DagRun.dag_id == dag_id, DagRun.run_id == first_run_id(run_id), DagRun.run_type == DagRunType.SCHEDULED
        )
        began: datetime | None = session.scalar(night)
        return began


async def run_is_late(context: Mapping[str, Any]) -> None:
    """Mail that the night goes on after its deadline; called by Airflow's triggerer, which must not be kept waiting.

    Parts of the night that began after its deadline are late without another mail.
    """
    run = context["dag_run"]
    due = str(context["deadline"]["deadline_time"])
    if run["queued_at"] and datetime.fromisoformat(run["queued_at"]) >= datetime.fromisoformat(due):
        logging.getLogger(__name__).info("%s began after the deadline, which was told of then", run["dag_run_id"])
        return
    await sync_to_async(mail_late)(RunName(run["dag_id"], run["dag_run_id"]), due)
