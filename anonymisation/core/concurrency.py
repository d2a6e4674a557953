"""Concurrent work with results in order: a window of futures, and an executor without threads."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, ParamSpec, TypeVar

_SWITCH_SECONDS: Final = 0.0005
P = ParamSpec("P")
T = TypeVar("T")


def in_flight(items: Iterable[T], number: int) -> Iterator[T]:
    """Yield `items` in order, reading up to `number` items ahead.

    If reading an item submits work, that much work runs while the caller waits for the oldest item.
    """
    drawn: deque[T] = deque()
    for item in items:
        drawn.append(item)
        if len(drawn) > number:
            yield drawn.popleft()
    yield from drawn


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield `items` in order; a thread reads the next item while the caller uses the current one."""
    drawn = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming = pool.submit(lambda: [*islice(drawn, 1)])
        while one := coming.result():
            coming = pool.submit(lambda: [*islice(drawn, 1)])
            yield one[0]


def executor(threads: int) -> Executor:
    """A pool of `threads` threads; with 0, submitted work runs at once in the calling thread."""
    return ThreadPoolExecutor(threads, thread_name_prefix="picture") if threads else InlineExecutor()


class InlineExecutor(Executor):
    """Runs submitted work at once, in the calling thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` and return its finished future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - raised by the future, as with any executor
            future.set_exception(error)
        return future


@contextmanager
def prompt_switching() -> Iterator[None]:
    """Switch threads more often, so that the thread that feeds the model runs soon after the model returns.

    By default Python lets a computing thread run for 5 ms at a time. A tenth of that costs nothing measurable, and the
    model waits less. Applies to the whole process inside the `with` block.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def failed(error: BaseException) -> Future[Any]:
    """A future that raises `error`."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future
