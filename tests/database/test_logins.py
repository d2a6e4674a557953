"""A login that is refused is said at once, with what to do; the rows wait, and go in when it is mended."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from anonymisation.core.errors import ConfigurationError, DatabaseUnavailableError
from anonymisation.database.administration import count_rows
from anonymisation.database.dialects.base import Fault
from anonymisation.database.dialects.postgresql import PostgresqlDialect
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import (
    LoadLimits,
    LoadReport,
    SourceRecord,
    load_records,
    open_target,
    send_spooled,
)
from tests.database.oracle_errors import driver_error
from tests.database.postgres_cluster import GUEST, GUEST_PASSWORD, PostgresCluster
from tests.database.sites import FakeOracleSite, PostgresqlSite

Make = Callable[..., list[SourceRecord]]

oracledb = pytest.importorskip("oracledb")

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "password": ({"username": GUEST, "password": "hunter2"}, "authentication failed"),
    "no password": ({"username": GUEST}, "no password supplied"),
    "user": ({"username": "nobody_here"}, "does not exist"),
    "database": ({"database": "nowhere"}, "does not exist"),
    "option": ({"query": {"sslmode": "nonsense"}}, "sslmode"),
    "unknown option": ({"query": {"sslmood": "require"}}, "sslmood"),
}


def changed(url: sa.URL, changes: dict[str, Any]) -> sa.URL:
    options = {key: value for key, value in changes.items() if key != "query"}
    return url.set(**options).update_query_dict(changes.get("query", {}))


@pytest.mark.parametrize("what", sorted(WRONG))
def test_a_connection_that_postgresql_refuses_is_a_mistake_of_configuration(
    what: str, cluster: PostgresCluster, state: Path, limits: LoadLimits, make_records: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    changes, said = WRONG[what]
    target = open_target(changed(cluster.url, changes), load_layout("PICTURES"))
    for _ in range(2):  # the second load takes no more rows
        with pytest.raises(ConfigurationError, match=said) as caught:
            load_records(make_records(3), target, state, limits)
        assert "db configure" in str(caught.value)
        assert "hunter2" not in str(caught.value) + caplog.text
    assert "3 rows wait" in caplog.text
    assert "is away" not in caplog.text


def test_rows_of_a_refused_login_go_in_when_it_is_mended(
    cluster: PostgresCluster, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    site = PostgresqlSite(cluster)
    site.target()
    with cluster.connect() as connection:
        connection.execute(f"GRANT SELECT, INSERT, UPDATE ON pictures TO {GUEST}".encode())
    wrong = open_target(site.url.set(username=GUEST, password="wrong"), load_layout("PICTURES"))
    right = open_target(site.url.set(username=GUEST, password=GUEST_PASSWORD), load_layout("PICTURES"))
    with pytest.raises(ConfigurationError):
        load_records(make_records(3), wrong, state, limits)
    assert send_spooled(right, state, limits) == LoadReport(3, 0, (), 0, ())


def test_a_server_that_has_no_tls_is_no_absent_one(state: Path, limits: LoadLimits, make_records: Make) -> None:
    with without_tls() as port:
        url = f"postgresql://me:hunter2@127.0.0.1:{port}/db?sslmode=require"
        with pytest.raises(ConfigurationError, match="SSL was required") as caught:
            load_records(make_records(1), open_target(url, load_layout("PICTURES")), state, limits)
    assert "hunter2" not in str(caught.value)


class without_tls:  # noqa: N801 - a context
    """A server that answers a wish for TLS with N, as PostgreSQL does without a certificate."""

    def __enter__(self) -> int:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return int(self._listener.getsockname()[1])

    def _serve(self) -> None:
        for connection in self._accepted():
            with connection:
                connection.recv(8)
                connection.sendall(b"N")

    def _accepted(self) -> Iterator[socket.socket]:
        while True:
            try:
                yield self._listener.accept()[0]
            except OSError:
                return

    def __exit__(self, *_: object) -> None:
        self._listener.close()


def test_options_that_a_pooler_refuses_are_not_blamed_on_the_login() -> None:
    fields = b"SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter in options: statement_timeout\0\0"
    answer = b"E" + (len(fields) + 4).to_bytes(4, "big") + fields

    def serve(listener: socket.socket) -> None:
        for _ in range(2):  # the wish for TLS is answered, too
            with listener.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        port = listener.getsockname()[1]
        url = f"postgresql://kari@127.0.0.1:{port}/x?options=-c%20statement_timeout%3D5s&sslmode=disable"
        with (
            open_target(url, load_layout("PICTURES")) as target,
            pytest.raises(ConfigurationError, match="the pooler in front of the database takes no such") as refused,
        ):
            count_rows(target)
    assert "correct user, password" not in str(refused.value)


def test_a_server_that_is_away_or_full_is_no_mistake(cluster: PostgresCluster) -> None:
    dialect = PostgresqlDialect()
    for said in (
        "connection failed: connection to server at x failed: FATAL:  the database system is starting up",
        "connection failed: connection to server at x failed: FATAL:  sorry, too many clients already",
        "connection failed: connection to server at x failed: Connection refused\n\tIs the server running?",
        'connection failed: could not translate host name "x" to address: Name or service not known',
        "connection failed: SSL error: unexpected eof while reading",
    ):
        with cluster.connect() as connection:
            error = psycopg.OperationalError(said, pgconn=connection.pgconn)
        assert dialect.fault(DBAPIError("x", None, error)) is Fault.AWAY


ORACLE = {
    "ORA": (1017, 1045, 12154, 12505, 12514, 28000, 28001, 28040),
    "DPY": (3015, 4000, 4001, 6001, 6003),
}


@pytest.mark.parametrize(("prefix", "code"), [(prefix, code) for prefix in ORACLE for code in ORACLE[prefix]])
def test_a_connection_that_oracle_refuses_is_a_mistake_of_configuration(
    prefix: str, code: int, state: Path, limits: LoadLimits, make_records: Make, caplog: pytest.LogCaptureFixture
) -> None:
    oracle = FakeOracleSite()
    oracle.target()
    oracle.server.refuses = driver_error(code, f"{prefix}-{code:05d}: said", prefix=prefix)
    target = FakeOracleSite(oracle.server, _made={"PICTURES"}).target()  # another process
    with pytest.raises(ConfigurationError, match=rf"{prefix}-0?{code}(: said)?\)") as caught:
        load_records(make_records(2), target, state, limits)
    assert "hunter2" not in str(caught.value) + caplog.text
    assert "2 rows wait" in caplog.text
    oracle.server.refuses = None
    assert send_spooled(target, state, limits).inserted == 2


def test_an_oracle_that_was_there_and_is_unknown_to_its_listener_is_starting(
    state: Path, limits: LoadLimits, make_records: Make
) -> None:
    oracle = FakeOracleSite()
    target = oracle.target()
    target.engine.dispose()
    oracle.server.refuses = driver_error(12514, "ORA-12514: no such service")
    assert load_records(make_records(2), target, state, limits).waiting == 2
    oracle.server.refuses = None
    assert send_spooled(target, state, limits).inserted == 2


def test_a_refused_login_is_told_in_the_log_without_its_password(
    cluster: PostgresCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    target = open_target(cluster.url.set(username=GUEST, password="hunter2"), load_layout("PICTURES"))
    with pytest.raises(ConfigurationError) as caught:
        count_rows(target)
    assert not isinstance(caught.value, DatabaseUnavailableError)
    assert "hunter2" not in caplog.text
