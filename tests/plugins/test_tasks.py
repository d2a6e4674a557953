"""The DAG's functions on real pictures, in plain contexts; and which failures are worth another try."""

from __future__ import annotations

import logging
import shutil
from typing import Any

import pytest

from anonymisation.core import errors
from anonymisation.masking.models.factory import load_detector
from anonymisation.workspace.folder_state import state_folder
from tests.captures import FOLDER, CountingDetector, Site, capture, names_below
from tests.plugins.deployed import configure, deployed_site, run  # noqa: F401 - the fixture `site`

OTHER = "TilSladding/2021/F2_2021_06_01"


def test_a_large_folder_is_worked_on_in_parts_and_told_as_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(site, monkeypatch, max_pictures_per_work_unit=4)
    site.fill(9)
    site.fill(2, OTHER, first=20)
    site.put("torn.jpg", capture(50)[:900])
    plain = run()
    units = plain.xcoms["discover", -1, "return_value"]
    assert units == [
        {"folder": FOLDER, "shard": 1, "shards": 3}, {"folder": FOLDER, "shard": 2, "shards": 3},
        {"folder": FOLDER, "shard": 3, "shards": 3}, {"folder": OTHER, "shard": 1, "shards": 1},
    ]  # fmt: skip
    assert plain.xcoms["discover", -1, "pictures"] == {
        FOLDER: {"pictures": 10, "pending": 10}, OTHER: {"pictures": 2, "pending": 2}
    }  # fmt: skip
    red = {label for label, state in plain.states.items() if state == "failed"}
    assert len(red) == 2  # the part with the torn picture, and the summary
    assert "summary" in red
    assert f"{FOLDER}/torn.jpg" in str(plain.errors[(red - {"summary"}).pop()])
    counts = {"found": 10, "masked": 9, "already_done": 0, "failed": 1, "known_failed": 0, "rows": 9, "units": 3}
    assert plain.table()[FOLDER] == {"folder": FOLDER, **counts, "error": None}
    assert str(plain.errors["summary"]) == f"1 of 2 folders failed: {FOLDER}"
    assert len(site.rows()) == 11
    again = run()
    assert again.states == {"discover": "success", "summary": "success"}  # what is known to fail fails no second night


def test_what_stops_parts_of_a_folder_is_told_once_and_stops_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configure(site, monkeypatch, max_pictures_per_work_unit=2, db_max_n_errors=0)
    site.fill(6)
    site.fill(1, OTHER, first=20)
    from anonymisation.workspace.folder_state import open_state
    from anonymisation.workspace.shards import Shard

    state = site.workspace().shares.state
    with caplog.at_level(logging.INFO), open_state(state, FOLDER, Shard(2, 3)):
        plain = run()
    row = plain.table()[FOLDER]
    assert row["error"].startswith(f"mask: {FOLDER}: process ")
    assert row["error"].endswith("(1 of 3 work units)")
    assert plain.table()[OTHER]["error"] is None
    assert row["masked"] == len(names_below(site.output / FOLDER)) / 2 < 6  # a picture and a record each
    assert run().table()[FOLDER]["masked"] == 6 - row["masked"]


def test_an_unreadable_state_costs_its_folder_alone(site: Site) -> None:
    site.fill(2)
    site.fill(1, OTHER, first=20)
    assert run().states["summary"] == "success"
    site.fill(1, first=5)
    site.fill(1, OTHER, first=25)
    journal = state_folder(site.state, FOLDER) / "pictures.jsonl"
    content = journal.read_bytes()
    journal.unlink()
    journal.mkdir()
    plain = run()
    assert plain.states["discover"] == "success"
    row = plain.table()[FOLDER]
    assert row["error"].startswith(f"mask: {journal} cannot be read: ")
    assert (row["found"], row["masked"]) == (3, 0)  # what is known is reported
    assert (plain.table()[OTHER]["error"], plain.table()[OTHER]["masked"]) == (None, 1)
    assert str(plain.errors["summary"]) == f"1 of 2 folders failed: {FOLDER}"
    journal.rmdir()
    journal.write_bytes(content)
    assert run().table()[FOLDER]["masked"] == 1


def test_a_step_that_an_error_ended_keeps_its_counts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.fill(4)
    seen: list[int] = []

    def failing(_: Any) -> None:
        seen.append(1)
        if len(seen) == 3:
            shutil.rmtree(site.input)  # the share is gone in the middle of the folder

    detector = CountingDetector(before=failing)
    monkeypatch.setattr("anonymisation.masking.models.factory.load_detector", lambda _: detector())
    configure(site, monkeypatch, enable_async=False, file_access_retry_seconds=0.05, file_access_timeout_seconds=0.1)
    row = run().table()[FOLDER]
    assert row["error"] is not None
    assert row["masked"] >= 1
    assert row["found"] >= row["masked"]


def test_a_model_of_nonsense_stops_its_folders_and_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.masking.nonsense_models import save_nonsense

    monkeypatch.setattr("anonymisation.masking.models.factory.load_detector", load_detector)
    model = save_nonsense(site.root / "pixels", "boxes in pixels")
    configure(site, monkeypatch, model_type=str(model), delete_input=True)
    site.fill(5)
    site.fill(2, OTHER, first=20)
    before = names_below(site.input)
    for _ in range(2):
        plain = run()
        table = plain.table()
        assert table[FOLDER]["error"].startswith("mask: the model pixels@")
        assert f"last: the model in {model} gives detection_boxes [24, 36, 72, 108]" in table[FOLDER]["error"]
        assert (table[OTHER]["error"], table[OTHER]["failed"], table[OTHER]["known_failed"]) == (None, 2, 0)
        assert [type(error) for error in plain.errors.values()].count(errors.ModelUnavailableError) == 1
        assert plain.states["summary"] == "failed"
        assert names_below(site.output) == []
        assert names_below(site.input) == before


@pytest.mark.parametrize("state", ["upstream_failed", "skipped", "removed"])
def test_a_step_that_never_ran_is_no_success(site: Site, state: str) -> None:
    """As when a red task is cleared without those behind it, and the summary after it."""
    from anonymisation_airflow import summary, tasks

    site.fill(2)
    plain = run()
    assert plain.states["summary"] == "success"
    for step in tasks.STEPS[1:]:
        plain.states[f"{tasks.GROUP}.{step}_0"] = state
        del plain.xcoms[f"{tasks.GROUP}.{step}", 0, "return_value"]
    assert not plain.call("summary", summary.summarise)
    assert plain.table()[FOLDER]["error"] == f"archive: did not run ({state}); clear its task"


@pytest.mark.parametrize("step", ["mask", "archive", "load", "check", "release"])
def test_a_step_that_a_person_marked_as_a_success_is_none(site: Site, step: str) -> None:
    from anonymisation_airflow import summary

    site.fill(2)
    plain = run()
    del plain.xcoms[f"folder.{step}", 0, "return_value"]
    assert not plain.call("summary", summary.summarise)
    assert plain.table()[FOLDER]["error"].startswith(f"{step}: marked as a success")


@pytest.mark.parametrize(
    ("state", "told"),
    [("success", "discover: marked as a success"), ("skipped", "discover: did not run (skipped)")],
)
def test_a_discovery_that_told_nothing_is_not_a_night_without_folders(site: Site, state: str, told: str) -> None:
    from anonymisation_airflow import summary
    from tests.plugins.plain_run import PlainRun

    plain = PlainRun(states={"discover": state})
    assert not plain.call("summary", summary.summarise)
    assert str(plain.errors["summary"]).startswith(told)


@pytest.mark.parametrize(("state", "green"), [("success", True), ("skipped", False), ("failed", False)])
def test_folders_that_are_left_need_the_next_run(
    site: Site, monkeypatch: pytest.MonkeyPatch, state: str, green: bool
) -> None:
    from anonymisation_airflow import summary

    monkeypatch.setenv("ANONYMISATION_MAX_FOLDERS", "1")
    site.fill(1)
    site.fill(1, OTHER, first=20)
    plain = run()
    plain.states["next_part"] = state
    assert plain.call("summary", summary.summarise) is green
    assert green or "next_part: could not trigger" in str(plain.errors["summary"])


def test_the_end_of_a_run_hides_what_reviewers_marked_meanwhile_and_forgets_its_progress(site: Site) -> None:
    from anonymisation.review.model import Box
    from anonymisation.review.store import add_box
    from anonymisation_airflow import summary

    site.fill(1)
    plain = run()
    state = site.workspace().shares.state
    assert not list((state / "runs").iterdir())
    (masked,) = (site.output / FOLDER).glob("*.jpg")
    before = masked.read_bytes()
    add_box(state, FOLDER, masked.name, Box(0.0, 0.5, 0.2, 0.9), "kari")
    assert plain.call("summary", summary.summarise)
    assert masked.read_bytes() != before


def test_a_dry_run_lists_and_touches_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.fill(3)
    before = names_below(site.root)
    with caplog.at_level(logging.INFO):
        plain = run(dry_run=True)
    assert plain.xcoms["discover", -1, "return_value"] == []
    plan = plain.xcoms["discover", -1, "plan"]
    assert (plan["folder_count"], plan["to_mask"], plan["seconds"]) == (1, 3, None)
    assert "Dry run: nothing was touched." in caplog.text
    assert plain.states == {"discover": "success", "summary": "success"}
    assert names_below(site.root) == before
    assert not site.output.exists()


def test_a_form_takes_folders_and_days(site: Site) -> None:
    site.fill(1)
    site.fill(1, OTHER, first=20)
    assert set(run(date_from="2021-05-02").table()) == {OTHER}
    assert set(run(folders=["*F1*"]).table()) == {FOLDER}
    assert run().table() == {}
    assert set(run(capture_date="2021-05-01", force_remask=True).table()) == {FOLDER}
    wrong = run(date_from="2021-05-02", date_to="2021-05-01")
    assert isinstance(wrong.errors["discover"], errors.ConfigurationError)
    assert "date_from: expected a day up to 2021-05-01" in str(wrong.errors["summary"])


def test_a_backfill_takes_its_day_and_redoes_it_only_when_asked(site: Site) -> None:
    site.fill(2)
    site.fill(1, OTHER, first=20)
    assert set(run("backfill", "20210501").table()) == {FOLDER}
    assert run("backfill", "20210501").table() == {}
    again = run("backfill", "20210501", force_remask=True).table()
    assert (set(again), again[FOLDER]["masked"], again[FOLDER]["already_done"]) == ({FOLDER}, 2, 0)


def test_a_night_takes_everything_that_is_not_done_and_late_arrivals(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fill(2)
    site.fill(1, OTHER, first=20)
    assert run("scheduled", "20260101").table() == {}  # both changed within the last hour
    configure(site, monkeypatch, capture_settle_seconds=0)
    assert set(run("scheduled", "20260101").table()) == {FOLDER, OTHER}
    site.put("late.jpg", capture(77))
    night = run("scheduled", "20260102").table()
    assert (set(night), night[FOLDER]["masked"], night[FOLDER]["already_done"]) == ({FOLDER}, 1, 2)


def test_a_whole_folder_named_by_an_older_run_is_still_taken(site: Site) -> None:
    from anonymisation_airflow import tasks
    from tests.plugins.plain_run import PlainRun

    site.fill(1)
    plain = PlainRun()
    assert plain.call("folder.mask", tasks.mask, FOLDER, map_index=0)
    assert plain.xcoms["folder.mask", 0, "return_value"]["masked"] == 1


def test_runs_of_further_parts_are_named_after_the_first() -> None:
    from anonymisation_airflow.next_part import next_run_id

    assert next_run_id("scheduled__2021", 2) == "scheduled__2021__part2"
    assert next_run_id("scheduled__2021__part2", 3) == "scheduled__2021__part3"


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.ShareUnavailableError("away"), "retry"),
        (errors.DatabaseUnavailableError("away"), "retry"),
        (errors.FolderLockedError("locked"), "retry"),
        (errors.ConfigurationError([]), "fail"),
        (errors.ModelUnavailableError("damaged"), "fail"),
        (errors.PicturesFailedError("two"), "fail"),
        (errors.LoadFailedError("refused"), "fail"),
        (OSError("disk"), "default"),
        (MemoryError(), "default"),
    ],
)
def test_only_what_can_pass_is_tried_again(error: Exception, action: str) -> None:
    from anonymisation_airflow.retries import retry_policy

    assert retry_policy().evaluate(error, 1, 3).action.value == action


def test_files_that_are_not_read_reach_the_summary(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.fill(1)
    site.put("film.mp4", b"", OTHER)
    with caplog.at_level(logging.INFO):
        plain = run()
    assert plain.states["summary"] == "success"
    assert plain.xcoms["discover", -1, "findings"]["unread"] == {
        "listed": [{"folder": OTHER, "number": 1, "names": ["film.mp4"]}], "files": 1, "folders": 1
    }  # fmt: skip
    assert "Everything is done, but for 1 file that is not read." in caplog.text
    assert f"{OTHER}: 1 file: film.mp4" in caplog.text
