"""The page with FAB's auth manager: `python -m tests.plugins.operations.fab_page FOLDER` writes what each user gets.

In a process of its own, since Airflow has one auth manager, which it takes from the settings when it is asked first.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from anonymisation.chain.run import run_folder
from anonymisation.files.digests import name_digest
from anonymisation.workspace.folder_state import state_folder
from tests.captures import FOLDER, CountingDetector, Site

HOST = "http://testserver"
PREFIX = "/anonymisation"
ORIGINALS = "Anonymisation originals"
MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
USERS = {"vera": "Viewer", "uma": "User", "rita": "Reviewer of originals"}


def main(root: Path) -> None:
    """Mask a picture, make the users, and ask for the same addresses as each of them."""
    site = Site(root)
    os.environ |= {
        "AIRFLOW_HOME": str(root / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__AUTH_MANAGER": MANAGER,
        "AIRFLOW__API_AUTH__JWT_SECRET": 64 * "s",
        **{f"ANONYMISATION_{name}": str(root / path) for name, path in {"INPUT": "in", "OUTPUT": "out"}.items()},
    }
    site.fill(1)
    run_folder(site.workspace(), FOLDER, CountingDetector())
    (root / "answers.json").write_text(json.dumps(_answers(site)))


def _answers(site: Site) -> dict[str, dict[str, int]]:
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.utils.db import initdb
    from fastapi.testclient import TestClient
    from starlette.applications import Starlette
    from starlette.routing import Mount

    initdb()
    manager: Any = create_auth_manager()
    manager.init()
    manager.get_fastapi_app()
    from anonymisation_airflow.operations.web.application import create_app

    app = Starlette(routes=[Mount(PREFIX, create_app())])
    tokens = {name: manager.generate_jwt(user) for name, user in _users(manager).items()}
    key = state_folder(site.state, FOLDER).name.rpartition("-")[2]
    picture = f"{PREFIX}/folders/{key}/pictures/{name_digest('p000.jpg')}"
    answers: dict[str, dict[str, int]] = {}
    for user in (*USERS, "nobody"):
        client = TestClient(app, base_url=HOST, follow_redirects=False, headers={"Origin": HOST})
        if user in tokens:
            client.cookies.set("_token", tokens[user])
        page = client.get(picture)
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        box = {"top": "1", "left": "50", "bottom": "20", "right": "90", "csrf_token": token}
        answers[user] = {
            "page": page.status_code,
            "original": client.get(f"{picture}/original").status_code,
            "audit": client.get(f"{PREFIX}/audit").status_code,
            "mark": client.post(f"{picture}/boxes", data=box).status_code,
        }
    return answers


def _users(manager: Any) -> dict[str, Any]:
    """One of each of FAB's own roles, and one whose role may see originals as well as what viewers see."""
    with manager.flask_app.app_context():
        security = manager.security_manager
        security.sync_roles()
        role = security.add_role(USERS["rita"])
        for permission in security.find_role("Viewer").permissions:
            security.add_permission_to_role(role, permission)
        # What the page made known; FAB refuses to give what it does not know.
        security.add_permission_to_role(role, security.get_permission("can_read", ORIGINALS))
        return {
            name: security.add_user(name, name, name, f"{name}@example.org", security.find_role(held), password=name)
            for name, held in USERS.items()
        }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
