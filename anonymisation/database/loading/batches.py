"""Records in batches, with their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any

from anonymisation.database.dialects.base import RowWriter
from anonymisation.database.fast_json import encode_or_none, spaced
from anonymisation.database.layouts.columns import columns_from_records
from anonymisation.database.layouts.formatters import Value
from anonymisation.database.layouts.tables import TableLayout
from anonymisation.database.loading.limits import SourceRecord
from anonymisation.database.loading.spool_lines import to_line


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
    """New records in batches. Each is read without a lock, and made into rows while the database works on another.

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
        self._read_next()

    def take(self) -> Batch | None:
        """The next batch; None at the end."""
        self.make_next()
        made, self._made, self._read = self._made, None, []
        if made is not None and self._failed is None:
            self._read_next()
        elif made is None and self._failed is not None:
            raise self._failed
        return made

    def make_next(self) -> None:
        """Make the next batch, unless it is made already."""
        if self._made is not None or not self._read:
            return
        try:
            self._made = make_batch(self._read, self._layout, self._writer, spooled=False)
        except Exception as error:  # noqa: BLE001 - not an error of the batch that is being sent now
            self._failed = error

    def _read_next(self) -> None:
        try:
            for item in islice(self._records, self._size):
                self._read.append(item)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed = error
