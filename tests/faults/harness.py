"""Nights: real runs of the command line on real folders, in processes that may be killed, stopped and disturbed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import yaml

from anonymisation.files.digests import sha256_of_file
from tests.captures import Site, capture
from tests.conftest import REPOSITORY
from tests.faults.shim import Fault, Operation, environment, logged

FOLDERS: Final = ("TilSladding/2021/EV6/S1D1/F1_2021_05_01", "TilSladding/2021/EV6/S1D1/F2_2021_05_01")
TORN: Final = "torn.jpg"
# Everything that a night can write; the originals go.
EVERYTHING: Final[dict[str, Any]] = {
    "remote_json": True, "local_json": True, "archive_json": True, "remote_mask": True, "local_mask": True,
    "archive_mask": True, "write_exif_to_db": True, "delete_input": True, "file_access_retry_seconds": 0.02,
    "file_access_timeout_seconds": 0.1,
}  # fmt: skip
_MOST_SECONDS: Final = 120


@dataclass(frozen=True)
class Place:
    """The folders of a night, with what was delivered to it. Only `site` is watched for operations."""

    site: Site
    originals: dict[str, str]
    """SHA-256 of each picture delivered → its path below the input folder, the torn one included."""

    @property
    def config(self) -> Path:
        return self.site.root.parent / "config.yml"

    @property
    def logs(self) -> Path:
        return self.site.root.parent / "logs"

    def flags(self) -> list[str]:
        """The arguments of a run."""
        site = self.site
        folders = ["-i", str(site.input), "-o", str(site.output), "-a", str(site.archive)]
        return [*folders, "-k", str(self.config), "-l", str(self.logs)]

    def configure(self, **settings: Any) -> None:
        """Change settings."""
        known = yaml.safe_load(self.config.read_text()) if self.config.exists() else {}
        self.config.write_text(yaml.safe_dump({**known, **settings}))


def deliver(root: Path, pictures: tuple[int, ...] = (2, 1), **settings: Any) -> Place:
    """A place below `root` with so many good pictures in each folder, and a torn one in the last if there is any."""
    shares = root / "shares"
    shares.mkdir(parents=True)
    site = Site(shares)
    first = 0
    for folder, count in zip(FOLDERS, pictures, strict=False):
        site.fill(count, folder, first)
        first += count
    if pictures:
        site.put(TORN, capture(90)[:700], FOLDERS[len(pictures) - 1])
    model = root / "model"
    shutil.move(site.model, model)
    originals = {sha256_of_file(path): path.relative_to(site.input).as_posix() for path in site.input.rglob("*.jpg")}
    place = Place(site, originals)
    place.configure(model_type=str(model), **EVERYTHING, **settings)
    return place


def copy_of(place: Place, root: Path) -> Place:
    """The same delivery elsewhere, times included; the model's files are shared."""
    shutil.copytree(place.site.root, root / "shares")
    shutil.copy2(place.config, root / "config.yml")
    return Place(Site(root / "shares"), place.originals)


@dataclass(frozen=True)
class Ended:
    """A night that has ended: its exit code (negative: the signal that killed it), and what it printed and logged."""

    code: int
    text: str
    hit: list[Operation] = field(default_factory=list)
    """The operations that the fault met; every operation for a fault at 0."""


class Night:
    """A night in progress."""

    def __init__(self, nights: Nights, number: int, output: Path, log: Path) -> None:
        self.process: Final = number
        self._nights = nights
        self._output = output
        self._log = log

    def signal(self, which: signal.Signals) -> None:
        os.kill(self.process, which)

    def wait_until_stopped(self) -> bool:
        """Wait until the process has met a fault that stops it; False if it ended instead."""
        end = time.monotonic() + _MOST_SECONDS
        while time.monotonic() < end:
            state = self._state()
            if state in "TZ":
                return state == "T"
            time.sleep(0.002)
        raise TimeoutError(f"process {self.process} neither stopped nor ended")

    def wait_until_printed(self, text: str) -> bool:
        """Wait until the process has printed `text`; False if it ended instead."""
        end = time.monotonic() + _MOST_SECONDS
        while time.monotonic() < end:
            if text in self._output.read_text(errors="replace"):
                return True
            if self._state() == "Z":
                return False
            time.sleep(0.002)
        raise TimeoutError(f"process {self.process} neither printed {text!r} nor ended")

    def _state(self) -> str:
        """The letter of its state, as in proc(5); "Z" also when it has ended and the warm process has seen that."""
        try:
            status = Path(f"/proc/{self.process}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return "Z"
        return status.rpartition(")")[2].split()[0]

    def ended(self) -> Ended:
        """Wait for its end."""
        code = self._nights.answer()
        text = self._output.read_text(errors="replace")
        return Ended(code, text, logged(self._log) if self._log.exists() else [])


class Nights:
    """Starts nights one after another, from a warm process; with `library` they may meet faults."""

    def __init__(self, folder: Path, library: Path | None) -> None:
        self._folder = folder
        self._count = 0
        self._warm = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.night_process"],
            cwd=REPOSITORY,
            env=dict(os.environ) if library is None else environment(library),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.can_fail: Final = library is not None

    def start(self, place: Place, fault: Fault | None = None, *more: str, **order: Any) -> Night:
        """Start a run over `place`, which may meet a fault."""
        self._count += 1
        output, log = (self._folder / f"{self._count}.{kind}" for kind in ("out", "ops"))
        order |= {"arguments": ["run", *place.flags(), *more], "output": str(output)}
        if fault is not None:
            values = {name: getattr(fault, name) for name in Fault.__slots__}
            order |= {"base": str(place.site.root), "log": str(log), "fault": values}
        stream = self._pipe(self._warm.stdin)
        stream.write(json.dumps(order) + "\n")
        stream.flush()
        return Night(self, self.answer(), output, log)

    def run(self, place: Place, fault: Fault | None = None, *more: str, **order: Any) -> Ended:
        """A run from start to end."""
        return self.start(place, fault, *more, **order).ended()

    def answer(self) -> int:
        line = self._pipe(self._warm.stdout).readline()
        if not line:
            raise RuntimeError(f"the warm process ended with {self._warm.wait()}")
        return int(line)

    def close(self) -> None:
        self._pipe(self._warm.stdin).close()
        self._warm.wait(_MOST_SECONDS)
        self._pipe(self._warm.stdout).close()

    @staticmethod
    def _pipe(stream: IO[str] | None) -> IO[str]:
        if stream is None:
            raise RuntimeError("expected a pipe to the warm process")
        return stream


@contextmanager
def warm_nights(folder: Path, library: Path | None) -> Iterator[Nights]:
    """Nights, from a process that has imported whatever a night imports."""
    nights = Nights(folder, library)
    try:
        ended = nights.run(deliver(folder / "warm"), modules=str(folder / "modules"))
        if ended.code != 1:
            raise RuntimeError(f"the first night ended with {ended.code}, expected 1:\n{ended.text}")
        yield nights
    finally:
        nights.close()
