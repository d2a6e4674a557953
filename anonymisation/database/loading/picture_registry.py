"""Whose row stands under each identifier: a registry beside the table, because the row does not name its picture.

Below `<state>/identifiers/<table and database>/` one JSON Lines file per capture day, to which lines are only added;
the last line of an identifier counts. It is read and written by whoever holds the spool's lock. Losing it loses no
row: loading fills it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Final

from anonymisation.database.fast_json import decode, encode
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
        self._torn = False

    def read(self) -> Mapping[str, str]:
        if not self._path.exists():
            self._forget()
            return self._pictures
        stat = self._path.stat()
        if stat.st_ino != self._inode or stat.st_size < self._offset:  # rewritten by another loader
            self._forget()
            self._inode = stat.st_ino
        if stat.st_size > self._offset:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                self._take(stream)
            if self._lines - len(self._pictures) > max(len(self._pictures), _SLACK_LINES):
                self._compact()
        return self._pictures

    def append(self, pictures: Mapping[str, str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A killed loader may have left half a line, which a line break makes a damaged line of its own.
        data = (b"\n" if self._torn else b"") + _lines(pictures)
        with self._path.open("ab") as stream:
            stream.write(data)

    def _take(self, stream: IO[bytes]) -> None:
        """Read on to the end, one line at a time."""
        self._torn = False
        for line in stream:
            self._torn = not line.endswith(b"\n")
            if self._torn:
                return
            self._offset += len(line)
            self._lines += 1
            try:
                item = decode(line)
                self._pictures[item["identifier"]] = item["picture"]
            except (ValueError, TypeError, KeyError):
                continue  # the torn line of a killed loader; its row is sent again from the spool

    def _compact(self) -> None:
        write_atomically(self._path, _lines(self._pictures))
        self._forget()
        with self._path.open("rb") as stream:
            self._take(stream)
        self._inode = self._path.stat().st_ino


def _lines(pictures: Mapping[str, str]) -> bytes:
    return b"".join(encode({"identifier": name, "picture": picture}) + b"\n" for name, picture in pictures.items())


def _by_day(identifiers: Iterable[str]) -> dict[str, list[str]]:
    days: dict[str, list[str]] = {}
    for identifier in identifiers:
        day = identifier[:10]
        days.setdefault(day if _DAY.fullmatch(day) else "other", []).append(identifier)
    return days
