"""Whose row stands under each identifier: a registry beside the table, because the row does not name its picture.

Below `<state>/identifiers/<table and database>/` one JSON Lines file per capture day, to which lines are only added;
the last line of an identifier counts. It is read and written by whoever holds the spool's lock. Losing it loses no
row: loading fills it again.
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
_DAYS_IN_MEMORY: Final = 8  # a load goes through the days one after the other
_SLACK_LINES: Final = 1000  # a file is rewritten when more lines than this are out of date, and more than half


class IdentifierRegistry:
    """Identifier → picture (its path below the input folder) for one table of one database."""

    def __init__(self, state: Path, key: str) -> None:
        self._folder = state / "identifiers" / key
        self._days: dict[str, _Day] = {}

    def pictures(self, identifiers: Iterable[str]) -> dict[str, str]:
        """The pictures whose rows stand under those of `identifiers` that are known."""
        return {
            identifier: picture
            for day, members in _by_day(identifiers).items()
            for known in [self._day(day).read()]
            for identifier in members
            if (picture := known.get(identifier)) is not None
        }

    def claim(self, pictures: Mapping[str, str]) -> None:
        """Note whose rows stand now: identifier → picture. What is known already is not written again."""
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
    """One file, of which only what others added since the last look is read."""

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
        # Not worth waiting for the disk: a registry that is lost is filled again by loading.
        with closing(AppendLog(self._path, durable=False)) as log:
            log.extend(_entries(pictures))

    def _take_new(self) -> None:
        """Read on to the end. What a killed loader tore is skipped: its row is sent again from the spool."""
        new = read_from(self._path, self._offset)
        self._offset = new.end
        self._lines += new.count
        for values in new.values:
            if {"identifier", "picture"} <= values.keys():
                self._pictures[values["identifier"]] = values["picture"]

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
