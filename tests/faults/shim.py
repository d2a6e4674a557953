"""Builds `shim.c` and arms it inside a process that was started with it."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("shim.c")
LIBRARY: Final = "FAULTS_SHIM"
"""Name of the environment variable with the path of the library."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the operation number `at` (from 1; 0: nothing happens, every operation is logged).

    The operation and the `times` - 1 that follow (0: all of them) fail with the errno `error`; or the process gets
    `signal`; or its clock moves by `seconds` for good.
    """

    at: int = 0
    error: int = 0
    times: int = 1
    signal: int = 0
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a process on a file: `what` is open, write, rename and so on."""

    position: int
    what: str
    path: str


def build(folder: Path) -> Path | None:
    """Compile the library into `folder`; None where there is no C compiler, or none of the C library's headers."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = folder / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wno-nonnull-compare", "-o", str(library), str(SOURCE), "-ldl"]
    return library if subprocess.run(command, check=False).returncode == 0 else None


def environment(library: Path) -> dict[str, str]:
    """The environment of a program that is started with the library."""
    return {**os.environ, "LD_PRELOAD": str(library), LIBRARY: str(library)}


def arm(base: Path, fault: Fault, log: Path) -> None:
    """Watch the files below `base` from now on; what happens to which operation is written to `log`."""
    library = ctypes.CDLL(os.environ[LIBRARY])
    library.faults_arm.argtypes = [
        ctypes.c_char_p,
        *[ctypes.c_long] * 2,
        *[ctypes.c_int] * 2,
        ctypes.c_long,
        ctypes.c_int,
    ]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    library.faults_arm(
        os.fsencode(f"{base}/"), fault.at, fault.times, fault.error, fault.signal, fault.seconds, descriptor
    )


def logged(log: Path) -> list[Operation]:
    """The operations in a log of `arm`."""
    lines = (line.split("\t") for line in os.fsdecode(log.read_bytes()).splitlines())
    return [Operation(int(position), what, path) for position, what, path in lines]
