"""The request of one run: makes a workspace from the trigger form, the kind of run and the deployment.

The form's fields are named only here: the DAG shows the form, and the tasks read it. Functions import the modules that
open pictures when they need them, see `tasks.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Context, Param

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.core.text import did_you_mean
from anonymisation_airflow.connections import find_database
from anonymisation_airflow.deployment import PREFIX, Deployment

if TYPE_CHECKING:
    from anonymisation.chain.discover import Selection
    from anonymisation.workspace.workspace import Workspace

KEY_FORMAT: Final = "%Y%m%d"  # the format of a run's partition key, which is the capture date
AS_CONFIGURED: Final = "as configured"
MODELS: Final = (AS_CONFIGURED, "Built-in", "Slow", "Medium", "Fast")
DELETE_INPUT: Final[Mapping[str, bool | None]] = {AS_CONFIGURED: None, "yes": True, "no": False}
SCHEDULED_ONLY: Final = "on scheduled runs"
FOR_FURTHER_RUNS: Final = "Leave as it is: filled in by runs that continue with the remaining folders"
WAIT_UNTIL_SETTLED: Final[Mapping[str, bool | None]] = {SCHEDULED_ONLY: None, "yes": True, "no": False}


def form() -> dict[str, Param]:
    """Return the trigger form. An optional field must allow null: Airflow treats an empty field as a missing value."""
    return {
        "folders": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "minLength": 1},
            title="Folders",
            description="Paths below the input folder (subfolders included) or shell patterns. Empty: every folder.",
        ),
        "capture_date": Param(
            None, type=["null", "string"], format="date", title="Capture date", description="Empty: every date."
        ),
        "date_from": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Captured from",
            description="Only folders captured on this day or later.",
        ),
        "date_to": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Captured until",
            description="Only folders captured on this day or earlier.",
        ),
        "model": Param(AS_CONFIGURED, type="string", enum=list(MODELS), title="Model"),
        "force_remask": Param(
            False, type="boolean", title="Mask again", description="Also pictures that are done or known to fail."
        ),
        "delete_input": Param(
            AS_CONFIGURED,
            type="string",
            enum=list(DELETE_INPUT),
            title="Delete originals",
            section="Originals",
            description="From the input folder, after archive copy, masked picture and record are verified.",
        ),
        "wait_until_settled": Param(
            SCHEDULED_ONLY,
            type="string",
            enum=list(WAIT_UNTIL_SETTLED),
            title="Skip folders that still change",
            description="Folders with recent changes wait for a later run.",
        ),
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="Only list the work of the run and estimate the time for masking. Nothing is changed.",
        ),
        "continue_after": Param(
            None,
            type=["null", "string"],
            title="Continue after",
            description="Only folders after this one, in path order.",
            section=FOR_FURTHER_RUNS,
        ),
        "part": Param(
            1,
            type="integer",
            minimum=1,
            title="Part",
            description="Set together with Continue after.",
            section=FOR_FURTHER_RUNS,
        ),
    }


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The request of one run. With `settled_only`, the run skips folders that still change."""

    folders: tuple[str, ...]
    capture_date: date | None
    model: str
    force_remask: bool
    delete_input: str
    settled_only: bool
    continue_after: str
    part: int
    date_from: date | None = None
    date_to: date | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.date_from is not None and self.date_to is not None and self.date_from > self.date_to:
            message = f"expected a day up to {self.date_to} (date_to), got {self.date_from}"
            raise ConfigurationError([ConfigProblem("run", "date_from", message)])

    @classmethod
    def from_context(cls, context: Context) -> RunRequest:
        """Read the form. The key of a backfill, or of a manual run that has one, selects the capture date.

        Scheduled runs have a key too, but take everything that is not done. Late arrivals are therefore not missed.

        Raises:
            ConfigurationError: a field is not one of the form, the key or a date in the form is not a date, or
                date_from is later than date_to.
        """
        params, run = context["params"], context["dag_run"]
        _require_known(run.conf or {})
        kind = str(getattr(run.run_type, "value", run.run_type))
        wanted = _date(params["capture_date"], "capture_date", "%Y-%m-%d")
        if wanted is None and kind != "scheduled":
            wanted = _date(run.partition_key, "partition key", KEY_FORMAT)
        settled = WAIT_UNTIL_SETTLED[params["wait_until_settled"]]
        return cls(
            folders=tuple(params["folders"] or ()),
            capture_date=wanted,
            model=params["model"],
            force_remask=params["force_remask"],
            delete_input=params["delete_input"],
            settled_only=kind == "scheduled" if settled is None else settled,
            continue_after=params["continue_after"] or "",
            part=params["part"],
            # Runs triggered with an older form lack the newer fields.
            date_from=_date(params.get("date_from"), "date_from", "%Y-%m-%d"),
            date_to=_date(params.get("date_to"), "date_to", "%Y-%m-%d"),
            dry_run=params.get("dry_run", False),
        )

    def selection(self) -> Selection:
        """Return which folders the discovery takes."""
        from anonymisation.chain.discover import Selection

        return Selection(self.settled_only, self.capture_date, self.folders, self.date_from, self.date_to)

    def selected(self) -> str:
        """Return the fields of the form that select folders, for messages; empty if none does."""
        days = {"captured": self.capture_date, "captured from": self.date_from, "captured until": self.date_to}
        return ", ".join([*self.folders, *(f"{name} {day}" for name, day in days.items() if day is not None)])

    def overrides(self, deployment: Deployment) -> dict[str, Any]:
        """Return the settings that the form or the deployment changes."""
        changed: dict[str, Any] = {}
        if deployment.state is not None:
            changed["state_dir"] = str(deployment.state)
        if self.model != AS_CONFIGURED:
            changed["model_type"] = self.model
        if self.force_remask:
            changed["force_remask"] = True
        delete = DELETE_INPUT[self.delete_input]
        if delete is not None:
            changed["delete_input"] = delete
        return changed

    def next_part(self, after: str) -> dict[str, Any]:
        """Return the form of the run that continues after the folder `after`; all other fields stay the same."""
        return {
            "folders": list(self.folders) or None,
            "capture_date": _text(self.capture_date),
            "date_from": _text(self.date_from),
            "date_to": _text(self.date_to),
            "model": self.model,
            "force_remask": self.force_remask,
            "delete_input": self.delete_input,
            "wait_until_settled": "yes" if self.settled_only else "no",
            "continue_after": after,
            "part": self.part + 1,
        }


def workspace_for(context: Context) -> Workspace:
    """Open the workspace of the run: its settings and folders.

    Raises:
        ConfigurationError: lists every problem of environment, form, configuration and Connections.
    """
    from anonymisation.workspace.workspace import open_workspace

    deployment = Deployment.from_environment()
    missing = [name for name in ("input", "output") if getattr(deployment, name) is None]
    if missing or deployment.input is None or deployment.output is None:
        message = "is not set; every scheduler and worker needs this variable"
        raise ConfigurationError([ConfigProblem("environment", PREFIX + name.upper(), message) for name in missing])
    database = find_database(deployment.db_conn_id)
    return open_workspace(
        input_dir=deployment.input,
        output_dir=deployment.output,
        archive_dir=deployment.archive,
        config=deployment.config,
        overrides=RunRequest.from_context(context).overrides(deployment),
        database_url=None if database is None else database.url,
        database_schema=None if database is None else database.schema,
    )


def _require_known(conf: Mapping[str, Any]) -> None:
    """Refuse fields that the form does not have. Airflow ignores them, and a mistyped `dry_run` would be a real run."""
    fields = form().keys()
    unknown = [
        ConfigProblem("run", key, f"no such field in the form{did_you_mean(key, fields)}")
        for key in conf.keys() - fields
    ]
    if unknown:
        raise ConfigurationError(sorted(unknown, key=lambda problem: problem.key))


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date(text: str | None, key: str, layout: str) -> date | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, layout).date()  # noqa: DTZ007 - a day has no time zone
    except ValueError:
        raise ConfigurationError([ConfigProblem("run", key, f"expected a date like {layout}, got {text!r}")]) from None
