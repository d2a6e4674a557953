"""The container files, as far as they can be judged where no container engine runs."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from anonymisation_airflow import deployment
from scripts.airflow_stack import ROOT

DOCKER = ROOT / "docker"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file, its anchors merged."""
    return dict(yaml.safe_load((DOCKER / "compose.yml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu-worker"])
def test_the_linter_finds_nothing_in_the_images(name: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("needs hadolint, which is not installed for this machine")
    done = subprocess.run([str(hadolint), str(DOCKER / name)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu-worker"])
def test_everything_the_images_copy_is_in_the_repository(name: str) -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (DOCKER / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert copied
    for line in copied:
        for path in line.split():
            assert (ROOT / path).exists(), path


def test_services_depend_on_services_that_are_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) >= {"postgres", "redis", "api-server", "scheduler", "dag-processor", "worker", "gpu-worker"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        named = {
            volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith(("$", "/", "."))
        }
        assert named <= set(compose["volumes"])


def test_gpu_and_other_work_go_to_workers_of_their_own(compose: dict[str, Any]) -> None:
    queues = {name: service["command"][3] for name, service in compose["services"].items() if "worker" in name}
    assert queues == {"worker": "default", "gpu-worker": "gpu"}


def test_settings_are_ones_that_airflow_and_we_know(compose: dict[str, Any], tmp_path: Path) -> None:
    known = _airflow_options(tmp_path)
    names = set(compose["services"]["scheduler"]["environment"])
    ours = {name for name in names if name.startswith(deployment.PREFIX)}
    assert all(name in (deployment.__doc__ or "") for name in ours)
    for name in names - ours:
        if name.startswith("AIRFLOW__"):
            section, _, option = name.removeprefix("AIRFLOW__").lower().partition("__")
            assert option in known[section], name


def test_every_value_to_be_filled_in_is_in_the_example(compose: dict[str, Any]) -> None:
    text = (DOCKER / "compose.yml").read_text(encoding="utf-8")
    example = (DOCKER / ".env.example").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{([A-Z_]+)", text))
    given = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert asked == given


def test_the_api_is_reachable_from_this_host_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8080:8080"]


def test_pins_of_the_containers_agree_with_the_lock() -> None:
    lock, celery, gpu = (_pins(path) for path in (ROOT / "requirements.lock", *_extra_locks()))
    assert int(celery["celery"].split(".")[1]) < 7
    assert "apache-airflow-providers-celery" in celery
    assert any(name.startswith("nvidia-cudnn") for name in gpu)
    assert not (set(celery) | set(gpu)) & set(lock)


def _extra_locks() -> list[Path]:
    return [DOCKER / "requirements-celery.lock", DOCKER / "requirements-gpu.lock"]


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def _airflow_options(home: Path) -> configparser.ConfigParser:
    """Every option that Airflow knows. The Celery provider's own are not installed here; those we use are added."""
    command = [sys.executable, "-m", "airflow", "config", "list", "--defaults"]
    environment = {"AIRFLOW_HOME": str(home), "PATH": str(Path(sys.executable).parent)}
    listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    parser = configparser.ConfigParser(interpolation=None, allow_no_value=True, strict=False)
    parser.read_string(re.sub(r"^# ?(?=[a-z_]+ =)", "", listed[listed.index("[") :], flags=re.MULTILINE))
    celery = {"celery": ["result_backend", "broker_url"], "celery_broker_transport_options": ["visibility_timeout"]}
    for section, options in celery.items():
        parser.read_dict({section: dict.fromkeys(options, "")})
    return parser
