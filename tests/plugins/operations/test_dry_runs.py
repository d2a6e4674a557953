"""A dry run on the pages: marked as such, with its plan, and nothing that looks like work."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from anonymisation.chain.discover import FoundFolder
from anonymisation.chain.dry_run import Plan
from tests.plugins.operations.conftest import PREFIX, Page, words
from tests.plugins.operations.rows import add_run, add_task, add_xcom

FOLDERS = tuple(
    FoundFolder(f"TilSladding/F{number}", pictures=40, pending=30, to_mask=20, pending_bytes=60_000_000)
    for number in (1, 2)
)


def dry_run(page: Page, plan: Plan, run: str) -> str:
    """Store an ended dry run with that plan; its name."""
    run_id = f"{run} {page.site.root.name}"
    stored = add_run(run_id, "success", datetime(2021, 8, 1, tzinfo=UTC), datetime(2021, 8, 1, 0, 1, tzinfo=UTC))
    add_task(run_id, "discover", -1, "success")
    add_task(run_id, "summary", -1, "success")
    add_xcom(stored, run_id, "discover", -1, "return_value", [])
    add_xcom(stored, run_id, "discover", -1, "plan", plan.to_dict())
    return run_id


def test_the_page_of_a_dry_run_shows_what_a_run_would_do(page: Page) -> None:
    run_id = dry_run(page, Plan(FOLDERS, 1.5, unsettled=("TilSladding/F3",)), "plan")
    read = words(page.as_user("viewer").get(f"{PREFIX}/runs/{quote(run_id)}").text)
    assert "Dry run of 2021-08-01 00:00" in read
    assert "Nothing was touched. This is what a run would do now." in read
    assert "Folders to work on 2 Pictures with work left 60 Pictures to mask 40 Size 120 MB" in read
    assert "Masking would take 1 min 00 s" in read
    assert "TilSladding/F1 40 30 20 60.0 MB TilSladding/F2 40 30 20 60.0 MB" in read
    assert "TilSladding/F3 still changes; a scheduled run leaves it for later." in read
    assert "Review its pictures" not in read
    assert "Masked" not in read


def test_a_dry_run_is_marked_among_the_nights(page: Page) -> None:
    dry_run(page, Plan(FOLDERS, None), "listed")
    read = words(page.as_user("viewer").get(f"{PREFIX}/").text)
    assert "dry run done 2 60 would be worked on; nothing was touched 1 min 00 s" in read


@pytest.mark.parametrize(
    ("findings", "sentence"),
    [
        ({"up_to_date": 12}, "Nothing to do: everything in 12 folders is done."),
        ({"unsettled": ["a", "b"]}, "Nothing to do yet: 2 folders still change and are left for a later run."),
        ({}, "Nothing to do: there are no pictures in the input folder."),
        (
            {"unread": {"listed": [{"folder": "F1", "number": 2, "names": ["a.mp4"]}], "files": 2, "folders": 1}},
            "2 files that are not read (only .jpg and .jpeg are) F1: 2 files: a.mp4 and 1 more",
        ),
    ],
)
def test_a_run_without_work_says_why(page: Page, findings: dict[str, object], sentence: str) -> None:
    run_id = f"idle {sentence[:22]} {page.site.root.name}"
    stored = add_run(run_id, "success", datetime(2021, 8, 2, tzinfo=UTC), datetime(2021, 8, 2, 0, 1, tzinfo=UTC))
    add_task(run_id, "discover", -1, "success")
    add_xcom(stored, run_id, "discover", -1, "return_value", [])
    add_xcom(stored, run_id, "discover", -1, "findings", findings)
    assert sentence in words(page.as_user("viewer").get(f"{PREFIX}/runs/{quote(run_id)}").text)
