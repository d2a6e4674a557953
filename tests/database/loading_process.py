"""A loader in a process of its own, for tests that kill it: URL STATE COUNT [BATCH [TAG]]."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records, open_target


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def identifier(number: int) -> str:
    """That of the so manieth record."""
    return f"2021-05-{1 + number % 28:02d}T10.00.00.000000_picture_{number:06d}"


def records(count: int, tag: str) -> Iterator[SourceRecord]:
    """Announces each record on stdout before it is taken, so that the parent can kill at a chosen place."""
    for number in range(count):
        say(str(number))
        name = f"picture_{number:06d}.jpg"
        record = {
            "bildeid": identifier(number),
            "exif_tid": "2021-05-01T10:00:00.25",
            "exif_filnavn": name,
            "versjon": tag,
        }
        yield SourceRecord(f"Østfold/{name}", record)


def main(url: str, state: str, count: str, batch: str = "100", tag: str = "first") -> None:
    target = open_target(url, load_layout("PICTURES"))
    report = load_records(records(int(count), tag), target, Path(state), LoadLimits(batch_rows=int(batch)))
    say(f"inserted={report.inserted} updated={report.updated} waiting={report.waiting}")


if __name__ == "__main__":
    main(*sys.argv[1:])
