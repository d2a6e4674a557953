"""`make serve` and `make down`: an Airflow that stays up, with its UI on this machine only.

Variables of make as for `make run`, and SCHEDULE, TIMEZONE and PORT (default 8080; another one when that is in use).
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Final

from anonymisation.errors import ConfigurationError
from scripts.airflow_api import AirflowApiError
from scripts.airflow_stack import USER, AirflowStack, StackError, free_port, processes_of, stop_group
from scripts.folders import RUN_FOLDER, UsageError, choose_folders
from scripts.run_once import DAG_ID

PLACE: Final = RUN_FOLDER / "serve"
HOME: Final = PLACE / "airflow"
NOTE: Final = PLACE / "airflow.json"
USAGE: Final = "usage: python -m scripts.serve up|down"


def main() -> None:
    """Start or stop, as the command line says."""
    verbs = {"up": up, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        sys.exit(USAGE)
    try:
        verbs[sys.argv[1]]()
    except (UsageError, ConfigurationError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except (StackError, AirflowApiError) as error:
        print(error, file=sys.stderr)
        sys.exit(3)


def up() -> None:
    """Start Airflow and leave it running; where it runs already, only say so."""
    if NOTE.exists() and _is_up(_noted_pid()):
        _tell(str(json.loads(NOTE.read_text(encoding="utf-8"))["url"]), AirflowStack(HOME).password())
        return
    folders = choose_folders(PLACE)
    folders.workspace()
    environment = folders.environment()
    for name in ("SCHEDULE", "TIMEZONE"):
        if os.environ.get(name):
            environment[f"ANONYMISATION_{name}"] = os.environ[name]
    stack = AirflowStack(HOME, environment, _port())
    print(f"captures: {folders.input}\nAirflow is starting, about half a minute …", flush=True)
    try:
        stack.start(DAG_ID)
        stack.api.unpause(DAG_ID)
        NOTE.write_text(json.dumps({"pid": stack.pid, "url": stack.url}), encoding="utf-8")
    except BaseException:  # also Ctrl-C: nothing half-started stays behind
        stack.stop()
        raise
    _tell(stack.url, stack.password())


def down() -> None:
    """Stop what `up` started."""
    if not NOTE.exists():
        print("nothing to stop: make serve has not been started")
        return
    pid = _noted_pid()
    if _is_up(pid):
        stop_group(pid, HOME)
        print("Airflow is stopped")
    else:
        print("Airflow had ended already")
    NOTE.unlink()


def _tell(url: str, password: str) -> None:
    print(f"Airflow is up: {url}/dags/{DAG_ID}\nuser: {USER}\npassword: {password}\nStop it with: make down")


def _noted_pid() -> int:
    return int(json.loads(NOTE.read_text(encoding="utf-8"))["pid"])


def _is_up(pid: int) -> bool:
    """Whether the noted process is still the Airflow that was started, and not another one that got its number."""
    if Path("/proc").is_dir():
        return pid in processes_of(HOME)
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _port() -> int:
    wanted = int(os.environ.get("PORT") or 8080)
    with socket.socket() as probe:
        return free_port() if probe.connect_ex(("127.0.0.1", wanted)) == 0 else wanted


if __name__ == "__main__":
    main()
