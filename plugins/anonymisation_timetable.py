"""Airflow plugin that registers the timetable of the DAG."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from anonymisation_airflow.timetable import CaptureDays


class AnonymisationTimetable(AirflowPlugin):
    """Nights, and backfills day by day."""

    name = "anonymisation_timetable"
    timetables: ClassVar[list[Any]] = [CaptureDays]  # type: ignore[misc]  # AirflowPlugin has no ClassVar
