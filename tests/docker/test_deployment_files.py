"""The container files, as far as they can be judged where no container engine runs."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from anonymisation.cli.models import pull_command
from anonymisation.masking.models.zoo import ZOO
from anonymisation.workspace.paths import Shares
from anonymisation_airflow import deployment
from anonymisation_airflow.deployment import Deployment
from scripts.airflow_stack import ROOT
from tests.docker.compose_file import DOCKER, example_values, read_compose

WORKERS = ("worker", "gpu-worker", "gpu-worker-1")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file, filled in as the example is."""
    return read_compose(example_values())


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu-worker"])
def test_the_linter_finds_nothing_in_the_images(name: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("needs hadolint, which is not installed for this machine")
    done = subprocess.run([str(hadolint), str(DOCKER / name)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu-worker"])
def test_everything_the_images_copy_is_in_the_repository_and_sent_to_the_builder(name: str) -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (DOCKER / name).read_text(encoding="utf-8"), re.MULTILINE)
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert copied
    assert "*" in sent
    for line in copied:
        for path in line.split():
            assert (ROOT / path).exists(), path
            assert f"!{path.removeprefix('./').split('/')[0]}" in sent, path


def test_services_depend_on_services_that_are_there_and_healthy(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, asked in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other == "init" else "service_healthy"
            assert asked["condition"] == expected, name
            assert other == "init" or "healthcheck" in services[other], name
        named = {source for source, _ in _volumes(service).values() if not source.startswith(("/", "."))}
        assert named <= set(compose["volumes"])


def test_every_service_is_watched_bounded_and_started_again(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["restart"] == ("no" if name == "init" else "unless-stopped"), name
        assert ("healthcheck" in service) == (name != "init"), name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["logging"]["options"]["max-size"], name


def test_airflow_runs_without_rights_that_it_does_not_need(compose: dict[str, Any]) -> None:
    for name, service in _airflow_services(compose).items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    for name in ("Dockerfile", "Dockerfile.gpu-worker"):
        users = re.findall(r"^USER (.+)$", (DOCKER / name).read_text(encoding="utf-8"), re.MULTILINE)
        assert users[-1] == "50000", name


def test_secrets_are_files_and_never_in_the_environment(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
        used = set(re.findall(r"/run/secrets/([a-z_.]+[a-z])", str(service)))
        assert used <= set(service.get("secrets", [])), name
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|FERNET|BROKER_URL|RESULT_BACKEND|SQL_ALCHEMY_CONN|AIRFLOW_CONN", variable):
                assert re.search("/run/(secrets|connections)/", value) or variable in {
                    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
                    "AIRFLOW__SECRETS__BACKEND",
                }, f"{name}: {variable}"
    assert not {variable for variable in example_values() if re.search("PASSWORD$|SECRET$|KEY$", variable)}


def test_workers_hold_no_key_to_the_metadata_database(compose: dict[str, Any]) -> None:
    for name in WORKERS:
        service = compose["services"][name]
        assert set(service["secrets"]) == {"api_secret_key", "redis_password"}, name
        assert not any("SQL_ALCHEMY" in variable for variable in service["environment"]), name


def test_the_script_makes_every_secret_once(compose: dict[str, Any], tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, as it gives a file to another user")
    script = [shutil.which("sh") or "sh", str(DOCKER / "make_secrets.sh"), str(tmp_path / "made")]
    subprocess.run(script, check=True, capture_output=True)
    made = tmp_path / "made/secrets"
    assert {path.name for path in made.iterdir()} == set(compose["secrets"])
    contents = {path: path.read_text(encoding="utf-8") for path in (tmp_path / "made").glob("*/*")}
    Fernet(contents[made / "fernet_key"])
    assert all(len(text) >= 44 and "\n" not in text for path, text in contents.items() if path.parent == made)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "made").iterdir()}
    assert modes == {"secrets": 0o700, "connections": 0o750, "users": 0o700, "config": 0o755}
    passwords = tmp_path / "made/users/passwords.json"
    assert (passwords.stat().st_uid, passwords.stat().st_mode & 0o777) == (50000, 0o600)
    assert list(json.loads(contents[passwords])) == ["admin"]
    assert subprocess.run(script, check=True, capture_output=True).stdout == b""
    assert {path: path.read_text(encoding="utf-8") for path in (tmp_path / "made").glob("*/*")} == contents


def test_what_people_edit_is_mounted_as_a_folder_that_the_script_makes(compose: dict[str, Any]) -> None:
    """A file that is mounted by itself stays the old one when an editor puts a new one in its place."""
    folder = example_values()["SETTINGS_FOLDER"]
    script = (DOCKER / "make_secrets.sh").read_text(encoding="utf-8")
    for name, service in compose["services"].items():
        for target, (source, _) in _volumes(service).items():
            if source.startswith(f"{folder}/"):
                part = source.removeprefix(f"{folder}/")
                assert "/" not in part, f"{name}: {target}"
                assert re.search(rf'^mkdir .*"\$folder/{part}"', script, re.MULTILINE), part
    for name in _airflow_services(compose):
        environment = compose["services"][name]["environment"]
        mounted = set(_volumes(compose["services"][name]))
        connections = json.loads(environment["AIRFLOW__SECRETS__BACKEND_KWARGS"])["connections_file_path"]
        for path in (environment["ANONYMISATION_CONFIG"], connections):
            assert str(Path(path).parent) in mounted, f"{name}: {path}"


def test_the_example_of_connections_is_what_airflow_reads(tmp_path: Path) -> None:
    text = (DOCKER / "make_secrets.sh").read_text(encoding="utf-8")
    (tmp_path / "connections.yaml").write_text(text.split("<<'YAML'\n")[1].split("\nYAML\n")[0], encoding="utf-8")
    code = (
        "import json, sys; from airflow.secrets.local_filesystem import load_connections_dict as load;"
        "print(json.dumps({name: [found.conn_type, found.extra_dejson] for name, found in load(sys.argv[1]).items()}))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "connections.yaml")]
    environment = {"AIRFLOW_HOME": str(tmp_path), "PATH": str(Path(sys.executable).parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {
        deployment.DEFAULT_DB_CONN_ID: ["postgres", {}],
        deployment.DEFAULT_SMTP_CONN_ID: ["smtp", {"disable_ssl": True}],
    }


def test_airflow_can_write_to_the_file_of_passwords(compose: dict[str, Any]) -> None:
    service = compose["services"]["api-server"]
    path = service["environment"]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]
    assert _volumes(service)[str(Path(path).parent)] == (f"{example_values()['SETTINGS_FOLDER']}/users", "rw")


def test_every_folder_that_a_task_or_the_page_writes_to_is_mounted_writable(compose: dict[str, Any]) -> None:
    for name in (*WORKERS, "api-server"):
        service = compose["services"][name]
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
        assert folders - {str(given.input)} <= writable, name


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_originals_can_be_removed_only_where_the_operator_says_so(mode: str) -> None:
    services = read_compose({**example_values(), "CAPTURES_MODE": mode})["services"]
    mounted = {name: _volumes(service)["/shares/captures"][1] for name, service in services.items() if name in WORKERS}
    assert mounted == dict.fromkeys(WORKERS, mode)
    assert _volumes(services["api-server"])["/shares/captures"][1] == "ro"
    assert example_values()["CAPTURES_MODE"] == "ro"


def test_only_what_handles_pictures_can_reach_them(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        reaches = any(target.startswith("/shares/") for target in _volumes(service))
        assert reaches == (name in (*WORKERS, "api-server")), name


def test_fetched_models_outlive_the_containers(compose: dict[str, Any]) -> None:
    for name in WORKERS:
        assert _volumes(compose["services"][name])["/opt/models"] == ("models", "rw"), name
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
    assert str(Path(config).parent) in _volumes(compose["services"][after[1]])
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


def test_the_pools_keep_the_numbers_that_the_operator_gives() -> None:
    services = read_compose({**example_values(), "GPU_SLOTS": "3", "DEFAULT_SLOTS": "7"})["services"]
    set_to = dict(re.findall(r"pools set (\w+) (\d+) ", services["init"]["command"][0]))
    assert set_to == {"gpu": "3", "default_pool": "7"}


def test_no_more_tasks_are_given_out_than_workers_take_at_once(compose: dict[str, Any]) -> None:
    """A task that waits for a worker fails after a time; one that waits for a slot waits as long as it must."""
    given = example_values()
    assert compose["services"]["worker"]["command"][4:] == ["--concurrency", given["DEFAULT_SLOTS"]]
    assert compose["services"]["gpu-worker"]["command"][4:] == ["--concurrency", given["GPU_SLOTS"]]
    environment = compose["services"]["scheduler"]["environment"]
    for bound in ("PARALLELISM", "MAX_ACTIVE_TASKS_PER_DAG"):
        assert int(environment[f"AIRFLOW__CORE__{bound}"]) >= 100


def test_gpu_and_other_work_go_to_workers_of_their_own(compose: dict[str, Any]) -> None:
    queues = {name: compose["services"][name]["command"][3] for name in WORKERS}
    assert queues == {"worker": "default", "gpu-worker": "gpu", "gpu-worker-1": "gpu"}
    devices = [
        compose["services"][name]["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"]
        for name in WORKERS[1:]
    ]
    assert devices == [["0"], ["1"]]


def test_settings_are_ones_that_airflow_and_we_know(compose: dict[str, Any], tmp_path: Path) -> None:
    known = _airflow_options(tmp_path)
    names = {name for service in _airflow_services(compose).values() for name in service["environment"]}
    ours = {name for name in names if name.startswith(deployment.PREFIX)}
    assert all(name in (deployment.__doc__ or "") for name in ours)
    for name in names - ours:
        if name.startswith("AIRFLOW__"):
            section, _, option = name.removeprefix("AIRFLOW__").lower().partition("__")
            assert option.removesuffix("_cmd") in known[section], name


def test_every_value_to_be_filled_in_is_in_the_example(compose: dict[str, Any]) -> None:
    text = (DOCKER / "compose.yml").read_text(encoding="utf-8")
    example = (DOCKER / ".env.example").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{([A-Z_]+)", text))
    given = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert asked == given - {"COMPOSE_PROFILES"}  # read by Docker Compose itself
    folders = {name for name in given if name.endswith(("_FOLDER", "_FILE")) and name != "LOGS_FOLDER"}
    for name in folders:
        with pytest.raises(KeyError, match=name):
            read_compose({**example_values(), name: ""})


def test_nothing_listens_beyond_this_host_unless_the_operator_says_so(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert {port.rpartition(":")[0].rpartition(":")[0] for port in ports} == {"127.0.0.1"}


def test_pins_of_the_containers_agree_with_the_lock() -> None:
    lock, workers, gpu = (_pins(path) for path in (ROOT / "requirements.lock", *_extra_locks()))
    assert int(workers["celery"].split(".")[1]) < 7
    assert set(workers) >= {"apache-airflow-providers-celery", "apache-airflow-providers-cncf-kubernetes", "redis"}
    assert any(name.startswith("nvidia-cudnn") for name in gpu)
    assert not (set(workers) | set(gpu)) & set(lock)


def _airflow_services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    services = compose["services"].items()
    found = {name: service for name, service in services if service["image"].startswith("image-anonymisation")}
    assert set(found) == {"init", "api-server", "scheduler", "dag-processor", "triggerer", *WORKERS}
    return found


def _volumes(service: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """For each path in the container: what is mounted there, and "rw" or "ro"."""
    form = re.compile(r"([^:]+):([^:]+)(?::(ro|rw))?")
    found = [form.fullmatch(volume) for volume in service.get("volumes", [])]
    assert None not in found, "a volume in another form than source:target[:mode]"
    return {match[2]: (match[1], match[3] or "rw") for match in found if match}


def _extra_locks() -> list[Path]:
    return [DOCKER / "requirements-workers.lock", DOCKER / "requirements-gpu.lock"]


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def _airflow_options(home: Path) -> configparser.ConfigParser:
    """Every option that Airflow and its providers know."""
    command = [sys.executable, "-m", "airflow", "config", "list", "--defaults"]
    environment = {"AIRFLOW_HOME": str(home), "PATH": str(Path(sys.executable).parent)}
    listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    parser = configparser.ConfigParser(interpolation=None, allow_no_value=True, strict=False)
    parser.read_string(re.sub(r"^# ?(?=[a-z_]+ =)", "", listed[listed.index("[") :], flags=re.MULTILINE))
    return parser
