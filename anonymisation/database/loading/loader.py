"""Loading records into a table, in batches and idempotently. Nothing is lost when the database or the process fails.

Every batch is written to disk (`spool`) before it is sent, and removed from disk after the database has committed it.
Batches of all loaders of one state folder are sent one after the other, in the order in which they were written to
disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from anonymisation.core.errors import ConfigurationError, DatabaseUnavailableError
from anonymisation.database.dialects.base import StatementRefusedError, Written, existing_keys, nothing
from anonymisation.database.loading.batches import Batch, Batches, make_batch
from anonymisation.database.loading.limits import (
    Collision,
    LoadLimits,
    LoadReport,
    LoadStoppedError,
    RowFailure,
    SourceRecord,
    StateProblem,
)
from anonymisation.database.loading.picture_registry import IdentifierRegistry
from anonymisation.database.loading.spool import Segment, Spool, waiting_elsewhere
from anonymisation.database.target import (
    ConnectionLostError,
    DatabaseTarget,
    answers,
    embedded_url,
    existing_ids,
    open_target,
    transaction,
)

__all__ = [
    "Collision",
    "DatabaseTarget",
    "LoadLimits",
    "LoadReport",
    "LoadStoppedError",
    "RowFailure",
    "SourceRecord",
    "embedded_url",
    "existing_ids",
    "load_records",
    "open_target",
    "send_spooled",
]


_TRIES: Final = 3  # of a transaction that breaks: deadlocks, serialization failures, dropped connections


def load_records(
    records: Iterable[SourceRecord], target: DatabaseTarget, state: Path, limits: LoadLimits
) -> LoadReport:
    """Upsert the rows of `records`, after the rows that wait from earlier loads, so that newer rows win.

    A database that is away is not an error: rows wait below `state`, and the report counts them. Nor is a row that the
    database refuses, or takes and does not store, nor a damaged file of the spool: the report names them.

    Raises:
        LoadStoppedError: more rows than `limits` allows were refused, or wait; every row so far is in the database, in
            the spool or reported as refused, and loading the same records again continues from there.
        ConfigurationError: the login is refused, or the table is not there or not of this layout; the rows so far wait.
        ShareUnavailableError: the state folder cannot be used.
    """
    # A whole batch may have to wait, so it is never larger than the number of rows that may wait.
    batches = Batches(records, min(limits.batch_rows, max(limits.max_waiting, 1)), target.layout, target.writer)
    loading = _Loading(target, state, limits, while_waiting=batches.make_next)
    while batch := batches.take():
        loading.load(batch)
    return loading.report()


def send_spooled(target: DatabaseTarget, state: Path, limits: LoadLimits) -> LoadReport:
    """Send the rows that wait for `target` from earlier loads, once each; call it at the start.

    Raises: as `load_records`.
    """
    elsewhere = waiting_elsewhere(state, target.key(state))
    for folder, rows in elsewhere.items():
        logging.getLogger(__name__).warning(
            "%s: %d rows wait there for another database or table than %s, table %s; a load into that table sends them",
            folder, rows, target.place, target.layout.name,
        )  # fmt: skip
    loading = _Loading(target, state, limits)
    return loading.send_waiting()


@dataclass(slots=True)
class _Tally:
    """The counts of a load so far."""

    inserted: int = 0
    updated: int = 0
    failed: list[RowFailure] = field(default_factory=list)
    collisions: dict[Collision, None] = field(default_factory=dict)

    def add(self, picture: str, outcome: Written) -> None:
        if outcome.refused is not None:
            self.failed.append(RowFailure(picture, outcome.refused))
        elif outcome.inserted:
            self.inserted += 1
        else:
            self.updated += 1

    def take(self, part: _Tally) -> None:
        self.inserted += part.inserted
        self.updated += part.updated
        self.failed += part.failed
        self.collisions |= part.collisions


class _Loading:
    """One call of `load_records` or `send_spooled`."""

    def __init__(
        self, target: DatabaseTarget, state: Path, limits: LoadLimits, while_waiting: Callable[[], None] = nothing
    ) -> None:
        key = target.key(state)
        self._while_waiting = while_waiting
        self._target = target
        self._limits = limits
        self._spool = Spool(state, key)
        self._registry = IdentifierRegistry(state, key)
        self._new = _Tally()
        self._old = _Tally()
        self._problems: list[StateProblem] = []
        self._waiting = 0
        self._away = False

    def load(self, batch: Batch) -> None:
        with self._spool.locked():
            self._send_segments()
            size = len(batch.records)
            room = self._limits.max_waiting - self._spool.waiting() if self._away else size
            taken = batch if room >= size else batch.first(max(room, 0))
            count = len(taken.records)
            if count:
                segment = self._spool.append(taken.lines)
                if self._send(segment, taken, self._new):
                    self._spool.remove(segment)
                else:
                    self._waiting += count
            waiting = self._spool.waiting()
        if count < size or waiting > self._limits.max_waiting:
            following = batch.records[count].picture if count < size else "the next record"
            raise LoadStoppedError(
                f"{self._target.place}: the database is away and {waiting} rows wait for it (db_max_cache_size "
                f"{self._limits.max_waiting}); stopped before {following}. Nothing is lost: load again when it is back",
                self.report(),
            )
        self._check_failures()

    def send_waiting(self) -> LoadReport:
        with self._spool.locked():
            self._send_segments()
            waiting = self._spool.waiting()
        self._check_failures()
        old = self._old
        problems = self._all_problems()
        return LoadReport(
            old.inserted, old.updated, tuple(old.failed), waiting, tuple(old.collisions), problems=problems
        )

    def report(self) -> LoadReport:
        new, old = self._new, self._old
        return LoadReport(
            inserted=new.inserted,
            updated=new.updated,
            failed=(*old.failed, *new.failed),
            waiting=self._waiting,
            collisions=tuple(old.collisions | new.collisions),
            resent=old.inserted + old.updated,
            problems=self._all_problems(),
        )

    def _all_problems(self) -> tuple[StateProblem, ...]:
        return (*self._problems, *self._registry.problems)

    def _send_segments(self) -> None:
        for segment in self._spool.segments():
            if self._away:
                return
            records, damage = self._spool.read(segment)
            layout, writer = self._target.layout, self._target.writer
            if records and not self._send(segment, make_batch(records, layout, writer), self._old):
                return
            if damage is None:
                self._spool.remove(segment)
            else:
                problem = self._spool.set_aside(segment, damage)
                logging.getLogger(__name__).warning("%s", problem)
                self._problems.append(problem)

    def _send(self, segment: Segment, batch: Batch, tally: _Tally) -> bool:
        """Write a batch; False if the database is away, which ends all tries of this load and keeps the segment."""
        if self._away:
            self._spool.keep(segment)
            return False
        try:
            tally.take(self._written(batch))
        except DatabaseUnavailableError as error:
            self._away = True
            self._spool.keep(segment)
            logging.getLogger(__name__).warning("%s; rows wait in %s", error, segment.path.parent)
            return False
        except ConfigurationError:
            self._spool.keep(segment)
            waiting = self._spool.waiting()
            logging.getLogger(__name__).warning("%d rows wait in %s until this is fixed", waiting, segment.path.parent)
            raise
        return True

    def _written(self, batch: Batch) -> _Tally:
        """Write a batch. If the database refuses the whole transaction (a constraint that is checked at the commit, a
        row that kills the session), write halves, until each refused row is alone.

        Raises:
            DatabaseUnavailableError: the database is away.
            ConfigurationError: as `load_records`.
        """
        tally = _Tally()
        try:
            self._try(batch, tally)
        except StatementRefusedError as error:
            reason = error.reason
        except ConnectionLostError as error:
            if not answers(self._target):
                raise
            reason = f"{error}; this happened {_TRIES} times, while the database answers other queries"
        else:
            return tally
        if len(batch.records) == 1:
            tally.add(batch.records[0].picture, Written(refused=reason))
            return tally
        for half in batch.halves():
            tally.take(self._written(half))
        return tally

    def _try(self, batch: Batch, tally: _Tally) -> None:
        """Write a batch; try again if the connection broke or another session interfered."""
        for left in reversed(range(_TRIES)):
            try:
                _write(batch, self._target, self._registry, tally, self._while_waiting)
            except ConnectionLostError as error:
                if not left:
                    raise
                logging.getLogger(__name__).warning("%s; trying once more", error)
            else:
                return

    def _check_failures(self) -> None:
        failures = [*self._old.failed, *self._new.failed]
        if len(failures) > self._limits.max_errors:
            raise LoadStoppedError(
                f"{self._target.place}: {len(failures)} rows were refused (db_max_n_errors {self._limits.max_errors}), "
                f"the last is that of {failures[-1].picture}: {failures[-1].reason}",
                self.report(),
            )


def _write(
    batch: Batch, target: DatabaseTarget, registry: IdentifierRegistry, tally: _Tally, while_waiting: Callable[[], None]
) -> None:
    """Upsert a batch in one transaction, then register the pictures of its rows; the caller holds the spool's lock."""
    ordered, rows, keys = batch.records, batch.rows, batch.keys
    registered = registry.pictures(key for key in keys if isinstance(key, str))
    contested = {
        key for key, item in zip(keys, ordered, strict=True)
        if isinstance(key, str) and registered.get(key, item.picture) != item.picture
    }  # fmt: skip
    with transaction(target) as connection:
        # A registered picture without a row (another database file, rows deleted) does not count.
        there = existing_keys(connection, target.table, sorted(contested))
        standing = {name: registered[name] for name in contested & there}
        writing: list[int] = []
        yielding: list[int] = []
        for index, item in enumerate(ordered):
            yields = standing.get(str(keys[index]), "") > item.picture
            (yielding if yields else writing).append(index)
        written = target.writer.write(connection, [rows[index] for index in writing], while_waiting)
    outcomes = dict(zip(writing, written, strict=True)) | dict.fromkeys(yielding, Written())
    loaded = [(str(keys[i]), item.picture) for i, item in enumerate(ordered) if outcomes[i].refused is None]
    registry.claim({name: max(picture, standing.get(name, "")) for name, picture in loaded})
    for index, outcome in sorted(outcomes.items()):
        tally.add(ordered[index].picture, outcome)
    tally.collisions |= dict.fromkeys(_collisions(loaded, standing))


def _collisions(loaded: Sequence[tuple[str, str]], standing: dict[str, str]) -> Iterator[Collision]:
    if not standing and len(dict(loaded)) == len(loaded):
        return
    pictures: dict[str, set[str]] = {}
    for name, picture in loaded:
        pictures.setdefault(name, {standing.get(name, picture)}).add(picture)
    for name, rivals in pictures.items():
        stands = max(rivals)
        for picture in sorted(rivals - {stands}):
            yield Collision(name, stands, picture)
