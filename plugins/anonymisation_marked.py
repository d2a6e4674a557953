"""Airflow plugin that mails when a person marks a task or a run as failed."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from anonymisation_airflow import marked


class AnonymisationMarked(AirflowPlugin):
    """Listens to the states that people set."""

    name = "anonymisation_marked"
    listeners: ClassVar[list[Any]] = [marked]  # type: ignore[misc]  # AirflowPlugin has no ClassVar
