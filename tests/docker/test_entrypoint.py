"""What a container starts: the image's entrypoint with the arguments that Compose, Kubernetes and the chart give it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docker.compose_file import DOCKER, example_values, read_compose

# Of all commands in one process, since every start of Airflow takes seconds.
SHOW_HELP = """
import contextlib, json, sys
from airflow.cli.cli_parser import get_parser
for words in json.loads(sys.argv[1]):
    with contextlib.suppress(SystemExit):
        get_parser().parse_args([*words, "--help"])
"""


def entrypoint() -> list[str]:
    """The entrypoint of docker/Dockerfile, with this checkout's script; tini only passes its arguments on."""
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    (given,) = re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)
    tini, dashes, script = json.loads(given)
    assert (tini, dashes) == ("tini", "--")
    assert "tini" in re.findall(r"apt-get install ([^&]+)&&", text)[0].split()
    assert (script, "COPY docker/entrypoint.sh ./\n" in text) == ("/opt/anonymisation/entrypoint.sh", True)
    return [str(DOCKER / "entrypoint.sh")]


def started(arguments: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "AIRFLOW_HOME": str(home)}
    return subprocess.run([*entrypoint(), *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        # As KubernetesExecutor starts a task; tests/docker/test_kubernetes.py takes it from Airflow's own code.
        (["python", "-m", "airflow.sdk.execution_time.execute_workload", "--help"], "usage: execute_workload"),
        # As the Helm chart starts the parts of Airflow: the line break is the chart's.
        (["bash", "-c", "exec \\\nairflow scheduler --help"], "Usage: airflow scheduler"),
        (["airflow", "version"], "3."),
        (["anonymise", "--version"], "anonymise"),
    ],
)
def test_a_program_is_run_as_it_is_given(arguments: list[str], printed: str, tmp_path: Path) -> None:
    done = started(arguments, tmp_path)
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout


def test_the_commands_of_the_compose_file_are_commands_of_airflow(tmp_path: Path) -> None:
    services: dict[str, Any] = read_compose(example_values())["services"]
    commands = {
        name: service["command"]
        for name, service in services.items()
        if service["image"].startswith("image-anonymisation") and "entrypoint" not in service
    }
    assert set(commands) == {
        "api-server", "scheduler", "dag-processor", "triggerer", "worker", "gpu-worker", "gpu-worker-1"
    }  # fmt: skip
    verbs = (tuple(word for word in command if not word.startswith("-")) for command in commands.values())
    known = sorted({verb[:2] if verb[0] == "celery" else verb for verb in verbs})
    done = started(["python", "-c", SHOW_HELP, json.dumps(known)], tmp_path)
    assert done.returncode == 0, done.stderr
    for words in known:
        assert f"Usage: airflow {' '.join(words)}" in done.stdout, words


def test_what_is_no_program_is_a_command_of_airflow(tmp_path: Path) -> None:
    done = started(["celery", "worker", "--help"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Usage: airflow celery worker" in done.stdout
