"""Reads Airflow's Connections, which hold the credentials of the database and the mail server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from anonymisation.database.airflow_connections import Database, refused, to_database
from anonymisation.database.connections import secrets_of
from anonymisation_airflow.deployment import DEFAULT_DB_CONN_ID


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
            raise refused(conn_id, "does not exist in this Airflow; create it")
        return None
    database = _of_connection(connection)
    secrets = secrets_of(database.url)
    for secret in secrets:
        # Airflow masks the plain password only; a URL contains the password in quoted form.
        for safe in ("", " +"):  # SQLAlchemy does not quote the blank and the plus sign
            mask_secret(quote(secret, safe=safe))
        mask_secret(quote_plus(secret))
    if secrets:
        mask_secret(database.url.render_as_string(hide_password=False))
    return database


def _of_connection(connection: Connection) -> Database:
    return to_database(connection, connection.conn_id, {"postgres": _postgres})


def _postgres(connection: Connection) -> Database:
    """Return the hook's URL with the extras that the hook passes to libpq, such as sslmode."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook  # keeps the parsing of the DAG file fast

    hook = PostgresHook(connection=connection, sqlalchemy_scheme="postgresql+psycopg")
    extra: Mapping[str, Any] = connection.extra_dejson
    options = {key: str(value) for key, value in extra.items() if key not in hook.ignored_extra_options}
    return Database(hook.sqlalchemy_url.update_query_dict(options))
