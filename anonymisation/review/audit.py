"""The audit log: who looked at which original, and who changed which regions are hidden.

<state>/audit/originals.jsonl     one line per look; only the software's own user may read it
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from anonymisation.files.append_log import AppendLog, read_tail

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
    """The last looks, newest first: at most `count`, and only those in the last 256 KiB of the file."""
    found = (_look(values) for values in read_tail(_file(state_root), _TAIL_BYTES))
    return [look for look in found if look is not None][:count]


def _look(values: Mapping[str, Any]) -> Look | None:
    """The look on one line, or None where a required key is missing. Unknown keys, of a later version, are ignored."""
    try:
        return Look(**{item.name: str(values[item.name]) for item in fields(Look) if item.name in values})
    except TypeError:
        return None


def _file(state_root: Path) -> Path:
    return state_root / "audit" / "originals.jsonl"
