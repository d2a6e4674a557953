"""Oracle at the seam of its driver: what `oracledb.connect` returns, and a server that refuses what Oracle refuses.

It reads the statements with sqlglot's Oracle grammar, so what is no Oracle SQL fails; and it enforces lengths in bytes,
NOT NULL, the primary key, types of binds, object types, DATE without fractions and empty text as NULL. Errors are the
driver's own classes, with batch errors at their offsets. Everything else that Oracle does is out of its reach.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import oracledb
from sqlglot import exp

from tests.database.oracle_errors import driver_error, raised, refused_at_connect, while_connecting
from tests.database.oracle_sql import SPATIAL_INDEX, Column, Merge, RowError, parse, read_column, read_merge
from tests.database.oracle_values import OBJECT_TYPES, FakeObjectType, check_value, fits

Row = dict[str, Any]


@dataclass
class Table:
    """Columns, the key's column, and rows by key."""

    columns: dict[str, Column]
    key: str
    rows: dict[str, Row] = field(default_factory=dict)


@dataclass
class FakeOracle:
    """The server. `refuses` is what it says to whoever connects; `rivals` are keys that another session commits in the
    middle of the next MERGE. `triggers` run before each row is stored and may change or refuse it; `deferred` are
    constraints that are checked at the commit.
    """

    tables: dict[str, Table] = field(default_factory=dict)
    spatial: list[Row] = field(default_factory=list)
    indexes: dict[str, tuple[str, str]] = field(default_factory=dict)
    longest_name: int = 128
    away: bool = False
    refuses: Any = None
    cut_before_commit: bool = False
    triggers: list[Callable[[Row], None]] = field(default_factory=list)
    deferred: list[Callable[[Row], None]] = field(default_factory=list)
    sessions: int = 0
    rivals: set[str] = field(default_factory=set)
    statements: list[str] = field(default_factory=list)

    def connect(self, *_: object, **options: Any) -> FakeConnection:
        if self.away:
            raise while_connecting(ConnectionRefusedError(111, "Connection refused"))
        if self.refuses is not None:
            raise refused_at_connect(self.refuses)
        self.sessions += 1
        return FakeConnection(self, options)

    def rows(self, table: str) -> list[Row]:
        return list(self.tables[table].rows.values())

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        cursor = self.connect().cursor()
        cursor.execute(sql)
        return cursor.fetchall()


class FakeConnection:
    """A session: what it changed is its own until it commits."""

    version = "23.5.0.24.7"
    outputtypehandler = None
    autocommit = False
    stmtcachesize = 20
    thin = True

    def __init__(self, server: FakeOracle, options: Mapping[str, Any]) -> None:
        self.server = server
        self.max_identifier_length = server.longest_name
        self.options = options
        self.call_timeout = 0
        self._changed: dict[str, dict[str, Row]] = {}
        self._savepoints: dict[str, dict[str, dict[str, Row]]] = {}

    def cursor(self, *_: object, **__: object) -> FakeCursor:
        return FakeCursor(self)

    def gettype(self, name: str) -> FakeObjectType:
        self.check()
        return FakeObjectType(name, self, OBJECT_TYPES[name])

    def ping(self) -> None:
        self.check()

    def check(self) -> None:
        if self.server.away:
            raise raised(driver_error(3113, "ORA-03113: end-of-file on communication channel"))

    def rows(self, name: str) -> dict[str, Row]:
        return self._changed.get(name, self.server.tables[name].rows)

    def writable(self, name: str) -> dict[str, Row]:
        return self._changed.setdefault(name, dict(self.server.tables[name].rows))

    def savepoint(self, name: str) -> None:
        self._savepoints[name] = {table: dict(rows) for table, rows in self._changed.items()}

    def rollback_to(self, name: str) -> None:
        self._changed = {table: dict(rows) for table, rows in self._savepoints[name].items()}

    def commit(self) -> None:
        if self.server.cut_before_commit:
            self.server.cut_before_commit = False
            raise raised(driver_error(3113, "ORA-03113: end-of-file on communication channel"))
        self.check()
        try:
            for rows in self._changed.values():
                for row, check in itertools.product(rows.values(), self.server.deferred):
                    check(row)
        except RowError as error:
            self._end()
            message = f"ORA-02091: transaction rolled back\n{error.message}"
            raise raised(driver_error(2091, message)) from error
        for name, rows in self._changed.items():
            self.server.tables[name].rows = rows
        self._end()

    def rollback(self) -> None:
        self._end()

    def close(self) -> None:
        self._end()
        self.server.sessions -= 1

    def _end(self) -> None:
        self._changed, self._savepoints = {}, {}


class FakeCursor:
    """Runs the few statements that loading needs."""

    arraysize = 100
    rowcount = -1
    outputtypehandler = None

    def __init__(self, connection: FakeConnection) -> None:
        self.connection = connection
        self.description: list[tuple[Any, ...]] | None = None
        self._found: list[tuple[Any, ...]] = []
        self._sizes: dict[str, Any] = {}
        self._errors: list[Any] = []

    def __enter__(self) -> FakeCursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._found = []

    def setinputsizes(self, *_: object, **sizes: Any) -> None:
        self._sizes = sizes

    def getbatcherrors(self) -> list[Any]:
        return self._errors

    def fetchall(self) -> list[tuple[Any, ...]]:
        found, self._found = self._found, []
        return found

    def fetchmany(self, number: int | None = None) -> list[tuple[Any, ...]]:
        number = number or self.arraysize
        found, self._found = self._found[:number], self._found[number:]
        return found

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._found.pop(0) if self._found else None

    def execute(self, sql: str, values: Any = None, **named: Any) -> FakeCursor:
        self.connection.check()
        self.connection.server.statements.append(sql)
        self.description = None
        first, _, rest = sql.strip().partition(" ")
        if first.upper() == "SAVEPOINT":
            self.connection.savepoint(rest)
        elif first.upper() == "ROLLBACK":
            self.connection.rollback_to(rest.rpartition(" ")[2])
        elif index := SPATIAL_INDEX.fullmatch(sql):
            self._create_index(*index.groups())
        else:
            tree = parse(sql)
            _STATEMENTS[type(tree)](self, tree, dict(values or {}) | named)
        return self

    def executemany(self, sql: str, rows: Sequence[Mapping[str, Any]], *, batcherrors: bool = False) -> None:
        self.connection.check()
        merge = read_merge(sql)
        table = self.connection.server.tables.get(merge.table)
        if table is None:
            raise raised(driver_error(942, f'ORA-00942: table or view "{merge.table}" does not exist'))
        self._check_binds(table, merge, rows)
        self._errors = []
        for offset, row in enumerate(rows):
            try:
                self._merge(table, merge, row)
            except RowError as error:
                told = driver_error(error.code, error.message, offset)
                if not batcherrors or told.is_session_dead:
                    raise raised(told) from error
                self._errors.append(told)
        self._sizes = {}

    def _check_binds(self, table: Table, merge: Merge, rows: Sequence[Mapping[str, Any]]) -> None:
        """What the driver and the server make of types, before any row is looked at."""
        for name, bind in merge.values.items():
            if name not in table.columns:
                raise raised(driver_error(904, f'ORA-00904: "{name}": invalid identifier'))
            column, declared = table.columns[name], self._sizes.get(bind)
            if not fits(declared, column):
                raise raised(driver_error(932, f"ORA-00932: expected {column.kind} got {declared}"))
            for row in rows:
                check_value(declared, row[bind], self.connection)

    def _merge(self, table: Table, merge: Merge, row: Mapping[str, Any]) -> None:
        rows = self.connection.writable(merge.table)
        key = row[merge.key_bind]
        if key in self.connection.server.rivals:
            self.connection.server.rivals.discard(key)
            rows[key] = dict.fromkeys(table.columns) | {table.key: key}
            raise RowError(1, f"unique constraint (ME.SYS_C008) violated on table ME.{merge.table}")
        there = key in rows
        stored = dict(rows[key]) if there else dict.fromkeys(table.columns)
        for name, bind in (merge.updates if there else merge.values).items():
            stored[name] = table.columns[name].store(row[bind], merge.table)
        for name, column in table.columns.items():
            if column.required and stored[name] is None:
                place = f'"ME"."{merge.table}"."{name}"'
                raise (
                    RowError(1407, f"cannot update ({place}) to NULL")
                    if there
                    else RowError(1400, f"cannot insert NULL into ({place})")
                )
        for trigger in self.connection.server.triggers:
            trigger(stored)
        if stored[table.key] != key:
            rows.pop(key, None)
        rows[str(stored[table.key])] = stored

    def _create(self, tree: exp.Create, _: object) -> None:
        schema = tree.this
        name = schema.this.name
        if name in self.connection.server.tables:
            raise raised(driver_error(955, "ORA-00955: name is already used by an existing object"))
        columns, key = {}, ""
        for item in schema.expressions:
            if isinstance(item, exp.PrimaryKey):
                key = item.expressions[0].name
            elif isinstance(item, exp.ColumnDef):
                columns[item.name] = read_column(item)
        self.connection.server.tables[name] = Table(columns, key)

    def _create_index(self, name: str, table: str, column: str) -> None:
        server = self.connection.server
        if name in server.indexes:
            raise raised(driver_error(955, "ORA-00955: name is already used by an existing object"))
        if not any((row["TABLE_NAME"], row["COLUMN_NAME"]) == (table, column) for row in server.spatial):
            raise raised(driver_error(29855, "ORA-29855: ORA-13203: failed to read USER_SDO_GEOM_METADATA"))
        if (table, column) in server.indexes.values():
            message = "ORA-29879: cannot create multiple domain indexes on a column list using same indextype"
            raise raised(driver_error(29879, message))
        if len(name) > server.longest_name:
            raise raised(driver_error(972, f"ORA-00972: The identifier {name} exceeds the maximum length"))
        server.indexes[name] = (table, column)

    def _drop(self, tree: exp.Drop, _: object) -> None:
        name = next(tree.find_all(exp.Table)).name
        server = self.connection.server
        del server.tables[name]
        server.indexes = {index: place for index, place in server.indexes.items() if place[0] != name}

    def _insert(self, tree: exp.Insert, values: Mapping[str, Any]) -> None:
        assert tree.this.this.name == "USER_SDO_GEOM_METADATA"
        names = [column.name for column in tree.this.expressions]
        given = tree.expression.expressions[0].expressions
        elements = [item for item in given[2].find_all(exp.Anonymous) if item.name == "SDO_DIM_ELEMENT"]
        diminfo = [tuple(values[part.name] for part in element.expressions) for element in elements]
        row = {name: values.get(item.name) for name, item in zip(names, given, strict=True)}
        self.connection.server.spatial.append(row | {"DIMINFO": diminfo})

    def _delete(self, tree: exp.Delete, values: Mapping[str, Any]) -> None:
        wanted = {
            item.this.name: values.get(item.expression.name, item.expression.name) for item in tree.find_all(exp.EQ)
        }
        server = self.connection.server
        if wanted.pop("USER", "ME") != "ME":
            return
        server.spatial = [row for row in server.spatial if any(row[name] != value for name, value in wanted.items())]

    def _select(self, tree: exp.Select, values: Mapping[str, Any]) -> None:
        source = tree.args["from_"].this.name
        if source.upper() == "DUAL":
            self._answer(["X"], [("ME",)])
            return
        if source == "USER_INDEXES":
            place = (values["t"], values["c"])
            self._answer(["N"], [(list(self.connection.server.indexes.values()).count(place),)])
            return
        if source not in self.connection.server.tables:
            raise raised(driver_error(942, f'ORA-00942: table or view "{source}" does not exist'))
        rows = list(self.connection.rows(source).values())
        where = tree.args.get("where")
        if where is not None and isinstance(where.this, exp.In):
            among = {values[item.name] for item in where.this.expressions}
            rows = [row for row in rows if row[where.this.this.name] in among]
        elif where is not None:
            assert where.this.sql() == "1 = 0", where.sql()
            rows = []
        if isinstance(tree.expressions[0].unalias(), exp.Count):
            self._answer(["N"], [(len(rows),)])
            return
        names = [item.unalias().name for item in tree.expressions]
        self._answer(names, [tuple(row[name] for name in names) for row in rows])

    def _answer(self, names: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
        self.description = [(name, oracledb.DB_TYPE_VARCHAR, 4000, 4000, None, None, True) for name in names]
        self._found = rows


_STATEMENTS: dict[type, Callable[[FakeCursor, Any, Any], None]] = {
    exp.Create: FakeCursor._create,
    exp.Drop: FakeCursor._drop,
    exp.Insert: FakeCursor._insert,
    exp.Delete: FakeCursor._delete,
    exp.Select: FakeCursor._select,
}
