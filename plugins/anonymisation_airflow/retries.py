"""Which failures are worth another try: the error classes say so themselves, this only tells Airflow."""

from __future__ import annotations

from collections.abc import Iterator

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from anonymisation.core.errors import AnonymisationError


def retry_policy() -> ExceptionRetryPolicy:
    """Errors that call themselves retryable are tried again; other errors of ours fail at once, they would come again.

    Whatever is not ours (a killed process, a bug, a broken disk) is left to the number of retries.
    """
    worth_it = sorted(_path(kind) for kind in _kinds(AnonymisationError) if kind.retryable)
    return ExceptionRetryPolicy(
        rules=[
            RetryRule(exception=list(worth_it), action=RetryAction.RETRY, reason="may be gone at the next try"),
            RetryRule(exception=_path(AnonymisationError), action=RetryAction.FAIL, reason="would come again"),
        ]
    )


def _kinds(root: type[AnonymisationError]) -> Iterator[type[AnonymisationError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


def _path(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
