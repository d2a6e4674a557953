"""Small file systems in memory, laid over folders of a test. They need root and a kernel that lets it mount."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


class MemoryDisks:
    """Mounts file systems in memory, changes their options, and takes them away."""

    def __init__(self) -> None:
        self._mounted: list[Path] = []

    def mount(self, folder: Path, options: str) -> None:
        """Lay a file system over `folder`, which is made if needed; what the folder held is copied onto it.

        A folder that has one gets these options, such as `size=16m` or `ro`. Skips the test where mounting is refused.
        """
        if folder in self._mounted:
            _mount(folder, f"remount,{options}")
            return
        folder.mkdir(parents=True, exist_ok=True)
        kept = [(path, path.read_bytes(), path.stat()) for path in folder.rglob("*") if path.is_file()]
        _mount(folder, options)
        self._mounted.append(folder)
        for path, data, status in kept:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def unmount(self) -> None:
        """Take all of them away, also where a process still has files open."""
        for folder in reversed(self._mounted):
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(folder: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "faults", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        pytest.skip(f"needs the program mount ({error})")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs the right to mount file systems ({error.stderr.strip()})")
