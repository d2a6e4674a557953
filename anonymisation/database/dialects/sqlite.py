"""SQLite, the embedded database: a GeoPackage, with CHECKs that refuse what Oracle refuses.

Column types are GeoPackage's, so that GIS tools understand them. Numbers are doubles, exact to 15 digits. SQLAlchemy
makes the statements; the driver's own executemany sends them, because it is faster.
"""
# ruff: noqa: ARG002 - the protocol has arguments that this database does not need

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    URL,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    NullPool,
    Table,
    create_engine,
    event,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine

from anonymisation.database.dialects import geopackage, rtree
from anonymisation.database.dialects.base import (
    VALUE_ERRORS,
    Dialect,
    Fault,
    NotStoredError,
    SpatialIndex,
    SpelledType,
    Statement,
    StatementRefusedError,
    Written,
    compiler,
    existing_keys,
    inserted_or_updated,
    isolate,
    nothing,
    require_stored,
)
from anonymisation.database.dialects.geopackage_contents import note_change
from anonymisation.database.layouts.columns import Columns, Row, rows_of
from anonymisation.database.layouts.datatypes import Kind
from anonymisation.database.layouts.formatters import Value
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import ColumnLayout, TableLayout

BUSY_TIMEOUT_SECONDS: Final = 30.0  # another loader's batch takes far less; after this time it counts as away

# Primary result codes, https://www.sqlite.org/rescode.html: another loader holds the lock, or the file or its disk
# cannot be used. Every other code is a refusal.
_AWAY_CODES: Final = frozenset(
    (
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_INTERRUPT,
    )
)  # fmt: skip
_LARGEST_INTEGER: Final = 2**63 - 1
_LARGEST_FLOAT: Final = int(sys.float_info.max)
_FEATURE_KEYS: Final = ("fid", "gpkg_fid")  # GeoPackage wants an integer key next to ours; the first free name


class SqliteDialect:
    """See `anonymisation.database.dialects.base.Dialect`."""

    creates_tables = True

    def engine(self, url: URL) -> Engine:
        if url.database in {None, "", ":memory:"}:
            raise ValueError(
                "an SQLite database in memory forgets everything; give a file: sqlite:////folder/file.gpkg"
            )
        engine = create_engine(
            url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
        )
        # The driver's own begin and commit would break savepoints. A transaction that reads before it writes must hold
        # the write lock from its start; otherwise two loaders could both take an identifier for new.
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine

    def identifier(self, name: str) -> str:
        return name

    def column_type(self, column: ColumnLayout) -> TypeEngine[Any]:
        match column.dtype.kind:
            case Kind.TEXT:
                return SpelledType(f"TEXT({column.dtype.length})")
            case Kind.NUMBER:
                return SpelledType("DOUBLE")
            case Kind.TIME:
                return SpelledType("DATETIME")
            case Kind.LONG_TEXT:
                return SpelledType("TEXT")
            case Kind.BINARY | Kind.GEOMETRY:
                return SpelledType("BLOB")

    def checks(self, table: str, column: ColumnLayout) -> Sequence[CheckConstraint]:
        quoted, dtype = f'"{column.name}"', column.dtype  # an identifier of a layout is letters, digits and _
        match dtype.kind:
            case Kind.TEXT if dtype.characters:
                rule, name = f"length({quoted}) <= {dtype.length}", f"max_{dtype.length}_characters"
            case Kind.TEXT:
                # VARCHAR(n) of Oracle counts bytes, length() of SQLite counts characters unless given a BLOB.
                rule, name = f"length(CAST({quoted} AS BLOB)) <= {dtype.length}", f"max_{dtype.length}_bytes"
            case Kind.NUMBER:
                rule = f"typeof({quoted}) IN ('real', 'null') AND ({quoted} IS NULL OR abs({quoted}) < 1e{dtype.limit})"
                name = "number"
            case Kind.TIME:
                rule, name = f"{quoted} IS NULL OR datetime({quoted}) IS NOT NULL", "date"
            case Kind.BINARY if dtype.length is not None:
                rule, name = f"length({quoted}) <= {dtype.length}", f"max_{dtype.length}_bytes"
            case Kind.LONG_TEXT | Kind.BINARY | Kind.GEOMETRY:
                return ()
        return (CheckConstraint(rule, name=f"{table}_{column.name}_{name}"),)

    def writer(self, layout: TableLayout, table: Table) -> SqliteWriter:
        return SqliteWriter(self, layout, table)

    def create(self, layout: TableLayout, table: Table) -> Sequence[str]:
        key = _feature_key(layout)
        text = str(CreateTable(self._feature_table(layout, table, key)).compile(dialect=compiler("sqlite"))).strip()
        return (text, *geopackage.setup_statements(layout, table.name, key))

    def _feature_table(self, layout: TableLayout, table: Table, key: str) -> Table:
        """The table in GeoPackage's form: an integer key, one geometry column; our key stays unique and required."""
        shown = next((column.name for column in layout.columns if column.dtype.kind is Kind.GEOMETRY), None)
        columns = [
            Column(
                column.name,
                SpelledType("POINT") if column.name == shown else column.type,
                nullable=column.nullable,
                unique=column.unique or column.primary_key or None,
            )
            for column in table.columns
        ]
        checks = [check for column in layout.columns for check in self.checks(table.name, column)]
        identity = Column(key, Integer, primary_key=True, nullable=False)
        return Table(table.name, MetaData(), identity, *columns, *checks, sqlite_autoincrement=True)

    def drop(self, layout: TableLayout, table: Table) -> Sequence[str]:
        return (*geopackage.drop_statements(layout, table.name), f'DROP TABLE IF EXISTS "{table.name}"')

    def spatial_metadata(self, layout: TableLayout, table: Table) -> Sequence[Statement]:
        return ()  # written when the table is created

    def spatial_indexes(self, layout: TableLayout, table: Table) -> Sequence[SpatialIndex]:
        return ()  # made when the table is created

    def fault(self, error: DBAPIError) -> Fault:
        code = getattr(error.orig, "sqlite_errorcode", None)
        if code is None:  # raised by the driver before it calls SQLite: it cannot bind a value of this type
            return Fault.ROW
        primary = code & 0xFF
        if primary == sqlite3.SQLITE_SCHEMA:
            return Fault.AGAIN  # another connection has changed the table
        if primary != sqlite3.SQLITE_ERROR:
            return Fault.AWAY if primary in _AWAY_CODES else Fault.ROW
        message = str(error.orig)
        if message.startswith("no such table") and not message.startswith("no such table: main."):  # a trigger's
            return Fault.MISSING
        return Fault.EXISTS if message.endswith("already exists") else Fault.SETUP

    def reason(self, error: DBAPIError) -> str:
        return _reason(error)

    def advice(self, error: DBAPIError) -> str | None:
        return None

    def prepare_create(self, connection: Connection, table: Table) -> None:
        pass


class SqliteWriter:
    """See `anonymisation.database.dialects.base.RowWriter`."""

    takes_utf8 = False

    def __init__(self, dialect: Dialect, layout: TableLayout, table: Table) -> None:
        self._dialect = dialect
        self._layout = layout
        self._table = table
        self._key = layout.pk_column
        self._names = [column.name for column in layout.columns]
        self._key_place = self._names.index(layout.pk_column)
        self._sql = _upsert_sql(table)

    def prepare(self, columns: Columns) -> Sequence[Row]:
        return rows_of(columns)

    def write(
        self, connection: Connection, rows: Sequence[Row], while_waiting: Callable[[], None] = nothing
    ) -> list[Written]:
        keys = [str(row[self._key]) for row in rows]
        there = existing_keys(connection, self._table, keys)
        sent = [tuple(_bind(row[name]) for name in self._names) for row in rows]
        written = isolate(self._dialect, sent, lambda part: self._send(connection, part))
        in_order = [index for index, outcome in enumerate(written) if outcome.refused is None]
        note_change(connection, self._layout, str(self._table.name), [rows[index] for index in in_order])
        stored = dict(zip(in_order, inserted_or_updated(there, [keys[index] for index in in_order]), strict=True))
        return [stored.get(index, outcome) for index, outcome in enumerate(written)]

    def _send(self, connection: Connection, rows: Sequence[tuple[object, ...]]) -> list[Written]:
        """Send the rows, and undo them if one is refused.

        Raises:
            NotStoredError: a trigger skipped a row, or stored it under another key.
            StatementRefusedError: a trigger ended the whole transaction.
        """
        driver: Any = connection.connection.driver_connection
        connection.exec_driver_sql("SAVEPOINT rows")
        try:
            changed = self._execute(connection, rows)
            require_stored(connection, self._table, [row[self._key_place] for row in rows])
            if changed < len(rows):  # RAISE(IGNORE)
                raise NotStoredError(self._table.name)
        except DBAPIError as error:
            if not driver.in_transaction:  # RAISE(ROLLBACK)
                raise StatementRefusedError(str(connection.engine.url.database), str(error.orig)) from error
            connection.exec_driver_sql("ROLLBACK TO rows")
            raise
        except (NotStoredError, *VALUE_ERRORS):
            connection.exec_driver_sql("ROLLBACK TO rows")
            raise
        connection.exec_driver_sql("RELEASE rows")
        return [Written()] * len(rows)

    def _execute(self, connection: Connection, rows: Sequence[tuple[object, ...]]) -> int:
        """Send the rows; returns how many were stored.

        Raises:
            NotStoredError: an error that depends on the row, such as one of a function that a trigger calls.
        """
        try:
            return connection.exec_driver_sql(self._sql, list(rows)).rowcount
        except DBAPIError as error:
            if self._dialect.fault(error) is not Fault.SETUP:
                raise
            # SQLite has one code for a statement that does not fit the table and for a function that fails. The first
            # of them fails without a row as well.
            connection.exec_driver_sql(f"EXPLAIN {self._sql}", (None,) * len(self._names))
            raise NotStoredError(self._table.name, _reason(error)) from error


def _reason(error: DBAPIError) -> str:
    return str(error.orig)


def _bind(value: Value) -> object:
    if isinstance(value, datetime):
        # GeoPackage's form; programs compare times as text, so all have the same number of digits.
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Point):
        return geopackage.encode_point(value)
    if isinstance(value, int) and _LARGEST_INTEGER < abs(value) <= _LARGEST_FLOAT:
        return float(value)  # the driver refuses still larger integers
    return value


def _upsert_sql(table: Table) -> str:
    statement = insert(table)
    [key] = table.primary_key
    others = {column.name: statement.excluded[column.name] for column in table.columns if column is not key}
    upsert = statement.on_conflict_do_update(
        index_elements=[key], set_=others or {key.name: statement.excluded[key.name]}
    )
    return str(upsert.compile(dialect=compiler("sqlite")))


def _feature_key(layout: TableLayout) -> str:
    taken = {column.name.lower() for column in layout.columns}
    free = next((name for name in _FEATURE_KEYS if name not in taken), None)
    if free is None:
        raise ValueError(f"a table of SQLite cannot have columns of the names {' and '.join(_FEATURE_KEYS)} both")
    return free


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    rtree.register_functions(connection)
