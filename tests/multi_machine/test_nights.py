"""Nights on several machines with the environment of the compose file and nothing else: what runs, and what is mailed.

The UI is served below a path, as behind a proxy that serves other things too.
"""

from __future__ import annotations

import json

import pytest

from tests.multi_machine.celery_stack import PATH
from tests.multi_machine.conftest import DAG_ID, RUN_SECONDS, Deployment, wait_until

pytestmark = pytest.mark.timeout(1800)


def test_a_good_night_mails_its_summary_with_links(celery: Deployment) -> None:
    folders = {f"good/F{number}_2021_06_01": celery.put(f"good/F{number}_2021_06_01", 3) for number in (1, 2)}
    celery.trigger("good")
    celery.require_done("good", folders)
    wait_until(lambda: celery.mails_of("good") != [], "the summary is mailed")
    (mail,) = celery.mails_of("good")
    assert f"{celery.stack.api.base_url}/dags/{DAG_ID}/runs/good" in mail
    assert f"{PATH}/dags/" in mail


def test_a_bad_night_mails_what_failed(celery: Deployment) -> None:
    folder = "bad/F1_2021_06_02"
    names = celery.put(folder, 3)
    torn = celery.stack.captures / folder / names[1]
    torn.write_bytes(torn.read_bytes()[:500])
    celery.trigger("bad")
    assert celery.stack.api.wait_for_run(DAG_ID, "bad", RUN_SECONDS) == "failed"
    wait_until(lambda: len(celery.mails_of("bad")) == 2, "the folder's failures and the summary are mailed")
    assert all(f"{folder}/{names[1]}: " in mail for mail in celery.mails_of("bad"))
    assert sorted(celery.written("masked", folder)) == [names[0], names[2]]


def test_workers_see_connections_that_are_edited_while_they_run(celery: Deployment) -> None:
    """As `sed -i` does it: a new file in the place of the old one."""
    path = celery.stack.root / "connections/connections.yaml"
    before = path.read_text(encoding="utf-8")
    edited = path.with_name("edited")
    edited.write_text(before.replace("smtp_default", "smtp_of_another_deployment"), encoding="utf-8")
    edited.rename(path)
    try:
        names = celery.put("unmailed/F1_2021_06_03", 1)
        celery.trigger("unmailed")
        celery.require_done("unmailed", {"unmailed/F1_2021_06_03": names})
        assert celery.mails_of("unmailed") == []
    finally:
        path.write_text(before, encoding="utf-8")


def test_what_is_mailed_holds_no_password(celery: Deployment) -> None:
    text = "\n".join(mail.as_string() for mail in celery.mails)
    for secret in (celery.stack.root / "secrets").iterdir():
        assert secret.read_text(encoding="utf-8") not in text
    assert json.dumps({"admin": celery.stack.api.password}) not in text
