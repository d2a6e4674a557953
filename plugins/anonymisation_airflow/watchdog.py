"""Ends the process of a task that makes no progress.

Airflow leaves a task that hangs *running*. Python code that waits, and native code that has given up the interpreter's
lock, leave this thread running: it says what happened before it ends the process. Native code that keeps the lock stops
all Python threads; then `faulthandler`, which needs no lock, writes where every thread is, and ends the process.

Neither can raise an exception instead: the threads that hang would be waited for.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from anonymisation.core.text import duration

EXIT_CODE: Final = 75  # EX_TEMPFAIL of sysexits.h: the next try may succeed
_GRACE_SECONDS: Final = 60.0


class Watchdog:
    """Within a `with` block, ends the process when `progress` has not been called for `seconds`; 0: never.

    Args:
        seconds: of no progress.
        report: called with the reason before the process ends.
        grace: seconds more that native code which keeps the interpreter's lock gets.
    """

    def __init__(self, seconds: float, report: Callable[[str], None], *, grace: float = _GRACE_SECONDS) -> None:
        self._seconds = seconds
        self._report = report
        self._grace = grace
        self._alive = threading.Event()
        self._ended = False

    def __enter__(self) -> Self:
        if self._seconds:
            self._arm()
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._alive.set()
        if self._seconds:
            faulthandler.cancel_dump_traceback_later()

    def progress(self) -> None:
        """Restart the count."""
        if self._seconds:
            self._arm()
            self._alive.set()

    def _arm(self) -> None:
        faulthandler.dump_traceback_later(self._seconds + self._grace, exit=True, file=sys.__stderr__ or 2)

    def _watch(self) -> None:
        while self._alive.wait(self._seconds):
            if self._ended:
                return
            self._alive.clear()
        try:
            faulthandler.dump_traceback(file=sys.__stderr__ or 2)  # where it hangs
            self._report(f"made no progress for {duration(self._seconds)}, so its process was ended")
        finally:
            os._exit(EXIT_CODE)
