"""The audit log: who looked at which original, and who changed which regions are hidden.

<state>/audit/originals.jsonl     one line per look; only the software's own user may read it
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from anonymisation.files.append_log import AppendLog, read_tail

AUDIT_FILE: Final = "audit/originals.jsonl"
LOOKED: Final = "looked at "
"""What an action begins with if the person saw something that is hidden; every other action changes regions."""
_TAIL_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Look:
    """One action of one person on one picture.

    `picture` is its path below the input folder, `at` is ISO 8601 in UTC. `reason` is the person's own text, where the
    page asks for a reason.
    """

    at: str
    by: str
    did: str
    picture: str
    reason: str = ""


def note_look(state_root: Path, by: str, did: str, picture: str, reason: str = "") -> Look:
    """Record an action before it happens; the line is on disk when this returns.

    Raises:
        ShareUnavailableError: the line cannot be written, so the action must not happen.
    """
    look = Look(datetime.now(UTC).isoformat(timespec="seconds"), by, did, picture, reason)
    with closing(AppendLog(_file(state_root), mode=0o600)) as log:
        log.append(asdict(look))
    return look


def newest_looks(state_root: Path, count: int) -> list[Look]:
    """The last looks, newest first: at most `count`, and only those in the last 256 KiB of the file.

    Raises:
        ShareUnavailableError: the file is there and cannot be read.
    """
    return read_tail(_file(state_root), Look, _TAIL_BYTES)[:count]


def _file(state_root: Path) -> Path:
    return state_root / AUDIT_FILE
