"""Real users, roles and permissions of FAB's auth manager, where its provider is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


def test_roles_of_fab_decide_who_may_look_mark_and_see_originals(tmp_path: Path) -> None:
    pytest.importorskip("airflow.providers.fab", reason="needs apache-airflow-providers-fab, which is not locked")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "plugins")])
    done = subprocess.run(
        [sys.executable, "-m", "tests.plugins.operations.fab_page", str(tmp_path)],
        env={**inherited, "PYTHONPATH": path}, cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads((tmp_path / "answers.json").read_text()) == {
        "vera": {"page": 200, "original": 403, "audit": 403, "mark": 403},
        "uma": {"page": 200, "original": 403, "audit": 403, "mark": 303},
        "rita": {"page": 200, "original": 200, "audit": 200, "mark": 403},
        "nobody": {"page": 401, "original": 401, "audit": 401, "mark": 401},
    }
