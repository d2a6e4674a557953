"""The registry of pictures by identifier. It is separate from the table, because a row does not name its picture.

`<state>/identifiers/<table and database>/` has one JSON Lines file per capture day. Lines are only appended; the last
line of an identifier counts. Only the holder of the spool's lock reads or writes the registry. Losing it loses no row:
loading fills it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from anonymisation.files.append_log import AppendLog, read_from, to_line
from anonymisation.files.atomic import write_atomically

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DAYS_IN_MEMORY: Final = 8  # a load processes one day after the other
_SLACK_LINES: Final = 1000  # a file is rewritten if more lines than this, and more than half, are out of date


class IdentifierRegistry:
    """Identifier → picture (its path below the input folder) for one table of one database."""

    def __init__(self, state: Path, key: str) -> None:
        self._folder = state / "identifiers" / key
        self._days: dict[str, _Day] = {}

    def pictures(self, identifiers: Iterable[str]) -> dict[str, str]:
        """The picture of each known identifier of `identifiers`."""
        return {
            identifier: picture
            for day, members in _by_day(identifiers).items()
            for known in [self._day(day).read()]
            for identifier in members
            if (picture := known.get(identifier)) is not None
        }

    def claim(self, pictures: Mapping[str, str]) -> None:
        """Register the picture of each identifier (identifier → picture); unchanged entries are not written again."""
        for day, members in _by_day(pictures).items():
            known = self._day(day).read()
            changed = {name: pictures[name] for name in members if known.get(name) != pictures[name]}
            if changed:
                self._day(day).append(changed)

    def _day(self, name: str) -> _Day:
        if name not in self._days:
            while len(self._days) >= _DAYS_IN_MEMORY:
                del self._days[next(iter(self._days))]
            self._days[name] = _Day(self._folder / f"{name}.jsonl")
        return self._days[name]


class _Day:
    """One file. Each read takes only the lines that others appended since the last read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self._pictures: dict[str, str] = {}
        self._inode = -1
        self._offset = 0
        self._lines = 0

    def read(self) -> Mapping[str, str]:
        if not self._path.exists():
            self._forget()
            return self._pictures
        stat = self._path.stat()
        if stat.st_ino != self._inode or stat.st_size < self._offset:  # rewritten by another loader
            self._forget()
            self._inode = stat.st_ino
        if stat.st_size > self._offset:
            self._take_new()
            if self._lines - len(self._pictures) > max(len(self._pictures), _SLACK_LINES):
                self._compact()
        return self._pictures

    def append(self, pictures: Mapping[str, str]) -> None:
        # Not flushed to the disk, because loading fills a lost registry again.
        with closing(AppendLog(self._path, durable=False)) as log:
            log.extend(_entries(pictures))

    def _take_new(self) -> None:
        """Read on to the end. The torn line of a killed loader is skipped: the spool sends its row again."""
        new = read_from(self._path, self._offset)
        self._offset = new.end
        self._lines += new.count
        for values in new.values:
            identifier, picture = values.get("identifier"), values.get("picture")
            if isinstance(identifier, str) and isinstance(picture, str):
                self._pictures[identifier] = picture

    def _compact(self) -> None:
        write_atomically(self._path, map(to_line, _entries(self._pictures)))
        self._forget()
        self._take_new()
        self._inode = self._path.stat().st_ino


def _entries(pictures: Mapping[str, str]) -> Iterator[dict[str, str]]:
    return ({"identifier": name, "picture": picture} for name, picture in pictures.items())


def _by_day(identifiers: Iterable[str]) -> dict[str, list[str]]:
    days: dict[str, list[str]] = {}
    for identifier in identifiers:
        day = identifier[:10]
        days.setdefault(day if _DAY.fullmatch(day) else "other", []).append(identifier)
    return days
