"""When nights run, and which runs a backfill makes: one for every day of its range, whatever the schedule.

Each run of a backfill takes the folders captured on one day. Airflow's own timetable gives a backfill the times of the
schedule instead: no Saturdays where the schedule is for weekdays, two runs a day where there are two nights a day, and
nothing at all without a schedule.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from airflow.timetables.base import DagRunInfo, TimeRestriction
from airflow.timetables.trigger import CronPartitionTimetable

from anonymisation_airflow.request import KEY_FORMAT

_EACH_MIDNIGHT: Final = "0 0 * * *"


class CaptureDays(CronPartitionTimetable):
    """Nights at the times of a cron expression (None: no nights), and backfills day by day.

    A backfilled day is known by its midnight in the time zone. The plugin in `plugins/anonymisation_timetable.py`
    registers this class, so that the scheduler and the API server find it.
    """

    def __init__(self, cron: str | None, timezone: Any) -> None:
        super().__init__(cron or _EACH_MIDNIGHT, timezone=timezone, key_format=KEY_FORMAT)
        self._nightly = cron is not None
        if not self._nightly:
            self.description = "No nights: manual runs and backfills only"

    @property
    def summary(self) -> str:
        """The schedule as the UI shows it."""
        return super().summary if self._nightly else "None"

    def serialize(self) -> dict[str, Any]:
        """Return plain values, for `deserialize`."""
        return {**super().serialize(), "nightly": self._nightly}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> CaptureDays:
        """Return the timetable whose values `serialize` returned."""
        return cls(data["expression"] if data["nightly"] else None, data["timezone"])

    def next_dagrun_info_v2(
        self, *, last_dagrun_info: DagRunInfo | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next night; None without nights."""
        if not self._nightly:
            return None
        return super().next_dagrun_info_v2(last_dagrun_info=last_dagrun_info, restriction=restriction)

    def iter_partition_dagrun_infos(self, *, earliest: datetime, latest: datetime) -> Iterable[DagRunInfo]:
        """Yield the run of every day from that of `earliest` to that of `latest`, whatever their times of day."""
        days = CronPartitionTimetable(_EACH_MIDNIGHT, timezone=self._timezone, key_format=KEY_FORMAT)
        midnight = earliest.replace(hour=0, minute=0, second=0, microsecond=0)
        return days.iter_partition_dagrun_infos(earliest=midnight, latest=latest)
