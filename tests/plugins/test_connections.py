"""Connections become URLs that SQLAlchemy takes, without losing a character of a password."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from anonymisation.errors import ConfigurationError

PASSWORD = "p@ss:w/rd %40 æ"


def _define(monkeypatch: pytest.MonkeyPatch, conn_id: str, **parts: object) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(parts))


def test_sqlite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from anonymisation_airflow.connections import database_url

    path = tmp_path / "rows of 100%.db"
    _define(monkeypatch, "anonymisation_db", conn_type="sqlite", host=str(path))
    url = database_url("anonymisation_db")
    assert url is not None
    with create_engine(url).begin() as connection:
        connection.execute(text("CREATE TABLE seen (x INTEGER)"))
    assert path.is_file()


def test_postgres_and_oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    from anonymisation_airflow.connections import database_url

    parts = {"host": "db.example", "login": "loader", "password": PASSWORD}
    _define(monkeypatch, "pg", conn_type="postgres", schema="roads", port=5433, extra={"sslmode": "require"}, **parts)
    url = make_url(database_url("pg") or "")
    assert (url.drivername, url.host, url.port, url.database) == ("postgresql+psycopg", "db.example", 5433, "roads")
    assert (url.username, url.password, dict(url.query)) == ("loader", PASSWORD, {"sslmode": "require"})

    _define(monkeypatch, "ora", conn_type="oracle", port=1521, extra={"service_name": "XEPDB1"}, **parts)
    url = make_url(database_url("ora") or "")
    assert (url.drivername, url.password, dict(url.query)) == (
        "oracle+oracledb",
        PASSWORD,
        {"service_name": "XEPDB1"},
    )


def test_the_default_connection_may_be_missing_and_another_may_not() -> None:
    from anonymisation_airflow.connections import database_url

    assert database_url("anonymisation_db") is None
    with pytest.raises(ConfigurationError, match="Connection elsewhere: is no Connection of this Airflow"):
        database_url("elsewhere")


def test_a_connection_of_another_type_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from anonymisation_airflow.connections import database_url

    _define(monkeypatch, "web", conn_type="http", host="web.example", password=PASSWORD)
    with pytest.raises(ConfigurationError, match="type http, expected one of sqlite, postgres, oracle") as refused:
        database_url("web")
    assert PASSWORD not in str(refused.value)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30))
def test_any_password_survives(password: str) -> None:
    from airflow.sdk import Connection

    from anonymisation_airflow.connections import to_url

    connection = Connection(conn_id="pg", conn_type="postgres", host="h", login="u", password=password)
    assert make_url(to_url(connection).render_as_string(hide_password=False)).password == password
