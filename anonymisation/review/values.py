"""Values that reviews keep as one JSON file each, in a folder of their own below the state folder.

<state>/<base>/<id>/<name>     one value; `format` in it says which version of the software can read it
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.plain import read_plain
from anonymisation.files.reported import reported

ID_PATTERN: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9a-f]{8}"


class Stored(Protocol):
    """A value that says which format it is of."""

    @property
    def format(self) -> int:
        """The number of its format; newer ones are larger."""


Value = TypeVar("Value", bound=Stored)


def ids_below(base: Path) -> list[str]:
    """The IDs of all values below a folder, the newest day first; none if there is no such folder.

    Raises:
        ShareUnavailableError: the folder cannot be read.
    """
    with reported(base, "read"):
        try:
            names = [entry.name for entry in base.iterdir() if re.fullmatch(ID_PATTERN, entry.name)]
        except FileNotFoundError:
            return []
    return sorted(names, reverse=True)


def read_value(path: Path, kind: type[Value], newest: int) -> Value | None:
    """The value in a file; None where there is none. `newest` is the last format that this version can read.

    Raises:
        ShareUnavailableError: the file is there and cannot be read, is damaged, or comes from a newer version.
    """
    with reported(path, "read"):
        try:
            data = read_plain(path)
        except FileNotFoundError:
            return None
    try:
        value = msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise ShareUnavailableError(f"{path} cannot be read: {error}; restore it from the back-up") from None
    if value.format > newest:
        raise ShareUnavailableError(f"{path} comes from a newer version of the software; use that version")
    return value
