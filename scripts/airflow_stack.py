"""A private Airflow: scheduler, API, DAG processor and triggerer on this machine, below one folder.

The metadata is in SQLite, tasks run in local processes, and the API listens on a free port of 127.0.0.1. Airflow writes
only below the folder `home` and does not see the caller's own Airflow settings.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scripts.airflow_api import AirflowApi

ROOT: Final = Path(__file__).resolve().parents[1]
PASSWORD_FILE: Final = "simple_auth_manager_passwords.json.generated"  # noqa: S105 - Airflow's name for the file
USER: Final = "admin"
NEEDED: Final = ("metadatabase", "scheduler", "dag_processor")
START_SECONDS: Final = 600.0  # a busy machine; a quiet one needs half a minute
# The signals go to the whole process group: SIGTERM to the leader only would leave its children running. SIGINT does
# not work, since the scheduler would wait for workers that are gone.
STOP_SECONDS: Final = ((signal.SIGTERM, 20.0), (signal.SIGKILL, 5.0))
GPU_POOL: Final = "gpu"


class StackError(Exception):
    """Airflow did not start."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class AirflowStack:
    """One Airflow below `home` with extra `environment` for its tasks. Start it, use `api`, stop it."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    port: int = field(default_factory=free_port)
    api: AirflowApi = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.home = self.home.absolute()
        if "%" in str(self.home):
            raise StackError(f"{self.home}: Airflow cannot live below a path with a % in it; choose another folder")
        self.api = AirflowApi(self.url, USER, "")

    @property
    def url(self) -> str:
        """The address of the UI and the API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        """The file with the output of Airflow's components."""
        return self.home / "airflow.log"

    def start(self, dag_id: str, on_wait: Callable[[float], None] | None = None) -> None:
        """Start every component and wait until `dag_id` can be triggered. `on_wait` gets the seconds waited so far.

        Raises:
            StackError: Airflow did not start; the message names the reason and the log file.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", "standalone"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._full_environment(),
                cwd=self.home,
                start_new_session=True,
            )
        began = time.monotonic()
        self._wait("answer", began, on_wait, self._healthy)
        self.api.password = self.password()
        self.api.make_pool(GPU_POOL, 1)
        self._wait(f"read the DAG {dag_id}", began, on_wait, lambda: self._has_dag(dag_id))

    def stop(self) -> None:
        """Stop every process: first with SIGTERM, then with SIGKILL."""
        if self._process is not None:
            stop_group(self._process.pid, self.home, self._process)
            self._process = None

    def password(self) -> str:
        """Return the password of the user `admin`, which Airflow makes at its first start."""
        return str(json.loads((self.home / PASSWORD_FILE).read_text(encoding="utf-8"))[USER])

    @property
    def pid(self) -> int:
        """The process id of the group's leader; StackError before the start."""
        if self._process is None:
            raise StackError("Airflow is not running")
        return self._process.pid

    def _has_dag(self, dag_id: str) -> bool:
        if errors := self.api.import_errors():
            raise StackError(f"a DAG file cannot be read:\n{errors[0]}")
        return self.api.has_dag(dag_id)

    def _healthy(self) -> bool:
        health = self.api.health()
        return all(health.get(part, {}).get("status") == "healthy" for part in NEEDED)

    def _wait(
        self, goal: str, began: float, on_wait: Callable[[float], None] | None, ready: Callable[[], bool]
    ) -> None:
        while not ready():
            waited = time.monotonic() - began
            if self._process is None or self._process.poll() is not None:
                raise StackError(f"Airflow ended while starting; its log: {self.log_file}\n{self._log_end()}")
            if waited > START_SECONDS:
                raise StackError(f"Airflow did not {goal} within {START_SECONDS:.0f} s; its log: {self.log_file}")
            if on_wait is not None:
                on_wait(waited)
            time.sleep(1)

    def _log_end(self) -> str:
        return "\n".join(self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])

    def _full_environment(self) -> dict[str, str]:
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "ANONYMISATION"))
        }
        tools = str(Path(sys.executable).parent)
        return {
            **inherited,
            "PATH": os.pathsep.join([tools, inherited.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), inherited.get("PYTHONPATH")])),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",  # the default of 32 starts 32 processes
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            # The default of 5 s is too short for SQLite on a busy machine: Airflow would lose the task.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            # The default of 30 s is too short for a machine that stalls for a while: the task would start later.
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
            # With the default of 30 s, a stalled scheduler would count as dead, and its tasks would be started again.
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "120",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "NO_COLOR": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow's complaints about missing GPU drivers
            **self.environment,
        }


@contextmanager
def running(stack: AirflowStack, dag_id: str, on_wait: Callable[[float], None] | None = None) -> Iterator[AirflowStack]:
    """Start the stack, and stop it at the end of the context, also after an error."""
    try:
        stack.start(dag_id, on_wait)
        yield stack
    finally:
        stack.stop()


def stop_group(pid: int, home: Path, process: subprocess.Popen[bytes] | None = None) -> None:
    """Stop the process group of `pid`, and all other processes whose AIRFLOW_HOME is `home`."""
    for number, seconds in STOP_SECONDS:
        with suppress(ProcessLookupError):
            os.killpg(pid, number)
        if number == signal.SIGKILL:
            for stray in processes_of(home):
                with suppress(ProcessLookupError):
                    os.kill(stray, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process is not None:
                process.poll()  # reaps the leader, which would otherwise count as alive
            if not _group_alive(pid) and not processes_of(home):
                return
            time.sleep(0.2)


def processes_of(home: Path) -> list[int]:
    """Return the ids of this user's processes whose AIRFLOW_HOME is `home`; on systems other than Linux, an empty list.

    Some Airflow processes overwrite their environment with their title. Title and working directory identify those.
    """
    marker = b"AIRFLOW_HOME=" + os.fsencode(home)
    there = home.resolve()
    found = []
    for entry in Path("/proc").glob("[0-9]*") if Path("/proc").is_dir() else ():
        with suppress(OSError):
            ours = marker in (entry / "environ").read_bytes().split(b"\0")
            titled = (entry / "cmdline").read_bytes().startswith(b"airflow ") and (entry / "cwd").readlink() == there
            if (ours or titled) and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def _group_alive(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True
