"""A table in a database: opening it, writing rows so that one bad row costs only itself, asking what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.schema import CreateTable

from anonymisation.database.columns import Row
from anonymisation.database.dialects.base import Dialect, Fault
from anonymisation.database.dialects.sqlite import SqliteDialect
from anonymisation.database.tables import TableLayout
from anonymisation.errors import ConfigProblem, ConfigurationError, DatabaseUnavailableError

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType({"sqlite": SqliteDialect()})

EMBEDDED_NAME: Final = "pictures.db"

_NO_URL: Final = "cannot be used, expected an SQLAlchemy URL such as sqlite:////folder/file.db"
_IDS_PER_QUERY: Final = 500  # below the smallest limit of bound values in one statement (SQLite before 3.32: 999)

# What a driver raises outside its own error tree for a value that it cannot send, e.g. a lone surrogate.
_VALUE_ERRORS: Final = (ValueError, TypeError, OverflowError)


@dataclass(frozen=True, slots=True)
class DatabaseTarget:
    """Where rows go. `place` names the database in messages: no user, password or option of the URL is in it."""

    layout: TableLayout
    dialect: Dialect
    place: str
    table: sa.Table = field(repr=False)
    engine: sa.Engine = field(repr=False)

    @property
    def key_column(self) -> sa.Column[object]:
        """The primary key's column."""
        return self.table.c[self.dialect.identifier(self.layout.pk_column)]

    def key(self, state: Path) -> str:
        """A name for this table of this database, fit for a folder, the same on every worker that shares `state`.

        An SQLite file below the state folder is known by its path in there, since workers may mount it elsewhere.
        """
        database = self.engine.url.database or ""
        if self.engine.url.get_backend_name() == "sqlite":
            path, base = Path(database).resolve(), state.resolve()
            place = f"state:{path.relative_to(base).as_posix()}" if path.is_relative_to(base) else str(path)
        else:
            place = self.place
        return f"{self.layout.name}-{hashlib.sha256(place.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"


def open_target(url: str | sa.URL, layout: TableLayout, dialects: Mapping[str, Dialect] = DIALECTS) -> DatabaseTarget:
    """The table of `layout` in the database at `url` (SQLAlchemy form); nothing is connected yet.

    Raises:
        ConfigurationError: the URL cannot be read or used, or names a kind of database that is not supported.
    """
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise _unusable(_NO_URL) from None  # the message of the cause may quote the URL, and with it a password
    dialect = dialects.get(backend)
    if dialect is None:
        raise _unusable(f"databases of kind {backend!r} are not supported, expected one of {sorted(dialects)}")
    try:
        engine = dialect.engine(parsed)
    except (ArgumentError, NoSuchModuleError, ImportError):
        raise _unusable(_NO_URL) from None
    except ValueError as error:
        raise _unusable(str(error)) from None
    return DatabaseTarget(layout, dialect, _place(parsed), _table(layout, dialect), engine)


def embedded_url(state: Path) -> sa.URL:
    """The default database: an SQLite file in the state folder, whatever characters the folder's name holds."""
    return sa.URL.create("sqlite", database=str(state / EMBEDDED_NAME))


def existing_ids(target: DatabaseTarget, ids: Iterable[str]) -> set[str]:
    """Which of `ids` have a row; asked in pieces, so any number will do.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
        ConfigurationError: the table is not there, or is not of this layout.
    """
    with transaction(target) as connection:
        return select_existing(connection, target, ids)


@contextmanager
def transaction(target: DatabaseTarget) -> Iterator[sa.Connection]:
    """One transaction, committed at the end; the table is created first where that is the loader's business.

    Raises:
        DatabaseUnavailableError: the database cannot be reached or stopped answering; nothing is committed, or all is.
        ConfigurationError: the table is not there, or is not of this layout.
    """
    try:
        with target.engine.begin() as connection:
            if target.dialect.creates_tables:
                connection.execute(CreateTable(target.table, if_not_exists=True))
            yield connection
    except DBAPIError as error:
        if target.dialect.fault(error) is Fault.SETUP:
            problem = f"the table does not fit its layout ({error.orig}); alter it, or choose another with db_table"
            raise ConfigurationError([ConfigProblem(target.place, target.layout.name, problem)]) from error
        raise DatabaseUnavailableError(f"{target.place}: the database cannot be used now: {error.orig}") from error


def select_existing(connection: sa.Connection, target: DatabaseTarget, ids: Iterable[str]) -> set[str]:
    """Which of `ids` have a row, as seen by the transaction of `connection`."""
    key = target.key_column
    found: set[str] = set()
    wanted = list(ids)
    for start in range(0, len(wanted), _IDS_PER_QUERY):
        chunk = wanted[start : start + _IDS_PER_QUERY]
        found.update(str(value) for value in connection.scalars(sa.select(key).where(key.in_(chunk))))
    return found


def upsert_rows(connection: sa.Connection, target: DatabaseTarget, rows: Sequence[Row]) -> list[str | None]:
    """Insert or update `rows` in order; per row, None or why the database refused it. The others go in.

    All rows go at once; only when that fails are they tried one by one.
    """
    statement = target.dialect.upsert(target.table)
    parameters = [_parameters(target, row) for row in rows]
    if not parameters or _try(connection, target, statement, parameters) is None:
        return [None] * len(rows)
    return [_try(connection, target, statement, [single]) for single in parameters]


def _try(
    connection: sa.Connection, target: DatabaseTarget, statement: sa.Executable, parameters: list[dict[str, object]]
) -> str | None:
    try:
        with connection.begin_nested():
            connection.execute(statement, parameters)
    except DBAPIError as error:
        if target.dialect.fault(error) is not Fault.ROW:
            raise
        return str(error.orig)
    except _VALUE_ERRORS as error:
        return str(error)
    return None


def _parameters(target: DatabaseTarget, row: Row) -> dict[str, object]:
    dialect = target.dialect
    return {
        dialect.identifier(column.name): dialect.bind(column.dtype, row[column.name])
        for column in target.layout.columns
    }


def _table(layout: TableLayout, dialect: Dialect) -> sa.Table:
    """The layout as an SQLAlchemy table, every name quoted whatever it is."""
    name = dialect.identifier(layout.name)
    items: list[sa.Column[object] | sa.CheckConstraint] = []
    for column in layout.columns:
        column_name = dialect.identifier(column.name)
        items.append(
            sa.Column(
                sa.quoted_name(column_name, quote=True),
                dialect.column_type(column.dtype),
                primary_key=column.name == layout.pk_column,
                nullable=not layout.requires(column),
                unique="UNIQUE" in column.extra or None,
            )
        )
        items += dialect.checks(name, column_name, column.dtype)
    return sa.Table(sa.quoted_name(name, quote=True), sa.MetaData(), *items)


def _unusable(problem: str) -> ConfigurationError:
    return ConfigurationError([ConfigProblem("database", "URL", problem)])


def _place(url: sa.URL) -> str:
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{url.host or ''}{port}/{url.database or ''}"
