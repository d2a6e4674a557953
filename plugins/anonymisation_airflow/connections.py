"""Reads Airflow's Connections, which hold the credentials of the database and the mail server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, quote_plus

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from sqlalchemy.engine import URL

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation_airflow.deployment import DEFAULT_DB_CONN_ID


@dataclass(frozen=True, slots=True)
class Database:
    """The database of a Connection. `url` hides its password when printed; `schema` is the schema of the table."""

    url: URL
    schema: str | None = None


def find_connection(conn_id: str) -> Connection | None:
    """Return the Connection, or None where no Connection has this name."""
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None


def find_database(conn_id: str) -> Database | None:
    """Return the database of the Connection, or None where the configured database is used.

    Airflow masks the password in task logs from then on.

    Raises:
        ConfigurationError: the Connection has an unsupported type, or the deployment names a Connection that does not
            exist.
    """
    connection = find_connection(conn_id)
    if connection is None:
        if conn_id != DEFAULT_DB_CONN_ID:
            raise _refused(conn_id, "does not exist in this Airflow; create it")
        return None
    database = to_database(connection)
    if connection.password:
        # Airflow masks the plain password only; a URL contains the password in quoted form.
        for safe in ("", " +"):  # SQLAlchemy does not quote the blank and the plus sign
            mask_secret(quote(connection.password, safe=safe))
        mask_secret(quote_plus(connection.password))
        mask_secret(database.url.render_as_string(hide_password=False))
    return database


def to_database(connection: Connection) -> Database:
    """Return the database of a Connection of type sqlite, postgres or oracle.

    The fields have the meaning that the provider's hook gives them.

    Raises:
        ConfigurationError: the Connection has another type.
    """
    convert = _CONVERT.get(connection.conn_type or "")
    if convert is None:
        expected = ", ".join(_CONVERT)
        raise _refused(connection.conn_id, f"has the type {connection.conn_type}, expected one of {expected}")
    return convert(connection)


def _sqlite(connection: Connection) -> Database:
    return Database(URL.create("sqlite", database=connection.host or connection.schema))


def _postgres(connection: Connection) -> Database:
    """Return the hook's URL with the extras that the hook passes to libpq, such as sslmode."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook  # keeps the parsing of the DAG file fast

    hook = PostgresHook(connection=connection, sqlalchemy_scheme="postgresql+psycopg")
    extra: Mapping[str, Any] = connection.extra_dejson
    options = {key: str(value) for key, value in extra.items() if key not in hook.ignored_extra_options}
    return Database(hook.sqlalchemy_url.update_query_dict(options))


def _oracle(connection: Connection) -> Database:
    """Return the database that the hook's get_conn connects to; the hook itself makes no URL.

    Service and SID come from the extras. Without both, the schema field is the service.

    Source: airflow.providers.oracle.hooks.oracle.OracleHook.get_conn.
    """
    from anonymisation.database.connections import connection_url

    extra: Mapping[str, Any] = connection.extra_dejson
    user, password, schema = connection.login, connection.password, connection.schema or None
    service, sid, dsn = (str(extra[key]) if extra.get(key) else None for key in ("service_name", "sid", "dsn"))
    if service is None and sid is None and schema is not None:
        service, schema = schema, None
    if service is None and sid is None:
        return Database(connection_url(dsn or connection.host or "", user, password), schema)
    url = URL.create("oracle+oracledb", user, password, host=connection.host, port=connection.port, database=sid)
    return Database(url if service is None else url.update_query_dict({"service_name": service}), schema)


_CONVERT: Final[Mapping[str, Callable[[Connection], Database]]] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
    "oracle": _oracle,
}


def _refused(conn_id: str, message: str) -> ConfigurationError:
    return ConfigurationError([ConfigProblem("Airflow", f"Connection {conn_id}", message)])
