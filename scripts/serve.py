"""`make serve` and `make down`: an Airflow that stays up, with its UI on this machine only.

Variables of make as for `make run`, and SCHEDULE, TIMEZONE and PORT (default 8080; another one when that is in use).
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
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
    """Start Airflow and leave it running; where it runs already, only say so.

    Raises:
        UsageError: what is asked for cannot be used, or differs from what the Airflow that is up works with.
    """
    port = _port()
    if NOTE.exists() and _is_up(_noted_pid()):
        note = json.loads(NOTE.read_text(encoding="utf-8"))
        refuse_other_folders(os.environ, note)
        _tell(str(note["url"]), AirflowStack(HOME).password(), note.get("folders", {}))
        return
    folders = choose_folders(PLACE)
    folders.workspace()
    environment = folders.environment()
    for name in ("SCHEDULE", "TIMEZONE"):
        if os.environ.get(name):
            environment[f"ANONYMISATION_{name}"] = os.environ[name]
    stack = AirflowStack(HOME, environment, port)
    served = {name: environment[f"ANONYMISATION_{name}"] for name in VARIABLES}
    print("Airflow is starting, about half a minute …", flush=True)
    try:
        stack.start(DAG_ID)
        stack.api.unpause(DAG_ID)
        NOTE.write_text(json.dumps({"pid": stack.pid, "url": stack.url, "folders": served}), encoding="utf-8")
    except BaseException:  # also Ctrl-C: nothing half-started stays behind
        stack.stop()
        raise
    _tell(stack.url, stack.password(), served)


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


def refuse_other_folders(given: Mapping[str, str], note: Mapping[str, Any]) -> None:
    """An Airflow that is up keeps its folders; INPUT, OUTPUT, ARCHIVE and CONFIG as `given` to make must be those.

    Raises:
        UsageError: one of them differs from what `note` holds.
    """
    served = note.get("folders", {})
    for name in VARIABLES:
        if given.get(name) and str(Path(given[name]).expanduser().absolute()) != served.get(name):
            raise UsageError(
                f"{name}={given[name]} is not what Airflow works with: it is already up on {note['url']}\n"
                f"{_lines(served)}\n`make down` first, then `make serve` with the other folders"
            )


def _lines(served: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {path}" for name, path in served.items())


def _tell(url: str, password: str, served: Mapping[str, str]) -> None:
    print(_lines(served))
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
    given = os.environ.get("PORT") or "8080"
    if not (given.isascii() and given.isdecimal() and 0 < int(given) < 65536):
        raise UsageError(f"PORT={given} is no port: expected a whole number from 1 to 65535")
    wanted = int(given)
    with socket.socket() as probe:
        return free_port() if probe.connect_ex(("127.0.0.1", wanted)) == 0 else wanted


if __name__ == "__main__":
    main()
