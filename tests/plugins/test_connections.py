"""Connections become URLs that SQLAlchemy takes, without losing a character of a password."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from anonymisation.core.errors import ConfigurationError

if TYPE_CHECKING:
    from anonymisation.database.airflow_connections import Database

PASSWORD = "p@ss:w/rd %40 æ"
LOGIN = {"host": "db.example", "login": "loader", "password": PASSWORD}
EASY = "(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=db.example)(PORT=1521))(CONNECT_DATA=(SERVICE_NAME=XEPDB1)))"


def _define(monkeypatch: pytest.MonkeyPatch, conn_id: str, **parts: object) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(parts))


def test_sqlite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from anonymisation_airflow.connections import find_database

    path = tmp_path / "rows of 100%.db"
    _define(monkeypatch, "anonymisation_db", conn_type="sqlite", host=str(path))
    database = find_database("anonymisation_db")
    assert database is not None
    with create_engine(database.url).begin() as connection:
        connection.execute(text("CREATE TABLE seen (x INTEGER)"))
    assert path.is_file()


def test_postgres_as_its_hook_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    extra = {"sslmode": "require", "sqlalchemy_query": {"application_name": "pictures"}}
    _define(monkeypatch, "pg", conn_type="postgres", schema="roads", port=5433, extra=extra, **LOGIN)
    url = _database("pg").url
    assert (url.drivername, url.host, url.port, url.database) == ("postgresql+psycopg", "db.example", 5433, "roads")
    assert (url.username, url.password) == ("loader", PASSWORD)
    assert dict(url.query) == {"sslmode": "require", "application_name": "pictures"}
    hooks = PostgresHook(postgres_conn_id="pg", sqlalchemy_scheme="postgresql+psycopg").sqlalchemy_url
    assert url.difference_update_query(["sslmode"]) == hooks


@pytest.mark.parametrize(
    ("fields", "dsn", "schema"),
    [
        ({"extra": {"service_name": "XEPDB1"}}, EASY, None),
        ({"extra": {"service_name": "XEPDB1"}, "schema": "ROADS"}, EASY, "ROADS"),
        ({"schema": "XEPDB1"}, EASY, None),
        ({"extra": {"sid": "XE"}}, EASY.replace("SERVICE_NAME=XEPDB1", "SID=XE"), None),
        ({"extra": {"dsn": "(DESCRIPTION=(ADDRESS=(HOST=a)))"}}, "(DESCRIPTION=(ADDRESS=(HOST=a)))", None),
        ({"host": "ALIAS", "port": None}, "ALIAS", None),
    ],
)  # fmt: skip
def test_oracle_reaches_what_the_hook_reaches(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, object], dsn: str, schema: str | None
) -> None:
    """The hook's own call of the driver is caught, so that the two are compared and not two opinions of ours."""
    import oracledb
    from airflow.providers.oracle.hooks.oracle import OracleHook

    _define(monkeypatch, "ora", **{"conn_type": "oracle", "port": 1521, **LOGIN, **fields})
    database = _database("ora")
    _, ours = create_engine(database.url).dialect.create_connect_args(database.url)
    assert (ours["dsn"], ours["user"], ours["password"], database.schema) == (dsn, "loader", PASSWORD, schema)
    asked: list[dict[str, object]] = []
    connection = SimpleNamespace(current_schema=None)

    def connect(**parts: object) -> SimpleNamespace:
        asked.append(parts)
        return connection

    monkeypatch.setattr(oracledb, "connect", connect)
    OracleHook(oracle_conn_id="ora").get_conn()
    assert (asked[0]["dsn"], asked[0]["user"], asked[0]["password"]) == (dsn, "loader", PASSWORD)
    # Where the schema field is the service, the hook takes it for a schema too, against its own comment; we do not.
    assert connection.current_schema == fields.get("schema")


def test_thick_mode_and_wallet_are_what_the_hook_gives_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    import oracledb
    from airflow.providers.oracle.hooks.oracle import OracleHook
    from airflow.sdk.log import redact  # type: ignore[attr-defined]  # Airflow marks none of its exports there

    from anonymisation.database.dialects.oracle_client import split_options, use_client

    extra = {
        "service_name": "XEPDB1", "thick_mode": "true", "thick_mode_lib_dir": "/opt/oracle",
        "thick_mode_config_dir": "/etc/tns", "wallet_location": "/etc/wallet", "wallet_password": "hemmelig 8",
        "ssl_server_dn_match": False, "ssl_server_cert_dn": "CN=x", "mode": "sysdba", "purity": "new", "events": True,
        "expire_time": 3, "cclass": "loading",
    }  # fmt: skip
    _define(monkeypatch, "ora", conn_type="oracle", port=1521, extra=extra, **LOGIN)
    initialised: list[dict[str, object]] = []
    connected: list[dict[str, object]] = []
    monkeypatch.setattr(oracledb, "init_oracle_client", lambda **parts: initialised.append(parts))
    monkeypatch.setattr(oracledb, "connect", lambda **parts: connected.append(parts))
    OracleHook(oracle_conn_id="ora").get_conn()
    database = _database("ora")
    _, options = split_options(database.url)
    use_client(options, lambda **parts: initialised.append(parts))
    assert initialised[0] == initialised[1]
    assert options.connect == {key: connected[0][key] for key in connected[0].keys() - {"dsn", "user", "password"}}
    assert "hemmelig 8" not in repr(database)
    assert not any(form in str(redact(f"failed: {form}")) for form in ("hemmelig 8", "hemmelig%208", "hemmelig+8"))


def test_no_form_of_the_password_passes_airflow_s_masker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Airflow puts before every task's log and before what a task prints."""
    from airflow.sdk.log import redact  # type: ignore[attr-defined]  # Airflow marks none of its exports there

    _define(monkeypatch, "secret_pg", conn_type="postgres", schema="roads", **LOGIN)
    url = _database("secret_pg").url
    shown = url.render_as_string(hide_password=False)
    forms = (PASSWORD, quote_plus(PASSWORD), quote(PASSWORD, safe=""), quote(PASSWORD, safe=" +"))
    assert forms[-1] in shown
    for told in (*forms, shown, *(f"failed: {form}@db.example" for form in forms)):
        assert not any(form in str(redact(told)) for form in forms)
    assert "***" in repr(_database("secret_pg"))
    assert PASSWORD not in repr(_database("secret_pg"))


def test_the_default_connection_may_be_missing_and_another_may_not() -> None:
    from anonymisation_airflow.connections import find_database

    assert find_database("anonymisation_db") is None
    with pytest.raises(ConfigurationError, match="Connection elsewhere: does not exist in this Airflow"):
        find_database("elsewhere")


def test_a_connection_of_another_type_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from anonymisation_airflow.connections import find_database

    _define(monkeypatch, "web", conn_type="http", host="web.example", password=PASSWORD)
    with pytest.raises(ConfigurationError, match="type http, expected one of sqlite, postgres, oracle") as refused:
        find_database("web")
    assert PASSWORD not in str(refused.value)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30))
def test_any_password_survives(password: str) -> None:
    from airflow.sdk import Connection

    from anonymisation.database.airflow_connections import to_database

    connection = Connection(conn_id="pg", conn_type="postgres", host="h", login="u", password=password)
    assert make_url(to_database(connection, "pg").url.render_as_string(hide_password=False)).password == password


def test_the_command_line_reads_connections_as_tasks_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.postgres.hooks.postgres import PostgresHook
    from airflow.sdk import Connection

    from anonymisation.database.airflow_connections import DEFAULT_CONN_ID, POSTGRES_HOOK_EXTRAS, to_database
    from anonymisation_airflow.deployment import DEFAULT_DB_CONN_ID

    assert DEFAULT_CONN_ID == DEFAULT_DB_CONN_ID
    assert PostgresHook.ignored_extra_options == POSTGRES_HOOK_EXTRAS
    extra = {"sslmode": "require", "sqlalchemy_query": {"application_name": "pictures"}, "cursor": "dictcursor"}
    _define(monkeypatch, "pg", conn_type="postgres", schema="roads", port=5433, extra=extra, **LOGIN)
    plain = Connection(conn_id="pg", conn_type="postgres", schema="roads", port=5433, extra=json.dumps(extra), **LOGIN)
    assert to_database(plain, "pg") == _database("pg")


def _database(conn_id: str) -> Database:
    from anonymisation_airflow.connections import find_database

    database = find_database(conn_id)
    assert database is not None
    return database
