"""Errors of the file system as errors of our own tree: the file, the reason, and what to do about it."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from anonymisation.core.errors import AnonymisationError, ShareUnavailableError

_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))


def is_full(error: OSError) -> bool:
    """Whether a disk is full, or a quota used up."""
    return error.errno in _FULL


def reason_of(error: OSError) -> str:
    """The reason in words. A full disk, and a quota that is used up, begin with "disk full"."""
    text = error.strerror or str(error)
    return f"disk full ({text})" if is_full(error) else text


def remedy_for(error: OSError, otherwise: str) -> str:
    """What a person can do: make room on a full disk, else `otherwise`."""
    return "make room there, then run again" if is_full(error) else otherwise


def share_error_of(error: OSError) -> ShareUnavailableError:
    """An error that no step expects, as one of the share that the file is on; it keeps `error` as its cause."""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    place = f"{' → '.join(names)}: " if names else ""
    remedy = remedy_for(error, "check the share and its permissions, then run again")
    found = ShareUnavailableError(f"{place}{reason_of(error)}; {remedy}")
    found.__cause__ = error
    return found


@contextmanager
def reported(path: Path, done: str) -> Iterator[None]:
    """Raise an OSError of the block as ShareUnavailableError: `path` cannot be `done`, such as "read" or "written".

    For files of the state folder: without them no step can know what it may do, so the folder's step ends.
    """
    try:
        yield
    except OSError as error:
        remedy = remedy_for(error, "check this file and the share of the state folder")
        raise ShareUnavailableError(f"{path} cannot be {done}: {reason_of(error)}; {remedy}") from error


@contextmanager
def at_the_end(action: Callable[[], None]) -> Iterator[None]:
    """Run `action` after the block, also if the block fails. Its error then is only logged: the first one counts."""
    try:
        yield
    except BaseException:
        try:
            action()
        except AnonymisationError as error:
            logging.getLogger(__name__).warning("%s", error)
        raise
    action()
