"""The alert rules of docker/monitoring: they fire when they should, as Prometheus' own test tool judges."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.docker.compose_file import DOCKER, example_values, read_compose

RULES: Final = DOCKER / "monitoring" / "alerts.yml"
HEARTBEAT: Final = {"series": "airflow_scheduler_heartbeat_total", "values": "0+12x4000"}
RUNS: Final = {"series": "anonymisation_run_seconds_count", "values": "0+1x4000"}
QUIET: Final = (HEARTBEAT, RUNS)


def series(name: str, values: str) -> dict[str, str]:
    return {"series": name, "values": values}


def fired(tmp_path: Path, given: list[dict[str, str]], minute: int, alert: str, *, expected: bool) -> str:
    """What `promtool test rules` says of one alert at that minute; empty if it is as expected."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool: run scripts/install_test_services.sh as root (Debian: prometheus)")
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    (rule,) = [rule for rule in rules if rule["alert"] == alert]
    case: dict[str, Any] = {"eval_time": f"{minute}m", "alertname": alert}
    if expected:
        case["exp_alerts"] = [{"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}]
    test = {"interval": "1m", "input_series": given, "alert_rule_test": [case]}
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(
    ("alert", "given", "minute"),
    [
        ("RunFailed", [series("anonymisation_runs_failed_total", "0x20 1x100")], 40),
        ("NoRunEnded", [series("anonymisation_run_seconds_count", "1x4000")], 27 * 60),
        ("NoRunEnded", [], 27 * 60),
        ("WorkStandsStill", [series("anonymisation_units_waiting", "3x400"),
                             series('anonymisation_pictures_total{outcome="masked"}', "500x400")], 200),
        ("SchedulerDown", [series("airflow_scheduler_heartbeat_total", "0+12x60 720x100")], 80),
        ("SchedulerDown", [], 20),
    ],
)  # fmt: skip
def test_an_alert_fires(tmp_path: Path, alert: str, given: list[dict[str, str]], minute: int) -> None:
    assert fired(tmp_path, given, minute, alert, expected=True) == ""


@pytest.mark.parametrize("alert", ["RunFailed", "NoRunEnded", "WorkStandsStill", "PicturesFailed", "SchedulerDown"])
def test_nothing_fires_on_a_good_night(tmp_path: Path, alert: str) -> None:
    working = [
        series("anonymisation_units_waiting", "30-0.1x2000"),
        series('anonymisation_pictures_total{outcome="masked"}', "0+40x2000"),
        series('anonymisation_pictures_total{outcome="failed"}', "0x2000"),
        series("anonymisation_runs_failed_total", "0x2000"),
    ]
    assert fired(tmp_path, [*QUIET, *working], 28 * 60, alert, expected=False) == ""


def test_every_metric_of_an_alert_is_one_that_is_kept() -> None:
    mapping = yaml.safe_load((DOCKER / "monitoring" / "statsd_mapping.yml").read_text())["mappings"]
    kept = {rule["name"] for rule in mapping}
    for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]:
        for name in re.findall(r"\b(?:anonymisation|airflow)_\w+", rule["expr"]):
            assert name.removesuffix("_count") in kept, name


def test_prometheus_reads_the_rules() -> None:
    (named,) = yaml.safe_load((DOCKER / "monitoring" / "prometheus.yml").read_text())["rule_files"]
    volumes = read_compose(example_values())["services"]["prometheus"]["volumes"]
    assert f"./monitoring/alerts.yml:{named}:ro" in volumes
