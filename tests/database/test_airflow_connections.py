"""The database of a deployment, from the file that Airflow reads its Connections from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from anonymisation.cli import cli
from anonymisation.core.errors import ConfigurationError
from anonymisation.database.airflow_connections import database_in_file
from tests.docker.compose_file import DOCKER


def environment(tmp_path: Path, connections: Any, **more: str) -> dict[str, str]:
    path = tmp_path / "connections.yaml"
    path.write_text(yaml.safe_dump(connections), encoding="utf-8")
    return {"AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(path)}), **more}


@pytest.mark.parametrize(
    ("connection", "url", "schema"),
    [
        ({"conn_type": "sqlite", "host": "/rows.gpkg"}, "sqlite:////rows.gpkg", None),
        (
            {"conn_type": "postgres", "host": "db", "port": 5433, "login": "a", "password": "p@ s", "schema": "roads",
             "extra": '{"sslmode": "require"}'},
            "postgresql+psycopg://a:p%40 s@db:5433/roads?sslmode=require", None,
        ),
        (
            {"conn_type": "oracle", "host": "db", "port": "1521", "login": "a", "password": "s3cret", "schema": "ROADS",
             "extra": {"service_name": "X"}},
            "oracle+oracledb://a:s3cret@db:1521?service_name=X", "ROADS",
        ),
        (
            {"conn_type": "oracle", "host": "h1,h2", "port": 1521, "login": "a", "password": "s3cret",
             "schema": "ROADS", "extra": {"service_name": "X"}},
            "oracle+oracledb://a:s3cret@[h1,h2:1521/X]", "ROADS",
        ),
        (
            {"conn_type": "oracle", "host": "tcps://db", "port": 2484, "login": "a", "password": "s3cret",
             "extra": {"service_name": "X", "wallet_location": "/w"}},
            "oracle+oracledb://a:s3cret@[tcps://db:2484/X]?wallet_location=%2Fw", None,
        ),
    ],
)  # fmt: skip
def test_each_kind_of_database_is_found(
    tmp_path: Path, connection: Mapping[str, Any], url: str, schema: str | None
) -> None:
    found = database_in_file(environment(tmp_path, {"anonymisation_db": connection}))
    assert found is not None
    assert (found.url.render_as_string(hide_password=False), found.schema) == (url, schema)
    assert connection.get("password", "?") not in repr(found)


ORACLE = {"conn_type": "oracle", "host": "db", "port": 1521, "login": "a", "password": "s3cret"}


def test_thick_mode_and_wallet_come_from_the_extras(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    extra = {
        "service_name": "X", "thick_mode": True, "thick_mode_lib_dir": "/opt", "thick_mode_config_dir": "/etc/tns",
        "wallet_location": "/etc/wallet", "wallet_password": "hemmelig-9", "config_dir": "/etc/tns", "expire_time": 3,
        "fetch_lobs": False, "module": "pictures",
    }  # fmt: skip
    found = database_in_file(environment(tmp_path, {"anonymisation_db": {**ORACLE, "extra": extra}}))
    assert found is not None
    assert dict(found.url.query) == {
        "service_name": "X", "thick_mode": "true", "thick_mode_lib_dir": "/opt", "thick_mode_config_dir": "/etc/tns",
        "wallet_location": "/etc/wallet", "wallet_password": "hemmelig-9", "config_dir": "/etc/tns", "expire_time": "3",
    }  # fmt: skip
    assert "hemmelig-9" not in repr(found)
    assert caplog.text == ""


def test_extras_that_nothing_reads_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    extra = {"service_name": "X", "walet_location": "hemmelig-9", "thick_mode_lib_dir": "/opt/oracle"}
    found = database_in_file(environment(tmp_path, {"anonymisation_db": {**ORACLE, "extra": extra}}))
    assert found is not None
    assert dict(found.url.query) == {"service_name": "X"}
    assert "have no effect here: walet_location (did you mean wallet_location?)" in caplog.text
    assert "without effect, since thick_mode is not true: thick_mode_lib_dir" in caplog.text
    assert "hemmelig-9" not in caplog.text


@pytest.mark.parametrize(
    "field", [{"host": "roads/hemmelig-9@db/x", "port": None}, {"extra": {"dsn": "r/hemmelig-9@d/x"}}]
)
def test_a_password_in_the_address_of_a_connection_is_refused(tmp_path: Path, field: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="holds a password") as refused:
        database_in_file(environment(tmp_path, {"anonymisation_db": {**ORACLE, **field}}))
    assert "hemmelig-9" not in str(refused.value)


def test_the_deployment_may_name_another_connection(tmp_path: Path) -> None:
    connections = {name: {"conn_type": "sqlite", "host": f"/{name}.db"} for name in ("anonymisation_db", "other")}
    found = database_in_file(environment(tmp_path, connections, ANONYMISATION_DB_CONN_ID="other"))
    assert found is not None
    assert found.url.database == "/other.db"


@pytest.mark.parametrize(
    "given", [{}, {"AIRFLOW__SECRETS__BACKEND_KWARGS": "{}"}, {"AIRFLOW__SECRETS__BACKEND_KWARGS": "no json"},
              {"AIRFLOW__SECRETS__BACKEND_KWARGS": '{"connections_file_path": "/none.yaml"}'}]
)  # fmt: skip
def test_without_a_file_there_is_none(given: dict[str, str]) -> None:
    assert database_in_file(given) is None


def test_a_connection_that_is_not_in_the_file_is_none(tmp_path: Path) -> None:
    assert database_in_file(environment(tmp_path, {"smtp_default": {"conn_type": "smtp"}})) is None


@pytest.mark.parametrize(
    ("connection", "problem"),
    [
        ("postgres://a:b@c/d", "expected conn_type, host and so on, got a str"),
        ({"conn_type": "http"}, "has the type http, expected one of sqlite, postgres, oracle"),
        ({"conn_type": "postgres", "port": "x"}, "a port that is no number"),
        ({"conn_type": "postgres", "extra": "{"}, "has an extra that is no JSON"),
        ({"conn_type": "oracle", "extra": ["a"]}, "expected names and values, got a list"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, connection: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        database_in_file(environment(tmp_path, {"anonymisation_db": connection}))


def test_the_command_of_the_guide_works_with_the_recommended_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`db status -k config.yml` with the shipped full_chain.yml, which names no database."""
    guide = (DOCKER.parent / "docs" / "operate" / "runbook" / "record-database-away.md").read_text(encoding="utf-8")
    assert re.search(r"`ANONYMISE db status -k\s+/etc/anonymisation/config.yml`", guide)
    path = tmp_path / "rows.gpkg"
    for name, value in environment(tmp_path, {"anonymisation_db": {"conn_type": "sqlite", "host": str(path)}}).items():
        monkeypatch.setenv(name, value)
    config = DOCKER.parent / "config" / "full_chain.yml"
    made = CliRunner().invoke(cli, ["db", "create-table", "-k", str(config)])
    assert made.exit_code == 0, made.output
    status = CliRunner().invoke(cli, ["db", "status", "-k", str(config)])
    assert status.exit_code == 0, status.output
    assert str(path) in status.output.replace("\n", "")
