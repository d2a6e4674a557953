"""SQLite: the embedded database. Points are EWKT text, times ISO 8601 text, and CHECKs refuse what Oracle refuses."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import NUMERIC, TEXT, URL, VARCHAR, CheckConstraint, Engine, NullPool, Table, create_engine, event
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine, UserDefinedType

from anonymisation.database.datatypes import DataType, Kind
from anonymisation.database.dialects.base import Fault
from anonymisation.database.formatters import Value
from anonymisation.database.geometry import Point

BUSY_TIMEOUT_SECONDS: Final = 30.0  # another loader's batch takes far less; a longer lock counts as being away

# Primary result codes, https://www.sqlite.org/rescode.html
_ROW_CODES: Final = frozenset((sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG))
_LARGEST_INTEGER: Final = 2**63 - 1
_LARGEST_FLOAT: Final = int(sys.float_info.max)


class _Number(UserDefinedType[object]):
    """A column of NUMERIC affinity whose values pass as they are: SQLAlchemy's own would make them all Decimal."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return str(NUMERIC())


class SqliteDialect:
    """See `anonymisation.database.dialects.base.Dialect`."""

    creates_tables = True

    def engine(self, url: URL) -> Engine:
        if url.database in {None, "", ":memory:"}:
            raise ValueError("an SQLite database in memory forgets everything; give a file: sqlite:////folder/file.db")
        engine = create_engine(
            url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
        )
        # The driver would begin and commit by itself, which breaks savepoints; and a transaction that reads before it
        # writes must hold the write lock from its start, or two loaders could both take an identifier for new.
        event.listen(engine, "connect", _no_implicit_transactions)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine

    def identifier(self, name: str) -> str:
        return name

    def column_type(self, dtype: DataType) -> TypeEngine[Any]:
        match dtype.kind:
            case Kind.TEXT:
                return VARCHAR(dtype.length)
            case Kind.NUMBER:
                return _Number()
            case Kind.TIME | Kind.LONG_TEXT | Kind.GEOMETRY:
                return TEXT()

    def checks(self, table: str, column: str, dtype: DataType) -> Sequence[CheckConstraint]:
        quoted = f'"{column}"'  # an identifier of a layout is letters, digits and _
        match dtype.kind:
            case Kind.TEXT:
                # VARCHAR(n) of Oracle counts bytes, length() of SQLite counts characters unless given a BLOB.
                rule, name = f"length(CAST({quoted} AS BLOB)) <= {dtype.length}", f"max_{dtype.length}_bytes"
            case Kind.NUMBER:
                kinds = "'integer', 'real', 'null'"
                rule = f"typeof({quoted}) IN ({kinds}) AND ({quoted} IS NULL OR abs({quoted}) < 1e{dtype.limit})"
                name = "number"
            case Kind.TIME:
                rule, name = f"{quoted} IS NULL OR datetime({quoted}) IS NOT NULL", "date"
            case Kind.LONG_TEXT | Kind.GEOMETRY:
                return ()
        return (CheckConstraint(rule, name=f"{table}_{column}_{name}"),)

    def bind(self, dtype: DataType, value: Value) -> object:
        if dtype.kind is Kind.TIME and isinstance(value, datetime):
            return value.isoformat(sep=" ")
        if dtype.kind is Kind.GEOMETRY and isinstance(value, Point):
            return value.ewkt()
        if isinstance(value, int) and _LARGEST_INTEGER < abs(value) <= _LARGEST_FLOAT:
            return float(value)  # what is larger still, the driver refuses
        return value

    def upsert(self, table: Table) -> Insert:
        statement = insert(table)
        key = list(table.primary_key)
        others = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
        if not others:
            return statement.on_conflict_do_nothing(index_elements=key)
        return statement.on_conflict_do_update(index_elements=key, set_=others)

    def fault(self, error: DBAPIError) -> Fault:
        code = getattr(error.orig, "sqlite_errorcode", None)
        if code is None:  # raised by the driver before SQLite saw anything: a value of a type it cannot bind
            return Fault.ROW
        primary = code & 0xFF
        if primary in _ROW_CODES:
            return Fault.ROW
        return Fault.SETUP if primary == sqlite3.SQLITE_ERROR else Fault.AWAY


def _no_implicit_transactions(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
