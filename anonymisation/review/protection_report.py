"""The report for the data-protection officer: what was done with people's pictures in a period, from the state folder.

A picture counts in the period in which it was masked last, by the time of its masked file. Failed pictures are those
that are known to fail now. Everything else counts by the time of the action.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from anonymisation.core.settings import Settings
from anonymisation.files.append_log import read_lines
from anonymisation.review.audit import AUDIT_FILE, LOOKED
from anonymisation.review.certificate.document import in_words
from anonymisation.review.certificate.population import masked_digest
from anonymisation.review.certificate.sample import Sample
from anonymisation.review.certificate.store import (
    known_ids,
    read_certificate,
    read_judgements,
    read_sample,
    read_samples,
)
from anonymisation.review.certificate.verify import changed_folders
from anonymisation.review.model import NOTHING
from anonymisation.review.printing import PROGRAM, printed
from anonymisation.review.store import known_folders, read_reviews
from anonymisation.workspace.folder_state import MASKED, read_pictures

_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `first` to `last`, both included, in UTC.

    Raises:
        ValueError: the last day is before the first.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"expected a period, got {self.first} to {self.last}")

    def holds(self, at: str) -> bool:
        """Whether the time (ISO 8601) lies in the period; False for what is no time."""
        try:
            when = datetime.fromisoformat(at)
        except ValueError:
            return False
        return self.first <= when.astimezone(UTC).date() <= self.last


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate that was issued in the period; `void`: why it no longer holds, empty while it does."""

    id: str
    title: str
    at: str
    statements: tuple[str, ...]
    void: str


@dataclass(slots=True)
class ProtectionReport:
    """All figures of a period. `maskings` counts pictures by (model, settings, version tag)."""

    period: Period
    masked: int = 0
    folders: int = 0
    released: int = 0
    reviewed: int = 0
    judged: int = 0
    boxes: int = 0
    withdrawn: int = 0
    failed: int = 0
    maskings: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    looks: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    certificates: list[Certified] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "first_day": str(self.period.first),
            "last_day": str(self.period.last),
            "software": PROGRAM,
            "masked": self.masked,
            "folders": self.folders,
            "released": self.released,
            "failed_now": self.failed,
            "reviewed": self.reviewed,
            "judged_for_certificates": self.judged,
            "regions_added": self.boxes,
            "regions_withdrawn": self.withdrawn,
            "maskings": [
                {"model": model, "settings": digest, "version_tag": tag, "pictures": count}
                for (model, digest, tag), count in sorted(self.maskings.items())
            ],
            "looks_at_originals": _counted(self.looks),
            "changes_of_regions": _counted(self.changes),
            "removed_by_retention": dict(sorted(self.removed.items())),
            "certificates": [
                {"id": one.id, "title": one.title, "issued": one.at, "statements": one.statements, "void": one.void}
                for one in self.certificates
            ],
        }


def _counted(actions: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"by": by, "action": did, "count": count} for (by, did), count in sorted(actions.items())]


def collect(state_root: Path, period: Period) -> ProtectionReport:
    """Read the state of every folder, the audit logs and the certificates.

    Raises:
        ShareUnavailableError: a file of the state is there and cannot be read.
    """
    report = ProtectionReport(period)
    for folder in known_folders(state_root):
        _count_folder(report, state_root, folder)
    for line in _lines(state_root / AUDIT_FILE, period):
        did = str(line.get("did", ""))
        counter = report.looks if did.startswith(LOOKED) else report.changes
        counter[str(line.get("by", "")), did] += 1
    for line in _lines(state_root / "audit" / "retention.jsonl", period):
        if "of" in line:  # the file could not be removed
            report.removed[str(line["of"])] -= 1
        else:
            report.removed[str(line.get("kind", ""))] += 1
    report.removed = +report.removed  # without zeros
    report.judged = sum(_judged(state_root, period, sample) for sample in read_samples(state_root))
    report.certificates = list(_certificates(state_root, period))
    return report


def render(report: ProtectionReport, settings: Settings, at: str) -> str:
    """The report as a page for print: HTML without scripts, in which every value is escaped."""
    values = {"report": report, "settings": settings, "at": at, "software": PROGRAM}
    return printed("anonymisation.review", "protection_report.html.j2", **values)


def _count_folder(report: ProtectionReport, state_root: Path, folder: str) -> None:
    masked = 0
    for picture in read_pictures(state_root, folder).values():
        if picture.status != MASKED:
            report.failed += 1
        elif picture.output is not None and report.period.holds(_iso(picture.output.mtime_ns)):
            masked += 1
            report.released += picture.released
            report.maskings[picture.model, picture.digest, picture.version] += 1
    report.masked += masked
    report.folders += masked > 0
    for review in read_reviews(state_root, folder).values():
        report.reviewed += review != NOTHING and report.period.holds(review.at)
        report.boxes += sum(report.period.holds(added.at) for added in review.boxes)
        report.withdrawn += sum(
            added.withdrawn is not None and report.period.holds(added.withdrawn.at) for added in review.boxes
        )


def _iso(mtime_ns: int) -> str:
    return datetime.fromtimestamp(mtime_ns / _NS, UTC).isoformat()


def _lines(path: Path, period: Period) -> Iterator[dict[str, Any]]:
    return (line for _, line in read_lines(path) if period.holds(str(line.get("at", ""))))


def _judged(state_root: Path, period: Period, sample: Sample) -> int:
    """How many pictures of a sample somebody judged in the period."""
    lines = read_judgements(state_root, sample.id)
    return sum(any(period.holds(said.at) for said in lines.of(one.number).values()) for one in sample.pictures)


def _certificates(state_root: Path, period: Period) -> Iterable[Certified]:
    digest = cache(partial(masked_digest, state_root))  # a folder may belong to several samples
    for identity in known_ids(state_root):
        values, sample = read_certificate(state_root, identity), read_sample(state_root, identity)
        if values is None or sample is None or not period.holds(values["issued"]["at"]):
            continue
        void = "; ".join(changed_folders(sample, {count.folder: digest(count.folder) for count in sample.folders}))
        yield Certified(identity, sample.title, values["issued"]["at"], tuple(in_words(values)), void)
