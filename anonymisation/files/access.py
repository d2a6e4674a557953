"""Reaching shares that may be away for a while: what counts as away, and how long to wait."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_fixed

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.core.settings import Settings
from anonymisation.files.permissions import make_folders

T = TypeVar("T")


# What a network share answers while it is away, as opposed to what it answers about one particular file.
_SHARE_ERRNOS: Final = frozenset(
    getattr(errno, name)
    for name in (
        "EIO", "ESTALE", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENOTCONN", "ECONNRESET",
        "ECONNREFUSED", "EREMOTEIO", "EBUSY", "EAGAIN", "ENXIO", "ENODEV", "ENOSPC", "EDQUOT", "EROFS",
    )
    if hasattr(errno, name)
)  # fmt: skip


def is_share_error(error: BaseException) -> bool:
    """Whether `error` says that a share is away (worth waiting for), not that one file is missing or forbidden."""
    return isinstance(error, OSError) and error.errno in _SHARE_ERRNOS


def with_access(settings: Settings, what: str, action: Callable[[], T]) -> T:
    """Run `action`, trying again every `file_access_retry_seconds` up to `file_access_timeout_seconds`.

    Only errors of a share that is away are waited for; a file that is missing or forbidden is its own error at once.

    Raises:
        ShareUnavailableError: the share did not come back in time.
        OSError: any other error of the file system.
    """

    def announce(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = settings.file_access_retry_seconds
        logging.getLogger(__name__).warning("%s: %s; trying again in %g s", what, error, wait)

    retrying = Retrying(
        retry=retry_if_exception(is_share_error),
        wait=wait_fixed(settings.file_access_retry_seconds),
        stop=stop_after_delay(settings.file_access_timeout_seconds),
        before_sleep=announce,
        reraise=True,
    )
    try:
        return retrying(action)
    except OSError as error:
        if not is_share_error(error):
            raise
        waited = settings.file_access_timeout_seconds
        raise ShareUnavailableError(f"{what}: not reachable for {waited:g} s ({error}); check the share") from error


def make_folder(settings: Settings, path: Path, role: str, mode: int | None = None) -> None:
    """Create a base folder (with `mode`: with these permissions), and those above it, where it is missing.

    Raises:
        ShareUnavailableError: it cannot be created.
    """

    def make() -> None:
        if mode is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            make_folders(path, mode)

    try:
        with_access(settings, f"{role} folder {path}", make)
    except OSError as error:
        raise ShareUnavailableError(f"{role} folder {path} cannot be created: {error.strerror}") from error


def require_folder(settings: Settings, path: Path, role: str) -> None:
    """Wait for a base folder to be there; a share that is not mounted shows as a folder that does not exist.

    Raises:
        ShareUnavailableError: it did not appear in time.
    """

    missing = f"{role} folder {path} does not exist (mistyped, or its share is not mounted)"
    limit = settings.file_access_timeout_seconds
    told = False

    def look() -> None:
        nonlocal told
        if path.is_dir():
            return
        if not told:
            logging.getLogger(__name__).warning("%s; waiting up to %g s", missing, limit)
            told = True
        raise _MissingFolderError(errno.ENOTCONN, "is not there")

    try:
        with_access(settings, f"{role} folder {path}", look)
    except ShareUnavailableError as error:
        if not isinstance(error.__cause__, _MissingFolderError):
            raise
        raise ShareUnavailableError(f"{missing}; waited {limit:g} s for it") from error


class _MissingFolderError(OSError):
    """Waited for like a share that is away; no error number is shown, since no call of the system failed."""

    def __str__(self) -> str:
        return str(self.strerror)
