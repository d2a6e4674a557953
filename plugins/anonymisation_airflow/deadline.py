"""Mails an alert when a night has not ended by its deadline.

Only scheduled nights have a deadline. A person watches a manual run, and the runs of a backfill wait for each other.
The further parts of a night (see `next_part.py`) share the deadline of the night.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

from airflow.sdk.definitions.deadline import BaseDeadlineReference
from asgiref.sync import sync_to_async

from anonymisation_airflow.next_part import first_run_id
from anonymisation_airflow.notifier import RunName, mail_late

ENDED: Final = frozenset({"success", "failed"})


class NightBegan(BaseDeadlineReference):
    """The time when the night of a run was queued; None, which means no deadline, for other kinds of run.

    The plugin in `plugins/anonymisation_deadline.py` registers this class. Airflow evaluates it when it creates a run.
    """

    required_kwargs: ClassVar[set[str]] = {
        "dag_id",
        "run_id",
    }  # the keywords of _evaluate_with; both names are Airflow's

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
    """Mail that the night runs past its deadline. Airflow's triggerer calls this coroutine, so it must not block.

    Parts of the night that began after the deadline send no further mail.
    """
    run = context["dag_run"]
    due = str(context["deadline"]["deadline_time"])
    if run["state"] in ENDED:  # Airflow keeps the deadline of a run that failed
        logging.getLogger(__name__).info("%s has ended (%s), so it is not late", run["dag_run_id"], run["state"])
        return
    if run["queued_at"] and datetime.fromisoformat(run["queued_at"]) >= datetime.fromisoformat(due):
        logging.getLogger(__name__).info(
            "%s began after the deadline, for which a mail was sent before", run["dag_run_id"]
        )
        return
    await sync_to_async(mail_late)(RunName(run["dag_id"], run["dag_run_id"]), due)
