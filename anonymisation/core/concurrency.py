"""Work on several things at once without losing their order: a window of futures, and an executor without threads."""

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
    """Hand on `items` in their order, having drawn up to `number` more of them than were handed on.

    Where drawing an item submits work, that much work is under way while the oldest item is waited for.
    """
    drawn: deque[T] = deque()
    for item in items:
        drawn.append(item)
        if len(drawn) > number:
            yield drawn.popleft()
    yield from drawn


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Hand on `items` in their order, each drawn, in a thread of its own, while the one before is used."""
    drawn = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming = pool.submit(lambda: [*islice(drawn, 1)])
        while one := coming.result():
            coming = pool.submit(lambda: [*islice(drawn, 1)])
            yield one[0]


def executor(threads: int) -> Executor:
    """A pool of so many threads; with 0, work is done at once where it is submitted."""
    return ThreadPoolExecutor(threads, thread_name_prefix="picture") if threads else InlineExecutor()


class InlineExecutor(Executor):
    """Does submitted work at once, in the calling thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` and return its finished future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is handed on by the future, as by any executor
            future.set_exception(error)
        return future


@contextmanager
def prompt_switching() -> Iterator[None]:
    """Let the thread that feeds the model go on soon after the model has answered, beside threads that compute.

    Python leaves the interpreter to a computing thread for 5 ms at a time; a tenth of that costs nothing that can be
    measured, and the model waits less. In force for the whole process while inside.
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
