"""A whole Airflow for the tests with the real scheduler, brought up once; and the DAG as the scheduler reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml
from aiosmtpd.controller import Controller

from scripts.airflow_stack import USER, AirflowStack, free_port, processes_of, running
from tests.captures import capture
from tests.smtp_catcher import Catcher

DAG_ID = "anonymise_captures"
MAX_FOLDERS = 2  # of one run, so that three make two runs
RUN_SECONDS = 400.0
PAGE_SECONDS = 180.0  # the first page imports what it needs


@dataclass
class Deployment:
    """The running Airflow, its folders, and the mails it sent."""

    stack: AirflowStack
    input: Path
    output: Path
    archive: Path
    database: Path
    mails: list[EmailMessage]

    def put(self, folder: str, count: int, first: int = 0) -> list[str]:
        """Lay `count` pictures into a capture folder; their paths below the input folder."""
        (self.input / folder).mkdir(parents=True, exist_ok=True)
        names = [f"picture_{number:04d}.jpg" for number in range(first, first + count)]
        for number, name in enumerate(names, start=first):
            (self.input / folder / name).write_bytes(capture(number, f"{folder.replace('/', '_')}_{name}"))
        return [f"{folder}/{name}" for name in names]

    def trigger(self, run_id: str, folders: list[str], **form: Any) -> None:
        """Start a run that takes these folders (patterns)."""
        self.stack.api.trigger(DAG_ID, run_id, {"folders": folders, **form})

    def wait(self, run_id: str) -> str:
        """The final state of the run."""
        return self.stack.api.wait_for_run(DAG_ID, run_id, RUN_SECONDS)

    def states(self, run_id: str) -> dict[str, dict[str, str]]:
        """State by folder (its label in the grid; "" for tasks outside the folders) and task."""
        found: dict[str, dict[str, str]] = {}
        for task in self.stack.api.task_instances(DAG_ID, run_id):
            label = (task["rendered_map_index"] or str(task["map_index"])) if task["map_index"] >= 0 else ""
            found.setdefault(label, {})[task["task_id"].rpartition(".")[2]] = task["state"]
        return found

    def page(self, path: str) -> str:
        """What the operations page answers."""
        user = {"username": USER, "password": self.stack.password()}
        token = requests.post(f"{self.stack.url}/auth/token", json=user, timeout=PAGE_SECONDS).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.get(f"{self.stack.url}/anonymisation/{path}", headers=headers, timeout=PAGE_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.text

    def table(self, run_id: str) -> dict[str, dict[str, Any]]:
        """The rows of the summary by folder."""
        return {row["folder"]: row for row in self.stack.api.xcom(DAG_ID, run_id, "summary", "table")}

    def restart_scheduler(self) -> None:
        """Kill the scheduler and all that runs below it, as a machine that goes down, and start another."""
        (scheduler,) = [
            process
            for process in map(psutil.Process, processes_of(self.stack.home))
            if {"scheduler"} & set(" ".join(process.cmdline()).split()) and not _is_scheduler(process.parent())
        ]
        for process in (scheduler, *scheduler.children(recursive=True)):
            process.kill()
        with self.stack.log_file.open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-m", "airflow", "scheduler"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.stack._full_environment(),
                cwd=self.stack.home,
                start_new_session=True,  # stopped with the stack all the same, by its AIRFLOW_HOME
            )

    def outputs(self, folder: str) -> list[str]:
        """The names of the masked pictures of a folder."""
        return sorted(path.name for path in (self.output / folder).glob("*.jpg"))

    def mails_about(self, subject: str, text: str) -> list[EmailMessage]:
        """Mails with these words in subject and content."""
        return [mail for mail in self.mails if subject in mail["Subject"] and text in text_of(mail)]


def text_of(mail: EmailMessage) -> str:
    """What a mail says in plain text."""
    part = mail.get_body(("plain",))
    return "" if part is None else str(part.get_content())


def _is_scheduler(process: psutil.Process | None) -> bool:
    return process is not None and "scheduler" in " ".join(process.cmdline()).split()


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Airflow with the DAG, a mail server and a quick model that takes the middle of every picture for a car."""
    root = tmp_path_factory.mktemp("deployment with spaces")
    places = {name: root / name for name in ("input", "output", "archive")}
    places["input"].mkdir()
    catcher = Catcher()
    server = Controller(catcher, hostname="127.0.0.1", port=free_port())
    server.start()
    environment = {
        **{f"ANONYMISATION_{name.upper()}": str(path) for name, path in places.items()},
        "ANONYMISATION_CONFIG": str(_write_config(root, _save_model(root / "model"))),
        "ANONYMISATION_MAX_FOLDERS": str(MAX_FOLDERS),
        "ANONYMISATION_RETRY_SECONDS": "1",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        "AIRFLOW_CONN_ANONYMISATION_DB": json.dumps({"conn_type": "sqlite", "host": str(root / "roads.db")}),
        "AIRFLOW_CONN_SMTP_DEFAULT": json.dumps(
            {"conn_type": "smtp", "host": "127.0.0.1", "port": server.port}
            | {"extra": {"disable_ssl": True, "disable_tls": True, "retry_limit": 1}}
        ),
    }
    stack = AirflowStack(root / "airflow", environment)
    try:
        with running(stack, DAG_ID):
            stack.api.unpause(DAG_ID)
            yield Deployment(
                stack, places["input"], places["output"], places["archive"], root / "roads.db", catcher.mails
            )
    finally:
        server.stop()


def _save_model(folder: Path) -> Path:
    from tests.masking.scripted_models import save_one_car

    return save_one_car(folder)


def _write_config(root: Path, model: Path) -> Path:
    content: Mapping[str, Any] = {
        "model_type": str(model),
        "model_dir": str(root / "models"),
        "tiles": False,
        "max_pictures_per_work_unit": 100,
        "remote_json": True,
        "write_exif_to_db": True,
        "uncaught_exception_email": True,
        "processing_error_email": True,
        "finished_email": True,
        "email_from_address": "airflow@roads.example",
        "email_to_addresses": ["operator@roads.example"],
    }
    path = root / "config.yml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
