"""Access to shares that may be unreachable for a while: which errors mean that, and how long to wait."""

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


# Errors of a network share that cannot be reached, as opposed to errors of a single file.
_SHARE_ERRNOS: Final = frozenset(
    getattr(errno, name)
    for name in (
        "EIO", "ESTALE", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENOTCONN", "ECONNRESET",
        "ECONNREFUSED", "EREMOTEIO", "EBUSY", "EAGAIN", "ENXIO", "ENODEV", "ENOSPC", "EDQUOT", "EROFS",
    )
    if hasattr(errno, name)
)  # fmt: skip


def is_share_error(error: BaseException) -> bool:
    """Whether `error` means that a share cannot be reached, and is not about a single file."""
    return isinstance(error, OSError) and error.errno in _SHARE_ERRNOS


def with_access(settings: Settings, what: str, action: Callable[[], T]) -> T:
    """Run `action`, retrying every `file_access_retry_seconds` for up to `file_access_timeout_seconds`.

    Retries only errors that pass `is_share_error`; others, such as a missing file, are raised at once.

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
    """Create a base folder and its parents if missing; with `mode`, the base folder gets these permissions.

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
    """Wait until a base folder exists; if its share is not mounted, it does not.

    Raises:
        ShareUnavailableError: it did not appear in time.
    """

    missing = f"{role} folder {path} does not exist (mistyped, or its share is not mounted)"
    limit = settings.file_access_timeout_seconds
    warned = False

    def look() -> None:
        nonlocal warned
        if path.is_dir():
            return
        if not warned:
            logging.getLogger(__name__).warning("%s; waiting up to %g s", missing, limit)
            warned = True
        raise _MissingFolderError(errno.ENOTCONN, "is not there")

    try:
        with_access(settings, f"{role} folder {path}", look)
    except ShareUnavailableError as error:
        if not isinstance(error.__cause__, _MissingFolderError):
            raise
        raise ShareUnavailableError(f"{missing}; waited {limit:g} s for it") from error


class _MissingFolderError(OSError):
    """Retried like an error of a share; shown without an error number, since no system call failed."""

    def __str__(self) -> str:
        return str(self.strerror)
