"""The page without a scheduler: the real application and auth manager, real files, rows written by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from anonymisation.chain.run import run_folder
from anonymisation.masking.detections import Detections
from anonymisation.workspace.workspace import Workspace
from tests.captures import CAR_BOX, FOLDER, CountingDetector, Site, capture
from tests.plugins.operations.rows import add_run, add_task, add_xcom

HOST = "http://testserver"
PREFIX = "/anonymisation"
ROLES = {"admin": "admin", "operator": "user", "viewer": "viewer", "nobody": None}
# A car without doubt, a person with some.
FOUND = Detections.of([CAR_BOX, (0.0, 0.0, 0.2, 0.1)], [0.9, 0.31], [3, 1])
BOX = {"top": "1", "left": "50", "bottom": "20", "right": "90"}
SETTINGS = {"remote_mask": True, "remote_json": True, "mask_color": [0, 0, 255], "blur": None}


def words(text: str) -> str:
    """What a reader sees, in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)).replace("\u202f", " ")


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's tables in SQLite, and its simple auth manager."""
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.utils.db import initdb

    initdb()
    create_auth_manager().init()


@dataclass
class Page:
    """The page over a small deployment; `as_user` gives a client that is signed in as a user of that role."""

    site: Site
    workspace: Workspace
    as_user: Callable[[str], Any]

    def folder(self, folder: str = FOLDER) -> str:
        from anonymisation_airflow.operations.web.site import current_site, folder_key

        return f"{PREFIX}/folders/{folder_key(current_site(), folder)}"

    def picture(self, name: str, folder: str = FOLDER) -> str:
        from anonymisation.files.digests import name_digest

        return f"{self.folder(folder)}/pictures/{name_digest(name)}"

    def token(self, client: Any, name: str = "p000.jpg") -> str:
        """The token of the forms on a picture's page."""
        return self.form(client, name)["csrf_token"]

    def form(self, client: Any, name: str = "p000.jpg") -> dict[str, str]:
        """What the forms of a picture's page hold besides what people fill in."""
        text = client.get(self.picture(name)).text
        fields = ("csrf_token", "shown")
        return {field: text.partition(f'name="{field}" value="')[2].partition('"')[0] for field in fields}


@pytest.fixture
def page(airflow_database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    """Three pictures masked and archived, one that failed, and one run that says so."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from anonymisation_airflow.operations.web.application import create_app

    site = Site(tmp_path)
    workspace = _mask(site)
    config = tmp_path / "config.yml"
    config.write_text(
        "remote_mask: True\nremote_json: True\nmask_color: [0, 0, 255]\nblur: null\nmodel_type: " + str(site.model)
    )
    places = {"INPUT": site.input, "OUTPUT": site.output, "ARCHIVE": site.archive, "CONFIG": config}
    for name, path in places.items():
        monkeypatch.setenv(f"ANONYMISATION_{name}", str(path))
    outer = Starlette(routes=[Mount(PREFIX, create_app())])

    def as_user(role: str) -> TestClient:
        client = TestClient(outer, base_url=HOST, follow_redirects=False, headers={"Origin": HOST})
        if role in ROLES:
            user = SimpleAuthManagerUser(username=role, role=ROLES[role])
            client.cookies.set("_token", get_auth_manager().generate_jwt(user))
        return client

    return Page(site, workspace, as_user)


def _mask(site: Site) -> Workspace:
    workspace = site.workspace(archive=True, **SETTINGS)
    site.fill(3)
    site.put("p003.jpg", capture(3, "p003.jpg")[:900])
    run_folder(workspace, FOLDER, CountingDetector(FOUND))
    return workspace


@pytest.fixture
def night(page: Page) -> str:
    """A run that has ended, with two units of one folder, and the report of what `page` masked; its name."""
    run_id = f"manual__2021-05-01T02:00:00+00:00 {page.site.root.name}"
    began = datetime(2021, 5, 1, 2, tzinfo=UTC)
    run = add_run(run_id, "failed", began, began + timedelta(minutes=3, seconds=20))
    add_task(run_id, "discover", -1, "success")
    units = [{"folder": FOLDER, "shard": number, "shards": 2} for number in (1, 2)]
    add_xcom(run, run_id, "discover", -1, "return_value", units)
    add_xcom(run, run_id, "discover", -1, "pictures", {FOLDER: {"pictures": 1203, "pending": 1203}})
    failure = {"picture": f"{FOLDER}/p003.jpg", "reason": "truncated or corrupt <b>picture</b>", "known": False}
    for index, unit in enumerate(units):
        mask: dict[str, Any] = {
            "found": 600 + 3 * index,
            "masked": 600 + 2 * index,
            "already_done": 0,
            "failed": index,
            "known_failed": 0,
        }
        # A tuple, as older runs left one: Airflow writes it with the name of its class.
        mask |= {"failures": (failure,) * index, "objects": {"car": 3}, "seconds": 100.0}
        reports = {"mask": mask, "archive": {"archived": 600, "size": 2_000_000_000}, "load": {"inserted": 600}}
        for step in ("mask", "archive", "load", "check", "release"):
            state = "failed" if step == "release" and index else "success"
            add_task(run_id, f"folder.{step}", index, state)
            add_xcom(run, run_id, f"folder.{step}", index, "return_value", {**unit, **reports.get(step, {})})
    add_task(run_id, "summary", -1, "failed")
    return run_id
