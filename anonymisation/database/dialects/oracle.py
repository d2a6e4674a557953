"""Oracle through python-oracledb in thin mode: SDO_GEOMETRY objects, MERGE, and batch errors.

SQLAlchemy makes the engine, pool and transactions. The driver's own executemany sends the rows, because SQLAlchemy
knows neither object types nor batch errors. It sends all rows of a batch at once. The database returns the positions of
the rows that it refuses, and stores the others.

Facts of the driver: https://python-oracledb.readthedocs.io/en/latest/user_guide/batch_statement.html (batch errors) and
…/bind.html#binding-object-and-collection-types (a NULL object needs its type by setinputsizes).
"""
# ruff: noqa: ARG002 - the protocol has arguments that this database does not need

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import oracledb
from sqlalchemy import URL, CheckConstraint, Connection, Engine, Table, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable, DropTable
from sqlalchemy.types import TypeEngine

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.database.dialects.base import (
    ANSWER_TIMEOUT_SECONDS,
    CONNECT_TIMEOUT_SECONDS,
    Dialect,
    Fault,
    SpatialIndex,
    SpelledType,
    Statement,
    Written,
    compiler,
    existing_keys,
    inserted_or_updated,
    isolate,
    nothing,
    require_stored,
)
from anonymisation.database.dialects.oracle_client import (
    CONNECT_SECONDS,
    connected_within,
    split_options,
    use_client,
)
from anonymisation.database.dialects.oracle_faults import (
    DUPLICATE_KEY,
    OTHER_SYSTEM,
    advice_of,
    fault_of,
    fault_of_row,
    in_one_line,
    wrapped,
)
from anonymisation.database.layouts.columns import Columns, Row, rows_of
from anonymisation.database.layouts.datatypes import DataType, Kind
from anonymisation.database.layouts.formatters import Value
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import ColumnLayout, TableLayout

DRIVER: Final = "oracle+oracledb"

_LARGEST_FLOAT: Final = int(sys.float_info.max)
_BINARY_FLOATS: Final = ("BINARY_FLOAT", "BINARY_DOUBLE")
_BIND_TYPES: Final = {
    "NVARCHAR2": oracledb.DB_TYPE_NVARCHAR,
    "NCHAR": oracledb.DB_TYPE_NVARCHAR,
    "NCLOB": oracledb.DB_TYPE_NCLOB,
    "BINARY_FLOAT": oracledb.DB_TYPE_BINARY_FLOAT,
    "BINARY_DOUBLE": oracledb.DB_TYPE_BINARY_DOUBLE,
    "TIMESTAMP": oracledb.DB_TYPE_TIMESTAMP,
    "RAW": oracledb.DB_TYPE_RAW,
}
_KIND_TYPES: Final = {
    Kind.TEXT: oracledb.DB_TYPE_VARCHAR,
    Kind.NUMBER: oracledb.DB_TYPE_NUMBER,
    Kind.TIME: oracledb.DB_TYPE_DATE,
    Kind.LONG_TEXT: oracledb.DB_TYPE_CLOB,
    Kind.BINARY: oracledb.DB_TYPE_BLOB,
}
_LONGEST_NAME: Final = 128  # bytes; 30 on servers before 12.2
# Oracle allows one spatial index for a column, whatever its name.
_COUNT_INDEXES: Final = (
    "SELECT COUNT(*) FROM USER_INDEXES i JOIN USER_IND_COLUMNS c ON c.INDEX_NAME = i.INDEX_NAME "
    "WHERE i.TABLE_NAME = :t AND c.COLUMN_NAME = :c AND i.ITYP_OWNER = 'MDSYS' AND i.ITYP_NAME LIKE 'SPATIAL_INDEX%'"
)
_POINT_TYPES: Final = {2: 2001, 3: 3001}  # SDO_GTYPE: dimension × 1000 + 1 for a point


class OracleDialect:
    """See `anonymisation.database.dialects.base.Dialect`. `connect` is the driver's, or a stand-in."""

    creates_tables = False

    def __init__(
        self,
        connect: Callable[..., Any] = oracledb.connect,
        initialise: Callable[..., None] = oracledb.init_oracle_client,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._connect = connect
        self._initialise = initialise
        self._connect_seconds = connect_seconds
        self._was_there = False
        self._longest_name = _LONGEST_NAME

    def engine(self, url: URL) -> Engine:
        address, options = split_options(url.set(drivername=DRIVER))
        use_client(options, self._initialise)
        engine = create_engine(
            address,
            pool_size=1,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"tcp_connect_timeout": CONNECT_TIMEOUT_SECONDS, **options.connect},
        )
        event.listen(engine, "do_connect", lambda _dialect, _record, args, options: self._open(*args, **options))
        return engine

    def _open(self, *args: Any, **options: Any) -> Any:
        try:
            connection = connected_within(self._connect_seconds, lambda: self._connect(*args, **options))
        except OSError as error:  # the driver does not wrap errors of the name lookup
            raise oracledb.OperationalError(str(error)) from error
        self._was_there = True
        self._longest_name = connection.max_identifier_length or _LONGEST_NAME
        connection.call_timeout = ANSWER_TIMEOUT_SECONDS * 1000
        return connection

    def identifier(self, name: str) -> str:
        return name.upper()

    def column_type(self, column: ColumnLayout) -> TypeEngine[Any]:
        if self.identifier(column.name) == "ROWID":
            message = "Oracle takes no column of this name, its name for the address of a row; choose another one"
            raise ConfigurationError([ConfigProblem("the table's layout", column.name, message)])
        return SpelledType(column.dtype.oracle)

    def checks(self, table: str, column: ColumnLayout) -> Sequence[CheckConstraint]:
        return ()  # the types are Oracle's own

    def writer(self, layout: TableLayout, table: Table) -> OracleWriter:
        return OracleWriter(self, layout, table)

    def create(self, layout: TableLayout, table: Table) -> Sequence[str]:
        return (str(CreateTable(table).compile(dialect=compiler(DRIVER))).strip(),)

    def drop(self, layout: TableLayout, table: Table) -> Sequence[str]:
        # DROP comes first: Oracle commits before it, even if it is refused.
        described = f"DELETE FROM USER_SDO_GEOM_METADATA WHERE TABLE_NAME = '{table.name}'"  # noqa: S608 - checked
        if table.schema is not None:  # the view has the login's own tables; one of them may have the same name
            described += f" AND USER = '{table.schema}'"
        return (str(DropTable(table).compile(dialect=compiler(DRIVER))).strip(), described)

    def spatial_metadata(self, layout: TableLayout, table: Table) -> Sequence[Statement]:
        """Rows of USER_SDO_GEOM_METADATA; only the table's owner can write them."""
        statements = []
        for column in layout.columns:
            if column.spatial_metadata is None:
                continue
            place: dict[str, object] = {"t": str(table.name), "c": self.identifier(column.name)}
            statements.append(
                Statement("DELETE FROM USER_SDO_GEOM_METADATA WHERE TABLE_NAME = :t AND COLUMN_NAME = :c", place)
            )
            elements = column.spatial_metadata.dim_elements
            texts = [f"MDSYS.SDO_DIM_ELEMENT(:n{i}, :l{i}, :u{i}, :e{i})" for i in range(len(elements))]
            values = {
                f"{letter}{index}": value
                for index, item in enumerate(elements)
                for letter, value in zip("nlue", (item.name, item.min, item.max, item.tol), strict=True)
            }
            sql = (
                "INSERT INTO USER_SDO_GEOM_METADATA (TABLE_NAME, COLUMN_NAME, DIMINFO, SRID) "  # noqa: S608 - bound
                f"VALUES (:t, :c, MDSYS.SDO_DIM_ARRAY({', '.join(texts)}), :s)"
            )
            statements.append(Statement(sql, place | values | {"s": column.spatial_metadata.srid}))
        return statements

    def spatial_indexes(self, layout: TableLayout, table: Table) -> Sequence[SpatialIndex]:
        preparer = compiler(DRIVER).identifier_preparer
        indexes = []
        for column in layout.columns:
            if column.dtype.kind is Kind.GEOMETRY:
                name = self.identifier(column.name)
                index = _shortened(f"{table.name}_{name}", "_SX", self._longest_name)
                create = (
                    f"CREATE INDEX {preparer.quote(index)} ON {preparer.format_table(table)} ({preparer.quote(name)}) "
                    "INDEXTYPE IS MDSYS.SPATIAL_INDEX_V2"
                )
                indexes.append(SpatialIndex(create, Statement(_COUNT_INDEXES, {"t": str(table.name), "c": name})))
        return indexes

    def fault(self, error: DBAPIError) -> Fault:
        return fault_of(error, was_there=self._was_there)

    def reason(self, error: DBAPIError) -> str:
        return in_one_line(str(error.orig))

    def advice(self, error: DBAPIError) -> str | None:
        return advice_of(error)

    def prepare_create(self, connection: Connection, table: Table) -> None:
        pass


class OracleWriter:
    """See `anonymisation.database.dialects.base.RowWriter`."""

    takes_utf8 = False

    def __init__(self, dialect: Dialect, layout: TableLayout, table: Table) -> None:
        self._dialect = dialect
        self._table = table
        self._key = layout.pk_column
        self._columns = [(f"b{index}", column.name, column.dtype) for index, column in enumerate(layout.columns)]
        self._srids = {
            f"b{index}": column.spatial_metadata.srid
            for index, column in enumerate(layout.columns)
            if column.spatial_metadata is not None
        }
        self._one_system = False  # a spatial index has refused a point of another system
        self._key_bind = next(name for name, column, _ in self._columns if column == layout.pk_column)
        self._sql = merge_sql(table)

    def prepare(self, columns: Columns) -> Sequence[Row]:
        return rows_of(columns)

    def write(
        self, connection: Connection, rows: Sequence[Row], while_waiting: Callable[[], None] = nothing
    ) -> list[Written]:
        if not rows:
            return []
        keys = [str(row[self._key]) for row in rows]
        there = existing_keys(connection, self._table, keys)
        bind = _Binder(connection, [dtype for _, _, dtype in self._columns])
        sent = [{name: bind(row[column], dtype) for name, column, dtype in self._columns} for row in rows]
        if self._one_system:
            for row in sent:
                self._take_system_of_columns(row)
        sizes = dict(zip((name for name, _, _ in self._columns), bind.sizes, strict=True))
        refused = isolate(self._dialect, sent, lambda part: self._send_undoing(connection, part, sizes))
        in_order = [index for index, outcome in enumerate(refused) if outcome.refused is None]
        written = dict(zip(in_order, inserted_or_updated(there, [keys[index] for index in in_order]), strict=True))
        return [written.get(index, outcome) for index, outcome in enumerate(refused)]

    def _send_undoing(
        self, connection: Connection, rows: Sequence[dict[str, object]], sizes: dict[str, Any]
    ) -> list[Written]:
        with connection.begin_nested():
            written = self._send(connection, rows, sizes, again=True)
            stored = [row[self._key_bind] for row, outcome in zip(rows, written, strict=True) if not outcome.refused]
            require_stored(connection, self._table, stored)
            return written

    def _send(
        self, connection: Connection, rows: Sequence[dict[str, object]], sizes: dict[str, Any], *, again: bool
    ) -> list[Written]:
        """One executemany. With `again`, a row is sent once more if another session has just inserted its key, or if a
        spatial index takes only points of its column's reference system.
        """
        written = [Written()] * len(rows)
        twice = []
        for offset, error in self._execute(connection, rows, sizes):
            if again and (error.code == DUPLICATE_KEY or self._needs_system_of_columns(error, rows[offset])):
                twice.append(offset)
            elif fault_of_row(str(error.message)) is Fault.ROW:
                written[offset] = Written(refused=in_one_line(str(error.message)))
            else:
                raise wrapped(oracledb.DatabaseError(error))
        if twice:
            retried = self._send(connection, [rows[offset] for offset in twice], sizes, again=False)
            for offset, outcome in zip(twice, retried, strict=True):
                written[offset] = outcome
        return written

    def _needs_system_of_columns(self, error: Any, row: dict[str, object]) -> bool:
        """Whether the error is that a spatial index takes only one reference system. `row` then has that of its
        columns, and all later rows get it at once. False: it is another error, or no point had another system.
        """
        needed = OTHER_SYSTEM in str(error.message) and self._take_system_of_columns(row)
        self._one_system = self._one_system or needed
        return needed

    def _take_system_of_columns(self, row: dict[str, object]) -> bool:
        """Give the points of `row` the reference systems of their columns, in which they have the same coordinates;
        returns whether one had another.
        """
        points: list[tuple[Any, int]] = [(row[bind], srid) for bind, srid in self._srids.items()]
        others = [(point, srid) for point, srid in points if point is not None and srid != point.SDO_SRID]
        for point, srid in others:
            point.SDO_SRID = srid
        return bool(others)

    def _execute(
        self, connection: Connection, rows: Sequence[dict[str, object]], sizes: dict[str, Any]
    ) -> list[tuple[int, Any]]:
        try:
            driver: Any = connection.connection.driver_connection
            with driver.cursor() as cursor:
                cursor.setinputsizes(**sizes)
                cursor.executemany(self._sql, list(rows), batcherrors=True)
                return [(error.offset, error) for error in cursor.getbatcherrors()]
        except oracledb.Error as error:
            raise wrapped(error) from error


class _Binder:
    """Converts values to the driver's types, for one connection: object types belong to a connection."""

    def __init__(self, connection: Connection, dtypes: Sequence[DataType]) -> None:
        driver: Any = connection.connection.driver_connection
        self._geometry: Any = None
        self._point: Any = None
        if any(dtype.kind is Kind.GEOMETRY for dtype in dtypes):
            self._geometry = driver.gettype("MDSYS.SDO_GEOMETRY")
            self._point = driver.gettype("MDSYS.SDO_POINT_TYPE")
        # Without a type the driver treats a column of NULLs as text.
        self.sizes: list[Any] = [self._size(dtype) for dtype in dtypes]

    def _size(self, dtype: DataType) -> Any:
        if dtype.zone:
            return oracledb.DB_TYPE_TIMESTAMP_TZ
        return self._geometry if dtype.kind is Kind.GEOMETRY else _BIND_TYPES.get(dtype.name, _KIND_TYPES[dtype.kind])

    def __call__(self, value: Value, dtype: DataType) -> object:
        if isinstance(value, datetime):
            # The driver sends the parts of a time without its zone, and UTC for the zone where the type has one.
            plain = value.astimezone(UTC).replace(tzinfo=None)
            return plain.replace(microsecond=0) if dtype.name == "DATE" else plain  # DATE has no fractions
        if isinstance(value, Point):
            return self._geometry_of(value)
        if isinstance(value, int) and dtype.name in _BINARY_FLOATS and abs(value) < _LARGEST_FLOAT:
            return float(value)
        return value

    def _geometry_of(self, point: Point) -> object:
        geometry, place = self._geometry.newobject(), self._point.newobject()
        for name, value in zip("XYZ", point.coordinates, strict=False):
            setattr(place, name, value)
        geometry.SDO_GTYPE = _POINT_TYPES[point.dimension]
        geometry.SDO_SRID = point.own_srid or point.srid
        geometry.SDO_POINT = place
        return geometry


def _shortened(name: str, ending: str, longest: int) -> str:
    """A name of at most `longest` bytes; one that is cut has a digest, so that two of them stay distinct."""
    if len(name) + len(ending) <= longest:
        return name + ending
    digest = hashlib.sha256(name.encode("ascii")).hexdigest()[:8].upper()
    return f"{name[: longest - len(ending) - len(digest) - 1]}_{digest}{ending}"


def merge_sql(table: Table) -> str:
    """The MERGE of one row, bound as :b0, :b1, … in the order of the columns.

    It uses DUAL and binds each value where it is stored: a SELECT … FROM DUAL cannot take long text (ORA-01461).
    """
    preparer = compiler(DRIVER).identifier_preparer
    names = [preparer.quote(column.name) for column in table.columns]
    binds = [f":b{index}" for index in range(len(names))]
    [key] = [index for index, column in enumerate(table.columns) if column.primary_key]
    others = [index for index in range(len(names)) if index != key]
    update = ", ".join(f"t.{names[index]} = {binds[index]}" for index in others)
    matched = f"WHEN MATCHED THEN UPDATE SET {update} " if others else ""
    return (
        f"MERGE INTO {preparer.format_table(table)} t USING DUAL ON (t.{names[key]} = {binds[key]}) {matched}"  # noqa: S608
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({', '.join(binds)})"
    )
