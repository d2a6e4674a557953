"""Journals: append-only logs with one line per change of an entry; the last line of each `name` counts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from anonymisation.files.append_log import AppendLog, read_lines
from anonymisation.files.atomic import write_atomically
from anonymisation.files.plain import open_plain, read_plain
from anonymisation.files.reported import reported

GROWTH_BYTES: Final = 1_000_000  # smaller journals are not worth an early rewrite


def compact(path: Path) -> None:
    """Keep only the last line of each `name`, sorted by name, with one line in memory at a time.

    Lines without a name, which only another version of the software writes, are all kept, before the others.

    Raises:
        ShareUnavailableError: the journal cannot be read, or the new one cannot be written; the old one then stays.
    """
    offsets: dict[str, int] = {}
    nameless: list[int] = []
    for offset, values in read_lines(path):
        if isinstance(name := values.get("name"), str):
            offsets[name] = offset
        else:
            nameless.append(offset)

    def lines() -> Iterator[bytes]:
        with reported(path, "read"), open_plain(path) as stream:
            for offset in (*nameless, *(offsets[name] for name in sorted(offsets))):
                stream.seek(offset)
                line = stream.readline()
                yield line if line.endswith(b"\n") else line + b"\n"

    with reported(path, "written"):
        write_atomically(path, lines())


def compact_overgrown(path: Path) -> None:
    """Compact a journal that has doubled since it was last compacted, so that the total cost stays a few passes.

    A note next to the journal holds its size at that time; a note that is lost or cannot be written costs one more
    pass.

    Raises: as `compact`.
    """
    note = path.with_name(f"{path.name}.compacted")
    with reported(path, "read"):
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return
    try:
        before = int(read_plain(note))
    except (OSError, ValueError):
        before = 0
    if size > 2 * before + GROWTH_BYTES:
        compact(path)
        try:
            write_atomically(note, str(path.stat().st_size).encode())
        except OSError as error:
            logging.getLogger(__name__).warning("%s cannot be written: %s", note, error)


def merge(source: Path, target: Path) -> None:
    """Append the valid lines of `source` to `target` and remove `source`.

    A kill before the removal makes the next run append them again, which is harmless since the last line counts.

    Raises:
        ShareUnavailableError: one of the two cannot be read or written.
    """
    with closing(AppendLog(target)) as log:
        for _, values in read_lines(source):
            log.append(values)
    with reported(source, "removed"):
        source.unlink(missing_ok=True)
