"""The pieces of `make run`: folders, contact sheet, log, progress, and finding a Python."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from anonymisation.core.errors import ConfigurationError
from scripts import run_once, serve
from scripts.airflow_stack import ROOT, processes_of
from scripts.contact_sheet import CELL_WIDTH, MAX_PAIRS, Pair, find_pairs, write_contact_sheet
from scripts.folders import UsageError, choose_folders
from scripts.run_log import write_run_log


def test_input_alone_puts_the_rest_beside_it(tmp_path: Path) -> None:
    (tmp_path / "my pictures").mkdir()
    folders = choose_folders(tmp_path / "place", {"INPUT": str(tmp_path / "my pictures")})
    assert folders.output == tmp_path / "my pictures_masked"
    assert folders.archive == tmp_path / "my pictures_archive"
    assert folders.workspace().settings.delete_input is False
    assert set(folders.environment()) == {f"ANONYMISATION_{name}" for name in ("INPUT", "OUTPUT", "ARCHIVE", "CONFIG")}


def test_nonsense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        choose_folders(tmp_path, {"INPUT": str(tmp_path / "nowhere")})
    with pytest.raises(UsageError, match="OUTPUT is given without INPUT"):
        choose_folders(tmp_path, {"OUTPUT": str(tmp_path)})
    nested = choose_folders(tmp_path, {"INPUT": str(tmp_path), "OUTPUT": str(tmp_path / "inside")})
    with pytest.raises(ConfigurationError, match="must not be equal or nested"):
        nested.workspace()


def test_the_contact_sheet_shows_before_and_after(tmp_path: Path) -> None:
    folder = "år 100%/[1]"
    for base, colour in (("archive", (200, 0, 0)), ("masked", (0, 0, 200))):
        (tmp_path / base / folder).mkdir(parents=True)
        for number in range(MAX_PAIRS + 5):
            Image.new("RGB", (400, 100), colour).save(tmp_path / base / folder / f"{number:02d}.jpg")
    (tmp_path / "masked" / folder / "00.json").write_text("{}")
    pairs = find_pairs([folder], [tmp_path / "none", tmp_path / "archive"], tmp_path / "masked")
    assert len(pairs) == MAX_PAIRS + 5
    assert pairs[0] == Pair(
        f"{folder}/00.jpg", tmp_path / "archive" / folder / "00.jpg", tmp_path / "masked" / folder / "00.jpg"
    )
    assert write_contact_sheet(pairs, tmp_path / "sheet.png")
    sheet = Image.open(tmp_path / "sheet.png").convert("RGB")
    assert sheet.height >= MAX_PAIRS * CELL_WIDTH // 4
    left, right = sheet.getpixel((CELL_WIDTH // 2, 100)), sheet.getpixel((CELL_WIDTH * 3 // 2, 100))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert left[0] > 150 > left[2]
    assert right[2] > 150 > right[0]
    assert not write_contact_sheet([], tmp_path / "none.png")


def test_the_log_tells_ours_and_what_went_wrong_in_the_order_of_time(tmp_path: Path) -> None:
    base = tmp_path / "logs" / "dag_id=d" / "run_id=r"
    late = [{"timestamp": "2026-01-01T00:00:09", "level": "error", "event": "boom", "logger": "task",
             "error_detail": [{"exc_type": "OSError", "exc_value": "disk"}]}]  # fmt: skip
    early = [
        {
            "timestamp": "2026-01-01T00:00:01",
            "level": "info",
            "event": "3 folders",
            "logger": "anonymisation_airflow.x",
        },
        {"timestamp": "2026-01-01T00:00:02", "level": "info", "event": "::group::", "logger": "task"},
    ]
    for task, entries in (("task_id=a/map_index=0", late), ("task_id=b", early)):
        (base / task).mkdir(parents=True)
        (base / task / "attempt=1.log").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    write_run_log(tmp_path, "d", tmp_path / "run.log")
    assert (tmp_path / "run.log").read_text().splitlines() == [
        "2026-01-01T00:00:01 INFO    b: 3 folders",
        "2026-01-01T00:00:09 ERROR   a 0: boom",
        "    OSError: disk",
    ]


def test_a_run_that_cannot_start_says_why_and_exits_with_2(tmp_path: Path) -> None:
    environment = {**os.environ, "INPUT": str(tmp_path / "nowhere")}
    done = subprocess.run(
        [sys.executable, "-m", "scripts.run_once"],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "is not a folder that can be read" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "8080.5", "²"])
def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(UsageError, match=f"^PORT={port} is not a port: expected a whole number from 1 to 65535$"):
        serve.up()


def test_a_port_that_is_none_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    port = "65536"
    (tmp_path / "in").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "scripts.serve", "up"],
        env={**os.environ, "PORT": port, "INPUT": str(tmp_path / "in")},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2, f"PORT={port} is not a port: expected a whole number from 1 to 65535\n"
    )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_airflow_that_is_up_does_not_take_other_folders(tmp_path: Path) -> None:
    note = {"url": "http://127.0.0.1:8080", "folders": {"INPUT": str(tmp_path / "in"), "OUTPUT": str(tmp_path / "out")}}
    for same in ({}, {"INPUT": ""}, {"INPUT": str(tmp_path / "in")}):
        serve.refuse_other_folders(same, note)
    for other in ({"INPUT": str(tmp_path / "other")}, {"INPUT": str(tmp_path / "in"), "ARCHIVE": str(tmp_path)}):
        with pytest.raises(UsageError, match="`make down` first") as caught:
            serve.refuse_other_folders(other, note)
        assert f"already up on {note['url']}\nINPUT: {tmp_path / 'in'}\n" in str(caught.value)


def _fake_python(path: Path, version: str) -> None:
    """A Python that says it is of this version, and has or lacks what it is asked for like the real one."""
    path.write_text(f"#!{sys.executable}\nimport sys\nsys.version_info = {version}\nexec(sys.argv[2])\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ({"python3": (3, 12), "python3.11": (3, 11)}, "python3"),
        ({"python3": (3, 14), "python3.13": (3, 13), "python3.11": (3, 11)}, "python3.13"),
        ({"python3": (3, 10), "python3.11": (3, 11)}, "python3.11"),
        ({"python": (3, 13)}, "python"),
        ({"python3": (3, 14), "python": (2, 7)}, None),
        ({}, None),
    ],
)
def test_a_supported_python_is_found_or_its_absence_explained(
    tmp_path: Path, versions: dict[str, tuple[int, int]], found: str | None
) -> None:
    for name, version in versions.items():
        _fake_python(tmp_path / name, str(version))
    bash = shutil.which("bash") or "/bin/bash"
    command = [bash, str(ROOT / "scripts" / "find_python.sh")]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    if found is None:
        assert done.returncode == 1
        assert "Python 3.11, 3.12 or 3.13 with its venv module is needed" in done.stderr
    else:
        assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / found))


def test_progress_counts_folders_through_each_step() -> None:
    tasks = [
        {"task_id": "discover", "map_index": -1, "state": "success"},
        {"task_id": "folder.mask", "map_index": 0, "state": "success"},
        {"task_id": "folder.mask", "map_index": 1, "state": "running"},
        {"task_id": "folder.archive", "map_index": 0, "state": "failed"},
    ]
    assert run_once.progress(tasks) == "2 folders: mask 1, archive 1, load 0, check 0, release 0"
    assert run_once.progress(tasks[:1]) == "looking for capture folders …"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux")
def test_processes_of_an_airflow_are_found_even_where_a_title_stands_over_their_environment(tmp_path: Path) -> None:
    others = {key: value for key, value in os.environ.items() if key != "AIRFLOW_HOME"}
    own = {**others, "AIRFLOW_HOME": str(tmp_path)}
    sleep = shutil.which("sleep")
    assert sleep is not None
    started = [
        subprocess.Popen([sleep, "60"], env=own),
        subprocess.Popen(["airflow worker -- idle", "60"], executable=sleep, env=others, cwd=tmp_path),
        subprocess.Popen([sleep, "60"], env=others, cwd=tmp_path),  # someone's shell that happens to be there
        subprocess.Popen(["airflow worker -- idle", "60"], executable=sleep, env=others, cwd=ROOT),
    ]
    try:
        assert sorted(processes_of(tmp_path)) == sorted(process.pid for process in started[:2])
    finally:
        for process in started:
            process.kill()
            process.wait()
