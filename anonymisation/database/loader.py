"""Loading records into a table: in batches, idempotently, with nothing lost when the database or the process goes away.

Every batch is on disk (`spool`) before the database hears of it, and leaves the disk when the database has committed
it. Batches of all loaders of one state folder go in one after the other, in the order in which they came to disk.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from anonymisation.database.columns import row_from_record
from anonymisation.database.identifiers import IdentifierRegistry
from anonymisation.database.reports import (
    Collision,
    LoadLimits,
    LoadReport,
    LoadStoppedError,
    RowFailure,
    SourceRecord,
)
from anonymisation.database.spool import Segment, Spool, waiting_elsewhere
from anonymisation.database.target import (
    DatabaseTarget,
    embedded_url,
    existing_ids,
    open_target,
    select_existing,
    transaction,
    upsert_rows,
)
from anonymisation.errors import DatabaseUnavailableError

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


def load_records(
    records: Iterable[SourceRecord], target: DatabaseTarget, state: Path, limits: LoadLimits
) -> LoadReport:
    """Upsert the rows of `records`, after those that wait from earlier loads (order keeps newer rows newer).

    A database that is away is no error: rows wait below `state`, and the report says how many.

    Raises:
        LoadStoppedError: more rows than `limits` allows were refused, or wait; every row taken is in the database, in
            the spool or reported as refused, and loading the same again goes on from there.
        ConfigurationError: the table is not there, or is not of this layout; rows taken wait.
        ShareUnavailableError: the state folder cannot be used.
    """
    loading = _Loading(target, state, limits)
    # A batch may all have to wait, so it is never larger than what may wait.
    for batch in _batches(records, min(limits.batch_rows, max(limits.max_waiting, 1))):
        loading.load(batch)
    return loading.report()


def send_spooled(target: DatabaseTarget, state: Path, limits: LoadLimits) -> LoadReport:
    """Send the rows that wait for `target` from earlier loads, once each; to be called at start.

    Raises: as `load_records`.
    """
    elsewhere = waiting_elsewhere(state, target.key(state))
    for folder, rows in elsewhere.items():
        logging.getLogger(__name__).warning(
            "%s: %d rows wait there for another database or table than %s, table %s; load into that one to send them",
            folder, rows, target.place, target.layout.name,
        )  # fmt: skip
    loading = _Loading(target, state, limits)
    return loading.send_waiting()


@dataclass(slots=True)
class _Tally:
    """Counts that grow while a load goes on."""

    inserted: int = 0
    updated: int = 0
    failed: list[RowFailure] = field(default_factory=list)
    collisions: dict[Collision, None] = field(default_factory=dict)


class _Loading:
    """One call of `load_records` or `send_spooled`."""

    def __init__(self, target: DatabaseTarget, state: Path, limits: LoadLimits) -> None:
        key = target.key(state)
        self._target = target
        self._limits = limits
        self._spool = Spool(state, key)
        self._registry = IdentifierRegistry(state, key)
        self._new = _Tally()
        self._old = _Tally()
        self._waiting = 0
        self._away = False

    def load(self, batch: Sequence[SourceRecord]) -> None:
        with self._spool.locked():
            self._send_segments()
            room = self._limits.max_waiting - self._spool.waiting() if self._away else len(batch)
            taken = batch[: max(room, 0)]
            if taken:
                segment = self._spool.append(taken)
                if not self._send(segment, taken, self._new):
                    self._waiting += len(taken)
            waiting = self._spool.waiting()
        if len(taken) < len(batch) or waiting > self._limits.max_waiting:
            following = batch[len(taken)].picture if len(taken) < len(batch) else "the next record"
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
        return LoadReport(old.inserted, old.updated, tuple(old.failed), waiting, tuple(old.collisions))

    def report(self) -> LoadReport:
        new, old = self._new, self._old
        return LoadReport(
            inserted=new.inserted,
            updated=new.updated,
            failed=(*old.failed, *new.failed),
            waiting=self._waiting,
            collisions=tuple(old.collisions | new.collisions),
            resent=old.inserted + old.updated,
        )

    def _send_segments(self) -> None:
        for segment in self._spool.segments():
            if self._away:
                return
            records, whole = self._spool.read(segment)
            self._send(segment, records, self._old, whole=whole)

    def _send(self, segment: Segment, batch: Sequence[SourceRecord], tally: _Tally, *, whole: bool = True) -> bool:
        """Write a batch and forget its segment; False when the database is away, which ends all tries of this load."""
        if self._away:
            return False
        try:
            _write(batch, self._target, self._registry, tally)
        except DatabaseUnavailableError as error:
            self._away = True
            logging.getLogger(__name__).warning("%s; rows wait in %s", error, segment.path.parent)
            return False
        self._spool.remove(segment, whole=whole)
        return True

    def _check_failures(self) -> None:
        failures = [*self._old.failed, *self._new.failed]
        if len(failures) > self._limits.max_errors:
            raise LoadStoppedError(
                f"{self._target.place}: {len(failures)} rows were refused (db_max_n_errors {self._limits.max_errors}), "
                f"the last is that of {failures[-1].picture}: {failures[-1].reason}",
                self.report(),
            )


def _write(batch: Sequence[SourceRecord], target: DatabaseTarget, registry: IdentifierRegistry, tally: _Tally) -> None:
    """Upsert a batch in one transaction, then note whose rows stand; called with the spool's lock held."""
    # In the order of paths, so that of two pictures with one identifier the greater is written last.
    ordered = sorted(batch, key=lambda item: item.picture)
    rows = [row_from_record(target.layout, item.record) for item in ordered]
    keys = [row[target.layout.pk_column] for row in rows]
    identifiers = {key for key in keys if isinstance(key, str)}
    with transaction(target) as connection:
        there = select_existing(connection, target, identifiers)
        # A registered picture whose row is gone (another database file, rows deleted) has nothing to stand for.
        standing = {name: picture for name, picture in registry.pictures(identifiers).items() if name in there}
        yielding = [standing.get(str(key), "") > item.picture for key, item in zip(keys, ordered, strict=True)]
        writing = [index for index, yields in enumerate(yielding) if not yields]
        reasons = upsert_rows(connection, target, [rows[index] for index in writing])
    refused = {index: reason for index, reason in zip(writing, reasons, strict=True) if reason is not None}
    loaded = [(str(keys[i]), item.picture) for i, item in enumerate(ordered) if i not in refused]
    registry.claim({name: max(picture, standing.get(name, "")) for name, picture in loaded})
    _count(loaded, there, tally)
    tally.failed += [RowFailure(ordered[index].picture, reason) for index, reason in refused.items()]
    tally.collisions |= dict.fromkeys(_collisions(loaded, standing))


def _count(loaded: Iterable[tuple[str, str]], there: set[str], tally: _Tally) -> None:
    seen = set(there)
    for name, _ in loaded:
        tally.updated += name in seen
        tally.inserted += name not in seen
        seen.add(name)


def _collisions(loaded: Iterable[tuple[str, str]], standing: dict[str, str]) -> Iterator[Collision]:
    pictures: dict[str, set[str]] = {}
    for name, picture in loaded:
        pictures.setdefault(name, {standing.get(name, picture)}).add(picture)
    for name, rivals in pictures.items():
        stands = max(rivals)
        for picture in sorted(rivals - {stands}):
            yield Collision(name, stands, picture)


def _batches(records: Iterable[SourceRecord], size: int) -> Iterator[list[SourceRecord]]:
    iterator = iter(records)
    while batch := list(islice(iterator, size)):
        yield batch
