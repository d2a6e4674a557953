"""The interface between the loader and a kind of database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, auto
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import URL, CheckConstraint, Connection, Engine, Table, select
from sqlalchemy import Dialect as Compiler
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine, UserDefinedType

from anonymisation.core.errors import WorkFailedError
from anonymisation.core.text import is_unicode
from anonymisation.database.layouts.columns import Columns
from anonymisation.database.layouts.tables import ColumnLayout, TableLayout

CONNECT_TIMEOUT_SECONDS: Final = 10
ANSWER_TIMEOUT_SECONDS: Final = 120  # a batch takes a second; a slower database counts as away

# Errors that a driver raises outside its own error tree for a value that it cannot send, e.g. a lone surrogate.
VALUE_ERRORS: Final = (ValueError, TypeError, OverflowError)

_IDS_PER_QUERY: Final = 500  # below the smallest limit of bound values in one statement (SQLite before 3.32: 999)


class Fault(Enum):
    """The cause of a database error. A dialect lists every other cause; an unknown error is a refusal, `ROW`."""

    ROW = auto()  # the database refuses this row, or this statement; it may take others
    AGAIN = auto()  # the connection or transaction broke; a retry at once may succeed
    AWAY = auto()  # the database does not answer, or takes nothing from anyone now; a later retry may succeed
    LOGIN = auto()  # the database refuses the login or the way of connecting; a retry does not help
    MISSING = auto()  # the table is not there
    EXISTS = auto()  # the table is there already
    SETUP = auto()  # the table has another layout, or the login lacks a right; no row can be loaded


class StatementRefusedError(WorkFailedError):
    """The database refuses a statement or the commit, and has undone the whole transaction."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: the database refuses this: {reason}")
        self.reason = reason


class NotStoredError(Exception):
    """A row of those that were sent is not in `table` under its key; all of them are undone. Not an error of a driver:
    the database reports success, or (with `reason`) its code does not say that a row is the cause.
    """

    def __init__(self, table: str, reason: str | None = None) -> None:
        super().__init__(reason or not_stored(table))


def not_stored(table: str) -> str:
    """The reason of a row that the database did not store under its key, without any error."""
    return (
        f"table {table} does not have the row under its key, though the database reports no error; probably a trigger, "
        "a rule or a policy of the table skips the row or changes its key"
    )


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of one row: inserted, updated, or `refused` with the database's reason."""

    inserted: bool = False
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with values to bind, by name."""

    sql: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpatialIndex:
    """An index of a geometry column: the statement that creates it, and one that counts it (0: not there)."""

    create: str
    count: Statement


class SpelledType(UserDefinedType[Any]):
    """A column type with its SQL text; values pass through unchanged."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **_: object) -> str:
        return self.spelling


def nothing() -> None:
    """The default for `while_waiting`: do nothing."""


class RowWriter(Protocol):
    """Writes rows into one table."""

    @property
    def takes_utf8(self) -> bool:
        """Whether a long text of a row may be bytes in UTF-8, which saves the way through `str`."""

    def prepare(self, columns: Columns) -> Sequence[Any]:
        """The rows in the form in which `write` takes them. The loader calls it while the database works on others."""

    def write(
        self, connection: Connection, rows: Sequence[Any], while_waiting: Callable[[], None] = nothing
    ) -> list[Written]:
        """Insert the prepared `rows` in order, or update where the primary key exists; a refused row does not affect
        the others.

        While the database works, `write` may call `while_waiting` any number of times, if the driver allows it.
        """


class Dialect(Protocol):
    """One kind of database. Names are those of the layout, values those of the formatters."""

    @property
    def creates_tables(self) -> bool:
        """Whether loading may create a missing table; False where tables are an administrator's."""

    def engine(self, url: URL) -> Engine:
        """An engine for `url`, not connected yet, that hides parameters in messages. ValueError: url cannot be used."""

    def identifier(self, name: str) -> str:
        """The layout's table or column name in the database's own case; it is quoted where it is used."""

    def column_type(self, column: ColumnLayout) -> TypeEngine[Any]:
        """The database's type for a column of the layout."""

    def checks(self, table: str, column: ColumnLayout) -> Sequence[CheckConstraint]:
        """Constraints that make this database refuse what the Oracle type refuses."""

    def writer(self, layout: TableLayout, table: Table) -> RowWriter:
        """The writer of rows of `layout` into `table`."""

    def create(self, layout: TableLayout, table: Table) -> Sequence[str]:
        """The statements that create the table and describe its geometry for GIS tools."""

    def drop(self, layout: TableLayout, table: Table) -> Sequence[str]:
        """The statements that undo `create`."""

    def spatial_metadata(self, layout: TableLayout, table: Table) -> Sequence[Statement]:
        """The statements that describe the geometry columns, if `create` does not; running them twice is harmless."""

    def spatial_indexes(self, layout: TableLayout, table: Table) -> Sequence[SpatialIndex]:
        """The indexes of the geometry columns that need `spatial_metadata` first."""

    def fault(self, error: DBAPIError) -> Fault:
        """The cause of an error of the driver."""

    def reason(self, error: DBAPIError) -> str:
        """The driver's message, without the values of the row if the driver separates them."""

    def advice(self, error: DBAPIError) -> str | None:
        """What happened and what to do, with the reason, if the dialect knows more than the error's `Fault` says."""

    def prepare_create(self, connection: Connection, table: Table) -> None:
        """Set for this transaction what the statements of `create` need."""


def existing_keys(connection: Connection, table: Table, keys: Sequence[str]) -> set[str]:
    """The keys of `keys` that `table` already has as primary keys; queried in pieces, so any number is allowed.

    A key with half a surrogate pair is in no table: drivers cannot even ask for it.
    """
    [column] = table.primary_key.columns
    keys = [key for key in keys if is_unicode(key)]
    found: set[str] = set()
    for start in range(0, len(keys), _IDS_PER_QUERY):
        chunk = keys[start : start + _IDS_PER_QUERY]
        found.update(str(value) for value in connection.scalars(select(column).where(column.in_(chunk))))
    return found


def same_key(value: object) -> object:
    """A key in the form in which the key that was sent equals the key that a database returns.

    A column CHAR(n) pads text with blanks; a number returns as a double, a Decimal or an integer.
    """
    if isinstance(value, str):
        return value.rstrip(" ")
    return float(value) if isinstance(value, (int, float, Decimal)) else value


def require_stored(connection: Connection, table: Table, keys: Sequence[object]) -> None:
    """Check that `table` now has these primary keys. A trigger may delete a row, or store it under another key.

    Raises:
        NotStoredError: one of them is not there.
    """
    [column] = table.primary_key.columns
    there: set[object] = set()
    for start in range(0, len(keys), _IDS_PER_QUERY):
        chunk = keys[start : start + _IDS_PER_QUERY]
        there.update(same_key(value) for value in connection.scalars(select(column).where(column.in_(chunk))))
    if any(same_key(key) not in there for key in keys):
        raise NotStoredError(table.name)


def compiler(driver: str) -> Compiler:
    """SQLAlchemy's compiler for the SQL of `driver`'s database; it also quotes names."""
    return URL.create(driver).get_dialect()()


_Sent = TypeVar("_Sent")


def isolate(dialect: Dialect, rows: Sequence[_Sent], send: Callable[[Sequence[_Sent]], list[Written]]) -> list[Written]:
    """Send `rows` in order, all at once. When a row is refused, send halves, until each refused row is alone.

    `send` either writes all its rows, or undoes its work (with a savepoint) and raises.
    """
    if not rows:
        return []
    try:
        return send(rows)
    except DBAPIError as error:
        if dialect.fault(error) is not Fault.ROW:
            raise
        reason = dialect.reason(error)
    except NotStoredError as error:
        reason = str(error)
    except VALUE_ERRORS as error:
        reason = str(error)
    if len(rows) == 1:
        return [Written(refused=reason)]
    middle = len(rows) // 2
    return [*isolate(dialect, rows[:middle], send), *isolate(dialect, rows[middle:], send)]


def inserted_or_updated(there: set[str], keys: Sequence[object]) -> list[Written]:
    """Inserted or updated for each key, by the keys that were there before; adds the new keys to `there`."""
    written = []
    for key in keys:
        written.append(Written(inserted=str(key) not in there))
        there.add(str(key))
    return written
