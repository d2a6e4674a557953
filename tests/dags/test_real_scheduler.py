"""The DAG on a real Airflow: scheduler, API and task processes; only the model and the mail server are stand-ins."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from anonymisation.imaging.jpeg.codec import decode_jpeg
from scripts.airflow_api import AirflowApiError
from tests.captures import HEIGHT, WIDTH, capture, pixels_of
from tests.dags.conftest import DAG_ID, RUN_SECONDS, Deployment, text_of

pytestmark = pytest.mark.timeout(1800)
STEPS = ("mask", "archive", "load", "check", "release")
ALL_GREEN = dict.fromkeys(STEPS, "success")


def _rows(database: Path) -> list[str]:
    with sqlite3.connect(database) as connection:
        return [name for (name,) in connection.execute("SELECT Filnavn FROM PICTURES")]


def _rows_of(airflow: Deployment, folder: str) -> list[str]:
    """The pictures of a folder that have a row, as often as they have one; rows are named after it too."""
    prefix = f"{folder.replace('/', '_')}_"
    return sorted(name.removeprefix(prefix) for name in _rows(airflow.database) if name.startswith(prefix))


def test_a_bad_picture_reddens_its_folder_only_and_more_folders_than_one_run_takes_go_on_in_another(
    airflow: Deployment,
) -> None:
    """Folders with any name, whose originals go; the second run is asked for the same as the first."""
    good, bad, left = "mixed/100% {{ 7 * 7 }} #å/F1_2021_05_01", "mixed/F2_2021_05_02", "mixed/F3_2021_05_03"
    for folder, first in ((good, 0), (bad, 10), (left, 20)):
        airflow.put(folder, 2, first=first)
    (airflow.input / bad / "broken.jpg").write_bytes(capture(12)[:900])
    originals = {path: path.read_bytes() for path in (airflow.input / "mixed").rglob("picture_*.jpg")}

    airflow.trigger("mixed", ["mixed"], delete_input="yes")
    state = airflow.wait("mixed")

    states = airflow.states("mixed")
    assert states[good] == ALL_GREEN
    assert states[bad] == {**ALL_GREEN, "release": "failed"}
    assert state == "failed"
    assert states[""]["summary"] == "failed"
    assert set(airflow.table("mixed")) == {good, bad}
    counts = {"found": 3, "masked": 2, "already_done": 0, "failed": 1, "known_failed": 0, "rows": 2, "units": 1}
    assert airflow.table("mixed")[bad] == {"folder": bad, **counts, "error": None}
    assert [len(airflow.mails_about("Processing error", f"{bad}/broken.jpg"))] == [1]
    (summary,) = airflow.mails_about("FAILED: 1 of 2 folders, 1 picture", f"{bad}/broken.jpg")
    assert "masked              4" in text_of(summary)
    assert "1 more folders" in text_of(summary)
    assert not airflow.mails_about("uncaught", bad)

    assert airflow.wait("mixed__part2") == "success"
    assert set(airflow.table("mixed__part2")) == {left}
    assert not airflow.stack.api.has_run(DAG_ID, "mixed__part3")
    for folder, first in ((good, 0), (bad, 10), (left, 20)):
        assert airflow.outputs(folder) == [f"picture_{number:04d}.jpg" for number in (first, first + 1)]
    assert [path.name for path in (airflow.input / "mixed").rglob("*.jpg")] == ["broken.jpg"]
    assert len(originals) == 6
    for path, content in originals.items():
        assert (airflow.archive / path.relative_to(airflow.input)).read_bytes() == content


def test_no_folder_of_a_day_is_a_green_run_that_says_so(airflow: Deployment) -> None:
    airflow.trigger("nothing", [], capture_date="1999-01-31")

    assert airflow.wait("nothing") == "success"
    states = airflow.states("nothing")[""]
    assert states["discover"] == states["summary"] == "success"
    assert airflow.mails_about("Nothing to do: no capture folder matches captured 1999-01-31", "Nothing to do")


def test_a_folder_that_does_not_exist_fails_the_run(airflow: Deployment) -> None:
    airflow.trigger("mistyped", ["no/such/folder"])

    assert airflow.wait("mistyped") == "failed"
    assert airflow.mails_about("FAILED: not complete", "no capture folder matches no/such/folder")


def test_a_hopeless_discovery_is_not_tried_again_and_fails_the_run_after_the_summary(airflow: Deployment) -> None:
    """The model Slow is not installed, and a second try would not change that."""
    airflow.put("hopeless/F1_2021_05_03", 1, first=50)
    airflow.trigger("hopeless", ["hopeless"], model="Slow")

    assert airflow.wait("hopeless") == "failed"
    states = airflow.states("hopeless")[""]
    assert (states["discover"], states["summary"]) == ("failed", "failed")
    tries = {task["task_id"]: task["try_number"] for task in airflow.stack.api.task_instances(DAG_ID, "hopeless")}
    assert tries["discover"] == 1
    assert airflow.mails_about("uncaught ModelUnavailableError", "Slow")
    assert airflow.mails_about("FAILED: not complete", "discover: ")


def test_a_killed_mask_task_is_taken_up_again_and_does_nothing_twice(airflow: Deployment) -> None:
    """In a folder large enough to be worked on in two parts."""
    folder, count = "killed/F1_2021_06_01", 150
    airflow.put(folder, count, first=100)

    airflow.trigger("killed", ["killed"])
    pid = _mask_process(airflow, "killed", folder)
    os.kill(pid, signal.SIGKILL)
    before = {path.name: path.stat().st_mtime_ns for path in (airflow.output / folder).glob("*.jpg")}
    assert 0 < len(before) < count

    assert airflow.wait("killed") == "success"
    tasks = airflow.stack.api.task_instances(DAG_ID, "killed")
    assert sorted(task["try_number"] for task in tasks if task["task_id"] == "folder.mask") == [1, 2]
    assert {label for label in airflow.states("killed") if label} == {f"{folder} [1/2]", f"{folder} [2/2]"}
    assert len(airflow.outputs(folder)) == count
    after = {name: (airflow.output / folder / name).stat().st_mtime_ns for name in before}
    assert after == before
    assert {path.suffix for path in (airflow.output / folder).iterdir()} == {".jpg", ".json"}
    for number in range(100, 100 + count):
        frame = decode_jpeg((airflow.output / folder / f"picture_{number:04d}.jpg").read_bytes())
        assert frame.pixels.shape == (HEIGHT, WIDTH, 3)
    assert airflow.table("killed")[folder]["rows"] == count
    row = airflow.table("killed")[folder]
    assert row["masked"] + row["already_done"] == row["found"] == count
    assert row["units"] == 2
    assert _rows_of(airflow, folder) == airflow.outputs(folder)


@pytest.mark.slow
def test_a_restarted_scheduler_finishes_the_run_and_does_nothing_twice(airflow: Deployment) -> None:
    folder, count = "restart/F1_2021_06_02", 90
    airflow.put(folder, count, first=600)
    airflow.trigger("restart", ["restart"])
    _mask_process(airflow, "restart", folder)
    airflow.restart_scheduler()
    before = {path: path.stat().st_mtime_ns for path in (airflow.output / folder).glob("*.jpg")}
    assert 0 < len(before) < count

    assert airflow.wait("restart") == "success"
    assert len(airflow.outputs(folder)) == count
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {path.suffix for path in (airflow.output / folder).iterdir()} == {".jpg", ".json"}
    assert _rows_of(airflow, folder) == airflow.outputs(folder)


def _mask_process(airflow: Deployment, run_id: str, folder: str) -> int:
    """The process of the mask task, once it has written some pictures."""
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        if len(airflow.outputs(folder)) >= 3:
            tasks = airflow.stack.api.task_instances(DAG_ID, run_id)
            return next(
                int(task["pid"]) for task in tasks if (task["task_id"], task["state"]) == ("folder.mask", "running")
            )
        time.sleep(0.05)
    raise TimeoutError("the mask task wrote nothing")


def test_backfill_takes_the_folders_of_its_date_only(airflow: Deployment) -> None:
    wanted, other = "dates/F1_2021_08_05", "dates/F1_2021_08_06"
    airflow.put(wanted, 1, first=500)
    airflow.put(other, 1, first=501)

    backfill = airflow.stack.api.call(
        "POST",
        "backfills",
        {"dag_id": DAG_ID, "from_date": "2021-08-05T00:00:00Z", "to_date": "2021-08-05T23:59:00Z", "dag_run_conf": {}},
    )
    run_id = _run_of_backfill(airflow)

    assert airflow.wait(run_id) == "success"
    assert airflow.stack.api.run(DAG_ID, run_id)["partition_key"] == "20210805"
    assert airflow.outputs(wanted)
    assert not airflow.outputs(other)
    assert backfill["dag_id"] == DAG_ID


def _run_of_backfill(airflow: Deployment) -> str:
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        runs = airflow.stack.api.call("GET", f"dags/{DAG_ID}/dagRuns", run_type="backfill")["dag_runs"]
        if runs:
            return str(runs[0]["dag_run_id"])
        time.sleep(1)
    raise TimeoutError("the backfill made no run")


@pytest.mark.parametrize(
    "form",
    [
        {"model": "Slowest"},
        {"delete_input": "maybe"},
        {"capture_date": "5 May"},
        {"date_from": "May"},
        {"dry_run": "perhaps"},
        {"folders": "one"},
        {"part": 0},
    ],
)
def test_the_trigger_form_refuses_nonsense(airflow: Deployment, form: dict[str, object]) -> None:
    with pytest.raises(AirflowApiError) as refused:
        airflow.stack.api.trigger(DAG_ID, f"nonsense_{next(iter(form))}", form)
    assert refused.value.status == 400


def test_a_key_that_is_no_date_is_refused(airflow: Deployment) -> None:
    with pytest.raises(AirflowApiError, match="key_format"):
        airflow.stack.api.trigger(DAG_ID, "no_date", {}, partition_key="tomorrow")


def test_what_is_detected_is_hidden_in_every_output(airflow: Deployment) -> None:
    """Runs behind the others: looks at all they wrote. The grain that stands where the car is must be gone."""
    seen = 0
    for path in airflow.output.rglob("*.jpg"):
        number = int(path.stem.rpartition("_")[2])
        window = (slice(HEIGHT * 3 // 8, HEIGHT * 5 // 8), slice(WIDTH * 3 // 8, WIDTH * 5 // 8))
        grain = decode_jpeg(path.read_bytes()).pixels[window].std()
        assert grain < pixels_of(number)[window].std() / 4
        seen += 1
    assert seen >= 150


def test_the_operations_page_tells_of_real_runs(airflow: Deployment) -> None:
    """Runs behind the others: Airflow keeps what tasks leave in a form of its own."""
    assert "runs/mixed" in airflow.page("")
    assert "mixed/F2_2021_05_02/broken.jpg" in airflow.page("runs/mixed")


def test_rows_are_in_the_database_of_the_connection(airflow: Deployment) -> None:
    assert len(_rows(airflow.database)) >= 150
