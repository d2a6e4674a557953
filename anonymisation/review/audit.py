"""Who looked at which original, and who changed what is hidden: appended to one file of the state folder, flushed.

<state>/audit/originals.jsonl     one line per look; no one but the software's own user may read it
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
        ShareUnavailableError: it cannot be kept, so it must not happen.
    """
    look = Look(datetime.now(UTC).isoformat(timespec="seconds"), by, did, picture, reason)
    with closing(AppendLog(_file(state_root), mode=0o600)) as log:
        log.append(asdict(look))
    return look


def newest_looks(state_root: Path, count: int) -> list[Look]:
    """The last looks, newest first, at most `count` and as many as the end of the file holds."""
    found = (_look(values) for values in read_tail(_file(state_root), _TAIL_BYTES))
    return [look for look in found if look is not None][:count]


def _look(values: Mapping[str, Any]) -> Look | None:
    """The look that a line holds. Keys of a later version are ignored; a line that lacks one says nothing."""
    try:
        return Look(**{item.name: str(values[item.name]) for item in fields(Look) if item.name in values})
    except TypeError:
        return None


def _file(state_root: Path) -> Path:
    return state_root / "audit" / "originals.jsonl"
