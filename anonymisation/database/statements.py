"""A user's SQL script, run in one transaction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from anonymisation.core.errors import WorkFailedError
from anonymisation.database.dialects.base import Fault
from anonymisation.database.target import DatabaseTarget, transaction

_SHOWN: Final = 60  # characters of a statement in a message
_COMMITS: Final = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:COMMIT|END)\b", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class StatementResult:
    """The result of one statement: columns and rows of a query, or the number of changed rows (None: unknown)."""

    statement: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut_off: bool
    affected: int | None


def execute_sql(target: DatabaseTarget, statements: Sequence[str], *, limit: int = 1000) -> list[StatementResult]:
    """Run the statements unchanged in one transaction; each result keeps its first `limit` rows.

    Raises:
        WorkFailedError: the database refused one of them; the transaction was rolled back.
        ConfigurationError: the login was refused.
        DatabaseUnavailableError: the database cannot be reached, or the connection broke.
    """
    with transaction(target, creating=False) as connection:
        # Percent signs and colons are text, not parameters.
        plain = connection.execution_options(no_parameters=True)
        return [
            _execute(plain, target, statements[:number], f"statement {number} of {len(statements)}", limit)
            for number in range(1, len(statements) + 1)
        ]


def _execute(
    connection: sa.Connection, target: DatabaseTarget, so_far: Sequence[str], place: str, limit: int
) -> StatementResult:
    """Run the last statement of `so_far`."""
    *before, statement = so_far
    try:
        result = connection.exec_driver_sql(statement)
        if not result.returns_rows:
            affected = result.rowcount if result.rowcount >= 0 else None
            return StatementResult(statement, (), (), cut_off=False, affected=affected)
        rows = [tuple(_read(value) for value in row) for row in result.fetchmany(limit + 1)]
        columns = tuple(result.keys())
        result.close()
        return StatementResult(statement, columns, tuple(rows[:limit]), cut_off=len(rows) > limit, affected=None)
    except DBAPIError as error:
        if target.dialect.fault(error) in {Fault.AWAY, Fault.AGAIN}:
            raise
        connection.invalidate(error)  # undoes the transaction, too; a COPY that has begun takes no ROLLBACK
        raise WorkFailedError(
            f"{target.place}: {place} was refused: {target.dialect.reason(error)}. It begins: {_beginning(statement)}. "
            f"{_aftermath(target, before)}"
        ) from error


def _aftermath(target: DatabaseTarget, before: Sequence[str]) -> str:
    commits = next((number for number, text in reversed([*enumerate(before, 1)]) if _COMMITS.match(text)), None)
    if commits is not None:
        return f"Statement {commits}, a COMMIT, stored what came before it; the transaction after it was rolled back."
    if target.engine.url.get_backend_name() == "oracle":
        return "The transaction was rolled back, except statements that Oracle commits by itself (CREATE, ALTER, DROP)."
    return "The transaction was rolled back: nothing was changed."


def _beginning(statement: str) -> str:
    text = " ".join(statement.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _read(value: object) -> object:
    """A column's value. Oracle returns long text as a handle, which must be read while the connection is open."""
    read = getattr(value, "read", None)
    return read() if callable(read) else value
