"""Parts of the chain in processes of their own, which hold a lock or die of SIGKILL in the middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from anonymisation.chain.mask import mask_folder
from anonymisation.reporting.step_reports import ImageOutcome
from anonymisation.workspace.folder_state import open_state
from anonymisation.workspace.shards import Shard
from tests.captures import FOLDER, CountingDetector, Site

PROCESSES: Final = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


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
