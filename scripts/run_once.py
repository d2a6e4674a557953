"""`make run`: start an Airflow, run the DAG once from end to end, print the results, and stop Airflow.

Variables of make: INPUT (folder with pictures; without INPUT, sample captures are made), OUTPUT and ARCHIVE (default:
next to INPUT), CONFIG (default: config/full_chain.yml).

Exit codes: 0 all done; 1 something failed; 2 the folders or the configuration cannot be used; 3 Airflow did not start;
130 interrupted.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from sqlalchemy.engine import make_url

from anonymisation.core.errors import ConfigurationError
from scripts.airflow_api import AirflowApi, AirflowApiError
from scripts.airflow_stack import AirflowStack, StackError, running
from scripts.contact_sheet import find_pairs, write_contact_sheet
from scripts.folders import RUN_FOLDER, UsageError, choose_folders
from scripts.run_log import write_run_log

DAG_ID: Final = "anonymise_captures"
RUN_ID: Final = "make_run"
TIMEOUT_SECONDS: Final = 7 * 24 * 3600.0
STEPS: Final = ("mask", "archive", "load", "check", "release")
COLUMNS: Final = ("folder", "pictures", "masked", "done-before", "failed", "known-failed", "rows")


def main() -> None:
    """Run, and exit with a code that the module's docstring lists."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    try:
        sys.exit(_run(RUN_FOLDER / f"{datetime.now().astimezone():%Y-%m-%dT%H.%M.%S}"))
    except (UsageError, ConfigurationError) as error:
        _end(str(error), 2)
    except (StackError, AirflowApiError) as error:
        _end(str(error), 3)
    except KeyboardInterrupt:
        _end("interrupted; Airflow is stopped, and a later run on the same folders continues from here", 130)


def _run(place: Path) -> int:
    folders = choose_folders(place)
    workspace = folders.workspace()
    place.mkdir(parents=True, exist_ok=True)
    print("sample captures:" if folders.sample else "captures:", folders.input, flush=True)
    environment = {**folders.environment(), "ANONYMISATION_SCHEDULE": "none", "ANONYMISATION_RETRY_SECONDS": "10"}
    stack = AirflowStack(place / "airflow", environment)
    line = _Line()
    try:
        with running(stack, DAG_ID, lambda waited: line.show(f"Airflow is starting … {waited:.0f} s")):
            stack.api.unpause(DAG_ID)
            stack.api.trigger(DAG_ID, RUN_ID, {})
            state, table = _follow(stack.api, line)
            line.show("stopping Airflow …")
    finally:
        line.end()
        write_run_log(stack.home, DAG_ID, place / "run.log")
    _show(table)
    print()
    sheet = place / "before_after.jpg"
    originals = [folders.archive, folders.input]
    if write_contact_sheet(find_pairs([row["folder"] for row in table], originals, folders.output), sheet):
        _print_field("before / after", sheet)
    _print_field("masked pictures", folders.output)
    _print_field("originals", folders.archive)
    if workspace.settings.write_exif_to_db:
        url = make_url(workspace.database_url)
        _print_field("database", f"{url.database if url.drivername == 'sqlite' else url.render_as_string()}")
    _print_field("log", place / "run.log")
    print("\nEverything is done." if state == "success" else "\nNot everything succeeded: see the log.")
    return 0 if state == "success" else 1


def _follow(api: AirflowApi, line: _Line) -> tuple[str, list[dict[str, Any]]]:
    """Wait for the run and its further parts. Return the worst state, and the rows of all summaries."""
    states: list[str] = []
    table: list[dict[str, Any]] = []
    run_id, part = RUN_ID, 1
    while True:
        states.append(api.wait_for_run(DAG_ID, run_id, TIMEOUT_SECONDS, lambda tasks: line.show(progress(tasks))))
        table += api.xcom(DAG_ID, run_id, "summary", "table") or []
        part += 1
        run_id = f"{RUN_ID}__part{part}"
        if not api.has_run(DAG_ID, run_id):
            return ("success" if set(states) == {"success"} else "failed"), table


def progress(tasks: list[dict[str, Any]]) -> str:
    """Return one line that says how many folders have passed each step."""
    ended = dict.fromkeys(STEPS, 0)
    folders = 0
    for task in tasks:
        if task["map_index"] >= 0:
            step = task["task_id"].rpartition(".")[2]
            folders = max(folders, task["map_index"] + 1)
            ended[step] += task["state"] in {"success", "failed", "upstream_failed"}
    if not folders:
        return "looking for capture folders …"
    return f"{folders} folders: " + ", ".join(f"{step} {number}" for step, number in ended.items())


def _show(table: list[dict[str, Any]]) -> None:
    if not table:
        print("No capture folder has work left.")
        return
    keys = ("folder", "found", "masked", "already_done", "failed", "known_failed", "rows")
    lines = [COLUMNS, *(tuple("–" if row[key] is None else str(row[key]) for key in keys) for row in table)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    for name, *counts in lines:
        print(name.ljust(widths[0]), *(count.rjust(width) for count, width in zip(counts, widths[1:], strict=True)))
    for row in table:
        if row["error"]:
            print(f"{row['folder']}: {row['error']}")


def _print_field(label: str, value: object) -> None:
    print(f"{label + ':':<17}{value}")


class _Line:
    """Shows progress: on a terminal, one line that is overwritten; elsewhere, one new line for each change."""

    def __init__(self, write: Callable[[str], object] = sys.stdout.write) -> None:
        self._write = write
        self._last = ""
        self._over = sys.stdout.isatty()

    def show(self, text: str) -> None:
        if self._over:
            self._write(f"\r\033[K{text}")
            sys.stdout.flush()
        elif text.partition("…")[0] != self._last.partition("…")[0]:
            self._write(f"{text}\n")
            sys.stdout.flush()
        self._last = text

    def end(self) -> None:
        if self._over and self._last:
            self._write("\r\033[K")
            sys.stdout.flush()


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _end(message: str, code: int) -> NoReturn:
    print(f"\n{message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
