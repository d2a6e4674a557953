"""Pixel recall of persons and vehicles, and share of clean pixels hidden, on pictures with class rasters beside them.

    python -m training.evaluate_recall --data FOLDER [--model SAVED_MODEL] [--threshold 0.15] [--limit N]

The folder holds NAME.jpg and NAME.png; the raster's values are CamVid's: 8 car, 9 pedestrian, 10 bicyclist (both count as person),
11 unlabelled (neither hidden nor clean). Masks are those of the package's own detector, tiles and geometry, without dilation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

PERSON: Final = (9, 10)
VEHICLE: Final = (8,)
UNLABELLED: Final = 11

Hide = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]


@dataclass(slots=True)
class Tally:
    """Pixels of a kind, and how many of them were hidden."""

    hidden: int = 0
    total: int = 0

    def add(self, hidden: NDArray[np.bool_], which: NDArray[np.bool_]) -> None:
        self.hidden += int(np.count_nonzero(hidden & which))
        self.total += int(np.count_nonzero(which))

    @property
    def share(self) -> float:
        return self.hidden / self.total if self.total else float("nan")


def pictures(folder: Path, limit: int | None = None) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """(H, W, 3) RGB pictures and their (H, W) class rasters, in the order of their names, evenly thinned to `limit`.

    Raises FileNotFoundError when the folder holds no picture with a raster beside it.
    """
    names = sorted(path for path in folder.glob("*.jpg") if path.with_suffix(".png").exists())
    if not names:
        raise FileNotFoundError(f"{folder}: expected NAME.jpg with NAME.png beside it, found none")
    if limit is not None and limit < len(names):
        names = [names[index * len(names) // limit] for index in range(limit)]
    for path in names:
        raster = cv2.imread(str(path.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
        yield cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), raster


def measure(folder: Path, hide: Hide, limit: int | None = None) -> dict[str, float]:
    """`person_recall`, `vehicle_recall` and `clean_hidden` (each 0..1 over all pixels of all pictures)."""
    person, vehicle, clean = Tally(), Tally(), Tally()
    for pixels, raster in pictures(folder, limit):
        hidden = hide(pixels)
        person.add(hidden, np.isin(raster, PERSON))
        vehicle.add(hidden, np.isin(raster, VEHICLE))
        clean.add(hidden, ~np.isin(raster, (*PERSON, *VEHICLE, UNLABELLED)))
    return {"person_recall": person.share, "vehicle_recall": vehicle.share, "clean_hidden": clean.share}
