"""The chain in a process of its own that pictures, or the model, end."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from anonymisation.chain import image_worker
from anonymisation.chain.run import run_all
from anonymisation.imaging.jpeg.codec import Frame, decode_jpeg
from anonymisation.imaging.jpeg.segments import MAX_PIXELS
from anonymisation.masking.detector import Detector
from anonymisation.reporting.run_report import RunReport
from anonymisation_airflow.watchdog import EXIT_CODE, Watchdog
from tests.captures import CountingDetector, Site, shows
from tests.limits import PROCESSES, preload

preload(__name__)

STALL_SECONDS: Final = 3.0


def _crash() -> None:
    ctypes.string_at(0)


def _hang() -> None:
    time.sleep(600)


ENDS: Final[Mapping[str, tuple[Callable[[], None], int]]] = {
    "killed": (lambda: os.kill(os.getpid(), signal.SIGKILL), -signal.SIGKILL),
    "crashed": (_crash, -signal.SIGSEGV),
    "hung": (_hang, EXIT_CODE),
}


@dataclass(frozen=True)
class Deadly:
    """How the process ends: on the pictures of these numbers, in the stage `where` ("detect", "decode" or "load")."""

    how: str = "killed"
    numbers: tuple[int, ...] = ()
    where: str = "detect"

    def detector(self) -> Callable[[], Detector]:
        """What the chain takes."""
        counting = CountingDetector(before=self._before if self.where == "detect" else None)

        def load() -> Detector:
            if self.where == "load":
                ENDS[self.how][0]()
            return counting()

        return load

    def decode(self, data: bytes, *, source: str = "a picture", max_pixels: int = MAX_PIXELS) -> Frame:
        """As `decode_jpeg`, for the pictures that it does not end at."""
        frame = decode_jpeg(data, source=source, max_pixels=max_pixels)
        self._before(frame.pixels)
        return frame

    def _before(self, pixels: NDArray[np.uint8]) -> None:
        if not self.numbers or any(shows(pixels, number) for number in self.numbers):
            ENDS[self.how][0]()


def _run(root: Path, deadly: Deadly | None, settings: dict[str, Any], told: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where faulthandler writes where it hangs
    deadly = deadly or Deadly(where="nowhere")
    if deadly.where == "decode":
        cast(Any, image_worker).decode_jpeg = deadly.decode
    with Watchdog(STALL_SECONDS if deadly.how == "hung" else 0, lambda _: None) as watchdog:
        report = run_all(Site(root).workspace(**settings), deadly.detector(), on_progress=lambda _: watchdog.progress())
    told.send(report)


def deadly_run(root: Path, deadly: Deadly | None, settings: dict[str, Any]) -> RunReport | None:
    """Run the chain over the site at `root`; None when its process ended as `deadly` ends it."""
    mine, its = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_run, args=(root, deadly, settings, its), daemon=True)
    process.start()
    its.close()
    try:
        return mine.recv()  # type: ignore[no-any-return]
    except EOFError:
        process.join(60)
        if deadly is None or process.exitcode != ENDS[deadly.how][1]:
            raise AssertionError(f"the chain's process ended with {process.exitcode}") from None
        return None
