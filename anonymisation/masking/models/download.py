"""Downloads one large file over HTTP into a part file. A later attempt, or a later run, resumes from the part file."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from anonymisation.core.errors import ModelUnavailableError
from anonymisation.files.reported import is_full

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where known

_CHUNK_BYTES: Final = 1 << 16  # most bytes lost when a connection breaks
_RETRYABLE_STATUS: Final = frozenset((408, 425, 429, 500, 502, 503, 504))
_MAX_WAIT_SECONDS: Final = 30
_OTHER_ADDRESS: Final = "check the network, or give another address with --base-url"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a download is tried: the number of attempts, the first wait between two attempts (doubled each time),
    and the timeout without data."""

    attempts: int = 6
    first_wait_seconds: float = 1.0
    timeout_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Download:
    """One file to download.

    Attributes:
        url: address of the file.
        part: the part file.
        expected_bytes: size of the file, where known; another size is refused before any data is read.
        limit_bytes: most bytes that are accepted.
        checked: the checksum is known, so the check afterwards notices parts of two different files.
    """

    url: str
    part: Path
    expected_bytes: int | None
    limit_bytes: int
    checked: bool

    @property
    def validator(self) -> Path:
        """The file next to the part file that holds the server's version of the file (ETag or Last-Modified)."""
        return self.part.with_name(self.part.name + ".version")

    def have(self) -> int:
        """Bytes downloaded so far."""
        return self.part.stat().st_size if self.part.exists() else 0

    def discard(self) -> None:
        """Remove the part file and the version."""
        self.part.unlink(missing_ok=True)
        self.validator.unlink(missing_ok=True)


class _InterruptedError(Exception):
    """The attempt ended early; another may succeed."""


def fetch(job: Download, progress: Progress | None = None, retries: RetryPolicy | None = None) -> None:
    """Complete the part file of `job`. An existing part is resumed if the server still has the same file.

    Raises:
        ModelUnavailableError: the server does not have the file or has another file, no attempt succeeds (the part file
            is kept), or the disk is full (the part file is removed).
    """
    retries = retries or RetryPolicy()

    def announce(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logging.getLogger(__name__).warning("%s: %s; trying again", job.url, error)

    retrying = Retrying(
        retry=retry_if_exception_type(_InterruptedError),
        stop=stop_after_attempt(retries.attempts),
        wait=wait_exponential(retries.first_wait_seconds, max=_MAX_WAIT_SECONDS),
        before_sleep=announce,
        reraise=True,
    )
    try:
        retrying(_attempt, job, progress or (lambda _have, _total: None), retries.timeout_seconds)
    except _InterruptedError as error:
        advice = "the part so far is kept, run the same command again to resume" if job.have() else _OTHER_ADDRESS
        raise ModelUnavailableError(f"{job.url} cannot be fetched: {error}; {advice}") from error
    except requests.RequestException as error:  # an invalid address; before OSError, its base class
        raise ModelUnavailableError(f"{job.url} cannot be fetched: {error}; {_OTHER_ADDRESS}") from error
    except OSError as error:
        raise _disk_error(job, error) from error


def _disk_error(job: Download, error: OSError) -> ModelUnavailableError:
    if is_full(error) or error.errno == errno.EFBIG:
        job.discard()
        return ModelUnavailableError(
            f"{job.part.parent} is full ({error.strerror}); the partial download was removed. "
            "Free some space there, or set model_dir to another folder"
        )
    return ModelUnavailableError(f"{job.part} cannot be written: {error}; set model_dir to another folder")


def _attempt(job: Download, progress: Progress, timeout: float) -> None:
    for path in (job.part, job.validator):
        if path.is_fifo():  # opening it would wait for ever
            path.unlink()
    have = job.have()
    if have and have == job.expected_bytes:
        return
    version = _kept_version(job)
    if have > (job.expected_bytes or job.limit_bytes) or (have and version is None and not job.checked):
        job.discard()
        have = 0
    headers = {"Accept-Encoding": "identity"}  # no compression: the file's own bytes are counted and checked
    if have:
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})
    try:
        with requests.get(job.url, headers=headers, stream=True, timeout=timeout) as response:
            _receive(job, response, have, progress)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise _InterruptedError(_cause(error)) from error


def _cause(error: requests.RequestException) -> str:
    """What went wrong, without the names of classes and the address that the libraries put around it."""
    cause = error.args[0] if error.args else error
    return re.sub(r"^\w+\(.*?\): ", "", str(getattr(cause, "reason", None) or cause))


def _receive(job: Download, response: requests.Response, have: int, progress: Progress) -> None:
    total = _total_bytes(response)
    if response.status_code == requests.codes.requested_range_not_satisfiable and have:
        if have != total:
            job.discard()
            raise _InterruptedError("the file on the server has changed")
        return
    if response.status_code in _RETRYABLE_STATUS:
        raise _InterruptedError(f"the server answered {response.status_code} {response.reason}")
    if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
        answer = f"{response.status_code} {response.reason}"
        raise ModelUnavailableError(f"{job.url}: the server answered {answer}; {_OTHER_ADDRESS}")
    start = _start(response)
    if start not in (0, have):
        job.discard()
        raise _InterruptedError(f"the server sent bytes from {start}, expected from {have}")
    _check_total(job, total)
    if start == 0:
        _keep_version(job, response)
    _write(job, response, start, total, progress)


def _write(job: Download, response: requests.Response, start: int, total: int | None, progress: Progress) -> None:
    done = start
    with job.part.open("ab" if start else "wb") as stream:
        progress(done, total)
        for chunk in response.iter_content(_CHUNK_BYTES):
            done += len(chunk)
            if done > (total or job.limit_bytes):
                break
            stream.write(chunk)
            progress(done, total)
    if done > (total or job.limit_bytes):
        job.discard()
        raise ModelUnavailableError(f"{job.url} sends more than {total or job.limit_bytes} bytes; {_OTHER_ADDRESS}")
    if total is not None and done < total:
        raise _InterruptedError(f"the connection ended after {done} of {total} bytes")


def _check_total(job: Download, total: int | None) -> None:
    if total is None:
        return
    if job.expected_bytes is not None and total != job.expected_bytes:
        job.discard()
        raise ModelUnavailableError(
            f"{job.url} is another file than expected: {total} bytes, expected {job.expected_bytes}; {_OTHER_ADDRESS}"
        )
    if total > job.limit_bytes:
        job.discard()
        raise ModelUnavailableError(f"{job.url} has {total} bytes, more than the {job.limit_bytes} allowed")


def _start(response: requests.Response) -> int:
    """The offset of the response's first byte in the file; -1 where the response does not give a valid one."""
    if response.status_code != requests.codes.partial_content:
        return 0
    match = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _total_bytes(response: requests.Response) -> int | None:
    """Size of the whole file, where the response gives it (RFC 9110, 8.6 and 14.4)."""
    if match := re.search(r"/(\d+)$", response.headers.get("Content-Range", "")):
        return int(match[1])
    length = response.headers.get("Content-Length", "")
    return int(length) if response.status_code == requests.codes.ok and length.isdecimal() else None


def _keep_version(job: Download, response: requests.Response) -> None:
    tag = response.headers.get("ETag", "")
    # If-Range takes no weak tags (RFC 9110, 13.1.5).
    version = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    if version:
        job.validator.write_text(version, encoding="utf-8")
    else:
        job.validator.unlink(missing_ok=True)


def _kept_version(job: Download) -> str | None:
    return job.validator.read_text(encoding="utf-8") if job.validator.is_file() else None
