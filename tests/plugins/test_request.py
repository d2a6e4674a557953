"""What a run is asked for: form, kind of run and key, made into a selection and settings."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anonymisation.core.errors import ConfigurationError
from anonymisation_airflow.deployment import Deployment

NOTHING = Deployment.from_environment({})


def context(run_type: str = "manual", partition_key: str | None = None, **form: Any) -> Any:
    """As a task sees it, with the form's defaults but for what is given."""
    from anonymisation_airflow.request import form as fields

    params = {name: field.resolve() for name, field in fields().items()} | form
    run = SimpleNamespace(run_type=run_type, partition_key=partition_key, conf=form)
    return {"params": params, "dag_run": run}


def request_of(*arguments: Any, **form: Any) -> Any:
    """The request of such a run."""
    from anonymisation_airflow.request import RunRequest

    return RunRequest.from_context(context(*arguments, **form))


def test_scheduled_runs_take_every_date_and_leave_what_still_changes() -> None:
    selection = request_of("scheduled", "20211103").selection()
    assert (selection.capture_date, selection.settled_only) == (None, True)


@pytest.mark.parametrize("kind", ["manual", "backfill"])
def test_runs_by_hand_take_the_date_of_their_key_at_once(kind: str) -> None:
    selection = request_of(kind, "20211103").selection()
    assert (selection.capture_date, selection.settled_only) == (date(2021, 11, 3), False)


def test_the_form_counts_more_than_the_key() -> None:
    asked = request_of("manual", "20211103", capture_date="2021-11-05", wait_until_settled="yes", folders=["a/*"])
    selection = asked.selection()
    assert (selection.capture_date, selection.settled_only, selection.patterns) == (date(2021, 11, 5), True, ("a/*",))


def test_a_key_that_is_no_date_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="partition key: expected a date like %Y%m%d, got 'tomorrow'"):
        request_of("manual", "tomorrow")


def test_fields_that_the_form_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        request_of(dryrun=True, Folders=["a"], dry_run=False)
    assert str(refused.value).splitlines()[1:] == [
        "  - run: Folders: no such field in the form (did you mean folders?)",
        "  - run: dryrun: no such field in the form (did you mean dry_run?)",
    ]


def test_the_form_changes_settings_and_its_defaults_change_none() -> None:
    assert request_of().overrides(NOTHING) == {}
    state = Deployment.from_environment({"ANONYMISATION_STATE": "/state"})
    changed = request_of(model="Slow", force_remask=True, delete_input="no").overrides(state)
    assert changed == {
        "state_dir": "/state", "model_type": "Slow", "force_remask": True, "delete_input": False,
    }  # fmt: skip


def test_the_next_part_asks_for_the_same_behind_the_last_folder() -> None:
    first = request_of(
        "backfill", "20211103", folders=["x"], model="Fast", force_remask=True, delete_input="yes", part=2,
        date_from="2021-11-01", date_to="2021-11-30",
    )  # fmt: skip
    second = request_of(**first.next_part(after="m/n"))
    assert (second.continue_after, second.part) == ("m/n", 3)
    asked = ("folders", "capture_date", "date_from", "date_to", "model", "force_remask", "delete_input", "settled_only")
    for name in asked:
        assert getattr(second, name) == getattr(first, name)


def test_the_next_part_of_a_scheduled_run_leaves_alone_what_still_changes() -> None:
    assert request_of(**request_of("scheduled", "20211103").next_part(after="a")).settled_only


def test_the_workspace_names_every_missing_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    from anonymisation_airflow.request import workspace_for

    monkeypatch.delenv("ANONYMISATION_INPUT", raising=False)
    monkeypatch.delenv("ANONYMISATION_OUTPUT", raising=False)
    with pytest.raises(ConfigurationError) as refused:
        workspace_for(context())
    assert [problem.key for problem in refused.value.problems] == ["ANONYMISATION_INPUT", "ANONYMISATION_OUTPUT"]


def test_the_workspace_has_the_folders_of_the_deployment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from anonymisation_airflow.request import workspace_for

    for name in ("INPUT", "OUTPUT", "ARCHIVE", "STATE"):
        monkeypatch.setenv(f"ANONYMISATION_{name}", str(tmp_path / name))
    workspace = workspace_for(context(delete_input="yes"))
    assert (workspace.shares.input, workspace.shares.state) == (tmp_path / "INPUT", tmp_path / "STATE")
    assert workspace.settings.delete_input is True


def test_the_form_can_be_sent_as_it_is_shown() -> None:
    """A field that begins empty must allow null, else the UI refuses the form until something is typed."""
    from anonymisation_airflow.request import form

    for name, param in form().items():
        if param.value in (None, "", [], ()):
            assert "null" in param.schema["type"], name
        param.resolve()
