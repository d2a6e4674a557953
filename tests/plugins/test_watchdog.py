"""A task that hangs is ended, with a reason: in processes of their own, since that is what is ended."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from anonymisation_airflow.watchdog import EXIT_CODE

BEGIN = """
import ctypes, sys, threading, time
sys.path.insert(0, "plugins")
from anonymisation_airflow.watchdog import Watchdog
with Watchdog(0.5, lambda reason: print("reason:", reason, flush=True), grace=0.5) as watchdog:
    {body}
print("ended well", flush=True)
"""
PYTHON = "time.sleep(600)"
THREAD = "thread = threading.Thread(target=time.sleep, args=(600,)); thread.start(); thread.join()"
NATIVE = "ctypes.CDLL(None).sleep(600)"
NATIVE_WITH_THE_LOCK = "ctypes.PyDLL(None).sleep(600)"  # other than CDLL, it keeps the interpreter's lock


def run(body: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BEGIN.format(body=body)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("body", [PYTHON, THREAD, NATIVE])
def test_what_hangs_is_ended_with_a_reason_and_the_place_where_it_hangs(body: str) -> None:
    done = run(body)
    assert done.returncode == EXIT_CODE
    assert done.stdout == "reason: made no progress for 0 s, so its process was ended\n"
    assert 'File "<string>", line 6' in done.stderr


def test_native_code_that_keeps_the_interpreter_s_lock_is_ended_too() -> None:
    done = run(NATIVE_WITH_THE_LOCK)
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert 'File "<string>", line 6' in done.stderr


def test_what_goes_on_is_left_alone() -> None:
    began = time.monotonic()
    done = run("[(time.sleep(0.2), watchdog.progress()) for _ in range(12)]")
    assert (done.returncode, done.stdout) == (0, "ended well\n"), done.stderr
    assert time.monotonic() - began > 2


def test_what_ends_early_is_not_ended_later() -> None:
    assert run("pass\ntime.sleep(2)").stdout == "ended well\n"
