"""Mail from a task: through a real SMTP server, by the deployment's Connection."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from aiosmtpd.controller import Controller

from anonymisation.outcomes import RunReport
from scripts.airflow_stack import free_port
from tests.smtp_catcher import Catcher


def test_the_log_is_an_address_and_nothing_is_attached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from anonymisation_airflow.notifier import mail_summary

    settings = {
        "finished_email": True, "email_attach_log_file": True, "email_from_address": "airflow@roads.example",
        "email_to_addresses": ["operator@roads.example"],
    }  # fmt: skip
    config = tmp_path / "config.yml"
    config.write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.example:8080")
    monkeypatch.setenv("ANONYMISATION_CONFIG", str(config))
    catcher = Catcher()
    controller = Controller(catcher, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        connection = {
            "conn_type": "smtp", "host": "127.0.0.1", "port": controller.port,
            "extra": {"disable_ssl": True, "disable_tls": True},
        }  # fmt: skip
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        with caplog.at_level(logging.INFO):
            mail_summary({"ti": SimpleNamespace(dag_id="masking", run_id="a b")}, RunReport(()))  # type: ignore[typeddict-item]
    finally:
        controller.stop()
    (mail,) = catcher.mails
    assert "/dags/masking/runs/a%20b" in mail.get_content()
    assert not mail.is_multipart()
    assert "is not attached" not in caplog.text
