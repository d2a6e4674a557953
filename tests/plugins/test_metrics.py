"""Metrics: every name of the table, as a real StatsD server receives it; and that the dashboard asks for no other."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from anonymisation.reporting.run_report import FolderReport, RunReport
from scripts.airflow_stack import ROOT

MONITORING = ROOT / "docker" / "monitoring"
DASHBOARD = MONITORING / "grafana" / "dashboards" / "anonymisation.json"
KINDS = {"c": "counter", "g": "gauge", "ms": "timer"}
# What the mapping keeps of Airflow's own.
AIRFLOWS_OWN = {"pool.running_slots.gpu": "g", "pool.scheduled_slots.gpu": "g", "scheduler_heartbeat": "c"}
STEPS: dict[str, dict[str, Any]] = {
    "mask": {"found": 7, "masked": 4, "failed": 2, "seconds": 6.0},
    "archive": {"size": 1234},
    "load": {"inserted": 3, "updated": 2, "failed": 1},
    "check": {"missing": 9},
    "release": {"released": 8},
}


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A UDP socket to which Airflow's metrics of this process go."""
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(server.getsockname()[1]))
        stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
        yield server
    monkeypatch.undo()
    stats.initialize(factory=get_stats_factory(), export_legacy_names=True)


def sent(server: socket.socket) -> list[str]:
    """What has arrived so far; a last metric of our own tells that all of it has."""
    from airflow.sdk.observability import stats

    stats.incr("end")
    lines: list[str] = []
    while not lines or not lines[-1].startswith("airflow.end:"):
        lines += server.recv(65536).decode().splitlines()
    return lines[:-1]


def send_everything() -> None:
    from anonymisation_airflow import metrics

    metrics.count_found(units=5, folders_left=3)
    for step, report in STEPS.items():
        metrics.count_step(step, report)
    metrics.count_ended_unit()
    metrics.count_run(RunReport((FolderReport("a", error="x"), FolderReport("b")), seconds=90.0))


def test_what_was_done_arrives(statsd: socket.socket) -> None:
    send_everything()
    assert sent(statsd) == [
        f"airflow.anonymisation.{line}"
        for line in (
            "units.waiting:5|g", "folders.waiting:3|g", "pictures.found:7|c", "pictures.masked:4|c",
            "pictures.failed:2|c", "mask.seconds_per_picture:1500.000000|ms", "bytes.archived:1234|c",
            "rows.loaded:5|c", "rows.failed:1|c", "check.gaps:9|c", "originals.released:8|c",
            "units.waiting:-1|g", "units.waiting:0|g",
            "run.seconds:90000.000000|ms", "folders.failed:1|c", "runs.failed:1|c",
        )
    ]  # fmt: skip


def test_nothing_done_sends_nothing(statsd: socket.socket) -> None:
    from anonymisation_airflow import metrics

    for step, report in STEPS.items():
        metrics.count_step(step, dict.fromkeys(report, 0))
    assert sent(statsd) == []


def test_the_table_names_what_is_sent(statsd: socket.socket) -> None:
    from anonymisation_airflow import metrics

    send_everything()
    found = {(name, KINDS[kind]) for name, _, kind in map(_parts, sent(statsd))}
    told = set(re.findall(r"^\| (anonymisation\.\S+) \| (\w+) \|", metrics.__doc__ or "", re.MULTILINE))
    assert {(name.removeprefix("airflow."), kind) for name, kind in found} == told


def _parts(line: str) -> tuple[str, str, str]:
    name, _, rest = line.partition(":")
    value, _, kind = rest.partition("|")
    return name, value, kind


def _mapped(name: str, rules: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What statsd_exporter makes of a name: the first rule that matches, `*` standing for one part."""
    for rule in rules:
        expression = rule["match"] if rule.get("match_type") == "regex" else _glob(rule["match"])
        if re.search(expression, name):
            return None if rule.get("action") == "drop" else rule
    raise AssertionError(f"no rule for {name}")


def _glob(match: str) -> str:
    return "^" + re.escape(match).replace(r"\*", r"[^.]*") + "$"


def _series(statsd: socket.socket) -> set[str]:
    """The names of Prometheus that come out of the mapping."""
    rules = yaml.safe_load((MONITORING / "statsd_mapping.yml").read_text())["mappings"]
    send_everything()
    kinds = {name: kind for name, _, kind in map(_parts, sent(statsd))}
    kinds |= {f"airflow.{name}": kind for name, kind in AIRFLOWS_OWN.items()}
    series: set[str] = set()
    for name, kind in kinds.items():
        rule = _mapped(name, rules)
        assert rule is not None, name
        assert rule["name"].endswith("_total") == (kind == "c"), name
        ends = ("", "_sum", "_count") if kind == "ms" else ("",)
        series |= {rule["name"] + end for end in ends}
    assert _mapped("airflow.ti.finish.anonymise_captures.discover.success", rules) is None
    return series


def test_every_metric_of_the_dashboard_is_sent_and_every_one_sent_is_shown(statsd: socket.socket) -> None:
    series = _series(statsd)
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = {
        word
        for panel in panels
        for target in panel["targets"]
        for word in re.findall(r"\b(?:anonymisation|airflow)_\w+", target["expr"])
    }
    assert asked <= series
    assert {name for name in series if not name.endswith(("_sum", "_count"))} <= asked


def test_the_dashboard_is_sound() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    sources = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text())
    uids = {source["uid"] for source in sources["datasources"]}
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        for target in panel["targets"]:
            assert target["datasource"]["uid"] in uids
            assert target["expr"].count("(") == target["expr"].count(")")


def test_names_of_airflows_own_metrics_are_airflows() -> None:
    import airflow.sdk._shared.observability.metrics as package

    registry = (Path(str(package.__file__)).parent / "metrics_template.yaml").read_text()
    for name in AIRFLOWS_OWN:
        known = re.sub(r"\.gpu$", ".{pool_name}", name)
        assert f'"{known}"' in registry, name
