"""An administrator's work on the table: create it, drop it, describe its geometry."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import sqlalchemy as sa

from anonymisation.database.dialects.base import Fault
from anonymisation.database.layouts.tables import TableLayout
from anonymisation.database.target import DatabaseTarget, load_dialect, make_table, transaction


def ddl(kind: str, layout: TableLayout, schema: str | None = None) -> str:
    """The statements that create the table in a database of `kind` (oracle, postgresql, sqlite), without a database.

    Raises:
        ConfigurationError: there is no such dialect, or its driver is not installed.
    """
    dialect = load_dialect(kind)
    statements = dialect.create(layout, make_table(layout, dialect, schema))
    return "".join(f"{statement.rstrip()};\n" for statement in statements)


def create_table(target: DatabaseTarget) -> None:
    """Create the table, with the description of its geometry where the dialect needs it.

    Raises:
        ConfigurationError: the table is there already, or the login may not create it.
        DatabaseUnavailableError: the database cannot be reached.
    """
    with transaction(target, creating=False) as connection:
        _create(connection, target)


def replace_table(target: DatabaseTarget) -> None:
    """Drop the table with all its rows and create it again, in one transaction: the old table stays if the new one
    cannot be created. Oracle commits each of these statements by itself.

    Raises:
        ConfigurationError: the login may not drop or create it, or other objects depend on it.
        DatabaseUnavailableError: the database cannot be reached.
    """
    with transaction(target, creating=False) as connection:
        for statement in target.dialect.drop(target.layout, target.table):
            connection.exec_driver_sql(statement)
        _create(connection, target)


def _create(connection: sa.Connection, target: DatabaseTarget) -> None:
    target.dialect.prepare_create(connection, target.table)
    for statement in target.dialect.create(target.layout, target.table):
        connection.exec_driver_sql(statement)


def drop_table(target: DatabaseTarget) -> bool:
    """Drop the table with all its rows; returns False if there is no table.

    Raises:
        ConfigurationError: the login may not drop it.
        DatabaseUnavailableError: the database cannot be reached.
    """
    if not table_exists(target):
        return False
    with transaction(target, creating=False) as connection:
        for statement in target.dialect.drop(target.layout, target.table):
            connection.exec_driver_sql(statement)
    return True


def insert_spatial_metadata(target: DatabaseTarget) -> int:
    """Describe and index the geometry columns where the database needs it (Oracle); replaces an existing description.

    Returns the number of described columns; 0 if creating the table describes them.

    Raises:
        ConfigurationError: the login lacks the right.
        DatabaseUnavailableError: the database cannot be reached.
    """
    statements = target.dialect.spatial_metadata(target.layout, target.table)
    with transaction(target, creating=False) as connection:
        for statement in statements:
            connection.execute(sa.text(statement.sql), statement.values)
        for index in target.dialect.spatial_indexes(target.layout, target.table):
            if not connection.scalar(sa.text(index.count.sql), index.count.values):
                connection.exec_driver_sql(index.create)
    return len(statements) // 2


def table_exists(target: DatabaseTarget) -> bool:
    """Whether the table is there.

    Raises:
        ConfigurationError: the login is refused or may not read the table.
        DatabaseUnavailableError: the database cannot be reached.
    """
    found: Sequence[object] | None = None
    with contextlib.suppress(_MissingTable), transaction(target, creating=False) as connection:
        try:
            never = sa.literal_column("1") == sa.literal_column("0")  # sa.false() is not valid in every database
            found = connection.execute(sa.select(target.table.primary_key.columns[0]).where(never)).all()
        except sa.exc.DBAPIError as error:
            if target.dialect.fault(error) is not Fault.MISSING:
                raise
            raise _MissingTable from None
    return found is not None


class _MissingTable(Exception):  # noqa: N818 - only leaves the transaction
    """The table is not there."""
