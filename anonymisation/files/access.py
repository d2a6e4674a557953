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
from anonymisation.files.reported import is_full, reason_of, remedy_for

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
        raise ShareUnavailableError(f"{what}: {_problem(error, waited)}") from error


def _problem(error: OSError, waited: float) -> str:
    if is_full(error):
        return f"{reason_of(error)} for {waited:g} s; {remedy_for(error, '')}"
    return f"not reachable for {waited:g} s ({error}); check the share"


def require_folder(settings: Settings, path: Path, role: str, *, first_look: bool = False) -> None:
    """Wait until a base folder exists; if its share is not mounted, it does not.

    `first_look` is for a command that was just typed: if the parent folder is there and this one is not, the name is
    most likely mistyped, and nothing is waited for.

    Raises:
        ShareUnavailableError: it is not there, or did not appear in time.
    """
    missing = f"{role} folder {path} does not exist (mistyped, or its share is not mounted)"
    if first_look and not path.exists() and path.parent.is_dir():
        raise ShareUnavailableError(f"{missing}; its parent folder {path.parent} does")

    def look() -> str | None:
        return None if path.is_dir() else missing

    wait_until(settings, f"{role} folder {path}", look)


def wait_until(settings: Settings, what: str, problem: Callable[[], str | None]) -> None:
    """Wait until `problem` returns None, as `with_access` waits; otherwise it returns a sentence without a full stop.

    Raises:
        ShareUnavailableError: with the sentence, or the share did not come back in time.
    """
    limit = settings.file_access_timeout_seconds
    found: str | None = None

    def look() -> None:
        nonlocal found
        before, found = found, problem()
        if found is None:
            return
        if before is None:
            logging.getLogger(__name__).warning("%s; waiting up to %g s", found, limit)
        raise ShareAwayError("is not there")

    try:
        with_access(settings, what, look)
    except ShareUnavailableError as error:
        if not isinstance(error.__cause__, ShareAwayError):
            raise
        raise ShareUnavailableError(f"{found}; waited {limit:g} s for it") from error


class ShareAwayError(OSError):
    """A share is not there, without an error of the operating system. It is retried like an error of a share."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ENOTCONN, reason)

    def __str__(self) -> str:
        return str(self.strerror)
