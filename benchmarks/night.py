"""A night with 50 capture folders, three of them bad: `python -m benchmarks.night FOLDER [--folders 50]`.

Below FOLDER, which must not exist, it draws captures and runs the real DAG on an Airflow of its own (SQLite,
LocalExecutor, the built-in model) with a mail server that keeps what it gets:

    first night     one folder holds a torn picture, of one the archive holds another picture under the same name, and
                    one is held by another process. The other folders are done all the same; the run mails its summary
                    and then fails.
    second night    after the three were repaired: what was left is done, nothing else, and the run is green.

Exit code 1 where a night goes otherwise. The figures go to FOLDER/night.json and the terminal: states, mails, and what
a folder costs beyond the work itself; for that the same pictures are also worked on without Airflow, by one process
that loads the model once. FOLDER/seen gets the mails, and pictures of them and of the operations page, where there is a
browser. `--keep NAME` writes the record to results/night-NAME.json; benchmarks/NOTES.md says what was measured.
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
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import yaml
from aiosmtpd.controller import Controller

from anonymisation.chain.run import run_all
from anonymisation.masking.models.factory import load_detector
from anonymisation.workspace.folder_state import open_state
from anonymisation.workspace.workspace import open_workspace
from benchmarks.night_captures import write_captures
from benchmarks.night_seen import Seen, text_of, write_mails
from scripts.airflow_stack import AirflowStack, free_port, running
from tests.captures import capture, pixels_of
from tests.smtp_catcher import Catcher

DAG_ID: Final = "anonymise_captures"
RESULTS: Final = Path(__file__).parent / "results"
FIRST: Final = "first_night"
SECOND: Final = "second_night"
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
        """Write the captures; no two files are alike."""
        names = [f"{folder}/{self.name(index)}" for folder in self.folders for index in range(self.pictures)]
        write_captures(self.input, names)


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
    """Start a run that takes everything, wait for its end, and report its result."""
    before = len(catcher.mails)
    stack.api.trigger(DAG_ID, run_id, {})
    state = stack.api.wait_for_run(DAG_ID, run_id, RUN_SECONDS)
    run = stack.api.run(DAG_ID, run_id)
    units = stack.api.xcom(DAG_ID, run_id, "discover") or []
    states: dict[str, dict[str, str]] = {unit["folder"]: {} for unit in units}
    seconds: dict[str, list[float]] = {}
    masks: list[datetime] = []
    for task in stack.api.task_instances(DAG_ID, run_id):
        step = task["task_id"].rpartition(".")[2]
        if step == "mask" and task["state"] == "success":
            masks.append(_time(task["start_date"]))
        seconds.setdefault(step, []).append(task["duration"] or 0.0)
        if task["map_index"] >= 0:
            states[units[task["map_index"]]["folder"]][step] = task["state"]
    return {
        "state": state,
        "seconds": round((_time(run["end_date"]) - _time(run["start_date"])).total_seconds(), 1),
        "folders": states,
        "task_seconds": {step: round(statistics.median(values), 2) for step, values in seconds.items()},
        "tasks": sum(map(len, seconds.values())),
        "mask_to_mask": _median_gap(sorted(masks)),
        "mails": [(mail["Subject"].partition(" : ")[2], text_of(mail)) for mail in catcher.mails[before:]],
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
    summaries = [text for subject, text in first["mails"] if subject.startswith("FAILED")]
    if len(summaries) != 1 or first["state"] != "failed":
        yield f"first night: {first['state']}, {len(summaries)} summaries mailed"
    yield from (f"the summary does not name {fault.told!r}" for fault in broken if fault.told not in "".join(summaries))
    if second["state"] != "success" or second["folders"] != {fault.folder: GREEN for fault in broken}:
        yield f"second night: {second['state']}, {second['folders']}"
    missing = [*first["missing_pages"], *second["missing_pages"]]
    yield from (f"the operations page does not show: {name}" for name in missing)
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
    parser.add_argument("--keep", metavar="NAME", help="write results/night-NAME.json, too; names sort by age")
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
    _write_json(place.root / "night.json", content)
    if given.keep:
        _write_json(RESULTS / f"night-{given.keep}.json", _record(broken, content))
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
            first = night(stack, catcher, FIRST)
            looked_at = [*(fault.folder for fault in broken), place.folders[0]]
            first["missing_pages"] = Seen(stack, place.root / "seen", FIRST).look(looked_at)
            for fault in broken:
                fault.repairs()
            second = night(stack, catcher, SECOND)
            second["missing_pages"] = Seen(stack, place.root / "seen", SECOND).look([])
            return first, second
    finally:
        write_mails(catcher.mails, place.root / "seen")
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
        "from one mask task to the next, s": first["mask_to_mask"],
        "folders in eight hours": round(NIGHT_SECONDS / each),
        "median task, s": first["task_seconds"],
        "mails": dict(Counter(subject for subject, _ in first["mails"])),
        "processors": os.cpu_count(),
        "load average": [round(value, 1) for value in os.getloadavg()],
    }


def _record(broken: tuple[Fault, ...], content: dict[str, Any]) -> dict[str, Any]:
    """What is worth keeping of the two nights: not what each of the green folders was alike in."""
    nights = {}
    for name in ("first", "second"):
        folders = content[name]["folders"]
        green = sum(states == GREEN for states in folders.values())
        bad = {fault.folder: folders.get(fault.folder) for fault in broken}
        nights[f"{name} night"] = {"state": content[name]["state"], "green folders": green, "the three": bad}
    return {"figures": content["figures"], "problems": content["problems"], **nights}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _median_gap(moments: list[datetime]) -> float | None:
    gaps = [(after - before).total_seconds() for before, after in pairwise(moments)]
    return round(statistics.median(gaps), 2) if gaps else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    sys.exit(main())
