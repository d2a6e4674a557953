"""Databases of Airflow's Connections, also where no Airflow runs: from the file that a deployment keeps them in.

In the containers of a deployment, Airflow's secrets backend reads a YAML file of Connections. The command line finds
the same file by the same variable, so that `anonymise db status` in a worker looks at the database that the tasks use.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy.engine import URL

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.core.yaml_files import read_mapping
from anonymisation.database.connections import connection_url

DEFAULT_CONN_ID: Final = "anonymisation_db"
CONN_ID_VARIABLE: Final = "ANONYMISATION_DB_CONN_ID"
_BACKEND_VARIABLE: Final = "AIRFLOW__SECRETS__BACKEND_KWARGS"
# Extras that PostgresHook uses itself; it passes all others to libpq.
POSTGRES_HOOK_EXTRAS: Final = frozenset(
    {
        "aws_conn_id", "azure_conn_id", "cluster-identifier", "cursor", "iam", "redshift", "redshift-serverless",
        "sqlalchemy_query", "sqlalchemy_scheme", "workgroup-name",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Database:
    """The database of a Connection. `url` hides its password when printed; `schema` is the schema of the table."""

    url: URL
    schema: str | None = None


class ConnectionFields(Protocol):
    """The fields of a Connection, named as Airflow names them."""

    @property
    def conn_type(self) -> str | None: ...
    @property
    def host(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...
    @property
    def login(self) -> str | None: ...
    @property
    def password(self) -> str | None: ...
    @property
    def schema(self) -> str | None: ...
    @property
    def extra_dejson(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class _FileConnection:
    """A Connection as the file has it."""

    conn_type: str | None = None
    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    extra_dejson: Mapping[str, Any] = field(default_factory=dict, repr=False)


def database_in_file(environment: Mapping[str, str] | None = None) -> Database | None:
    """The database of the deployment's Connection in Airflow's file; None where there is no such file or Connection.

    Raises:
        ConfigurationError: the file or the Connection cannot be used.
    """
    given = os.environ if environment is None else environment
    try:
        path = json.loads(given.get(_BACKEND_VARIABLE) or "{}").get("connections_file_path")
    except (ValueError, AttributeError):
        return None  # another backend's
    if not path or not Path(path).is_file():
        return None
    conn_id = given.get(CONN_ID_VARIABLE) or DEFAULT_CONN_ID
    values = read_mapping(Path(path)).get(conn_id)
    if values is None:
        return None
    if not isinstance(values, dict):
        raise refused(conn_id, f"in {path}: expected conn_type, host and so on, got a {type(values).__name__}")
    return to_database(_from_file(conn_id, values), conn_id)


def _from_file(conn_id: str, values: Mapping[str, Any]) -> _FileConnection:
    extra = values.get("extra") or values.get("extra_dejson") or {}
    try:
        extra = json.loads(extra) if isinstance(extra, str) else extra
        port = None if values.get("port") is None else int(values["port"])
    except ValueError as error:
        raise refused(conn_id, f"has an extra that is no JSON, or a port that is no number ({error})") from None
    texts = {
        name: None if values.get(name) is None else str(values[name])
        for name in ("conn_type", "host", "login", "password", "schema")
    }
    return _FileConnection(**texts, port=port, extra_dejson=extra)


def to_database(
    connection: ConnectionFields, conn_id: str, convert: Mapping[str, Callable[[Any], Database]] | None = None
) -> Database:
    """The database of a Connection of type sqlite, postgres or oracle; `convert` replaces the conversion of some.

    Raises:
        ConfigurationError: the Connection has another type.
    """
    known = {"sqlite": _sqlite, "postgres": _postgres, "oracle": _oracle, **(convert or {})}
    conversion = known.get(connection.conn_type or "")
    if conversion is None:
        raise refused(conn_id, f"has the type {connection.conn_type}, expected one of {', '.join(known)}")
    return conversion(connection)


def _sqlite(connection: ConnectionFields) -> Database:
    return Database(URL.create("sqlite", database=connection.host or connection.schema))


def _postgres(connection: ConnectionFields) -> Database:
    extra: Mapping[str, Any] = connection.extra_dejson
    options = {key: str(value) for key, value in extra.items() if key not in POSTGRES_HOOK_EXTRAS}
    return Database(
        URL.create(
            "postgresql+psycopg",
            connection.login,
            connection.password,
            connection.host,
            connection.port,
            connection.schema,
            {**extra.get("sqlalchemy_query", {}), **options},
        )
    )


def _oracle(connection: ConnectionFields) -> Database:
    """The database that the hook's get_conn connects to; the hook itself makes no URL.

    Service and SID come from the extras. Without both, the schema field is the service.

    Source: airflow.providers.oracle.hooks.oracle.OracleHook.get_conn.
    """
    extra: Mapping[str, Any] = connection.extra_dejson
    user, password, schema = connection.login, connection.password, connection.schema or None
    service, sid, dsn = (str(extra[key]) if extra.get(key) else None for key in ("service_name", "sid", "dsn"))
    if service is None and sid is None and schema is not None:
        service, schema = schema, None
    if service is None and sid is None:
        return Database(connection_url(dsn or connection.host or "", user, password), schema)
    url = URL.create("oracle+oracledb", user, password, host=connection.host, port=connection.port, database=sid)
    return Database(url if service is None else url.update_query_dict({"service_name": service}), schema)


def refused(conn_id: str, message: str) -> ConfigurationError:
    """The error about a Connection."""
    return ConfigurationError([ConfigProblem("Airflow", f"Connection {conn_id}", message)])
