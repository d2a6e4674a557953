"""PostgreSQL with PostGIS: engine, types, statements of the table. `postgresql_writer` sends the rows.

SQLAlchemy makes the engine, pool, transactions and DDL. Its own bulk insert spends more time on one value than the
writer on a row. GeoAlchemy2 is not used: only the name of one type is needed.

Between the server and this program there may be a pooler (PgBouncer in transaction mode). It gives the session to
others after each transaction. So nothing is set for a session or prepared in it, only for a transaction.

Names are in lower case, as PostgreSQL folds them, so that queries need no quotes.
"""
# ruff: noqa: ARG002 - the protocol has arguments that this database does not need

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from sqlalchemy import URL, CheckConstraint, Connection, Engine, Table, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable, DropTable
from sqlalchemy.types import TypeEngine

from anonymisation.database.dialects import postgresql_values
from anonymisation.database.dialects.base import (
    ANSWER_TIMEOUT_SECONDS,
    CONNECT_TIMEOUT_SECONDS,
    Fault,
    SpatialIndex,
    SpelledType,
    Statement,
    compiler,
)
from anonymisation.database.dialects.postgresql_faults import advice_of, fault_of
from anonymisation.database.dialects.postgresql_writer import DRIVER, UNSENT_SETTINGS, PostgresqlWriter
from anonymisation.database.layouts.datatypes import DataType, Kind
from anonymisation.database.layouts.tables import MAX_IDENTIFIER, ColumnLayout, TableLayout

# The driver's own words name a method of Python's.
_NO_COPY: Final = "COPY with the data of a script needs psql; send INSERT, or COPY a file of the server"
_NO_ENCODING: Final = ("SQL_ASCII", "AUTO", "")  # "auto" is that of the locale, nothing that of the server
_FRACTION: Final = 6  # digits of a second, at most

# At the end of the path, and only if the table has a schema without it.
_FIND_POSTGIS: Final = """
    SELECT set_config(
        'search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), quote_ident(nspname)), true
    )
    FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
    WHERE extname = 'postgis' AND NOT nspname = ANY(current_schemas(true))
    AND (current_schema() IS NOT NULL OR %(named)s::boolean)
"""


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
            "prepare_threshold": None,  # never prepare a statement
            "client_encoding": _encoding(url),
        }
        logging.getLogger("psycopg").addFilter(_is_news)
        engine = create_engine(
            url.set(drivername=DRIVER), pool_size=1, pool_pre_ping=True, hide_parameters=True, connect_args=arguments
        )
        settings = _TransactionSettings()
        event.listen(engine, "connect", settings.connected)
        event.listen(engine, "begin", settings.begun)
        event.listen(engine, "before_cursor_execute", settings.before_execute)
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
            return (CheckConstraint(rule, name=short_name(f"{table}_{name}_max_{dtype.length}_bytes")),)
        if dtype.kind is Kind.NUMBER and not dtype.name.startswith("BINARY_"):
            rule = f'abs("{name}") < 1e{dtype.limit}'
            return (CheckConstraint(rule, name=short_name(f"{table}_{name}_number")),)
        return ()

    def writer(self, layout: TableLayout, table: Table) -> PostgresqlWriter:
        return PostgresqlWriter(self, layout, table)

    def create(self, layout: TableLayout, table: Table) -> Sequence[str]:
        shown = [column for column in layout.columns if column.dtype.kind is Kind.GEOMETRY]
        return (_text(CreateTable(table)), *(self._spatial_index(table, column) for column in shown))

    def _spatial_index(self, table: Table, column: ColumnLayout) -> str:
        preparer = compiler(DRIVER).identifier_preparer
        name = self.identifier(column.name)
        # Without a name of its own: the server chooses one that no other table's index has.
        return f"CREATE INDEX ON {preparer.format_table(table)} USING gist ({preparer.quote(name)})"

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
        text = message or str(error.orig).strip()
        return _NO_COPY if text.startswith("COPY cannot be used") else text

    def advice(self, error: DBAPIError) -> str | None:
        return advice_of(error)

    def prepare_create(self, connection: Connection, table: Table) -> None:
        """Find PostGIS in a schema that is not on the search path; that schema never gets the table."""
        connection.exec_driver_sql(_FIND_POSTGIS, {"named": table.schema is not None})


def _encoding(url: URL) -> str:
    """The encoding of the connection: the one in the URL, else UTF-8.

    In a database of encoding SQL_ASCII, which converts nothing, the server's own choice would be SQL_ASCII: the driver
    then gives bytes in the place of text. UTF-8 comes back from it as it went in.
    """
    named = url.query.get("client_encoding")
    return named if isinstance(named, str) and named.upper().replace("-", "_") not in _NO_ENCODING else "UTF8"


def _is_news(record: logging.LogRecord) -> bool:
    """False for the driver's warning that a refused row ends its pipeline; the row's own error says why."""
    return not str(record.msg).startswith("error ignored terminating")


def short_name(name: str) -> str:
    """`name` in at most 63 bytes (PostgreSQL's NAMEDATALEN - 1); names that differ stay different."""
    if len(name) <= MAX_IDENTIFIER:
        return name
    return f"{name[: MAX_IDENTIFIER - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _number_type(dtype: DataType) -> str:
    if dtype.is_float:
        return "REAL" if dtype.name == "BINARY_FLOAT" else "DOUBLE PRECISION"
    if dtype.precision is not None and 0 <= dtype.scale <= dtype.precision:
        return f"NUMERIC({dtype.precision}, {dtype.scale})"
    return "NUMERIC"  # servers before 15 know no other scales; a CHECK bounds the number


def _text(statement: CreateTable | DropTable) -> str:
    return str(statement.compile(dialect=compiler(DRIVER))).strip()


class _TransactionSettings:
    """What each transaction sets for itself, in one statement before its first one."""

    def __init__(self) -> None:
        self._values = {
            "statement_timeout": f"{ANSWER_TIMEOUT_SECONDS}s",
            # A loader that hangs between two statements must not hold its locks for ever.
            "idle_in_transaction_session_timeout": f"{ANSWER_TIMEOUT_SECONDS}s",
            # A site's own column without a zone gets UTC, as a column of any database, and not the session's time.
            "timezone": "UTC",
        }
        self._known = False

    def connected(self, connection: psycopg.Connection[Any], _: object) -> None:
        """Learn once what the server offers."""
        postgresql_values.register(connection)
        if self._known:
            return
        # LZ4 (servers from 14 on) takes a fraction of the time of PostgreSQL's own compression.
        found = connection.execute(
            "SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)"
        ).fetchone()
        connection.rollback()
        self._known = True
        if found is not None:
            self._values["default_toast_compression"] = "lz4"

    def begun(self, connection: Connection) -> None:
        calls = (f"set_config('{name}', '{value}', true)" for name, value in self._values.items())
        connection.info[UNSENT_SETTINGS] = f"SELECT {', '.join(calls)}"

    def before_execute(self, connection: Connection, cursor: psycopg.Cursor[Any], *_: object) -> None:
        settings = connection.info.pop(UNSENT_SETTINGS, None)
        if settings is None:
            return
        try:
            cursor.connection.execute(settings, prepare=False)
        except psycopg.Error as error:
            closed = cursor.connection.closed
            raise DBAPIError(settings, None, error, hide_parameters=True, connection_invalidated=closed) from error
