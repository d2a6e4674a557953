"""Airflow's Connections, which hold the credentials: the database as a SQLAlchemy URL, the mail server as its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from sqlalchemy.engine import URL

from anonymisation.errors import ConfigProblem, ConfigurationError
from anonymisation_airflow.deployment import DEFAULT_DB_CONN_ID

# Connection type → SQLAlchemy's name for dialect and driver.
DRIVERS: Final[Mapping[str, str]] = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "oracle": "oracle+oracledb",
}


def find_connection(conn_id: str) -> Connection | None:
    """The Connection, None where there is none of that name."""
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None


def database_url(conn_id: str) -> str | None:
    """The URL of the Connection, password and all; it is masked in task logs. None: use the configured database.

    Raises:
        ConfigurationError: the Connection is of a type that no table can be loaded into, or was asked for by name
            and does not exist.
    """
    connection = find_connection(conn_id)
    if connection is None:
        if conn_id != DEFAULT_DB_CONN_ID:
            raise _refused(conn_id, "is no Connection of this Airflow; create it")
        return None
    url = to_url(connection).render_as_string(hide_password=False)
    if connection.password:
        mask_secret(url)
    return url


def to_url(connection: Connection) -> URL:
    """The SQLAlchemy URL of a Connection of type sqlite, postgres or oracle.

    Raises:
        ConfigurationError: another type.
    """
    driver = DRIVERS.get(connection.conn_type or "")
    if driver is None:
        expected = ", ".join(DRIVERS)
        raise _refused(connection.conn_id, f"has the type {connection.conn_type}, expected one of {expected}")
    if driver == "sqlite":
        return URL.create(driver, database=connection.host or connection.schema)
    extra: dict[str, Any] = connection.extra_dejson
    query, database = {}, connection.schema
    if connection.conn_type == "oracle":
        # As in Airflow's Oracle hook: the service or SID is in the extras, the schema field names the user's schema.
        service, database = extra.get("service_name"), extra.get("sid")
        query = {"service_name": str(service)} if service else {}
    elif "sslmode" in extra:
        query = {"sslmode": str(extra["sslmode"])}
    return URL.create(
        driver,
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=database,
        query=query,
    )


def _refused(conn_id: str, message: str) -> ConfigurationError:
    return ConfigurationError([ConfigProblem("Airflow", f"Connection {conn_id}", message)])
