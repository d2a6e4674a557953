"""Reports of one folder's way through the chain, and of a whole run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from anonymisation.database.loading.limits import Collision
from anonymisation.reporting.step_reports import (
    SUSPICIOUS_FROM,
    ArchiveReport,
    CheckReport,
    Failure,
    LoadSummary,
    MaskReport,
    ReleaseReport,
    plain_fields,
)
from anonymisation.workspace.unread import NOTHING_UNREAD, NotRead


@dataclass(frozen=True, slots=True)
class FolderReport:
    """One folder's way through the chain; a step that did not run is None.

    The report of a step that an error ended has the counts of what was done before. `error` is the error that stopped
    the folder, `error_exit_code` its exit code. `units` is the number of work units that were merged into the report.
    """

    folder: str
    mask: MaskReport | None = None
    archive: ArchiveReport | None = None
    load: LoadSummary | None = None
    check: CheckReport | None = None
    release: ReleaseReport | None = None
    error: str | None = None
    error_exit_code: int = 0
    units: int = 1

    @property
    def failures(self) -> tuple[Failure, ...]:
        """New failures of all steps: pictures and gaps, each with its reason; without known failures."""
        found = [f for f in self._listed() if not f.known]
        if self.check is not None:
            found += [Failure(gap.picture, f"{gap.place}: {gap.problem}") for gap in self.check.gaps]
        return tuple(found)

    @property
    def failed_count(self) -> int:
        """The exact number of new failures (`failures` lists only the first of each step)."""
        counts = [step.failed for step in (self.mask, self.archive, self.load, self.release) if step is not None]
        return sum(counts) + (self.check.missing if self.check else 0)

    @property
    def failed_pictures(self) -> int:
        """The number of pictures with a new failure: a picture may fail in several steps, and lack several files.

        Exact if every failure is listed. Each one that is not listed counts as one more picture, up to those found.
        """
        failures = self.failures
        listed = len({failure.picture for failure in failures})
        unlisted = max(0, self.failed_count - len(failures))
        found = 0 if self.mask is None else self.mask.found
        return min(listed + unlisted, max(listed, found)) if found else listed + unlisted

    @property
    def known_failures(self) -> tuple[Failure, ...]:
        """Pictures that failed in an earlier run and have not changed since, as far as they are listed."""
        step = self.mask or self.check
        return () if step is None else tuple(failure for failure in step.failures if failure.known)

    @property
    def known_failed(self) -> int:
        """The exact number of known failures."""
        step = self.mask or self.check
        return 0 if step is None else step.known_failed

    @property
    def collisions(self) -> tuple[Collision, ...]:
        """Pictures with one ID, each pair once, as far as load and check list them."""
        steps = (self.load, self.check)
        return tuple(dict.fromkeys(item for step in steps if step is not None for item in step.collisions))

    @property
    def collided(self) -> int:
        """The number of pairs of pictures with one ID; load and check find the same ones."""
        steps = (self.load, self.check)
        return max(len(self.collisions), *(0 if step is None else step.collided for step in steps))

    @property
    def succeeded(self) -> bool:
        """No step stopped, and there is no new failure."""
        return self.error is None and self.failed_count == 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return plain_fields(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FolderReport:
        """The report that `to_dict` was called on."""
        steps = {name: kind.from_dict(values[name]) for name, kind in STEPS.items() if values.get(name) is not None}
        plain = {name: values[name] for name in ("folder", "error", "error_exit_code", "units") if name in values}
        return cls(**plain, **steps)

    @classmethod
    def merged(cls, reports: Sequence[FolderReport]) -> FolderReport:
        """One report of all work units of a folder; a step is present if it ran in any unit."""
        steps: dict[str, Any] = {}
        for name, kind in STEPS.items():
            ran = [report for report in (getattr(unit, name) for unit in reports) if report is not None]
            steps[name] = kind.merged(ran) if ran else None
        errors = Counter(report.error for report in reports if report.error is not None)
        texts = (f"{error} ({number} of {len(reports)} work units)" for error, number in errors.items())
        return cls(
            folder=reports[0].folder,
            error="; ".join(texts) or None,
            error_exit_code=max(report.error_exit_code for report in reports),
            units=len(reports),
            **steps,
        )

    def _listed(self) -> list[Failure]:
        steps = (self.mask, self.archive, self.load, self.release)
        return [failure for step in steps if step is not None for failure in step.failures]


STEPS: Final[Mapping[str, Any]] = {
    "mask": MaskReport,
    "archive": ArchiveReport,
    "load": LoadSummary,
    "check": CheckReport,
    "release": ReleaseReport,
}


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole run: its folders, the places that discovery could not enter (`problems`), and `seconds` of wall time.

    `broken` lists the reasons outside the folders why the run is incomplete (an unreadable folder, a failed discovery).
    `selection` names the selected folders; empty: all. `up_to_date` is the number of folders in which everything was
    done before and that are not among `folders`; `unsettled` are folders that still change and wait for a later run.
    `unread` are files in other formats than JPEG, which nothing masks.
    """

    folders: tuple[FolderReport, ...]
    problems: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    broken_exit_code: int = 1
    seconds: float = 0.0
    selection: str = ""
    up_to_date: int = 0
    unsettled: tuple[str, ...] = ()
    unread: NotRead = NOTHING_UNREAD

    @property
    def succeeded(self) -> bool:
        """There is no new failure, and the run is complete."""
        return not self.broken and all(folder.succeeded for folder in self.folders)

    @property
    def exit_code(self) -> int:
        """0 all done, 3 if only the environment failed, else 1."""
        codes = {folder.error_exit_code or 1 for folder in self.folders if not folder.succeeded}
        if self.broken:
            codes.add(self.broken_exit_code)
        return 0 if not codes else 3 if codes == {3} else 1

    @property
    def suspicious(self) -> bool:
        """Many pictures were masked now, and nothing was detected on any of them; it may still be true."""
        found = any(folder.mask.objects for folder in self.folders if folder.mask is not None)
        return not found and self.total("mask", "masked") >= SUSPICIOUS_FROM

    @property
    def failed_pictures(self) -> int:
        """The pictures of all folders with a new failure: what mails and the operations page count as failed."""
        return sum(folder.failed_pictures for folder in self.folders)

    def total(self, step: str, count: str) -> int:
        """The sum of one count of one step over all folders, e.g. `total("mask", "masked")`."""
        reports = (getattr(folder, step) for folder in self.folders)
        return sum(getattr(report, count) for report in reports if report is not None)
