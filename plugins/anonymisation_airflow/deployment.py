"""The settings of a deployment. The DAG file and its tasks read these environment variables only here.

ANONYMISATION_INPUT           base folder of the captures; every task needs INPUT and OUTPUT
ANONYMISATION_OUTPUT          base folder of the masked pictures
ANONYMISATION_ARCHIVE         base folder of the archived originals               (default: no archive)
ANONYMISATION_CONFIG          configuration file, as for `anonymise -k`           (default: the shipped one only)
ANONYMISATION_STATE           state folder, shared by all workers                 (default: as configured)
ANONYMISATION_SCHEDULE        cron expression of the nightly run, or `none`       (default: 0 2 * * *)
ANONYMISATION_TIMEZONE        time zone of the schedule                           (default: UTC)
ANONYMISATION_START           ISO date and time before which no night is started: without it, switching the DAG on
                              starts the last missed night                        (default: none)
ANONYMISATION_DB_CONN_ID      Connection of the database for the records; without the default Connection, the
                              configured database is used                         (default: anonymisation_db)
ANONYMISATION_SMTP_CONN_ID    Connection of the mail server; without the default Connection, no mail is sent
                                                                                  (default: smtp_default)
ANONYMISATION_POOL            pool that guards the GPU; the pool must exist       (default: gpu)
ANONYMISATION_QUEUE           queue of the workers with a GPU                     (default: gpu)
ANONYMISATION_RETRIES         how often Airflow retries a task, 0 or more         (default: 3)
ANONYMISATION_RETRY_SECONDS   seconds before the first retry, doubled each time   (default: 120)
ANONYMISATION_MAX_FOLDERS     folders that one run takes, 1 or more; further runs take the rest. A run never takes
                              more work units (see max_pictures_per_work_unit) than Airflow's max_map_length
                                                                                  (default: 500)
ANONYMISATION_DEADLINE_MINUTES  minutes after which a mail reports a night that has not ended, 0: never; manual runs
                              and backfills have no deadline                      (default: 480)
ANONYMISATION_STALL_MINUTES   minutes without any progress after which a mask task is ended and tried again, 0: never
                                                                                  (default: 30)
ANONYMISATION_TIMEOUT_MINUTES minutes after which Airflow ends any task, 0: never (default: 0)
ANONYMISATION_GPU_POD_TEMPLATE  pod template file of the mask tasks, with the KubernetesExecutor  (default: none)

The command line reads ANONYMISATION_DB_TABLES_DIR as well, the folder of table layouts of one's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

DAG_ID: Final = "anonymise_captures"
PREFIX: Final = "ANONYMISATION_"
DEFAULT_DB_CONN_ID: Final = "anonymisation_db"
DEFAULT_SMTP_CONN_ID: Final = "smtp_default"
NO_SCHEDULE: Final = "none"
_MOST_DIGITS: Final = 9  # of a number


@dataclass(frozen=True, slots=True)
class Deployment:
    """The table above as values. An absent path, schedule or limit is None; `stall` is zero where there is no limit."""

    input: Path | None
    output: Path | None
    archive: Path | None
    config: Path | None
    state: Path | None
    schedule: str | None
    timezone: str
    start: datetime | None
    db_conn_id: str
    smtp_conn_id: str
    pool: str
    queue: str
    retries: int
    retry_delay: timedelta
    max_folders: int
    deadline: timedelta | None
    stall: timedelta
    timeout: timedelta | None
    gpu_pod_template: Path | None

    @property
    def gpu_executor_config(self) -> dict[str, str]:
        """The `executor_config` of the mask tasks; only the KubernetesExecutor reads it."""
        return {} if self.gpu_pod_template is None else {"pod_template_file": str(self.gpu_pod_template)}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Deployment:
        """Read the table. An empty variable counts as absent.

        Raises:
            ValueError: a value is not a number, too small or too large; the message names the variable.
        """
        given = os.environ if environment is None else environment

        def text(name: str, default: str) -> str:
            return given.get(PREFIX + name) or default

        def path(name: str) -> Path | None:
            value = given.get(PREFIX + name)
            return Path(value) if value else None

        def number(name: str, default: int, least: int) -> int:
            value = text(name, str(default))
            if len(value) > _MOST_DIGITS:  # more is a slip, and too much for Python's durations
                raise ValueError(f"{PREFIX}{name}: expected at most {_MOST_DIGITS} digits, got {value[:20]!r}")
            if not value.isdecimal() or int(value) < least:
                raise ValueError(f"{PREFIX}{name}: expected a whole number, {least} or more, got {value!r}")
            return int(value)

        def minutes(name: str, default: int) -> timedelta:
            return timedelta(minutes=number(name, default, least=0))

        def moment(name: str) -> datetime | None:
            value = text(name, "")
            try:
                found = datetime.fromisoformat(value) if value else None
            except ValueError:
                raise ValueError(f"{PREFIX}{name}: expected a date and time as in ISO 8601, got {value!r}") from None
            return found if found is None or found.tzinfo else found.replace(tzinfo=ZoneInfo(text("TIMEZONE", "UTC")))

        schedule = text("SCHEDULE", "0 2 * * *")
        return cls(
            input=path("INPUT"),
            output=path("OUTPUT"),
            archive=path("ARCHIVE"),
            config=path("CONFIG"),
            state=path("STATE"),
            schedule=None if schedule.lower() == NO_SCHEDULE else schedule,
            timezone=text("TIMEZONE", "UTC"),
            start=moment("START"),
            db_conn_id=text("DB_CONN_ID", DEFAULT_DB_CONN_ID),
            smtp_conn_id=text("SMTP_CONN_ID", DEFAULT_SMTP_CONN_ID),
            pool=text("POOL", "gpu"),
            queue=text("QUEUE", "gpu"),
            retries=number("RETRIES", 3, least=0),
            retry_delay=timedelta(seconds=number("RETRY_SECONDS", 120, least=0)),
            max_folders=number("MAX_FOLDERS", 500, least=1),
            deadline=minutes("DEADLINE_MINUTES", 480) or None,
            stall=minutes("STALL_MINUTES", 30),
            timeout=minutes("TIMEOUT_MINUTES", 0) or None,
            gpu_pod_template=path("GPU_POD_TEMPLATE"),
        )
