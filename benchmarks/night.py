"""A night with 50 capture folders, three of them bad: `python -m benchmarks.night FOLDER [--folders 50]`.

Below FOLDER, which must not exist, it makes small captures and runs the real DAG on an Airflow of its own (SQLite,
LocalExecutor, the built-in model) with a mail server that keeps what it gets:

    first night     one folder holds a torn picture, of one the archive holds another picture under the same name, and
                    one is held by another process. The other folders are done all the same; the run mails its summary
                    and then fails.
    second night    after the three were repaired: what was left is done, nothing else, and the run is green.

Exit code 1 where a night goes otherwise. The figures go to FOLDER/night.json and the terminal: states, mails, and what
a folder costs beyond the work itself; for that the same pictures are also worked on without Airflow, by one process
that loads the model once. benchmarks/NOTES.md holds what was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import yaml
from aiosmtpd.controller import Controller

from anonymisation.chain import run_all
from anonymisation.masking.factory import load_detector
from anonymisation.state import open_state
from anonymisation.workspace import open_workspace
from scripts.airflow_stack import AirflowStack, free_port, running
from tests.captures import capture, pixels_of
from tests.smtp_catcher import Catcher

DAG_ID: Final = "anonymise_captures"
STEPS: Final = ("mask", "archive", "load", "check", "release")
NIGHT_SECONDS: Final = 8 * 3600
RUN_SECONDS: Final = 3 * 3600.0
SHARES: Final = {
    "input": "captures", "output": "masked", "archive": "archive", "state": "state", "config": "config.yml"
}  # fmt: skip
GREEN: Final = dict.fromkeys(STEPS, "success")
CONFIG: Final = {
    "remote_json": True,
    "remote_mask": True,
    "archive_json": True,
    "write_exif_to_db": True,
    "uncaught_exception_email": True,
    "processing_error_email": True,
    "finished_email": True,
    "email_from_address": "airflow@roads.example",
    "email_to_addresses": ["operator@roads.example"],
}


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one night."""

    root: Path
    folders: tuple[str, ...]
    pictures: int

    @property
    def input(self) -> Path:
        return self.root / "captures"

    def name(self, number: int) -> str:
        return f"picture_{number:04d}.jpg"

    def fill(self) -> None:
        """Write the captures; no two pictures are alike."""
        for number, folder in enumerate(self.folders):
            (self.input / folder).mkdir(parents=True)
            for index in range(self.pictures):
                data = capture(number * self.pictures + index, self.name(index))
                (self.input / folder / self.name(index)).write_bytes(data)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a folder: how it comes and goes, the states of its steps, words of the summary about it."""

    folder: str
    breaks: Callable[[], object]
    repairs: Callable[[], object]
    states: dict[str, str]
    told: str


def faults(place: Place) -> tuple[Fault, ...]:
    """The three, each in a folder of its own, spread over the night."""
    torn, taken, held = (place.folders[len(place.folders) * part // 4] for part in (1, 2, 3))
    picture = place.input / torn / place.name(1)
    whole = picture.read_bytes()
    other = place.root / "archive" / taken / place.name(0)
    holder = ExitStack()

    def take_name() -> None:
        other.parent.mkdir(parents=True)
        other.write_bytes(capture(10**6))

    red = {**GREEN, "release": "failed"}
    return (
        Fault(
            torn,
            lambda: picture.write_bytes(whole[: len(whole) // 2]),
            lambda: picture.write_bytes(whole),
            red,
            f"{torn}/{place.name(1)}: ",
        ),
        Fault(
            taken,
            take_name,
            lambda: other.rename(place.root / "moved.jpg"),
            red,
            "the archive holds a different picture",
        ),
        Fault(
            held,
            lambda: holder.enter_context(open_state(place.root / "state", held)),
            holder.close,
            {"mask": "failed", **dict.fromkeys(STEPS[1:], "upstream_failed")},
            f"{held}: process {os.getpid()} on {socket.gethostname()}",
        ),
    )


def night(stack: AirflowStack, catcher: Catcher, run_id: str) -> dict[str, Any]:
    """Start a run that takes everything, wait for its end, and tell what came of it."""
    before = len(catcher.mails)
    stack.api.trigger(DAG_ID, run_id, {})
    state = stack.api.wait_for_run(DAG_ID, run_id, RUN_SECONDS)
    run = stack.api.run(DAG_ID, run_id)
    units = stack.api.xcom(DAG_ID, run_id, "discover") or []
    states: dict[str, dict[str, str]] = {unit["folder"]: {} for unit in units}
    seconds: dict[str, list[float]] = {}
    for task in stack.api.task_instances(DAG_ID, run_id):
        step = task["task_id"].rpartition(".")[2]
        seconds.setdefault(step, []).append(task["duration"] or 0.0)
        if task["map_index"] >= 0:
            states[units[task["map_index"]]["folder"]][step] = task["state"]
    return {
        "state": state,
        "seconds": round((_time(run["end_date"]) - _time(run["start_date"])).total_seconds(), 1),
        "folders": states,
        "task_seconds": {step: round(statistics.median(values), 2) for step, values in seconds.items()},
        "tasks": sum(map(len, seconds.values())),
        "mails": [(mail["Subject"], _text(mail)) for mail in catcher.mails[before:]],
    }


def work(place: Place, config: Path) -> dict[str, float]:
    """Seconds for the same folders without Airflow, into other folders; the model is loaded once, and counted apart."""
    root = place.root / "without"
    workspace = open_workspace(
        input_dir=place.input, output_dir=root / "masked", archive_dir=root / "archive", config=config,
        overrides={"state_dir": str(root / "state")},
    )  # fmt: skip
    began = time.monotonic()
    detector = load_detector(workspace.settings)
    detector.detect(pixels_of(0))
    loaded = time.monotonic()
    report = run_all(workspace, lambda: detector)
    if not report.succeeded:
        raise RuntimeError(f"the work without Airflow failed: {report}")
    return {"load_model": round(loaded - began, 2), "seconds": round(time.monotonic() - loaded, 2)}


def problems(place: Place, broken: tuple[Fault, ...], first: dict[str, Any], second: dict[str, Any]) -> Iterator[str]:
    """How the nights went otherwise than they should."""
    expected = dict.fromkeys(place.folders, GREEN) | {fault.folder: fault.states for fault in broken}
    yield from (f"first night: {folder}: {first['folders'].get(folder)}" for folder in place.folders
                if first["folders"].get(folder) != expected[folder])  # fmt: skip
    summaries = [text for subject, text in first["mails"] if "finished" in subject]
    if len(summaries) != 1 or first["state"] != "failed":
        yield f"first night: {first['state']}, {len(summaries)} summaries mailed"
    yield from (f"the summary does not tell {fault.told!r}" for fault in broken if fault.told not in "".join(summaries))
    if second["state"] != "success" or second["folders"] != {fault.folder: GREEN for fault in broken}:
        yield f"second night: {second['state']}, {second['folders']}"
    for share in ("masked", "archive"):
        there = len(list((place.root / share).rglob("*.jpg")))
        if there != len(place.folders) * place.pictures:
            yield f"{there} pictures below {share}"


def main() -> int:
    """Two nights and the work without Airflow; 0 where everything went as it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="FOLDER")
    parser.add_argument("--folders", type=int, default=50)
    parser.add_argument("--pictures", type=int, default=4)
    given = parser.parse_args()
    names = tuple(f"TilSladding/2021/EV6/S1D1/F1_2021_05_{1 + i % 28:02d}_{i:03d}" for i in range(given.folders))
    place = Place(given.root.absolute(), names, given.pictures)
    place.fill()
    (place.root / "config.yml").write_text(yaml.safe_dump(dict(CONFIG)), encoding="utf-8")
    broken = faults(place)
    for fault in broken:
        fault.breaks()
    first, second = _two_nights(place, broken)
    figures = _figures(place, first, second, work(place, place.root / "config.yml"))
    wrong = list(problems(place, broken, first, second))
    content = {"figures": figures, "problems": wrong, "first": first, "second": second}
    (place.root / "night.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    print(json.dumps(figures, indent=1))
    print("\n".join(wrong) or "both nights went as they should")
    return 1 if wrong else 0


def _two_nights(place: Place, broken: tuple[Fault, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    catcher = Catcher()
    server = Controller(catcher, hostname="127.0.0.1", port=free_port())
    server.start()
    mail = {"conn_type": "smtp", "host": "127.0.0.1", "port": server.port}
    environment = {
        **{f"ANONYMISATION_{name.upper()}": str(place.root / folder) for name, folder in SHARES.items()},
        "ANONYMISATION_SCHEDULE": "none",
        "ANONYMISATION_RETRIES": "1",
        "ANONYMISATION_RETRY_SECONDS": "5",
        "AIRFLOW_CONN_SMTP_DEFAULT": json.dumps({**mail, "extra": {"disable_ssl": True, "disable_tls": True}}),
    }
    stack = AirflowStack(place.root / "airflow", environment)
    try:
        with running(stack, DAG_ID):
            stack.api.unpause(DAG_ID)
            first = night(stack, catcher, "first_night")
            for fault in broken:
                fault.repairs()
            return first, night(stack, catcher, "second_night")
    finally:
        server.stop()


def _figures(place: Place, first: dict[str, Any], second: dict[str, Any], done: dict[str, float]) -> dict[str, Any]:
    folders = len(place.folders)
    each = first["seconds"] / folders
    return {
        "folders": folders,
        "pictures": folders * place.pictures,
        "first night, s": first["seconds"],
        "second night, s": second["seconds"],
        "the work without Airflow, s": done["seconds"],
        "loading the model, s": done["load_model"],
        "beyond the work, s a folder": round((first["seconds"] - done["seconds"]) / folders, 2),
        "folders in eight hours": round(NIGHT_SECONDS / each),
        "median task, s": first["task_seconds"],
        "mails": dict(Counter(subject.partition(" : ")[2] for subject, _ in first["mails"])),
        "load average": [round(value, 1) for value in os.getloadavg()],
    }


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return body.get_content() if body else ""


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    sys.exit(main())
