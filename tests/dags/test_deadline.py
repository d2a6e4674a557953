"""Which runs have a deadline, asked of Airflow itself: its serializer, its runs, its database."""

from __future__ import annotations

import json
from pathlib import Path

from tests.dags.airflow_program import printed_by

NIGHT = "scheduled__2026-05-01"
# Each run begins an hour after the one before; the second part belongs to the night that was first.
MAKE_RUNS = """
import json, sys
from datetime import UTC, datetime, timedelta
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.models.deadline import Deadline
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy import select
DagBundlesManager().sync_bundles_to_db()
sync_bag_to_db(DagBag(), "dags-folder", None)
began = datetime(2026, 5, 1, 2, tzinfo=UTC)
with create_session() as session:
    dag = DBDagBag().get_latest_version_of_dag("anonymise_captures", session=session)
    for number, (run_id, kind) in enumerate(json.loads(sys.argv[1])):
        run = dag.create_dagrun(
            run_id=run_id, run_type=kind, run_after=began, state="queued", session=session,
            triggered_by=DagRunTriggeredByType.TEST,
        )
        run.queued_at = began + timedelta(hours=number)
        session.flush()
        # Once more, with the time that was set: what is asked when a run is made.
        for deadline in session.scalars(select(Deadline).where(Deadline.dagrun_id == run.id)):
            session.delete(deadline)
        dag._process_dagrun_deadline_alerts(run, session)
        session.flush()
    query = select(DagRun.run_id, Deadline.deadline_time).join(Deadline, Deadline.dagrun_id == DagRun.id)
    print(json.dumps({run_id: due.isoformat() for run_id, due in session.execute(query)}))
"""


def test_nights_have_a_deadline_and_their_parts_the_same(tmp_path: Path) -> None:
    runs = [
        (NIGHT, "scheduled"),
        (f"{NIGHT}__part2", "operator_triggered"),
        ("manual__1", "manual"),
        ("manual__1__part2", "operator_triggered"),
        ("backfill__2026-04-01", "backfill"),
    ]
    due_by_run = printed_by(MAKE_RUNS, tmp_path, json.dumps(runs), ANONYMISATION_DEADLINE_MINUTES="240")
    due = "2026-05-01T06:00:00+00:00"
    assert due_by_run == {NIGHT: due, f"{NIGHT}__part2": due}
