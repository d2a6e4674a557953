"""Who looked at which original, and who changed what is hidden: appended to one file of the state folder, flushed.

<state>/audit/originals.jsonl     one line per look; no one but the software's own user may read it
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from anonymisation.workspace.journal import parse_line, to_line

_TAIL_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Look:
    """What one person did with one picture, named by its path below the input folder; `at` is ISO 8601 in UTC.

    `reason` is what the person gave as such, where one was asked for.
    """

    at: str
    by: str
    did: str
    picture: str
    reason: str = ""


def note_look(state_root: Path, by: str, did: str, picture: str, reason: str = "") -> Look:
    """Keep that `by` did it, before it happens; on disk when this returns.

    Raises:
        OSError: it cannot be kept, so it must not happen.
    """
    look = Look(datetime.now(UTC).isoformat(timespec="seconds"), by, did, picture, reason)
    path = _file(state_root)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        line = to_line(asdict(look))
        # A kill may have torn the line before: an empty line between the two costs nothing.
        if os.write(descriptor, b"\n" + line) != len(line) + 1:
            raise OSError(f"{path}: the line could not be written whole")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return look


def newest_looks(state_root: Path, count: int) -> list[Look]:
    """The last looks, newest first, at most `count` and as many as the end of the file holds."""
    try:
        with _file(state_root).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL_BYTES))
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return []
    values = (parse_line(line) for line in reversed(lines))
    looks = [Look(**{key: str(text) for key, text in found.items()}) for found in values if found is not None]
    return looks[:count]


def _file(state_root: Path) -> Path:
    return state_root / "audit" / "originals.jsonl"
