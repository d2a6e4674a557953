"""Memory that arrays free stays with the process: counted in page faults, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

ARRAYS = """
import resource
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from anonymisation.core.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def several(_):
    [np.ones(3 << 20, np.uint8) for _ in range(20)]

with ThreadPoolExecutor(2) as pool:
    list(pool.map(several, range(4)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    list(pool.map(several, range(20)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", ARRAYS, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux")
def test_freed_memory_is_used_again() -> None:
    kept = page_faults("keep")
    assert kept < page_faults("leave") / 4
