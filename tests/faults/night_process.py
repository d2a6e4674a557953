"""A warm process from which nights are forked: it has imported all that a night needs, so that one costs little.

Reads one order per line (JSON), forks a process that runs the command line, and answers with its number, then with its
exit code. The model is scripted where the program loads it; all else is the program itself.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import logging
import os
import signal
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anonymisation.cli.model
from anonymisation.cli import main
from anonymisation.core.settings import Settings
from anonymisation.masking.guard import GuardedDetector
from tests.captures import CAR
from tests.doubles import ScriptedDetector
from tests.faults.shim import Fault, arm


@dataclass(frozen=True, slots=True)
class Order:
    """A night: the arguments of the program, the files for its output, and the fault below `base`, if any."""

    arguments: list[str]
    output: str
    base: str = ""
    log: str = ""
    fault: dict[str, Any] | None = None
    modules: str = ""
    """A file for the names of the modules that were imported at the end."""
    unprivileged: bool = False
    """Whether permissions count for root, too."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables to set."""


def drop_privileges() -> None:
    """Give up what makes root ignore permissions: CAP_DAC_OVERRIDE (1), CAP_DAC_READ_SEARCH (2), CAP_FOWNER (3).

    Version 3 of capset: https://man7.org/linux/man-pages/man2/capset.2.html
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    for part in (0, 1, 2):  # effective, permitted, inheritable
        data[part] &= ~0b1110
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def scripted(_: Settings, **__: Any) -> GuardedDetector:
    """In place of `load_detector`: finds the car of `tests.captures` in every picture, without TensorFlow."""
    return GuardedDetector(ScriptedDetector(CAR))


def serve() -> None:
    """Run nights until the end of the input."""
    anonymisation.cli.model.load_detector = scripted  # type: ignore[assignment, attr-defined]
    for line in sys.stdin:
        order = Order(**json.loads(line))
        process = os.fork()
        if process == 0:
            _night(order)
        _answer(process)
        _, status, _ = os.wait4(process, 0)
        _import_what_it_did(order)
        _answer(os.waitstatus_to_exitcode(status))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _import_what_it_did(order: Order) -> None:
    """Import what a night imported on its way, for the next. A night in this process would leave threads behind."""
    if order.modules:
        for name in Path(order.modules).read_text().split():
            if name not in sys.modules:
                importlib.import_module(name)


def _night(order: Order) -> None:
    """Run the program in this new process and end it."""
    code: Any = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        out = os.open(order.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor in (1, 2):
            os.dup2(out, descriptor)
        os.environ |= order.environment
        sys.argv = ["anonymise", *order.arguments]
        if order.unprivileged:
            drop_privileges()
        if order.fault is not None:
            arm(Path(order.base), Fault(**order.fault), Path(order.log))
        main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001 - shown, as the interpreter does
        traceback.print_exc()
    finally:
        if order.modules:
            Path(order.modules).write_text("\n".join(sys.modules))
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
