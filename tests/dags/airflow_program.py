"""Programs for Airflow, each in a process of its own: Airflow reads its settings once, when it is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.airflow_stack import ROOT


def printed_by(program: str, home: Path, *arguments: str, **deployment: str) -> Any:
    """Run Python `program` with the DAG and the plugins of a deployment; return the JSON of the last line it prints.

    `home` becomes AIRFLOW_HOME; `deployment` sets variables such as ANONYMISATION_TIMEZONE, of which the caller's count
    for nothing.
    """
    others = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "ANONYMISATION"))}
    environment = (
        others
        | deployment
        | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "PYTHONPATH": str(ROOT),
        }
    )
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
