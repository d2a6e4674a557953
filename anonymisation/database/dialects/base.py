"""What the loader needs to know of a kind of database."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol

from sqlalchemy import URL, CheckConstraint, Engine, Executable, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from anonymisation.database.datatypes import DataType
from anonymisation.database.formatters import Value


class Fault(Enum):
    """Whose fault an error of the database is."""

    ROW = auto()  # this row is refused; another may go in
    AWAY = auto()  # the database does not answer, or not now; the same later may succeed
    SETUP = auto()  # the table is not there or not of this layout; nothing will go in


class Dialect(Protocol):
    """One kind of database. Names are those of the layout, values those of the formatters."""

    @property
    def creates_tables(self) -> bool:
        """Whether loading may create a missing table; False where tables are an administrator's."""

    def engine(self, url: URL) -> Engine:
        """An engine for `url` that hides parameters in messages and does not connect yet. ValueError: url is unfit."""

    def identifier(self, name: str) -> str:
        """The layout's table or column name in the database's own case; it is quoted where it is used."""

    def column_type(self, dtype: DataType) -> TypeEngine[object]:
        """The database's type for the layout's Oracle type."""

    def checks(self, table: str, column: str, dtype: DataType) -> Sequence[CheckConstraint]:
        """Constraints that make this database refuse what the Oracle type refuses."""

    def bind(self, dtype: DataType, value: Value) -> object:
        """The value as this database's driver takes it."""

    def upsert(self, table: Table) -> Executable:
        """A statement for many rows (bound by column name) that inserts, or updates where the primary key exists."""

    def fault(self, error: DBAPIError) -> Fault:
        """Whose fault an error of the driver is."""
