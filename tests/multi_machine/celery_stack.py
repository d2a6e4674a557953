"""The deployment of `docker/compose.yml` as processes of this machine: PostgreSQL, Redis, Airflow, workers on queues.

Environment and commands are exactly those of the compose file; only addresses, ports and paths are this machine's. Each
service and each worker has an AIRFLOW_HOME and a session of its own: a machine for our purposes.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import redis
import yaml
from cryptography.fernet import Fernet

from scripts.airflow_api import AirflowApi
from scripts.airflow_stack import NEEDED, ROOT, free_port
from tests.database.postgres_cluster import PostgresCluster
from tests.docker.compose_file import example_values, read_compose

PATH: Final = "/roads"  # below which the UI is served
START_SECONDS: Final = 600.0
STOP_SECONDS: Final = 20.0
PLAIN_SMTP: Final = {"disable_ssl": True, "disable_tls": True}
# As in the compose file, but sooner: what is shown is that the killed is noticed, not how long that takes.
SOONER: Final = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "ANONYMISATION_RETRY_SECONDS": "1",
}


class CeleryStack:
    """Start it, use `api`, kill what you like, stop it.

    `root` holds everything; no space may stand in its path, as Airflow splits the commands that read secrets.
    """

    def __init__(self, root: Path, cluster: PostgresCluster, smtp_port: int) -> None:
        self.root = root
        self._cluster = cluster
        self._smtp_port = smtp_port
        self._ports = {"8080": free_port(), "6379": free_port()}
        url = f"http://127.0.0.1:{self._ports['8080']}"
        here = {"API_HOST": "127.0.0.1", "REDIS_HOST": "127.0.0.1", "SCHEDULE": "none"}
        here |= {"AIRFLOW_URL": url, "AIRFLOW_PATH": PATH}
        self._services = read_compose({**example_values(), **here})["services"]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._redis_password = secrets.token_hex(16)
        self.api = AirflowApi(url + PATH, "admin", secrets.token_hex(8))

    @property
    def captures(self) -> Path:
        """The input share; `masked`, `archive` and `state` lie beside it."""
        return self.root / "shares/captures"

    @property
    def broker(self) -> Any:
        """A client of the queues."""
        return redis.Redis(port=self._ports["6379"], password=self._redis_password)

    def start(self, dag_id: str) -> None:
        """Everything but the workers, until the DAG can be triggered."""
        for folder in (
            self.captures,
            *(self.root / name for name in ("secrets", "connections", "users", "redis", "log", "machines")),
        ):
            folder.mkdir(parents=True)
        self._write_secrets()
        with self._cluster.connect() as connection:
            connection.execute("CREATE ROLE airflow LOGIN")
            connection.execute("CREATE DATABASE airflow OWNER airflow")
        here = f"port {self._ports['6379']}\nbind 127.0.0.1\ndir {self.root / 'redis'}\nappendonly yes"
        shell, options, script = self._services["redis"]["command"]
        self._spawn("redis", "redis", [shell, options, self._local(script).replace("appendonly yes", here)])
        init = self._services["init"]
        self._spawn("init", "init", [*init["entrypoint"], *init["command"]])
        if self._processes["init"].wait(START_SECONDS) != 0:
            raise RuntimeError(f"init failed:\n{self.log('init')[-2000:]}")
        for name in ("api-server", "scheduler", "dag-processor"):
            self.start_service(name)
        self._wait("be healthy", lambda: all(self.api.health().get(p, {}).get("status") == "healthy" for p in NEEDED))
        self._wait("read the DAG", lambda: self.api.has_dag(dag_id))

    def start_service(self, name: str) -> None:
        """One service of Airflow's own, by its name in the compose file."""
        self._spawn(name, name, ["airflow", *self._services[name]["command"]])

    def start_worker(self, service: str, machine: str) -> None:
        """A worker of the compose file on a machine of that name; returns at once, see `answers`."""
        self._spawn(service, machine, ["airflow", *self._services[service]["command"], "--celery-hostname", machine])

    def answers(self, service: str, machine: str) -> bool:
        """What the worker's health check in the compose file says, asked on that machine."""
        _, command = self._services[service]["healthcheck"]["test"]
        environment = {**self._environment(service, machine), "HOSTNAME": machine}
        return subprocess.run(["sh", "-c", command], env=environment, capture_output=True, check=False).returncode == 0

    def kill(self, machine: str) -> int:
        """SIGKILL to every process of the machine, as when its power is cut; returns how many there were."""
        leader = self._processes[machine]
        killed = set()
        while found := _processes_of_session(leader.pid):
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            leader.poll()  # reaps it, which would be found again otherwise
            time.sleep(0.05)
        return len(killed)

    def stop(self) -> None:
        """End every process."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(process.poll() is None for process in self._processes.values()) and time.monotonic() < deadline:
            time.sleep(0.2)
        for machine in self._processes:
            self.kill(machine)

    def log(self, machine: str) -> str:
        """What the processes of the machine printed."""
        return (self.root / "log" / machine).read_text(encoding="utf-8", errors="replace")

    def _spawn(self, service: str, machine: str, command: list[str]) -> None:
        with (self.root / "log" / machine).open("ab") as log:
            self._processes[machine] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=self._environment(service, machine), start_new_session=True,
            )  # fmt: skip

    def _environment(self, service: str, machine: str) -> dict[str, str]:
        """The compose file's, then what the images set, then what two machines on one host need, then the test's."""
        given = self._services[service].get("environment", {})
        return {
            **{name: self._local(value) for name, value in given.items()},
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "AIRFLOW_HOME": str(self._home(machine)),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self._ports["8080"]),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.root / "log/tasks"),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(free_port()),
            "NO_COLOR": "1",
            **SOONER,
        }

    def _local(self, text: str) -> str:
        for place, here in (
            ("/run/secrets/", f"{self.root}/secrets/"),
            ("/run/connections/", f"{self.root}/connections/"),
            ("/etc/anonymisation", f"{self.root}/config"),
            ("/shares/", f"{self.root}/shares/"),
            ("/opt/airflow/", f"{self.root}/"),
            ("@postgres/airflow", f"@/airflow?host={self._cluster.url.query['host']}"),
            *((f":{port}", f":{own}") for port, own in self._ports.items()),
        ):
            text = text.replace(place, here)
        return text

    def _home(self, machine: str) -> Path:
        return self.root / "machines" / machine

    def _write_secrets(self) -> None:
        content = {name: secrets.token_hex(32) for name in ("postgres_password", "jwt_secret", "api_secret_key")}
        database = {"conn_type": "postgres", "host": self._cluster.url.query["host"], "login": "postgres"}
        content["redis_password"] = self._redis_password
        content["fernet_key"] = Fernet.generate_key().decode()
        for name, text in content.items():
            (self.root / "secrets" / name).write_text(text, encoding="utf-8")
        mail = {"conn_type": "smtp", "host": "127.0.0.1", "port": self._smtp_port, "extra": json.dumps(PLAIN_SMTP)}
        connections = {"anonymisation_db": {**database, "schema": "pictures"}, "smtp_default": mail}
        (self.root / "connections/connections.yaml").write_text(yaml.safe_dump(connections), encoding="utf-8")
        (self.root / "users/passwords.json").write_text(json.dumps({"admin": self.api.password}), encoding="utf-8")

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"Airflow did not {what} within {START_SECONDS:.0f} s; its logs: {self.root / 'log'}"
                )
            time.sleep(0.5)


def _processes_of_session(leader: int) -> list[int]:
    """The processes of the session, also when its leader is gone. (Airflow overwrites the environment in /proc.)"""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found
