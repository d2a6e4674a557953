"""`make serve` and `make down`: start and stop an Airflow with its UI on this machine only.

The variables of make are those of `make run`, and SCHEDULE, TIMEZONE and PORT (default 8080; if PORT is in use,
a free port).
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from anonymisation.core.errors import ConfigurationError
from scripts.airflow_api import AirflowApiError
from scripts.airflow_stack import USER, AirflowStack, StackError, free_port, processes_of, stop_group
from scripts.folders import RUN_FOLDER, UsageError, choose_folders
from scripts.run_once import DAG_ID

PLACE: Final = RUN_FOLDER / "serve"
HOME: Final = PLACE / "airflow"
NOTE: Final = PLACE / "airflow.json"
VARIABLES: Final = ("INPUT", "OUTPUT", "ARCHIVE", "CONFIG")
USAGE: Final = "usage: python -m scripts.serve up|down"


def main() -> None:
    """Start or stop Airflow, as the command line says."""
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
    """Start Airflow and leave it running. If Airflow already runs, only print its address.

    Raises:
        UsageError: a variable cannot be used, or names another folder than the running Airflow uses.
    """
    port = _port()
    if NOTE.exists() and _is_up(_noted_pid()):
        note = json.loads(NOTE.read_text(encoding="utf-8"))
        refuse_other_folders(os.environ, note)
        _print_access(str(note["url"]), AirflowStack(HOME).password(), note.get("folders", {}))
        return
    folders = choose_folders(PLACE)
    folders.workspace()
    environment = folders.environment()
    for name in ("SCHEDULE", "TIMEZONE"):
        if os.environ.get(name):
            environment[f"ANONYMISATION_{name}"] = os.environ[name]
    environment["ANONYMISATION_START"] = datetime.now(UTC).isoformat()  # not the last missed night at once
    stack = AirflowStack(HOME, environment, port)
    served = {name: environment[f"ANONYMISATION_{name}"] for name in VARIABLES}
    print("Airflow is starting, about half a minute …", flush=True)
    try:
        stack.start(DAG_ID)
        stack.api.unpause(DAG_ID)
        NOTE.write_text(json.dumps({"pid": stack.pid, "url": stack.url, "folders": served}), encoding="utf-8")
    except BaseException:  # after Ctrl-C too, no half-started Airflow stays behind
        stack.stop()
        raise
    _print_access(stack.url, stack.password(), served)


def down() -> None:
    """Stop the Airflow that `up` started."""
    if not NOTE.exists():
        print("nothing to stop: make serve has not been started")
        return
    pid = _noted_pid()
    if _is_up(pid):
        stop_group(pid, HOME)
        print("Airflow is stopped")
    else:
        print("Airflow had already stopped")
    NOTE.unlink()


def refuse_other_folders(given: Mapping[str, str], note: Mapping[str, Any]) -> None:
    """Refuse INPUT, OUTPUT, ARCHIVE and CONFIG that differ from those of the running Airflow.

    Raises:
        UsageError: a variable in `given` differs from the one in `note`.
    """
    served = note.get("folders", {})
    for name in VARIABLES:
        if given.get(name) and str(Path(given[name]).expanduser().absolute()) != served.get(name):
            raise UsageError(
                f"{name}={given[name]} differs from the folders of the Airflow that is already up on {note['url']}\n"
                f"{_lines(served)}\n`make down` first, then `make serve` with the other folders"
            )


def _lines(served: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {path}" for name, path in served.items())


def _print_access(url: str, password: str, served: Mapping[str, str]) -> None:
    print(_lines(served))
    print(f"Airflow is up: {url}/dags/{DAG_ID}\nuser: {USER}\npassword: {password}\nStop it with: make down")


def _noted_pid() -> int:
    return int(json.loads(NOTE.read_text(encoding="utf-8"))["pid"])


def _is_up(pid: int) -> bool:
    """Whether the process is still the Airflow that `up` started, and not another process with the same id."""
    if Path("/proc").is_dir():
        return pid in processes_of(HOME)
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _port() -> int:
    given = os.environ.get("PORT") or "8080"
    if not (given.isascii() and given.isdecimal() and 0 < int(given) < 65536):
        raise UsageError(f"PORT={given} is not a port: expected a whole number from 1 to 65535")
    wanted = int(given)
    with socket.socket() as probe:
        return free_port() if probe.connect_ex(("127.0.0.1", wanted)) == 0 else wanted


if __name__ == "__main__":
    main()
