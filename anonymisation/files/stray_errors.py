"""Errors of the file system that no step expects, in words: which file, why, and what to do."""

from __future__ import annotations

import errno
import os
from typing import Final

from anonymisation.core.errors import ShareUnavailableError

_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))


def share_error_of(error: OSError) -> ShareUnavailableError:
    """The same error as one of the share that the file is on; it keeps `error` as its cause."""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    place = f"{' → '.join(names)}: " if names else ""
    remedy = "make room there" if error.errno in _FULL else "check the share and its permissions"
    found = ShareUnavailableError(f"{place}{error.strerror or error}; {remedy}, then run again")
    found.__cause__ = error
    return found
