"""Sends metrics to StatsD or OpenTelemetry, as `[metrics]` in Airflow's configuration says, or nowhere.

| name | kind | counts |
|---|---|---|
| anonymisation.pictures.found | counter | pictures that a mask task looked at |
| anonymisation.pictures.masked | counter | pictures masked |
| anonymisation.pictures.failed | counter | pictures that failed and were not known to fail |
| anonymisation.mask.seconds_per_picture | timer | seconds per masked picture, for each mask task that masked any |
| anonymisation.bytes.archived | counter | bytes of originals copied to the archive |
| anonymisation.rows.loaded | counter | rows inserted or updated |
| anonymisation.rows.failed | counter | rows that the database refused |
| anonymisation.check.gaps | counter | files and rows that the check did not find |
| anonymisation.originals.released | counter | originals removed from the input |
| anonymisation.units.waiting | gauge | work units of the run that have not ended |
| anonymisation.folders.waiting | gauge | folders that the run leaves to the next run |
| anonymisation.folders.failed | counter | folders that failed, at the end of a run |
| anonymisation.run.seconds | timer | duration of each run, from its start to its summary |
| anonymisation.runs.failed | counter | runs that are not complete |

Airflow puts its `statsd_prefix` (`airflow`) in front of each name. docker/monitoring shows the metrics on a dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.observability.stats import gauge, incr, timing

if TYPE_CHECKING:
    from anonymisation.reporting.run_report import RunReport

_PREFIX: Final = "anonymisation"
# For each step: the metric, and the counts of the step's report that add up to the metric.
_COUNTERS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "mask": {"pictures.found": ("found",), "pictures.masked": ("masked",), "pictures.failed": ("failed",)},
    "archive": {"bytes.archived": ("size",)},
    "load": {"rows.loaded": ("inserted", "updated"), "rows.failed": ("failed",)},
    "check": {"check.gaps": ("missing",)},
    "release": {"originals.released": ("released",)},
}


def count_step(step: str, report: Mapping[str, Any]) -> None:
    """Count what a step of a work unit did."""
    for name, counts in _COUNTERS[step].items():
        _count(name, sum(report[count] for count in counts))
    if step == "mask" and report["masked"]:
        _time("mask.seconds_per_picture", report["seconds"] / report["masked"])


def count_found(units: int, folders_left: int) -> None:
    """Set the number of work units that a run takes, and of folders that the run leaves to the next run."""
    gauge(f"{_PREFIX}.units.waiting", units)
    gauge(f"{_PREFIX}.folders.waiting", folders_left)


def count_ended_unit() -> None:
    """Count one waiting work unit less."""
    gauge(f"{_PREFIX}.units.waiting", -1, delta=True)


def count_run(report: RunReport) -> None:
    """Count how a run ended. No unit waits any more, whether it went through every step or stopped early."""
    gauge(f"{_PREFIX}.units.waiting", 0)
    _time("run.seconds", report.seconds)
    _count("folders.failed", sum(not folder.succeeded for folder in report.folders))
    _count("runs.failed", int(not report.succeeded))


def _count(name: str, number: int) -> None:
    if number:
        incr(f"{_PREFIX}.{name}", number)


def _time(name: str, seconds: float) -> None:
    timing(f"{_PREFIX}.{name}", timedelta(seconds=seconds))
