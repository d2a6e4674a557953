"""Airflow's plugin that makes known what the DAG counts its deadline from."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from anonymisation_airflow.deadline import NightBegan


class AnonymisationDeadline(AirflowPlugin):
    """The deadline of a night, counted from its beginning."""

    name = "anonymisation_deadline"
    deadline_references: ClassVar[list[Any]] = [NightBegan]
