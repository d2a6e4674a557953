"""Concurrent work with results in order."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.core.concurrency import InlineExecutor, executor, failed, in_flight, one_ahead, prompt_switching


@given(st.lists(st.integers()), st.integers(0, 5))
def test_order_and_number_of_items_stay(items: list[int], number: int) -> None:
    assert list(in_flight(items, number)) == items


@given(st.integers(0, 10), st.integers(0, 5))
def test_items_are_read_ahead_up_to_the_number(length: int, number: int) -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for item in range(length):
            drawn += 1
            yield item

    for handed_on, _ in enumerate(in_flight(items(), number), start=1):
        assert drawn == min(handed_on + number, length)


def test_without_threads_work_runs_in_the_calling_thread() -> None:
    with executor(0) as pool:
        assert isinstance(pool, InlineExecutor)
        assert pool.submit(threading.current_thread).result() is threading.current_thread()
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()


def test_with_threads_work_runs_concurrently() -> None:
    barrier = threading.Barrier(3, timeout=60)  # passes only if three threads wait at the same time
    with executor(3) as pool:
        futures: list[Future[int]] = [pool.submit(barrier.wait) for _ in range(3)]
        assert sorted(future.result() for future in futures) == [0, 1, 2]


def test_a_failed_future_raises() -> None:
    with pytest.raises(KeyError, match="gone"):
        failed(KeyError("gone")).result()


def test_the_switch_interval_is_shorter_inside_and_restored_afterwards() -> None:
    before = sys.getswitchinterval()
    with prompt_switching():
        assert sys.getswitchinterval() < before / 5
    assert sys.getswitchinterval() == before


def test_items_are_read_one_ahead_in_order() -> None:
    drawn: list[int] = []
    third = threading.Event()

    def items() -> Iterator[int]:
        for number in range(5):
            drawn.append(number)
            if number == 2:
                third.set()
            yield number

    handed = []
    for number in one_ahead(items()):
        if number == 1:
            assert third.wait(60)
        assert max(drawn) <= number + 1
        handed.append(number)
    assert handed == list(range(5))
    assert [*one_ahead([])] == []


def test_an_error_while_reading_is_raised_in_order() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise RuntimeError("no second")

    ahead = one_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(RuntimeError, match="no second"):
        next(ahead)
