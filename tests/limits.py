"""Calls a function in a process with bounds on time and memory, so that what costs too much fails its test."""

from __future__ import annotations

import importlib
import multiprocessing
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeVar

from PIL import Image

T = TypeVar("T")

PROCESSES: Final = multiprocessing.get_context("forkserver")
_PRELOADED: Final = [__name__]

# Libraries that are loaded when they are first needed: here, so that they do not count as memory of what is called.
importlib.import_module("cv2")
Image.init()


def preload(*modules: str) -> None:
    """Import these modules once, for all processes; call it before the first process starts."""
    _PRELOADED.extend(modules)
    PROCESSES.set_forkserver_preload(_PRELOADED)


def bounded(function: Callable[..., T], *arguments: Any, seconds: int = 5, mebibytes: int = 500) -> T:
    """What `function` returns in a process with so many seconds of CPU, and so much memory more than it starts with.

    Raises:
        AssertionError: the process was ended by its bounds.
    """
    mine, its = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_call, args=(its, seconds, mebibytes, function, arguments), daemon=True)
    process.start()
    its.close()
    try:
        answer = mine.recv()
    except EOFError:
        process.join()
        raise AssertionError(f"{function.__name__} ended its process: {process.exitcode}") from None
    process.join()
    if isinstance(answer, BaseException):
        raise answer
    return answer  # type: ignore[no-any-return]  # what the function returned


def _call(told: Connection, seconds: int, mebibytes: int, function: Callable[..., Any], arguments: Any) -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + (mebibytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    try:
        answer = function(*arguments)
    except Exception as error:  # noqa: BLE001 - raised again in the calling process
        answer = error
    told.send(answer)
