"""Passes to Airflow which failures to retry; each error class declares whether it is retryable."""

from __future__ import annotations

from collections.abc import Iterator

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from anonymisation.core.errors import AnonymisationError


def retry_policy() -> ExceptionRetryPolicy:
    """Return the policy: retry errors that are retryable; fail at once with our other errors, which would recur.

    All other failures (a killed process, a bug, a broken disk) are retried as often as the deployment says.
    """
    retryable = sorted(_path(kind) for kind in _kinds(AnonymisationError) if kind.retryable)
    return ExceptionRetryPolicy(
        rules=[
            RetryRule(exception=list(retryable), action=RetryAction.RETRY, reason="may not occur at the next try"),
            RetryRule(exception=_path(AnonymisationError), action=RetryAction.FAIL, reason="would recur"),
        ]
    )


def _kinds(root: type[AnonymisationError]) -> Iterator[type[AnonymisationError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


def _path(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
