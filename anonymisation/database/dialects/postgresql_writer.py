"""Batches of rows for a table of PostgreSQL, or for whatever stands under its name: a view, a partitioned table.

One statement takes a whole batch. `json_to_recordset` makes rows from JSON; long texts are separate binary arrays, so
that they need no escaping. COPY into a temporary table was measured (benchmarks/NOTES.md): the server works as long,
the loader longer, and the login needs the right to make temporary tables. Nothing stays in the session, since a pooler
(PgBouncer in transaction mode) gives the session to others after each transaction.

`merges` are the ways of merging, best first:

1. ON CONFLICT, which no rival can disturb. It needs a unique index of the key alone, and reads the system column
   `xmax`, which views and partitioned tables do not have.
2. UPDATE of the rows that are there and INSERT of the others, in one statement. A lock that only loaders of this table
   ask for keeps rivals apart until the end of the transaction. It also takes tables whose trigger puts new rows into
   another table (old partitioning by inheritance), so that INSERT returns nothing of them: they are looked up.
3. The same in two statements without RETURNING, for tables and views with rules (DO ALSO, or DO INSTEAD without
   RETURNING). What is there before and after says what was stored.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.pq import PipelineStatus
from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from anonymisation.database.dialects.base import (
    Dialect,
    Fault,
    NotStoredError,
    Written,
    compiler,
    isolate,
    not_stored,
    nothing,
    same_key,
)
from anonymisation.database.dialects.postgresql_values import (
    Prepared,
    RowEncoder,
    array_literal,
    batch_values,
    source_sql,
)
from anonymisation.database.layouts.columns import Columns
from anonymisation.database.layouts.formatters import Value
from anonymisation.database.layouts.tables import TableLayout

DRIVER: Final = "postgresql+psycopg"
UNSENT_SETTINGS: Final = "unsent_settings"  # in a connection's `info`: the statement with which its transaction begins

# What a table answers to the first way of merging if it takes the second alone.
_NO_UPSERT: Final = frozenset(
    (
        "0A000",  # a partitioned table has no xmax; a view with triggers takes no ON CONFLICT
        "42703",  # a view has no column xmax
        "42P10",  # no unique index of the key alone, as in tables partitioned by time
        "55000",  # the key's constraint is deferrable
    )
)
_LOCK_CLASS: Final = 0x70696373  # "pics": keeps this lock apart from the site's own advisory locks

_INSERTED: Final = Written(inserted=True)
_UPDATED: Final = Written()


@dataclass(frozen=True, slots=True)
class Merge:
    """A statement that takes a batch and returns each stored key and whether it is new; `lock` runs before it.

    With `insert`, a second statement, neither returns anything; it inserts the rows without a key in `%(before)s`.
    """

    sql: str
    lock: str | None = None
    insert: str | None = None


class _RowsMissingError(Exception):
    """A merge did not return all rows; another one may find out whether they are stored."""


class PostgresqlWriter:
    """See `anonymisation.database.dialects.base.RowWriter`; PostgreSQL reports whether it inserted or updated."""

    takes_utf8 = True

    def __init__(self, dialect: Dialect, layout: TableLayout, table: Table) -> None:
        self._dialect = dialect
        self._encoder = RowEncoder(layout, dialect)
        self._name = str(table.name)
        self._merges = merges(layout, table)
        self._sql_there = _there_sql(table)

    def prepare(self, columns: Columns) -> list[Prepared]:
        return self._encoder.rows(columns)

    def write(
        self, connection: Connection, rows: Sequence[Prepared], while_waiting: Callable[[], None] = nothing
    ) -> list[Written]:
        written: list[Written | None] = [None] * len(rows)
        for wave in _waves([row.key for row in rows]):
            # Every loader locks rows in the same order, so that two loaders cannot deadlock.
            wave.sort(key=lambda index: str(rows[index].key))
            outcomes = isolate(
                self._dialect, [rows[index] for index in wave], lambda part: self._send(connection, part, while_waiting)
            )
            for index, outcome in zip(wave, outcomes, strict=True):
                written[index] = outcome
        return [outcome for outcome in written if outcome is not None]

    def _send(
        self, connection: Connection, rows: Sequence[Prepared], while_waiting: Callable[[], None]
    ) -> list[Written]:
        for row in rows:
            if row.refused is not None:
                raise ValueError(row.refused)
        keys = [row.key for row in rows]
        driver: Any = connection.connection.driver_connection
        values = batch_values([row.short for row in rows], [row.long for row in rows], driver.info.encoding)
        answer = self._merge(connection, values, keys, while_waiting)
        return [self._outcome(answer.get(same_key(key))) for key in keys]

    def _outcome(self, inserted: bool | None) -> Written:
        if inserted is None:
            return Written(refused=not_stored(self._name))
        return _INSERTED if inserted else _UPDATED

    def _merge(
        self, connection: Connection, values: Mapping[str, object], keys: list[Value], while_waiting: Callable[[], None]
    ) -> dict[object, bool]:
        """Merge a batch in the best way that the table takes, which is remembered."""
        for number, merge in enumerate(self._merges):
            last = number == len(self._merges) - 1
            try:
                answer = self._run(connection, merge, values, keys, while_waiting)
            except _RowsMissingError:
                continue
            except DBAPIError as error:
                code = getattr(error.orig, "sqlstate", None)
                if last or code not in _NO_UPSERT or self._dialect.fault(error) is not Fault.SETUP:
                    raise
            else:
                if len(answer) == len(keys):  # otherwise a trigger has skipped rows, which the next batch need not have
                    self._merges = self._merges[number:]
                return answer
        raise NotStoredError(self._name)  # never reached: the last merge returns or raises

    def _run(
        self, connection: Connection, merge: Merge, values: Mapping[str, object], keys: list[Value],
        while_waiting: Callable[[], None],
    ) -> dict[object, bool]:  # fmt: skip
        """Send the statement, and undo it if it fails; returns for each stored key whether it was inserted.

        Raises:
            NotStoredError: a trigger stored a row under another key, which may be that of another picture, or removed
                one. A key that is not in the result is a row that a trigger skipped.
            _RowsMissingError: rows were skipped, or stored elsewhere; the next way of merging finds out.
        """
        wanted = set(map(same_key, keys))
        asked = (array_literal(keys),)
        driver: Any = connection.connection.driver_connection
        try:
            with _undone_alone(connection, driver):
                # The server does not prepare statements, because a prepared statement is session state.
                before: Any = ()
                if merge.lock is not None:
                    driver.execute(merge.lock, prepare=False)
                    before = driver.execute(self._sql_there, asked, prepare=False)
                if merge.insert is not None:
                    before = before.fetchall()
                cursor = driver.execute(merge.sql, values, prepare=False)
                if merge.insert is not None:
                    known = [key for (key,) in before]
                    driver.execute(merge.insert, {**values, "before": known}, prepare=False)
                there = driver.execute(self._sql_there, asked, prepare=False)
                _send_all(driver)
                while_waiting()  # the server's answer is not read yet
                old, new = ({same_key(key) for (key,) in rows} for rows in (before, there.fetchall()))
                stored = new & wanted
                if merge.insert is not None:
                    answer = {key: key not in old for key in stored}
                else:
                    answer = {same_key(key): inserted for key, inserted in cursor.fetchall()}
                if not answer.keys() <= stored or (merge.insert is not None and answer.keys() < wanted):
                    raise NotStoredError(self._name)
                if merge.lock is None and answer.keys() < wanted:
                    raise _RowsMissingError
            return dict.fromkeys(stored - old, True) | answer
        except psycopg.Error as error:
            raise DBAPIError(
                "INSERT", None, error, hide_parameters=True, connection_invalidated=driver.closed
            ) from error


@contextmanager
def _undone_alone(connection: Connection, driver: Any) -> Iterator[None]:
    """A pipeline; if it fails, it is undone, and nothing before it in the transaction is.

    The first statements of a transaction go in one message with its BEGIN and its settings, because a round trip to a
    busy or far server takes as long as dozens of rows. If they fail, the transaction starts again.
    """
    settings = connection.info.pop(UNSENT_SETTINGS, None)
    try:
        if settings is None:
            with driver.transaction(), driver.pipeline():
                yield
        else:
            with driver.pipeline():
                driver.execute(settings, prepare=False)
                yield
    except BaseException:
        if not driver.closed and driver.pgconn.pipeline_status != PipelineStatus.OFF:
            driver.close()  # the server has ended the session: the driver can neither leave the pipeline nor use it
        if settings is not None:
            connection.info[UNSENT_SETTINGS] = settings
            if not driver.closed:
                driver.rollback()
        raise


def _send_all(driver: Any) -> None:
    """Send what the driver's library still holds back of a pipeline, so that the server can work on it."""
    with selectors.DefaultSelector() as selector:
        selector.register(driver.fileno(), selectors.EVENT_READ | selectors.EVENT_WRITE)
        while driver.pgconn.flush():
            for _, events in selector.select():
                if events & selectors.EVENT_READ:
                    driver.pgconn.consume_input()  # a server that waits to be read reads no more


def _waves(keys: Sequence[Value]) -> Iterator[list[int]]:
    """Positions of `keys` in groups without duplicates, in order: no statement updates a row twice."""
    waves: list[list[int]] = []
    times: dict[Value, int] = {}
    for index, key in enumerate(keys):
        turn = times.get(key, 0)
        times[key] = turn + 1
        if turn == len(waves):
            waves.append([])
        waves[turn].append(index)
    yield from waves


def merges(layout: TableLayout, table: Table) -> list[Merge]:
    """The ways of merging rows of `layout` into `table`, best first. The values are one JSON text, then an array for
    each long text.
    """
    preparer = compiler(DRIVER).identifier_preparer
    whole = preparer.format_table(table)
    [key] = [preparer.quote(column.name) for column in table.primary_key]
    names = [preparer.quote(column.name) for column in table.columns]
    changed = [name for name in names if name != key] or [key]
    listed = ", ".join(names)
    source = source_sql(layout, names)
    lock = f"SELECT pg_advisory_xact_lock({_LOCK_CLASS}, {_literal(whole)}::regclass::oid::int)"
    return [
        Merge(
            f"INSERT INTO {whole} ({listed}) SELECT {listed} FROM {source} "  # noqa: S608 - quoted identifiers
            f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in changed)} "
            # xmax is 0 for a new row; an updated row version holds the number of its transaction there.
            f"RETURNING {key}, xmax = 0"
        ),
        Merge(
            # The rows are not a WITH query of their own: a rule of a view could not find it.
            f"WITH updated AS (UPDATE {whole} AS t SET {', '.join(f'{name} = r.{name}' for name in changed)} "  # noqa: S608
            f"FROM {source} WHERE t.{key} = r.{key} RETURNING t.{key}), "
            f"inserted AS (INSERT INTO {whole} ({listed}) SELECT {listed} FROM {source} "
            f"WHERE NOT EXISTS (SELECT FROM {whole} AS t WHERE t.{key} = r.{key}) RETURNING {key}) "
            f"SELECT {key}, false FROM updated UNION ALL SELECT {key}, true FROM inserted",
            lock=lock,
        ),
        Merge(
            f"UPDATE {whole} AS t SET {', '.join(f'{name} = r.{name}' for name in changed)} "  # noqa: S608 - as above
            f"FROM {source} WHERE t.{key} = r.{key}",
            lock=lock,
            # Not by asking the table: the actions of a rule run after the INSERT, and would find its rows there.
            insert=f"INSERT INTO {whole} ({listed}) SELECT {listed} FROM {source} "  # noqa: S608 - as above
            f"WHERE r.{key} <> ALL(%(before)s::text[])",
        ),
    ]


def _there_sql(table: Table) -> str:
    """The keys of a list that the table has; a trigger that runs after the statement may change them."""
    preparer = compiler(DRIVER).identifier_preparer
    [key] = [preparer.quote(column.name) for column in table.primary_key]
    return f"SELECT {key} FROM {preparer.format_table(table)} WHERE {key} = ANY(%s)"  # noqa: S608 - quoted identifiers


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
