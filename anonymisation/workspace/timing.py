"""The duration of earlier masking, to estimate the duration of a run."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.append_log import to_line
from anonymisation.files.atomic import write_atomically
from anonymisation.workspace.folder_state import state_folder

FILE_NAME: Final = "timing.json"
RECENT: Final = 20  # the number of folders in an estimate, those masked last


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one process took to mask `pictures` pictures with `model`, loading of the model included."""

    model: str
    pictures: int
    seconds: float

    def __post_init__(self) -> None:
        if self.pictures < 1 or not self.seconds >= 0:
            raise ValueError(f"expected pictures and seconds, got {self.pictures} and {self.seconds}")


def keep_timing(state_root: Path, folder: str, timing: Timing) -> None:
    """Write `timing` to the state of the folder; an error is only logged."""
    path = state_folder(state_root, folder) / FILE_NAME
    try:
        write_atomically(path, to_line(asdict(timing)))
    except OSError as error:
        logging.getLogger(__name__).warning("%s cannot be written: %s", path, error)


def seconds_per_picture(state_root: Path, model: str) -> float | None:
    """The mean seconds per picture with this model in the folders masked last; None if unknown.

    Raises:
        ShareUnavailableError: the state folder cannot be read.
    """
    try:
        files = sorted((state_root / "folders").glob(f"*/{FILE_NAME}"), key=lambda path: path.stat().st_mtime)
    except OSError as error:
        raise ShareUnavailableError(f"{state_root}: cannot be read ({error.strerror}); check the share") from error
    found: list[Timing] = []
    for path in reversed(files):
        timing = _read(path)
        if timing is not None and timing.model == model:
            found.append(timing)
        if len(found) == RECENT:
            break
    return sum(item.seconds for item in found) / sum(item.pictures for item in found) if found else None


def _read(path: Path) -> Timing | None:
    try:
        return Timing(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):  # removed, or written by another version; never half-written
        return None
