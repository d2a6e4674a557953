"""A user's SQL script, run in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
import sqlparse
from sqlalchemy.exc import DBAPIError
from sqlparse import tokens as T  # noqa: N812 - as its own manual has it
from sqlparse.sql import Token

from anonymisation.core.errors import WorkFailedError
from anonymisation.database.dialects.base import Fault
from anonymisation.database.target import DatabaseTarget, transaction

_PROGRAMS: Final = frozenset(("TRIGGER", "PROCEDURE", "FUNCTION", "PACKAGE"))
_SHOWN: Final = 60  # characters of a statement in a message


@dataclass(frozen=True, slots=True)
class StatementResult:
    """The result of one statement: columns and rows of a query, or the number of changed rows (None: unknown)."""

    statement: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut_off: bool
    affected: int | None


def split_statements(script: str) -> list[str]:
    """The statements of an SQL script, without the semicolons that end them.

    If there are lines with only `/`, as in SQL*Plus, these lines separate the statements instead of semicolons, so that
    PL/SQL blocks stay whole.
    """
    lines = script.splitlines()
    if any(line.strip() == "/" for line in lines):
        blocks = [[""]]
        for line in lines:
            if line.strip() == "/":
                blocks.append([])
            else:
                blocks[-1].append(line)
        parts = ["\n".join(block) for block in blocks]
    else:
        parts = _split_at_semicolons(script)
    trimmed = (_trimmed(part) for part in parts)
    return [statement for statement in trimmed if statement]


def _split_at_semicolons(script: str) -> list[str]:
    # sqlparse treats a backslash as MySQL's escape. In standard SQL it is an ordinary character, and Windows paths may
    # end with it. So a private character that the script does not use replaces it.
    stand_in = next(letter for letter in map(chr, range(0xE000, 0xF900)) if letter not in script)
    return [part.replace(stand_in, "\\") for part in sqlparse.split(script.replace("\\", stand_in))]


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
            _execute(plain, target, statement, f"statement {number} of {len(statements)}", limit)
            for number, statement in enumerate(statements, start=1)
        ]


def _execute(
    connection: sa.Connection, target: DatabaseTarget, statement: str, place: str, limit: int
) -> StatementResult:
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
        raise WorkFailedError(
            f"{target.place}: {place} was refused: {target.dialect.reason(error)}. It begins: {_beginning(statement)}. "
            f"{_aftermath(target)}"
        ) from error


def _aftermath(target: DatabaseTarget) -> str:
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


def _trimmed(statement: str) -> str:
    """The statement without surrounding white space and comments, and without a last semicolon unless it is PL/SQL."""
    tokens: list[Token] = [
        token
        for parsed in sqlparse.parse(statement)
        for token in parsed.flatten()  # type: ignore[no-untyped-call]
    ]
    words = [token.normalized.upper() for token in tokens if not token.is_whitespace and token.ttype not in T.Comment]
    # The semicolon at the end of a PL/SQL block or program belongs to it.
    is_program = words[:1] in (["BEGIN"], ["DECLARE"]) or (
        words[:1] in (["CREATE"], ["CREATE OR REPLACE"]) and not _PROGRAMS.isdisjoint(words[1:4])
    )
    while tokens and (_is_blank(tokens[-1]) or (tokens[-1].value == ";" and not is_program)):
        tokens.pop()
    return "".join(token.value for token in tokens).strip()


def _is_blank(token: Token) -> bool:
    return token.is_whitespace or token.ttype in T.Comment
