"""Errors of the file system in words: the file, the reason, and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.reported import at_the_end, reported, share_error_of


def error_of(number: int, *names: object) -> OSError:
    first, second = (*names, None, None)[:2]
    return OSError(number, os.strerror(number), first, None, second)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (error_of(errno.EIO, "/a"), "/a: Input/output error; check the share and its permissions, then run again"),
        (
            error_of(errno.ENOSPC, "/a", b"/b"),
            "/a → /b: disk full (No space left on device); make room there, then run again",
        ),
        (OSError("odd"), "odd; check the share and its permissions, then run again"),
        (error_of(errno.EBADF, 7), "Bad file descriptor; check the share and its permissions, then run again"),
    ],
)
def test_a_stray_error_is_one_of_its_share(error: OSError, message: str) -> None:
    found = share_error_of(error)
    assert (str(found), found.exit_code, found.__cause__) == (message, 3, error)


def test_errors_of_the_state_name_the_file_and_the_remedy() -> None:
    with (
        pytest.raises(ShareUnavailableError, match=r"^/s/lock cannot be written: disk full \(.*\); make room there"),
        reported(Path("/s/lock"), "written"),
    ):
        raise error_of(errno.EDQUOT)
    with (
        pytest.raises(ShareUnavailableError, match="check this file and the share of the state folder"),
        reported(Path("/s/lock"), "read"),
    ):
        raise error_of(errno.EACCES)


def test_the_first_error_counts() -> None:
    def fail() -> None:
        raise ShareUnavailableError("the second")

    with pytest.raises(ValueError, match="the first"), at_the_end(fail):
        raise ValueError("the first")
    with pytest.raises(ShareUnavailableError, match="the second"), at_the_end(fail):
        pass
