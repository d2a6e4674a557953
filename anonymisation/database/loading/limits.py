"""Input, limits and report of a load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from anonymisation.core.errors import LoadFailedError
from anonymisation.core.settings import Settings


class SourceRecord(msgspec.Struct, frozen=True, gc=False):
    """One picture's record; `picture` is its path below the input folder, with `/`.

    A msgspec struct, since the collector of cycles need not look at it: a record is JSON, which has no cycles.
    """

    picture: str
    record: dict[str, Any]

    def __post_init__(self) -> None:
        if not self.picture:
            raise ValueError("expected the picture's path below the input folder, got nothing")


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """Rows per batch, refused rows that a load tolerates, and rows that may wait for a database that is away."""

    batch_rows: int = 500
    max_errors: int = 1000
    max_waiting: int = 1000

    def __post_init__(self) -> None:
        if self.batch_rows < 1 or self.max_errors < 0 or self.max_waiting < 0:
            raise ValueError(f"expected batch_rows from 1, max_errors and max_waiting from 0, got {self}")

    @classmethod
    def from_settings(cls, settings: Settings) -> LoadLimits:
        """db_max_n_accumulated_rows, db_max_n_errors and db_max_cache_size."""
        return cls(settings.db_max_n_accumulated_rows, settings.db_max_n_errors, settings.db_max_cache_size)


@dataclass(frozen=True, slots=True)
class RowFailure:
    """A row that the database refused: its picture and the reason."""

    picture: str
    reason: str


@dataclass(frozen=True, slots=True)
class Collision:
    """Two pictures with the same identifier: the table has the row of `stands` and not the row of `yields`."""

    identifier: str
    stands: str
    yields: str


@dataclass(frozen=True, slots=True)
class StateProblem:
    """A file of the spool or of the registry that cannot be used: its path, and what happened and what to do."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The outcome of one load: inserted + updated + len(failed) + waiting is the number of its records.

    A picture that yields in a collision counts as updated, because its identifier has a row. `resent` counts rows of
    earlier loads that this load inserted or updated; refused rows of earlier loads are in `failed`. `problems` are
    files below the state folder that cannot be used.
    """

    inserted: int
    updated: int
    failed: tuple[RowFailure, ...]
    waiting: int
    collisions: tuple[Collision, ...]
    resent: int = 0
    problems: tuple[StateProblem, ...] = ()


class LoadStoppedError(LoadFailedError):
    """A load stopped before its end; `report` has the outcome so far."""

    def __init__(self, message: str, report: LoadReport) -> None:
        super().__init__(message)
        self.report = report
