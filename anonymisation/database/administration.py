"""Facts about a table for an administrator: its rows, the rows that wait for it, and the SQL for its geometry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.database.dialects.base import Dialect, Fault, compiler
from anonymisation.database.layouts.tables import TableLayout
from anonymisation.database.loading.spool import DAMAGED_SUFFIX, spool_folders, waiting_elsewhere
from anonymisation.database.target import DatabaseTarget, make_table, transaction

_DRIVERS: Final = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "oracle": "oracle+oracledb"}


@dataclass(frozen=True, slots=True)
class WaitingRows:
    """Rows in one folder of a spool, and how many of its files were set aside because they are damaged."""

    folder: Path
    rows: int
    damaged: int


def spatial_metadata_sql(layout: TableLayout, dialect: Dialect, kind: str) -> list[str]:
    """The statements that describe and index the geometry columns, with their values, for a person to read."""
    made, table = compiler(_DRIVERS[kind]), make_table(layout, dialect)
    described = [
        str(
            sa.text(item.sql)
            .bindparams(**item.values)
            .compile(dialect=made, compile_kwargs={"literal_binds": True, "render_postcompile": True})
        )
        for item in dialect.spatial_metadata(layout, table)
    ]
    return [*described, *(index.create for index in dialect.spatial_indexes(layout, table))]


def count_rows(target: DatabaseTarget) -> int | None:
    """How many rows the table has; None when there is no such table.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
        ConfigurationError: the login may not read the table.
    """
    url = target.engine.url
    is_file = url.get_backend_name() == "sqlite" and url.database is not None
    if is_file and Path(url.database or "").parent.is_dir() and not Path(url.database or "").exists():
        return None  # a query would create an empty file
    with transaction(target, creating=False) as connection:
        return _count(connection, target)


def require_owner(target: DatabaseTarget) -> None:
    """Refuse an Oracle table outside the login's own schema: USER_SDO_GEOM_METADATA belongs to the login.

    Raises:
        ConfigurationError: the table is in another schema.
    """
    schema, user = target.table.schema, target.engine.url.username or ""
    if target.engine.url.get_backend_name() == "oracle" and schema and schema.upper() != user.upper():
        message = f"describes tables of its own schema only; log in as {schema}, the table's owner"
        raise ConfigurationError([ConfigProblem(target.place, f"user {user}", message)])


def waiting_rows(state: Path) -> list[WaitingRows]:
    """The spools below a state folder in which rows wait, or files were set aside."""
    folders = dict.fromkeys(spool_folders(state), 0) | waiting_elsewhere(state, key="")
    found = [
        WaitingRows(folder, rows, len(list(folder.glob(f"*{DAMAGED_SUFFIX}")))) for folder, rows in folders.items()
    ]
    return [item for item in found if item.rows or item.damaged]


def last_load(target: DatabaseTarget, state: Path) -> float | None:
    """The last time that rows for this table entered or left the spool of `state` (seconds since 1970); None: never."""
    try:
        # Every batch creates a file in the folder and removes it, which changes the folder's time.
        return (state / "spool" / target.key(state)).stat().st_mtime
    except OSError:
        return None


def _count(connection: sa.Connection, target: DatabaseTarget) -> int | None:
    try:
        with connection.begin_nested():
            return connection.scalar(sa.select(sa.func.count()).select_from(target.table))
    except DBAPIError as error:
        if target.dialect.fault(error) is not Fault.MISSING:
            raise
        return None
