"""Databases of Airflow's Connections, also where no Airflow runs: from the file that a deployment keeps them in.

In the containers of a deployment, Airflow's secrets backend reads a YAML file of Connections. The command line finds
the same file by the same variable, so that `anonymise db status` in a worker looks at the database that the tasks use.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy.engine import URL

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.core.text import did_you_mean
from anonymisation.core.yaml_files import read_mapping
from anonymisation.database.connections import connection_url, is_secret, without_secrets
from anonymisation.database.oracle_options import CLIENT_OPTIONS, OPTIONS, as_bool

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

_ORACLE_ADDRESS: Final = ("service_name", "sid", "dsn")
# Extras that only change how OracleHook fetches rows, or the name under which the server lists its session.
_ORACLE_HOOK_EXTRAS: Final = ("fetch_decimals", "fetch_lobs", "module")


@dataclass(frozen=True, slots=True)
class Database:
    """The database of a Connection. `schema` is the schema of the table. Prints itself without its secrets."""

    url: URL
    schema: str | None = None

    def __repr__(self) -> str:
        return f"Database({without_secrets(self.url)}, schema={self.schema!r})"


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
        if not isinstance(extra, dict):
            raise ValueError(f"extra: expected names and values, got a {type(extra).__name__}")
    except ValueError as error:
        raise refused(conn_id, f"has an extra that is no JSON object, or a port that is no number ({error})") from None
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

    Service and SID come from the extras. Without both, the schema field is the service. Thick mode, the wallet and
    further options of the driver come from the extras, too; a warning names extras that nothing reads.

    Source: airflow.providers.oracle.hooks.oracle.OracleHook.get_conn.
    """
    extra: Mapping[str, Any] = connection.extra_dejson
    user, password, schema = connection.login, connection.password, connection.schema or None
    service, sid, dsn = (str(extra[key]) if extra.get(key) else None for key in ("service_name", "sid", "dsn"))
    if service is None and sid is None and schema is not None:
        service, schema = schema, None
    options = _oracle_extras(extra)
    if service is None and sid is None:
        url = connection_url(dsn or _with_port(connection), user, password)
        return Database(url.update_query_dict(options), schema)
    if service is not None and _is_easy_connect(connection.host or ""):
        port = "" if connection.port is None else f":{connection.port}"
        url = connection_url(f"{connection.host}{port}/{service}", user, password)
        return Database(url.update_query_dict(options), schema)
    url = URL.create("oracle+oracledb", user, password, host=connection.host, port=connection.port, database=sid)
    named = {} if service is None else {"service_name": service}
    return Database(url.update_query_dict({**named, **options}), schema)


def _is_easy_connect(host: str) -> bool:
    """Whether a host field has several hosts or a protocol, as only Easy Connect has. Its service may be an extra."""
    return ("," in host or "://" in host) and "(" not in host and "/" not in host.partition("://")[2]


def _with_port(connection: ConnectionFields) -> str:
    """The host field as a DSN: a TNS alias, a descriptor, an Easy Connect string, or a host with the port field."""
    host = connection.host or ""
    return host if connection.port is None or "(" in host or "/" in host else f"{host}:{connection.port}"


def _oracle_extras(extra: Mapping[str, Any]) -> dict[str, str]:
    """The options of the driver among the extras of a Connection, as an address has them."""
    log = logging.getLogger(__name__)
    if unknown := sorted(set(extra) - {*OPTIONS, *_ORACLE_ADDRESS, *_ORACLE_HOOK_EXTRAS}):
        hints = ", ".join(f"{key}{did_you_mean(key, OPTIONS)}" for key in unknown)
        log.warning("extras of the Connection that have no effect here: %s", hints)
    given = {key: extra[key] for key in OPTIONS if extra.get(key) not in (None, "")}
    options = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in given.items()}
    if not _is_on(options.get("thick_mode", "")):
        if idle := [key for key in CLIENT_OPTIONS[1:] if key in options]:
            log.warning("extras of the Connection without effect, since thick_mode is not true: %s", ", ".join(idle))
        options = {key: value for key, value in options.items() if key not in CLIENT_OPTIONS[1:]}
    return options


def _is_on(text: str) -> bool:
    try:
        return as_bool(text)
    except ValueError:
        return True  # the dialect refuses the value, with a message


def secret_extras(extra: Mapping[str, Any]) -> tuple[str, ...]:
    """The values of the extras that are secrets, such as wallet_password."""
    return tuple(str(value) for key, value in extra.items() if value and is_secret(str(key)))


def refused(conn_id: str, message: str) -> ConfigurationError:
    """The error about a Connection."""
    return ConfigurationError([ConfigProblem("Airflow", f"Connection {conn_id}", message)])
