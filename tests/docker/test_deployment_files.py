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

from anonymisation.cli.models import pull_command
from anonymisation.masking.zoo import ZOO
from anonymisation.paths import Shares
from anonymisation_airflow import deployment
from anonymisation_airflow.deployment import Deployment
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
        named = {source for source, _ in _volumes(service).values() if not source.startswith(("$", "/", "."))}
        assert named <= set(compose["volumes"])


def test_airflow_can_write_to_the_file_of_passwords(compose: dict[str, Any]) -> None:
    for name, service in _airflow_services(compose).items():
        path = service["environment"]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]
        source, mode = _volumes(service)[path]
        assert not path.startswith("/run/secrets"), name
        assert (source.split(":")[0], mode) == ("${PASSWORDS_FILE", "rw"), name


def test_every_folder_that_a_task_writes_to_is_mounted_writable(compose: dict[str, Any]) -> None:
    for name, service in _airflow_services(compose).items():
        given = Deployment.from_environment(service["environment"])
        assert given.input is not None
        assert given.output is not None
        assert given.archive is not None
        assert given.state is not None
        values = {"error_output_dir": "", "state_dir": str(given.state)}
        shares = Shares.resolve(given.input, given.output, given.archive, values)
        folders = {str(folder) for _, folder in shares.roles()}
        assert f"{given.output}_error" in folders
        writable = {target for target, (_, mode) in _volumes(service).items() if mode == "rw"}
        assert folders <= writable, name


def test_fetched_models_outlive_the_containers(compose: dict[str, Any]) -> None:
    for name, service in _airflow_services(compose).items():
        assert _volumes(service)["/opt/models"] == ("models", "rw"), name
    # A new volume takes its owner from the folder in the image.
    assert re.search(r"chown -R airflow:0 .*/opt/models\b", (DOCKER / "Dockerfile").read_text(encoding="utf-8"))
    example = (DOCKER / ".env.example").read_text(encoding="utf-8")
    assert yaml.safe_load(re.findall(r"^# +(model_dir: .+)$", example, re.MULTILINE)[0]) == {"model_dir": "/opt/models"}


def test_the_command_that_fetches_a_model_is_one_of_ours(compose: dict[str, Any]) -> None:
    example = (DOCKER / ".env.example").read_text(encoding="utf-8").replace("\\\n#", " ")
    words = re.findall(r"^# +docker compose (.* models pull .*)$", example, re.MULTILINE)[0].split()
    after = words[words.index("--entrypoint") + 1 :]
    assert after[0] == "anonymise"
    assert after[1] in _airflow_services(compose)
    config = after[after.index("-k") + 1]
    assert config in _volumes(compose["services"][after[1]])
    parsed = pull_command.make_context("pull", after[4 : after.index("-k")])
    assert after[2:4] == ["models", "pull"]
    assert set(parsed.params["names"]) <= set(ZOO)
    assert parsed.params["names"]


def test_images_are_built_in_the_order_that_the_header_gives_and_never_pulled(compose: dict[str, Any]) -> None:
    text = (DOCKER / "compose.yml").read_text(encoding="utf-8")
    header = re.findall(r"^#   (.+)$", text.split("name:")[0], re.MULTILINE)
    assert header[0].startswith("cp docker/.env.example docker/.env")
    built = [tuple(found) for line in header for found in re.findall(r"docker build -f (\S+) -t (\S+) \.$", line)]
    assert [path for path, _ in built] == ["docker/Dockerfile", "docker/Dockerfile.gpu-worker"]
    assert header[-1].endswith("up -d")
    base = re.findall(r"^ARG BASE=(.+)$", (DOCKER / "Dockerfile.gpu-worker").read_text(encoding="utf-8"), re.MULTILINE)
    assert base == [f"{built[0][1]}:latest"]
    services = _airflow_services(compose)
    assert {service["image"] for service in services.values()} == {f"{tag}:latest" for _, tag in built}
    assert all(service["pull_policy"] == "never" and "build" not in service for service in services.values())


def test_the_pool_keeps_the_number_that_the_operator_gives(compose: dict[str, Any]) -> None:
    assert "pools set gpu ${GPU_SLOTS:-1} " in compose["services"]["init"]["command"][0]


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


def _airflow_services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {name: service for name, service in compose["services"].items() if name not in ("postgres", "redis")}
    assert set(found) >= {"init", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "gpu-worker"}
    return found


def _volumes(service: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """For each path in the container: what is mounted there, and "rw" or "ro"."""
    form = re.compile(r"(\$\{[^}]+\}|[^:]+):([^:]+)(?::(ro|rw))?")
    found = [form.fullmatch(volume) for volume in service.get("volumes", [])]
    assert None not in found, "a volume in another form than source:target[:mode]"
    return {match[2]: (match[1], match[3] or "rw") for match in found if match}


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
