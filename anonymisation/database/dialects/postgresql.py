"""PostgreSQL with PostGIS: geometry columns with SRID, rows sent in batches and merged with ON CONFLICT.

One statement takes a whole batch. `json_to_recordset` makes rows from JSON; long texts are separate binary arrays, so
that they need no escaping. This takes one round trip and no session state. (COPY needs a staging table, which is
session state and does not work with connection poolers.) SQLAlchemy makes the engine, pool, transactions and DDL. Its
own bulk insert spends more time on one value than this module on a row. GeoAlchemy2 is not used: only the name of one
type is needed.

Names are in lower case, as PostgreSQL folds them, so that queries need no quotes.
"""
# ruff: noqa: ARG002 - the protocol has arguments that this database does not need

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, CheckConstraint, Connection, Engine, Table, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable, DropTable
from sqlalchemy.types import TypeEngine

from anonymisation.database.dialects.base import (
    ANSWER_TIMEOUT_SECONDS,
    CONNECT_TIMEOUT_SECONDS,
    VALUE_ERRORS,
    Dialect,
    Fault,
    NotStoredError,
    SpatialIndex,
    SpelledType,
    Statement,
    Written,
    compiler,
    isolate,
    not_stored,
    nothing,
    same_key,
)
from anonymisation.database.dialects.postgresql_faults import fault_of
from anonymisation.database.fast_json import encode
from anonymisation.database.layouts.columns import Row
from anonymisation.database.layouts.datatypes import DataType, Kind
from anonymisation.database.layouts.formatters import Value
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import ColumnLayout, TableLayout

DRIVER: Final = "postgresql+psycopg"

_JSON_TYPES: Final = {
    Kind.TEXT: "text",
    Kind.NUMBER: "numeric",
    Kind.TIME: "timestamp with time zone",
    Kind.BINARY: "bytea",
    Kind.GEOMETRY: "geometry",
}
_FRACTION: Final = 6  # digits of a second, at most

_INSERTED: Final = Written(inserted=True)
_UPDATED: Final = Written()


class PostgresqlDialect:
    """See `anonymisation.database.dialects.base.Dialect`."""

    creates_tables = False

    def engine(self, url: URL) -> Engine:
        arguments = {
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "keepalives_idle": CONNECT_TIMEOUT_SECONDS,
            "keepalives_interval": CONNECT_TIMEOUT_SECONDS,
            "keepalives_count": 3,
            "tcp_user_timeout": ANSWER_TIMEOUT_SECONDS * 1000,
        }
        engine = create_engine(
            url.set(drivername=DRIVER), pool_size=1, pool_pre_ping=True, hide_parameters=True, connect_args=arguments
        )
        event.listen(engine, "connect", _prepare_session)
        return engine

    def identifier(self, name: str) -> str:
        return name.lower()

    def column_type(self, column: ColumnLayout) -> TypeEngine[Any]:
        dtype, spatial = column.dtype, column.spatial_metadata
        match dtype.kind:
            case Kind.TEXT:
                return SpelledType(f"VARCHAR({dtype.length})")
            case Kind.NUMBER:
                return SpelledType(_number_type(dtype))
            case Kind.TIME:
                digits = "" if dtype.fraction is None else f"({min(dtype.fraction, _FRACTION)})"
                return SpelledType(f"TIMESTAMP{digits} WITH TIME ZONE")
            case Kind.BINARY:
                return SpelledType("BYTEA")
            case Kind.LONG_TEXT:
                return SpelledType("TEXT")
            case Kind.GEOMETRY:
                if spatial is None:
                    raise ValueError(f"{column.name}: a geometry column without spatial metadata")
                return SpelledType(f"geometry(Point{'Z' if spatial.dimension == 3 else ''}, {spatial.srid})")

    def checks(self, table: str, column: ColumnLayout) -> Sequence[CheckConstraint]:
        name, dtype = self.identifier(column.name), column.dtype
        if (dtype.kind is Kind.TEXT and not dtype.characters) or (dtype.kind is Kind.BINARY and dtype.length):
            # VARCHAR(n) counts bytes in Oracle and characters in PostgreSQL.
            rule = f'octet_length("{name}") <= {dtype.length}'
            return (CheckConstraint(rule, name=f"{table}_{name}_max_{dtype.length}_bytes"[:63]),)
        if dtype.kind is Kind.NUMBER and not dtype.name.startswith("BINARY_"):
            rule = f'abs("{name}") < 1e{dtype.limit}'
            return (CheckConstraint(rule, name=f"{table}_{name}_number"[:63]),)
        return ()

    def writer(self, layout: TableLayout, table: Table) -> PostgresqlWriter:
        return PostgresqlWriter(self, layout, table)

    def create(self, layout: TableLayout, table: Table) -> Sequence[str]:
        shown = [column for column in layout.columns if column.dtype.kind is Kind.GEOMETRY]
        return (_text(CreateTable(table)), *(self._spatial_index(table, column) for column in shown))

    def _spatial_index(self, table: Table, column: ColumnLayout) -> str:
        preparer = compiler(DRIVER).identifier_preparer
        name = self.identifier(column.name)
        index = preparer.quote(f"{table.name}_{name}_gist"[:63])
        return f"CREATE INDEX {index} ON {preparer.format_table(table)} USING gist ({preparer.quote(name)})"

    def drop(self, layout: TableLayout, table: Table) -> Sequence[str]:
        return (_text(DropTable(table, if_exists=True)),)

    def spatial_metadata(self, layout: TableLayout, table: Table) -> Sequence[Statement]:
        return ()  # PostGIS reads dimension and SRID from the column's type

    def spatial_indexes(self, layout: TableLayout, table: Table) -> Sequence[SpatialIndex]:
        return ()  # made when the table is created

    def fault(self, error: DBAPIError) -> Fault:
        return fault_of(error)

    def reason(self, error: DBAPIError) -> str:
        # Only the primary message: the detail next to it quotes the whole row.
        message = error.orig.diag.message_primary if isinstance(error.orig, psycopg.Error) else None
        return message or str(error.orig).strip()

    def advice(self, error: DBAPIError) -> str | None:
        return None


class PostgresqlWriter:
    """See `anonymisation.database.dialects.base.RowWriter`; PostgreSQL reports whether it inserted or updated."""

    def __init__(self, dialect: Dialect, layout: TableLayout, table: Table) -> None:
        self._dialect = dialect
        self._key = layout.pk_column
        self._long = [column.name for column in layout.columns if column.dtype.kind is Kind.LONG_TEXT]
        self._short = [column.name for column in layout.columns if column.dtype.kind is not Kind.LONG_TEXT]
        self._geometries = [column.name for column in layout.columns if column.dtype.kind is Kind.GEOMETRY]
        self._binaries = [column.name for column in layout.columns if column.dtype.kind is Kind.BINARY]
        self._lengths = [(c.name, c.dtype.length) for c in layout.columns if c.dtype.length is not None]
        self._name = str(table.name)
        self._sql = _upsert_sql(layout, table)
        self._sql_there = _there_sql(table)

    def write(
        self, connection: Connection, rows: Sequence[Row], while_waiting: Callable[[], None] = nothing
    ) -> list[Written]:
        written: list[Written | None] = [None] * len(rows)
        for wave in _waves([row[self._key] for row in rows]):
            # Every loader locks rows in the same order, so that two loaders cannot deadlock.
            wave.sort(key=lambda index: str(rows[index][self._key]))
            outcomes = isolate(
                self._dialect, [rows[index] for index in wave], lambda part: self._send(connection, part, while_waiting)
            )
            for index, outcome in zip(wave, outcomes, strict=True):
                written[index] = outcome
        return [outcome for outcome in written if outcome is not None]

    def _send(self, connection: Connection, rows: Sequence[Row], while_waiting: Callable[[], None]) -> list[Written]:
        long = [[row[name] for row in rows] for name in self._long]
        short = encode([self._plain(row) for row in rows]).decode("utf-8")
        keys = [row[self._key] for row in rows]
        answer = self._upsert(connection, (short, *long), keys, while_waiting)
        return [self._outcome(answer.get(same_key(key))) for key in keys]

    def _outcome(self, inserted: bool | None) -> Written:
        if inserted is None:
            return Written(refused=not_stored(self._name))
        return _INSERTED if inserted else _UPDATED

    def _upsert(
        self,
        connection: Connection,
        values: Sequence[object],
        keys: list[Value],
        while_waiting: Callable[[], None],
    ) -> dict[object, bool]:
        """Send the statement, and undo it if it fails; returns for each stored key whether it was inserted.

        Raises:
            NotStoredError: a trigger stored a row under another key, which may be that of another picture, or removed
                one. A key that is not in the result is a row that a trigger skipped.
        """
        driver: Any = connection.connection.driver_connection
        first = driver.info.transaction_status is TransactionStatus.IDLE
        try:
            # The first statement of a transaction goes in one message with the BEGIN. The server does not prepare it,
            # because a prepared statement is session state.
            with driver.pipeline() if first else driver.transaction():
                cursor = driver.execute(self._sql, values, prepare=False)
                there = driver.execute(self._sql_there, (keys,), prepare=False)
                while_waiting()  # in a pipeline the server's answer is not read yet
                answer = {same_key(key): inserted for key, inserted in cursor}
                if not answer.keys() <= {same_key(key) for (key,) in there}.intersection(map(same_key, keys)):
                    raise NotStoredError(self._name)
            return answer
        except (psycopg.Error, NotStoredError, *VALUE_ERRORS) as error:
            if first and not driver.closed:
                driver.rollback()
            if not isinstance(error, psycopg.Error):
                raise
            raise DBAPIError(
                "INSERT", None, error, hide_parameters=True, connection_invalidated=driver.closed
            ) from error

    def _plain(self, row: Row) -> dict[str, object]:
        """The columns that are sent as JSON, with points as text.

        Raises:
            ValueError: a text is too long by blanks alone, which VARCHAR would cut off silently.
        """
        plain: dict[str, object] = {name: row[name] for name in self._short}
        for name, length in self._lengths:
            text = plain[name]
            if isinstance(text, str) and len(text) > length and not text[length:].strip(" "):
                column = self._dialect.identifier(name)
                raise ValueError(f"{column}: value too long for type character varying({length})")
        for name in self._binaries:
            if isinstance(data := plain[name], bytes):
                plain[name] = f"\\x{data.hex()}"
        for name in self._geometries:
            if isinstance(point := row[name], Point):
                plain[name] = point.ewkt()
        return plain


def _number_type(dtype: DataType) -> str:
    if dtype.is_float:
        return "REAL" if dtype.name == "BINARY_FLOAT" else "DOUBLE PRECISION"
    if dtype.precision is not None and 0 <= dtype.scale <= dtype.precision:
        return f"NUMERIC({dtype.precision}, {dtype.scale})"
    return "NUMERIC"  # servers before 15 know no other scales; a CHECK bounds the number


def _waves(keys: Sequence[Value]) -> Iterator[list[int]]:
    """Positions of `keys` in groups without duplicates, in order: ON CONFLICT cannot update a row twice at once."""
    waves: list[list[int]] = []
    times: dict[Value, int] = {}
    for index, key in enumerate(keys):
        turn = times.get(key, 0)
        times[key] = turn + 1
        if turn == len(waves):
            waves.append([])
        waves[turn].append(index)
    yield from waves


def _upsert_sql(layout: TableLayout, table: Table) -> str:
    preparer = compiler(DRIVER).identifier_preparer
    whole = preparer.format_table(table)
    [key] = [preparer.quote(column.name) for column in table.primary_key]
    names = [preparer.quote(column.name) for column in table.columns]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != key)
    short = [column for column in layout.columns if column.dtype.kind is not Kind.LONG_TEXT]
    long = [column for column in layout.columns if column.dtype.kind is Kind.LONG_TEXT]
    # Text of any length, so that too long text is refused and not cut.
    taken = ", ".join(f'"{column.name}" {_JSON_TYPES[column.dtype.kind]}' for column in short)
    sources = ", ".join([f"json_to_recordset(%s::json) AS ({taken})", *["unnest(%b::text[])"] * len(long)])
    listed = ", ".join(f'"{column.name}"' for column in (*short, *long))
    given = ", ".join(f'r."{column.name}"' for column in layout.columns)
    return (
        f"INSERT INTO {whole} ({', '.join(names)}) "  # noqa: S608 - quoted identifiers of a checked layout
        f"SELECT {given} FROM ROWS FROM ({sources}) AS r({listed}) "
        f"ON CONFLICT ({key}) DO UPDATE SET {changes or f'{key} = excluded.{key}'} "
        # xmax is 0 for a new row; an updated row version holds the number of its transaction there.
        f"RETURNING {key}, xmax = 0"
    )


def _there_sql(table: Table) -> str:
    """The keys of a list that the table has; a trigger that runs after the statement may change them."""
    preparer = compiler(DRIVER).identifier_preparer
    [key] = [preparer.quote(column.name) for column in table.primary_key]
    return f"SELECT {key} FROM {preparer.format_table(table)} WHERE {key} = ANY(%s)"  # noqa: S608 - quoted identifiers


def _text(statement: CreateTable | DropTable) -> str:
    return str(statement.compile(dialect=compiler(DRIVER))).strip()


def _prepare_session(connection: psycopg.Connection[Any], _: object) -> None:
    connection.execute(f"SET statement_timeout = '{ANSWER_TIMEOUT_SECONDS}s'".encode())
    # LZ4 (servers from 14 on) takes a fraction of the time of PostgreSQL's own compression.
    connection.execute(
        "SELECT set_config(name, 'lz4', false) FROM pg_settings "
        "WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)"
    )
    connection.commit()
