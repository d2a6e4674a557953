"""Sessions of PostgreSQL that end while rows are on their way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records
from tests.database.postgres_cluster import PostgresCluster
from tests.database.sites import PostgresqlSite

Make = Callable[..., list[SourceRecord]]

END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
WAITING = f"{END} AND wait_event_type = 'Lock'"


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_session_that_is_ended_while_it_waits_for_a_rival_costs_nothing(
    cluster: PostgresCluster, state: Path, make_records: Make, caplog: pytest.LogCaptureFixture
) -> None:
    target = PostgresqlSite(cluster).target()
    records = make_records(20)
    rival = [records[12].record["bildeid"]]
    assert load_records(records[12:13], target, state, LoadLimits()).inserted == 1
    ended: list[tuple[object, ...]] = []

    def end_it() -> None:
        with cluster.connect() as connection, connection.transaction():
            connection.execute("SELECT FROM pictures WHERE id = %s FOR UPDATE", rival)
            locked.set()
            for _ in range(1000):
                if found := connection.execute(WAITING.encode()).fetchall():
                    ended.extend(found)
                    return
                time.sleep(0.01)

    locked = threading.Event()
    thread = threading.Thread(target=end_it)
    thread.start()
    locked.wait()
    report = load_records(records, target, state, LoadLimits())
    thread.join()
    assert ended == [(True,)]
    assert (report.inserted + report.updated, report.failed, report.waiting) == (len(records), (), 0)
    assert len(target_rows(cluster)) == 20
    assert errors(caplog) == []


def target_rows(cluster: PostgresCluster) -> list[tuple[object, ...]]:
    with cluster.connect() as connection:
        return connection.execute("SELECT id FROM pictures").fetchall()


@pytest.mark.parametrize("refused", [False, True], ids=["all taken", "one refused"])
def test_a_session_that_is_ended_before_its_answer_is_read_costs_nothing(
    refused: bool, cluster: PostgresCluster, state: Path, make_records: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """After an error the driver can then not leave its pipeline; the pool must not use the session again."""
    target = PostgresqlSite(cluster).target()
    records = make_records(40)
    if refused:
        records[3] = SourceRecord(records[3].picture, records[3].record | {"exif_tid": None})
    ended: list[tuple[object, ...]] = []

    def reading() -> Iterator[SourceRecord]:
        for number, item in enumerate(records):
            if number == 25:  # read while the server works on the first batch
                with cluster.connect() as connection:
                    ended.extend(connection.execute(f"{END} AND pid <> pg_backend_pid()".encode()).fetchall())
            yield item

    report = load_records(reading(), target, state, LoadLimits(batch_rows=10))
    assert (True,) in ended
    assert (report.inserted, len(report.failed), report.waiting) == (40 - refused, refused, 0)
    assert len(target_rows(cluster)) == 40 - refused
    assert errors(caplog) == []
