"""How long masking took when it was done last, so that a person can be told how long a run will take."""

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
RECENT: Final = 20  # folders that are asked, those masked last


@dataclass(frozen=True, slots=True)
class Timing:
    """So many pictures were masked with this model in so many seconds, by one process, model loaded and all."""

    model: str
    pictures: int
    seconds: float

    def __post_init__(self) -> None:
        if self.pictures < 1 or not self.seconds >= 0:
            raise ValueError(f"expected pictures and seconds, got {self.pictures} and {self.seconds}")


def keep_timing(state_root: Path, folder: str, timing: Timing) -> None:
    """Keep it with what is known of the folder; one that cannot be kept is told in the log and stops nothing."""
    path = state_folder(state_root, folder) / FILE_NAME
    try:
        write_atomically(path, to_line(asdict(timing)))
    except OSError as error:
        logging.getLogger(__name__).warning("%s cannot be written: %s", path, error)


def seconds_per_picture(state_root: Path, model: str) -> float | None:
    """What a picture took with this model in the folders masked last; None where nothing is known.

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
    except (OSError, ValueError, TypeError):  # half a file there is none; one of another version tells nothing
        return None
