"""Journals: append-only logs with one line per change of an entry; the last line of each `name` counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from anonymisation.files.append_log import AppendLog, read_lines
from anonymisation.files.atomic import write_atomically

GROWTH_BYTES: Final = 1_000_000  # smaller journals are not worth an early rewrite


def compact(path: Path) -> None:
    """Keep only the last line of each `name`, sorted by name, with one line in memory at a time."""
    offsets = {str(values.get("name")): offset for offset, values in read_lines(path)}

    def lines() -> Iterator[bytes]:
        with path.open("rb") as stream:
            for name in sorted(offsets):
                stream.seek(offsets[name])
                yield stream.readline()

    write_atomically(path, lines())


def compact_overgrown(path: Path) -> None:
    """Compact a journal that has doubled since it was last compacted, so that the total cost stays a few passes.

    A note next to the journal holds its size at that time; a lost note costs one more pass.
    """
    note = path.with_name(f"{path.name}.compacted")
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    try:
        before = int(note.read_bytes())
    except (FileNotFoundError, ValueError):
        before = 0
    if size > 2 * before + GROWTH_BYTES:
        compact(path)
        write_atomically(note, str(path.stat().st_size).encode())


def merge(source: Path, target: Path) -> None:
    """Append the valid lines of `source` to `target` and remove `source`.

    A kill before the removal makes the next run append them again, which is harmless since the last line counts.
    """
    with closing(AppendLog(target)) as log:
        for _, values in read_lines(source):
            log.append(values)
    source.unlink(missing_ok=True)
