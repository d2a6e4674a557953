"""Airflow plugin that registers the reference point of the DAG's deadline."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from anonymisation_airflow.deadline import NightBegan


class AnonymisationDeadline(AirflowPlugin):
    """The deadline of a night, counted from the start of the night."""

    name = "anonymisation_deadline"
    deadline_references: ClassVar[list[Any]] = [NightBegan]  # type: ignore[misc]  # AirflowPlugin has no ClassVar
