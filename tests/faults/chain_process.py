"""The chain in a process of its own that dies of SIGKILL just before its n-th change of a file system."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from anonymisation.chain.mask import mask_folder
from anonymisation.chain.run import run_all
from anonymisation.reporting.step_reports import ImageOutcome
from anonymisation.workspace.folder_state import open_state
from anonymisation.workspace.shards import Shard
from tests.captures import FOLDER, CountingDetector, Site

# What Python tells its audit hooks before it asks the operating system: https://docs.python.org/3/library/audit_events
CHANGES: Final = frozenset(("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime", "os.truncate"))
_WRITING: Final = os.O_WRONLY | os.O_RDWR

PROCESSES: Final = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


def changes_something(event: str, arguments: tuple[Any, ...], root: str) -> bool:
    """Whether this audit event is a change below `root`: a file opened for writing, renamed, removed and so on."""
    if event != "open" and event not in CHANGES:
        return False
    below = str(arguments[0]).startswith(root)
    return below and (event != "open" or bool((arguments[2] or 0) & _WRITING))


def watch(root: Path, on_change: Callable[[], None]) -> None:
    """Call `on_change` before every change of a file below `root` that this process makes, as long as it lives."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if changes_something(event, arguments, str(root)):
            on_change()

    sys.addaudithook(hook)


def run_chain(root: Path, settings: dict[str, Any], archive: bool, kill_at: int | None, told: Connection) -> None:
    """Run the chain over the site at `root`; tell the number of changes made, unless killed before the n-th."""
    changes = 0

    def count() -> None:
        nonlocal changes
        changes += 1
        if changes == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    workspace = Site(root).workspace(archive=archive, **settings)
    watch(root, count)
    report = run_all(workspace, CountingDetector())
    told.send((changes, report.succeeded))


def killed_run(root: Path, settings: dict[str, Any], *, archive: bool, kill_at: int | None) -> tuple[int, bool] | None:
    """Run the chain in a process of its own; None when it was killed, else (changes made, succeeded)."""
    mine, its = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=run_chain, args=(root, settings, archive, kill_at, its), daemon=True)
    process.start()
    its.close()
    process.join(120)
    if process.exitcode == -signal.SIGKILL:
        return None
    if process.exitcode != 0:
        raise RuntimeError(f"the chain's process ended with {process.exitcode}, expected 0 or a kill")
    return mine.recv()  # type: ignore[no-any-return]


def hold_folder(state: Path, folder: str, told: Connection) -> None:
    """Hold a folder's lock until killed."""
    with open_state(state, folder):
        told.send(os.getpid())
        signal.pause()


def mask_shard(root: Path, settings: dict[str, Any], shard: Shard, pictures: int | None = None) -> None:
    """Mask one shard of the folder; killed once so many pictures are through, if a number is given."""
    seen = 0

    def count(_: ImageOutcome) -> None:
        nonlocal seen
        seen += 1
        if seen == pictures:
            os.kill(os.getpid(), signal.SIGKILL)

    mask_folder(Site(root).workspace(**settings), FOLDER, CountingDetector(), count, shard=shard)
