"""Divides the work units among runs: the share of this run, and the rest for the next run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anonymisation.workspace.shards import WorkUnit, units_of

if TYPE_CHECKING:
    from anonymisation.chain.discover import FoundFolder


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one run takes: `folders` folders and `units` work units (Airflow's max_map_length)."""

    folders: int
    units: int

    def __post_init__(self) -> None:
        if self.folders < 1 or self.units < 1:
            raise ValueError(f"expected at least one folder and one unit, got {self.folders} and {self.units}")


def share_of_run(found: Iterable[FoundFolder], after: str, largest: int, limits: Limits) -> tuple[list[WorkUnit], int]:
    """Return the work units of the first folders after `after`, in the order of their paths, and the folders left over.

    One run takes all units of a folder. A folder with more units than a run may take is split into larger units. Each
    part of a night begins after the last folder of the part before, whether that folder succeeded or not; so the parts
    come to an end.
    """
    behind = sorted((item for item in found if not after or item.folder > after), key=lambda item: item.folder)
    taken: list[WorkUnit] = []
    for number, item in enumerate(behind):
        units = units_of(item.folder, item.pictures, largest, limits.units)
        if number == limits.folders or len(taken) + len(units) > limits.units:
            return taken, len(behind) - number
        taken += units
    return taken, 0
