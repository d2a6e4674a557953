"""Records in batches, with their rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any, Final

from anonymisation.database.dialects.base import RowWriter
from anonymisation.database.fast_json import encode_or_none, spaced
from anonymisation.database.layouts.columns import columns_from_records
from anonymisation.database.layouts.formatters import Value
from anonymisation.database.layouts.tables import TableLayout
from anonymisation.database.loading.limits import SourceRecord
from anonymisation.database.loading.spool_lines import to_line

_QUICK_SECONDS: Final = 0.1  # for a batch, on which the database works as long


@dataclass(frozen=True, slots=True)
class Batch:
    """Records, their primary keys and their rows as the writer takes them, in the order of paths: of two with the same
    identifier the greater path comes last.

    `lines` are the spool's lines of records that are not in the spool yet.
    """

    records: Sequence[SourceRecord]
    keys: Sequence[Value]
    rows: Sequence[Any]
    lines: Sequence[bytes] = ()

    def first(self, number: int) -> Batch:
        """A batch of the first `number` records."""
        return Batch(self.records[:number], self.keys[:number], self.rows[:number], self.lines[:number])

    def halves(self) -> tuple[Batch, Batch]:
        """The batch in two, without lines, because they are in the spool."""
        middle = len(self.records) // 2
        return (
            Batch(self.records[:middle], self.keys[:middle], self.rows[:middle]),
            Batch(self.records[middle:], self.keys[middle:], self.rows[middle:]),
        )


def make_batch(
    records: Iterable[SourceRecord], layout: TableLayout, writer: RowWriter, *, spooled: bool = True
) -> Batch:
    """The rows of `records`, and the lines of the spool unless they are `spooled`."""
    ordered = sorted(records, key=attrgetter("picture"))
    texts: list[Value] = []
    lines: list[bytes] = []
    for item in ordered:
        # One encoding for the line and for the columns that hold the whole record, while the caches have it.
        encoded = encode_or_none(item.record)
        if encoded is not None and layout.record_columns:
            text = spaced(encoded)
            texts.append(text if writer.takes_utf8 else text.decode("utf-8"))
        if not spooled:
            lines.append(to_line(item, encoded))
    # A record that is no Unicode has no text here, and the formatters make those of all.
    given = dict.fromkeys(layout.record_columns, texts) if len(texts) == len(ordered) else {}
    columns = columns_from_records(layout, [item.record for item in ordered], given)
    return Batch(ordered, columns[layout.pk_column], writer.prepare(columns), lines)


class Batches:
    """New records in batches, made into rows while the database works on another.

    Records are read without a lock, since others wait for it. But if reading the last ones took no time to speak of,
    the next ones are read while the database works as well.

    No thread is used: two threads would lose more time waiting for the interpreter lock than they save. An error is
    raised in its turn, after all batches before it.
    """

    def __init__(self, records: Iterable[SourceRecord], size: int, layout: TableLayout, writer: RowWriter) -> None:
        self._records = iter(records)
        self._size = size
        self._layout = layout
        self._writer = writer
        self._made: Batch | None = None
        self._failed: Exception | None = None
        self._read: list[SourceRecord] = []
        self._quick = False
        self._read_next()

    def take(self) -> Batch | None:
        """The next batch; None at the end."""
        self._make()
        made, self._made = self._made, None
        if made is None and self._failed is not None:
            raise self._failed
        if made is not None and not self._read:
            self._read_next()
        return made

    def make_next(self) -> None:
        """Make the next batch, unless it is made already, and read the one after it if that is quick."""
        self._make()
        if self._made is not None and not self._read and self._quick:
            self._read_next()

    def _make(self) -> None:
        if self._made is not None or not self._read:
            return
        read, self._read = self._read, []
        try:
            self._made = make_batch(read, self._layout, self._writer, spooled=False)
        except Exception as error:  # noqa: BLE001 - not an error of the batch that is being sent now
            self._failed = error

    def _read_next(self) -> None:
        if self._failed is not None:
            return
        started = time.monotonic()
        try:
            for item in islice(self._records, self._size):
                self._read.append(item)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed = error
        self._quick = time.monotonic() - started < _QUICK_SECONDS
