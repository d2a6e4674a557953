"""The registry of pictures by identifier. It is separate from the table, because a row does not name its picture.

`<state>/identifiers/<table and database>/` has one JSON Lines file per capture day. Lines are only appended; the last
line of an identifier counts. Only the holder of the spool's lock reads or writes the registry. Losing it loses no row:
loading fills it again. So a file that cannot be read is set aside, and a new one begins.
"""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import closing
from json.encoder import encode_basestring_ascii as _as_ascii
from pathlib import Path
from typing import Final

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.database.loading.limits import StateProblem
from anonymisation.database.loading.spool import renamed_aside
from anonymisation.files.append_log import AppendLog, read_from
from anonymisation.files.atomic import write_atomically
from anonymisation.files.plain import NO_FILE

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DAYS_IN_MEMORY: Final = 8  # a load processes one day after the other
_SLACK_LINES: Final = 1000  # a file is rewritten if more lines than this, and more than half, are out of date


class IdentifierRegistry:
    """Identifier → picture (its path below the input folder) for one table of one database."""

    def __init__(self, state: Path, key: str) -> None:
        self._folder = state / "identifiers" / key
        self._days: dict[str, _Day] = {}
        self.problems: list[StateProblem] = []
        """Files that could not be read and were set aside."""

    def pictures(self, identifiers: Iterable[str]) -> dict[str, str]:
        """The picture of each known identifier of `identifiers`.

        Raises:
            ShareUnavailableError: a file can be neither read nor set aside.
        """
        return {
            identifier: picture
            for day, members in _by_day(identifiers).items()
            for known in [self._read(day)]
            for identifier in members
            if (picture := known.get(identifier)) is not None
        }

    def claim(self, pictures: Mapping[str, str]) -> None:
        """Register the picture of each identifier (identifier → picture); unchanged entries are not written again.

        Raises:
            ShareUnavailableError: a file cannot be written.
        """
        for day, members in _by_day(pictures).items():
            known = self._read(day)
            changed = {name: pictures[name] for name in members if known.get(name) != pictures[name]}
            if changed:
                self._day(day).append(changed)

    def _read(self, name: str) -> Mapping[str, str]:
        day = self._day(name)
        try:
            return day.read()
        except (OSError, ShareUnavailableError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(cause, OSError):
                raise
            self.problems.append(_set_aside(day.path, cause))
            del self._days[name]
            return {}

    def _day(self, name: str) -> _Day:
        if name not in self._days:
            while len(self._days) >= _DAYS_IN_MEMORY:
                del self._days[next(iter(self._days))]
            self._days[name] = _Day(self._folder / f"{name}.jsonl")
        return self._days[name]


class _Day:
    """One file. Each read takes only the lines that others appended since the last read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()

    def _forget(self) -> None:
        self._pictures: dict[str, str] = {}
        self._inode = -1
        self._offset = 0
        self._lines = 0

    def read(self) -> Mapping[str, str]:
        if not self.path.exists():
            self._forget()
            return self._pictures
        if not self.path.is_file():
            raise OSError(errno.EINVAL, NO_FILE, str(self.path))
        stat = self.path.stat()
        if stat.st_ino != self._inode or stat.st_size < self._offset:  # rewritten by another loader
            self._forget()
            self._inode = stat.st_ino
        if stat.st_size > self._offset:
            self._take_new()
            self._compact_if_long()
        return self._pictures

    def append(self, pictures: Mapping[str, str]) -> None:
        # Not flushed to the disk, because loading fills a lost registry again.
        lines = [_line(identifier, picture) for identifier, picture in pictures.items()]
        with closing(AppendLog(self.path, durable=False)) as log:
            offset = log.extend_lines(lines)
        if offset == self._offset > 0:  # nobody else has written since the last read
            self._pictures |= pictures
            self._lines += len(lines)
            self._offset += sum(map(len, lines))
            self._compact_if_long()

    def _take_new(self) -> None:
        """Read on to the end. The torn line of a killed loader is skipped: the spool sends its row again."""
        new = read_from(self.path, self._offset)
        self._offset = new.end
        self._lines += new.count
        for values in new.values:
            identifier, picture = values.get("identifier"), values.get("picture")
            if isinstance(identifier, str) and isinstance(picture, str):
                self._pictures[identifier] = picture

    def _compact_if_long(self) -> None:
        if self._lines - len(self._pictures) <= max(len(self._pictures), _SLACK_LINES):
            return
        try:
            self._compact()
        except (OSError, ShareUnavailableError) as error:  # such as a full disk: the long file is as good
            logging.getLogger(__name__).warning("%s: cannot be made shorter (%s)", self.path, error)

    def _compact(self) -> None:
        write_atomically(self.path, (_line(*entry) for entry in self._pictures.items()))
        self._forget()
        self._take_new()
        self._inode = self.path.stat().st_ino


def _set_aside(path: Path, error: OSError) -> StateProblem:
    try:
        aside = renamed_aside(path)
    except OSError as other:
        message = (
            f"{path} can be neither read ({error.strerror}) nor renamed ({other.strerror}); check the state folder"
        )
        raise ShareUnavailableError(message) from error
    problem = StateProblem(
        str(path),
        f"cannot be read ({error.strerror}); it is kept as {aside.name}; of two pictures with one ID, a row that it "
        "registered may be replaced by a later one: load the pictures of that day again",
    )
    logging.getLogger(__name__).warning("%s", problem)
    return problem


def _line(identifier: str, picture: str) -> bytes:
    """The line of `to_line`, in a third of its time."""
    return f'{{"identifier":{_as_ascii(identifier)},"picture":{_as_ascii(picture)}}}\n'.encode("ascii")


def _by_day(identifiers: Iterable[str]) -> dict[str, list[str]]:
    days: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for identifier in identifiers:
        start = identifier[:10]
        name = names.get(start) or names.setdefault(start, start if _DAY.fullmatch(start) else "other")
        days.setdefault(name, []).append(identifier)
    return days
