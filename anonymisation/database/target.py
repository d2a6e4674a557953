"""A table in a database: opening it, transactions on it, queries for existing rows."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from anonymisation.core.errors import ConfigProblem, ConfigurationError, DatabaseUnavailableError
from anonymisation.database.dialects.base import Dialect, Fault, RowWriter, StatementRefusedError, existing_keys
from anonymisation.database.layouts.tables import MAX_IDENTIFIER, TableLayout, is_identifier

_DIALECTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sqlite": "anonymisation.database.dialects.sqlite:SqliteDialect",
        "postgresql": "anonymisation.database.dialects.postgresql:PostgresqlDialect",
        "oracle": "anonymisation.database.dialects.oracle:OracleDialect",
    }
)

EMBEDDED_NAME: Final = "pictures.gpkg"

_NO_URL: Final = "cannot be used, expected an SQLAlchemy URL such as sqlite:////folder/file.gpkg"
_PROBLEMS: Final[Mapping[Fault, str]] = MappingProxyType(
    {
        Fault.LOGIN: "the database refuses this login ({reason}). Waiting does not help: correct user, password, name "
        "of the database or TLS options with `anonymise db configure`, in the URL or in Airflow's Connection, and test "
        "the login with `anonymise db status`",
        Fault.MISSING: "the table is not there ({reason}); create it with `anonymise db create-table`",
        Fault.EXISTS: "is there already ({reason})",
        Fault.SETUP: "the table does not fit its layout, or the login may not use it ({reason}); fix this, or choose "
        "another table with db_table",
    }
)


class ConnectionLostError(DatabaseUnavailableError):
    """The connection or the transaction broke; a retry with a new one may succeed at once."""


@dataclass(frozen=True, slots=True)
class DatabaseTarget:
    """The table to load rows into. `place` names the database in messages, without user, password or options.

    As a context manager it closes the connections to the database at the end. It can be used again afterwards: then it
    connects again.
    """

    layout: TableLayout
    dialect: Dialect
    place: str
    table: sa.Table = field(repr=False)
    engine: sa.Engine = field(repr=False)
    writer: RowWriter = field(repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the database."""
        self.engine.dispose()

    def key(self, state: Path) -> str:
        """A folder name for this table of this database, the same on every worker that shares `state`.

        An SQLite file below the state folder is named by its path relative to it, because mount points may differ.
        """
        database = self.engine.url.database or ""
        if self.engine.url.get_backend_name() == "sqlite":
            path, base = Path(database).resolve(), state.resolve()
            place = f"state:{path.relative_to(base).as_posix()}" if path.is_relative_to(base) else str(path)
        else:
            place = self.place if self.table.schema is None else f"{self.place}#{self.table.schema}"
        return f"{self.layout.name}-{hashlib.sha256(place.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"


def load_dialect(kind: str) -> Dialect:
    """The dialect for databases of `kind`: sqlite, postgresql or oracle. Imports its driver.

    Raises:
        ConfigurationError: there is no such dialect, or its driver is not installed.
    """
    if kind not in _DIALECTS:
        raise _unusable(f"databases of kind {kind!r} are not supported, expected one of {sorted(_DIALECTS)}")
    module, _, name = _DIALECTS[kind].partition(":")
    try:
        dialect: Dialect = getattr(importlib.import_module(module), name)()
    except ImportError as error:
        raise _unusable(f"the driver for databases of kind {kind!r} is not installed ({error})") from error
    return dialect


def open_target(
    url: str | sa.URL, layout: TableLayout, *, dialect: Dialect | None = None, schema: str | None = None
) -> DatabaseTarget:
    """The table of `layout` in the database at `url` (SQLAlchemy form); nothing is connected yet.

    The caller closes it: `with open_target(…) as target`.

    `schema` is the table's, if it is not the login's own; SQLite has no schemas. `dialect` replaces the dialect of the
    URL.

    Raises:
        ConfigurationError: the URL cannot be read or used, or names a kind of database that is not supported.
    """
    parsed, dialect, engine = _open_engine(url, dialect, schema)
    try:
        table = make_table(layout, dialect, schema)
        writer = dialect.writer(layout, table)
    except (ArgumentError, NoSuchModuleError, ImportError):
        raise _unusable(_NO_URL) from None
    except ValueError as error:
        raise _unusable(str(error)) from None
    return DatabaseTarget(layout, dialect, _place(parsed), table, engine, writer)


def require_usable(url: str | sa.URL, schema: str | None = None, layout: TableLayout | None = None) -> None:
    """Check a URL as `open_target` does, also without a table; nothing is connected.

    Raises:
        ConfigurationError: as `open_target`.
    """
    if layout is not None:
        open_target(url, layout, schema=schema).close()
        return
    _, _, engine = _open_engine(url, None, schema)
    engine.dispose()


def _open_engine(url: str | sa.URL, dialect: Dialect | None, schema: str | None) -> tuple[sa.URL, Dialect, sa.Engine]:
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise _unusable(_NO_URL) from None  # the cause's message may quote the URL with a password
    dialect = dialect or load_dialect(backend)
    if schema is not None and (backend == "sqlite" or not is_identifier(schema)):
        wanted = f"a letter, then letters, digits or _, up to {MAX_IDENTIFIER}, and not for SQLite"
        raise ConfigurationError([ConfigProblem("database", "schema", f"expected {wanted}; got {schema!r}")])
    try:
        return parsed, dialect, dialect.engine(parsed)
    except (ArgumentError, NoSuchModuleError, ImportError):
        raise _unusable(_NO_URL) from None
    except ValueError as error:
        raise _unusable(str(error)) from None


def embedded_url(state: Path) -> sa.URL:
    """The default database: an SQLite file in the state folder, whose name may have any characters."""
    return sa.URL.create("sqlite", database=str(state / EMBEDDED_NAME))


def existing_ids(target: DatabaseTarget, ids: Iterable[str]) -> set[str]:
    """The ids of `ids` that have a row; queried in pieces, so any number is allowed.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
        ConfigurationError: the table is not there, or is not of this layout.
    """
    with transaction(target) as connection:
        return existing_keys(connection, target.table, list(ids))


def answers(target: DatabaseTarget) -> bool:
    """Whether the database answers a query of the table now.

    Raises:
        ConfigurationError: the login is refused, or the table is not there or not of this layout.
    """
    try:
        existing_ids(target, ["-"])
    except DatabaseUnavailableError:
        return False
    return True


@contextmanager
def transaction(target: DatabaseTarget, *, creating: bool = True) -> Iterator[sa.Connection]:
    """One transaction, committed at the end; creates the table first if the dialect lets the loader create it.

    Raises:
        ConnectionLostError: the connection or the transaction broke; nothing is committed, or all is.
        DatabaseUnavailableError: the database cannot be reached or stopped answering; nothing is committed, or all is.
        StatementRefusedError: the database refuses a statement or the commit; nothing is committed.
        ConfigurationError: the login is refused, or the table is not there or not of this layout.
    """
    connected = False
    try:
        with target.engine.connect() as connection:
            connected = True
            with connection.begin():
                if creating and target.dialect.creates_tables and not _has_table(connection, target):
                    for statement in target.dialect.create(target.layout, target.table):
                        connection.exec_driver_sql(statement)
                yield connection
    except DBAPIError as error:
        fault, reason = target.dialect.fault(error), target.dialect.reason(error)
        if fault is Fault.ROW and connected:
            raise StatementRefusedError(target.place, reason) from error
        # Whatever is refused while connecting is the login.
        fault = Fault.LOGIN if fault is Fault.ROW else fault
        raise _as_our_own(target, fault, reason, target.dialect.advice(error)) from error


def _as_our_own(
    target: DatabaseTarget, fault: Fault, reason: str, advice: str | None
) -> ConfigurationError | DatabaseUnavailableError:
    if fault in _PROBLEMS:
        about = _login(target) if fault is Fault.LOGIN else target.layout.name
        message = advice or _PROBLEMS[fault].format(reason=reason)
        return ConfigurationError([ConfigProblem(target.place, about, message)])
    kind = ConnectionLostError if fault is Fault.AGAIN else DatabaseUnavailableError
    return kind(f"{target.place}: the database cannot be used now: {reason}")


def _login(target: DatabaseTarget) -> str:
    user = target.engine.url.username
    return f"user {user}" if user else "login"


def _has_table(connection: sa.Connection, target: DatabaseTarget) -> bool:
    return sa.inspect(connection).has_table(target.table.name)


def make_table(layout: TableLayout, dialect: Dialect, schema: str | None = None) -> sa.Table:
    """The layout as an SQLAlchemy table, with every name quoted."""
    name = dialect.identifier(layout.name)
    items: list[sa.Column[object] | sa.CheckConstraint] = []
    for column in layout.columns:
        is_key = column.name == layout.pk_column
        items.append(
            sa.Column(
                sa.quoted_name(dialect.identifier(column.name), quote=True),
                dialect.column_type(column),
                primary_key=is_key,
                nullable=not layout.requires(column),
                unique=("UNIQUE" in column.extra and not is_key) or None,
            )
        )
        items += dialect.checks(name, column)
    quoted_schema = None if schema is None else sa.quoted_name(dialect.identifier(schema), quote=True)
    return sa.Table(sa.quoted_name(name, quote=True), sa.MetaData(), *items, schema=quoted_schema)


def _unusable(problem: str) -> ConfigurationError:
    return ConfigurationError([ConfigProblem("database", "URL", problem)])


def _place(url: sa.URL) -> str:
    """Host, port and database or service, from the URL or its query."""
    host, port, service = (url.query.get(key, "") for key in ("host", "port", "service_name"))
    where = f"{url.host or host}"
    port = str(url.port or port)
    return f"{url.get_backend_name()}://{where}{f':{port}' if port else ''}/{url.database or service}"
