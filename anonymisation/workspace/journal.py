"""Journals: append-only logs with one line per change of something that has a `name`, of which the last line counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from anonymisation.files.append_log import AppendLog, read_lines
from anonymisation.files.atomic import write_atomically

GROWTH_BYTES: Final = 1_000_000  # a journal below this is never worth rewriting before its time


def compact(path: Path) -> None:
    """Keep the last line of each `name`, in the order of the names, reading one line at a time."""
    offsets = {str(values.get("name")): offset for offset, values in read_lines(path)}

    def lines() -> Iterator[bytes]:
        with path.open("rb") as stream:
            for name in sorted(offsets):
                stream.seek(offsets[name])
                yield stream.readline()

    write_atomically(path, lines())


def compact_overgrown(path: Path) -> None:
    """Compact a journal that has doubled since that was done last: all together, that costs but a few passes over it.

    A note next to it says how large it was then; a note that is lost costs one more pass.
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
    """Append the sound lines of one journal to another, and remove it.

    Killed before the removal, it is done once more the next time; that changes nothing, since the last line counts.
    """
    with closing(AppendLog(target)) as log:
        for _, values in read_lines(source):
            log.append(values)
    source.unlink(missing_ok=True)
