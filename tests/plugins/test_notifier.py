"""Mail from a task: through a real SMTP server, by the deployment's Connection."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import Failure, MaskReport
from tests.smtp_catcher import mail_connection

BAD = FolderReport("a", mask=MaskReport("a", 1, 0, 0, 1, 0, (Failure("a/1.jpg", "torn"),)), units=3)
STOPPED = FolderReport("b", error="load: the database is away", units=3)


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[EmailMessage]]:
    """What a mail server received that the Connection of the deployment names."""
    configure(tmp_path, monkeypatch)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.example:8080")
    with mail_connection() as (catcher, connection):
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", connection)
        yield catcher.mails


def configure(root: Path, monkeypatch: pytest.MonkeyPatch, **switches: bool) -> None:
    settings = {
        "finished_email": True, "email_attach_log_file": True, "email_from_address": "airflow@roads.example",
        "email_to_addresses": ["operator@roads.example"], **switches,
    }  # fmt: skip
    config = root / "config.yml"
    config.write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("ANONYMISATION_CONFIG", str(config))


def context(map_index: int = -1, **more: Any) -> Any:
    units = [{"folder": "a", "shard": 1, "shards": 2}, {"folder": "a", "shard": 2, "shards": 2}, "b"]
    ti = SimpleNamespace(
        dag_id="masking", run_id="a b", task_id="t", map_index=map_index, xcom_pull=lambda task_ids: units
    )
    return {"ti": ti, **more}


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_the_log_is_an_address_and_nothing_is_attached(
    mails: list[EmailMessage], caplog: pytest.LogCaptureFixture
) -> None:
    from anonymisation_airflow.notifier import mail_summary

    mail_summary(context(), RunReport(()))
    (mail,) = mails
    assert "Log file: http://airflow.example:8080/dags/masking/runs/a%20b\n" in text_of(mail)
    page = "http://airflow.example:8080/dags/masking/runs/a%20b/plugin/anonymisation"
    html = mail.get_body(("html",))
    assert html is not None
    assert f'<a href="{page}"' in html.get_content()
    assert not list(mail.iter_attachments())
    assert "is not attached" not in caplog.text


@pytest.mark.parametrize(
    ("switches", "subjects"),
    [
        ({}, 0),
        ({"processing_error_email": True}, 2),
        ({"uncaught_exception_email": True}, 1),  # of what stopped, not of pictures that failed
    ],
)
def test_a_folder_in_parts_is_mailed_once_as_its_switches_say(
    mails: list[EmailMessage],
    switches: dict[str, bool],
    subjects: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from anonymisation_airflow.notifier import mail_folder

    configure(tmp_path, monkeypatch, **switches)
    for report in (BAD, STOPPED):
        mail_folder(context(), report)
    assert len(mails) == subjects


def test_a_failed_task_is_mailed_unless_the_summary_tells_of_it(
    mails: list[EmailMessage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anonymisation_airflow.notifier import task_failed

    configure(tmp_path, monkeypatch, uncaught_exception_email=True)
    for index in (0, 1):
        task_failed(context(index, exception=ValueError("in a part")))
    assert not mails
    task_failed(context(2, exception=ValueError("in a whole folder")))
    task_failed(context(exception=None))
    assert [str(mail["Subject"]).partition(" : ")[2] for mail in mails] == [
        "Execution stopped due to uncaught ValueError.",
        "Execution stopped due to uncaught TaskEndedError.",
    ]


def test_a_late_run_is_mailed_whatever_the_switches_say(
    mails: list[EmailMessage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anonymisation_airflow.deadline import run_is_late

    run = {"dag_id": "masking", "dag_run_id": "night", "queued_at": "2026-01-02T02:00:00Z", "state": "running"}
    later = {**run, "dag_run_id": "night__part2", "queued_at": "2026-01-02T06:00:01Z"}
    for one in (run, later):
        asyncio.run(run_is_late({"dag_run": one, "deadline": {"deadline_time": "2026-01-02 06:00:00+00:00"}}))
    (mail,) = mails
    assert "The run night should have ended by 2026-01-02 06:00:00+00:00." in text_of(mail)


def test_a_connection_that_is_missing_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from anonymisation_airflow.notifier import mail_summary

    configure(tmp_path, monkeypatch)
    monkeypatch.setattr("anonymisation_airflow.notifier.find_connection", lambda _: None)
    with caplog.at_level(logging.INFO):
        mail_summary(context(), RunReport(()))
    assert "this Airflow has no Connection smtp_default" in caplog.text


def test_a_mail_without_the_address_of_the_ui_is_sent_all_the_same(
    mails: list[EmailMessage], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from anonymisation_airflow.notifier import mail_summary

    monkeypatch.delenv("AIRFLOW__API__BASE_URL")
    mail_summary(context(), RunReport(()))
    (mail,) = mails
    assert "Log file: none\n" in text_of(mail)
    html = mail.get_body(("html",))
    assert html is not None
    assert "<a " not in html.get_content()
    assert "set AIRFLOW__API__BASE_URL" in caplog.text


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_has_ended_is_not_late(mails: list[EmailMessage], state: str) -> None:
    from anonymisation_airflow.deadline import run_is_late

    run = {"dag_id": "masking", "dag_run_id": "scheduled__2026", "queued_at": "2026-01-02T02:00:00Z", "state": state}
    asyncio.run(run_is_late({"dag_run": run, "deadline": {"deadline_time": "2026-01-02 06:00:00+00:00"}}))
    assert mails == []


def test_what_a_person_marks_as_failed_is_mailed_and_nothing_else(
    mails: list[EmailMessage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.listeners.listener import get_listener_manager

    from anonymisation_airflow import marked
    from anonymisation_airflow.deployment import DAG_ID

    configure(tmp_path, monkeypatch, uncaught_exception_email=True)
    manager = get_listener_manager()
    manager.add_listener(marked)  # type: ignore[no-untyped-call]
    by_hand = "TaskInstance's state was manually set to `failed`."
    task = SimpleNamespace(dag_id=DAG_ID, run_id="night", task_id="folder.mask")
    other = SimpleNamespace(dag_id="another", run_id="night", task_id="folder.mask")
    for item, error in ((task, by_hand), (task, ValueError("a failure of its own")), (other, by_hand)):
        manager.hook.on_task_instance_failed(previous_state=None, task_instance=item, error=error)
    manager.hook.on_dag_run_failed(dag_run=task, msg="Dag Run's state was manually set to `failed`.")
    for thread in threading.enumerate():
        if thread.name == "mail":
            thread.join(60)
    assert sorted("task folder.mask was marked as failed by hand" in text_of(mail) for mail in mails) == [False, True]
    assert all("marked as failed by hand; night does not finish its work" in text_of(mail) for mail in mails)
