"""Notes: small JSON files that inform, and that no step depends on (who holds a lock, how long masking took).

A note that cannot be read counts as missing, whatever is wrong with it. Keys that this version does not know are
ignored.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from anonymisation.files.append_log import parse_line, to_line
from anonymisation.files.atomic import write_atomically
from anonymisation.files.plain import open_plain

T = TypeVar("T")
_MOST_BYTES: Final = 1 << 20


def read_note(path: Path, kind: type[T]) -> T | None:
    """The note at `path` as a `kind` (a dataclass or a msgspec struct); None if it is missing or cannot be read."""
    try:
        with open_plain(path) as stream:
            values = parse_line(stream.read(_MOST_BYTES))
        return None if values is None else msgspec.convert(values, kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.ValidationError, ArithmeticError, RecursionError) as error:
        logging.getLogger(__name__).debug("%s counts as missing: %s", path, error)
        return None


def keep_note(path: Path, values: Mapping[str, Any]) -> None:
    """Write a note; an error is only logged."""
    try:
        write_atomically(path, to_line(values))
    except OSError as error:
        logging.getLogger(__name__).warning("%s cannot be written: %s", path, error)
