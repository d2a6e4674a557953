"""The duration of earlier masking, to estimate the duration of a run."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from anonymisation.files.notes import keep_note, read_note
from anonymisation.workspace.folder_state import state_folder, state_folders

FILE_NAME: Final = "timing.json"
_MOST: Final = 1e9  # pictures, or seconds; a note with more is damaged
RECENT: Final = 20  # the number of folders in an estimate, those masked last


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one process took to mask `pictures` pictures with `model`, loading of the model included."""

    model: str
    pictures: int
    seconds: float

    def __post_init__(self) -> None:
        if not (1 <= self.pictures <= _MOST and 0 <= self.seconds <= _MOST):
            raise ValueError(f"expected pictures and seconds, got {self.pictures} and {self.seconds}")


def keep_timing(state_root: Path, folder: str, timing: Timing) -> None:
    """Write `timing` to the state of the folder; an error is only logged."""
    keep_note(state_folder(state_root, folder) / FILE_NAME, asdict(timing))


def seconds_per_picture(state_root: Path, model: str) -> float | None:
    """The mean seconds per picture with this model in the folders masked last; None if unknown.

    Raises:
        ShareUnavailableError: the state folder cannot be read.
    """
    files: list[tuple[float, Path]] = []
    for place in state_folders(state_root):
        with contextlib.suppress(OSError):  # there is none, or it cannot be read, which costs only itself
            files.append(((place / FILE_NAME).stat().st_mtime, place / FILE_NAME))
    found: list[Timing] = []
    for _, path in sorted(files, reverse=True):
        timing = read_note(path, Timing)
        if timing is not None and timing.model == model:
            found.append(timing)
        if len(found) == RECENT:
            break
    return sum(item.seconds for item in found) / sum(item.pictures for item in found) if found else None
