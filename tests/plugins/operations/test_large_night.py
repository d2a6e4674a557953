"""A night with 500 folders and 1,000 failures on one page: grouped, paged, and cut with a number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from tests.plugins.operations.conftest import PREFIX, Page, words
from tests.plugins.operations.rows import add_run, add_task, add_xcom

TORN, AWAY = "truncated or corrupt picture data", "load: the database is away"
FOLDERS = 500


@pytest.fixture
def large(page: Page) -> str:
    """The name of the run: every tenth folder has 20 torn pictures, two folders stopped."""
    run_id = f"large {page.site.root.name}"
    run = add_run(run_id, "failed", datetime(2021, 9, 1, tzinfo=UTC), datetime(2021, 9, 1, 6, tzinfo=UTC))
    names = [f"TilSladding/F{number:03d}" for number in range(FOLDERS)]
    add_task(run_id, "discover", -1, "success")
    add_xcom(run, run_id, "discover", -1, "return_value", [{"folder": name, "shard": 1, "shards": 1} for name in names])
    for index, name in enumerate(names):
        failures = [
            {"picture": f"{name}/p{number}.jpg", "reason": TORN, "known": False}
            for number in range(20 if index % 10 == 0 else 0)
        ]
        mask: dict[str, Any] = {"found": 30, "masked": 30 - len(failures), "already_done": 0, "failed": len(failures)}
        mask |= {"known_failed": 0, "failures": failures, "objects": {}, "seconds": 10.0}
        add_task(run_id, "folder.mask", index, "success")
        add_xcom(run, run_id, "folder.mask", index, "return_value", {"folder": name, "shard": 1, "shards": 1, **mask})
        if index in {3, 4}:
            add_task(run_id, "folder.load", index, "failed")
            error = {"folder": name, "shard": 1, "shards": 1, "message": AWAY.removeprefix("load: ")}
            add_xcom(run, run_id, "folder.load", index, "error", error)
    return run_id


def test_failures_are_grouped_by_reason_and_folders_paged(page: Page, large: str) -> None:
    client = page.as_user("viewer")
    text = client.get(f"{PREFIX}/runs/{quote(large)}").text
    read = words(text)
    assert text.count("<tr>") == 1 + 100  # the heading and one page of folders
    assert f"{TORN} 1 000" in read
    assert f"{AWAY} 2" in read
    assert text.count("<section") == 2
    assert "… and 900 more; each folder lists its own" in read
    assert text.index("<table") < text.index("What failed")
    assert len(text) < 200_000
    assert "all 500" in read
    assert "failed 52" in read


def test_folders_in_one_state_are_shown_alone(page: Page, large: str) -> None:
    client = page.as_user("viewer")
    failed = client.get(f"{PREFIX}/runs/{quote(large)}", params={"show": "failed"}).text
    assert failed.count('<th scope="row"') == 52
    done = client.get(f"{PREFIX}/runs/{quote(large)}", params={"show": "done", "page": 5}).text
    assert done.count('<th scope="row"') == 48
    assert client.get(f"{PREFIX}/runs/{quote(large)}", params={"show": "<b>"}).text.count('<th scope="row"') == 100
