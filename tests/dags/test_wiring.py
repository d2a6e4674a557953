"""The DAG as the scheduler reads it: its shape, and what reading it costs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.airflow_stack import ROOT

STEPS = ["folder.mask", "folder.archive", "folder.load", "folder.check", "folder.release"]

PARSE = """
import sys
reads = []
def hook(event, arguments):
    if event in {"open", "os.listdir", "os.scandir"} and str(arguments[0]).startswith(sys.argv[1]):
        reads.append(arguments[0])
    if event == "socket.connect":
        reads.append(event)
sys.addaudithook(hook)
import runpy
runpy.run_path(sys.argv[2])
print([name for name in ("tensorflow", "keras", "cv2", "simplejpeg") if name in sys.modules], reads)
"""


@pytest.fixture(scope="module")
def dag() -> Any:
    """The DAG, read by Airflow's own loader."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "dags"))
    assert not bag.import_errors
    assert list(bag.dags) == ["anonymise_captures"]
    return bag.dags["anonymise_captures"]


def test_each_folder_goes_through_the_steps_in_order(dag: Any) -> None:
    for step, following in zip(STEPS, [*STEPS[1:], "summary"], strict=True):
        assert dag.get_task(step).downstream_task_ids == {following}
    assert dag.get_task("discover").downstream_task_ids >= {"folder.mask", "next_part", "summary"}


def test_the_summary_alone_decides_the_run_whatever_happened(dag: Any) -> None:
    assert [task.task_id for task in dag.tasks if not task.downstream_task_ids] == ["summary"]
    assert dag.get_task("summary").trigger_rule == "all_done"
    assert dag.get_task("summary").retries == 0
    assert "discover" in dag.get_task("summary").upstream_task_ids


def test_only_mask_needs_the_gpu(dag: Any) -> None:
    assert {task.task_id for task in dag.tasks if task.pool == "gpu"} == {"folder.mask"}
    assert {task.task_id for task in dag.tasks if task.queue == "gpu"} == {"folder.mask"}


def test_folders_are_named_in_the_grid_and_failures_are_judged(dag: Any) -> None:
    for step in STEPS:
        task = dag.get_task(step)
        assert task.map_index_template == "{{ task.op_kwargs.unit | label }}"
        assert task.has_retry_policy
        assert task.retries == 3


def test_the_dag_tells_what_it_does_and_runs_one_at_a_time(dag: Any) -> None:
    assert "discover" in dag.doc_md
    assert dag.max_active_runs == 1
    assert dag.catchup is False


def test_the_environment_sets_and_removes_limits(dag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (alert,) = dag.deadline
    assert alert.interval.total_seconds() == 480 * 60
    assert alert.callback.path == "anonymisation_airflow.deadline.run_is_late"
    assert dag.get_task("folder.mask").execution_timeout is None
    monkeypatch.setenv("ANONYMISATION_DEADLINE_MINUTES", "0")
    monkeypatch.setenv("ANONYMISATION_TIMEOUT_MINUTES", "600")
    changed = _read_again()
    assert not changed.deadline
    assert changed.get_task("folder.load").execution_timeout.total_seconds() == 600 * 60


def test_a_task_has_its_folder_s_name_before_it_runs(dag: Any) -> None:
    """As Airflow renders it when a task starts: from its arguments alone."""
    started = SimpleNamespace(op_kwargs={"unit": {"folder": "2021/EV6", "shard": 2, "shards": 5}})
    for step in STEPS:
        task = dag.get_task(step)
        assert set(task.op_kwargs) == {"unit"}
        template = dag.get_template_env().from_string(task.map_index_template)
        assert template.render(task=started) == "2021/EV6 [2/5]"


def _read_again() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(ROOT / "dags")).dags["anonymise_captures"]


def test_reading_the_dag_imports_no_model_and_touches_no_share(tmp_path: Path) -> None:
    places = tmp_path / "places"
    places.mkdir()
    shares = {f"ANONYMISATION_{name}": str(places / name.lower()) for name in ("INPUT", "OUTPUT", "CONFIG")}
    for path in shares.values():
        Path(path).write_text("a file where a folder should be", encoding="utf-8")
    answer = _python(["-c", PARSE, str(places), str(ROOT / "dags" / "anonymise_captures.py")], tmp_path, shares)
    assert answer.strip().splitlines()[-1] == "[] []"


def _python(arguments: list[str], home: Path, extra: Mapping[str, str]) -> str:
    environment = {
        **os.environ,
        **extra,
        "AIRFLOW_HOME": str(home / "airflow"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
    }
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
