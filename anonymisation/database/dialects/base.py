"""What the loader needs to know of a kind of database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import URL, CheckConstraint, Connection, Engine, Table, select
from sqlalchemy import Dialect as Compiler
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine, UserDefinedType

from anonymisation.database.layouts.columns import Row
from anonymisation.database.layouts.tables import ColumnLayout, TableLayout

CONNECT_TIMEOUT_SECONDS: Final = 10
ANSWER_TIMEOUT_SECONDS: Final = 120  # a batch takes a second; a database slower than this counts as being away

# What a driver raises outside its own error tree for a value that it cannot send, e.g. a lone surrogate.
VALUE_ERRORS: Final = (ValueError, TypeError, OverflowError)

_IDS_PER_QUERY: Final = 500  # below the smallest limit of bound values in one statement (SQLite before 3.32: 999)


class Fault(Enum):
    """Whose fault an error of the database is."""

    ROW = auto()  # this row is refused; another may go in
    AGAIN = auto()  # the connection or transaction was cut off; the same at once may succeed
    AWAY = auto()  # the database does not answer, or not now; the same later may succeed
    LOGIN = auto()  # the login, or the way of connecting, is refused; the same later will be refused too
    MISSING = auto()  # the table is not there
    EXISTS = auto()  # the table is there already
    SETUP = auto()  # the table is not of this layout, or the login may not do this; nothing will go in


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one row: inserted, updated, or `refused` with the database's reason."""

    inserted: bool = False
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with values to bind, by name."""

    sql: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpatialIndex:
    """An index of a geometry column: the statement that makes it, and one that counts it, 0 where it is not there."""

    create: str
    count: Statement


class SpelledType(UserDefinedType[Any]):
    """A column type that is written as it stands here, and whose values pass as they are."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **_: object) -> str:
        return self.spelling


def nothing() -> None:
    """What there is to do meanwhile, where there is nothing."""


class RowWriter(Protocol):
    """Writes rows into one table."""

    def write(
        self, connection: Connection, rows: Sequence[Row], meanwhile: Callable[[], None] = nothing
    ) -> list[Written]:
        """Insert `rows` in order, or update where the primary key exists; a row that is refused costs only itself.

        `meanwhile` is called while the database works, any number of times, where the driver lets one do so.
        """


class Dialect(Protocol):
    """One kind of database. Names are those of the layout, values those of the formatters."""

    @property
    def creates_tables(self) -> bool:
        """Whether loading may create a missing table; False where tables are an administrator's."""

    def engine(self, url: URL) -> Engine:
        """An engine for `url` that hides parameters in messages and does not connect yet. ValueError: url is unfit."""

    def identifier(self, name: str) -> str:
        """The layout's table or column name in the database's own case; it is quoted where it is used."""

    def column_type(self, column: ColumnLayout) -> TypeEngine[Any]:
        """The database's type for a column of the layout."""

    def checks(self, table: str, column: ColumnLayout) -> Sequence[CheckConstraint]:
        """Constraints that make this database refuse what the Oracle type refuses."""

    def writer(self, layout: TableLayout, table: Table) -> RowWriter:
        """What writes rows of `layout` into `table`."""

    def create(self, layout: TableLayout, table: Table) -> Sequence[str]:
        """The statements that create the table and whatever makes its geometry known to GIS tools."""

    def drop(self, layout: TableLayout, table: Table) -> Sequence[str]:
        """The statements that remove what `create` made."""

    def spatial_metadata(self, layout: TableLayout, table: Table) -> Sequence[Statement]:
        """The statements that describe the geometry columns where `create` does not; running them twice is harmless."""

    def spatial_indexes(self, layout: TableLayout, table: Table) -> Sequence[SpatialIndex]:
        """The indexes of the geometry columns that can be made only after `spatial_metadata`."""

    def fault(self, error: DBAPIError) -> Fault:
        """Whose fault an error of the driver is."""

    def reason(self, error: DBAPIError) -> str:
        """The driver's message, without the values of the row where the driver tells them apart."""


def existing_keys(connection: Connection, table: Table, keys: Sequence[str]) -> set[str]:
    """Which of `keys` are primary keys of rows of `table`; asked in pieces, so any number will do."""
    [column] = table.primary_key.columns
    found: set[str] = set()
    for start in range(0, len(keys), _IDS_PER_QUERY):
        chunk = keys[start : start + _IDS_PER_QUERY]
        found.update(str(value) for value in connection.scalars(select(column).where(column.in_(chunk))))
    return found


def compiler(driver: str) -> Compiler:
    """What turns SQLAlchemy's statements into the SQL of `driver`'s database, and quotes names."""
    return URL.create(driver).get_dialect()()


_Sent = TypeVar("_Sent")


def isolate(dialect: Dialect, rows: Sequence[_Sent], send: Callable[[Sequence[_Sent]], list[Written]]) -> list[Written]:
    """Send `rows` in order, all at once; when one is refused, in halves, until the refused ones stand alone.

    `send` either writes all rows it is given, or raises with all undone that it did: it uses a savepoint.
    """
    if not rows:
        return []
    try:
        return send(rows)
    except DBAPIError as error:
        if dialect.fault(error) is not Fault.ROW:
            raise
        reason = dialect.reason(error)
    except VALUE_ERRORS as error:
        reason = str(error)
    if len(rows) == 1:
        return [Written(refused=reason)]
    middle = len(rows) // 2
    return [*isolate(dialect, rows[:middle], send), *isolate(dialect, rows[middle:], send)]


def told_by_seen(there: set[str], keys: Sequence[object]) -> list[Written]:
    """Inserted or updated, where only the keys that were there before are known; `there` takes up the new ones."""
    told = []
    for key in keys:
        told.append(Written(inserted=str(key) not in there))
        there.add(str(key))
    return told
