"""Whatever a picture's file is called, the page shows it and the logs stay one line for one thing."""

from __future__ import annotations

import os

import pytest

from anonymisation.chain.run import run_folder
from tests.captures import FOLDER, CountingDetector, capture
from tests.plugins.operations.conftest import FOUND, PREFIX, Page

BOX = {"top": "1", "left": "50", "bottom": "20", "right": "90"}


def add(page: Page, name: str) -> None:
    (page.site.input / FOLDER / name).write_bytes(capture(5, "p005.jpg"))
    run_folder(page.workspace, FOLDER, CountingDetector(FOUND))


def test_a_name_that_is_not_valid_unicode_stops_no_page(page: Page) -> None:
    name = os.fsdecode(b"p-bad-\xff.jpg")  # fails, and so comes first in the queue
    add(page, name)
    client = page.as_user("admin")
    assert client.get(f"{page.picture(name)}/original").status_code == 200
    addresses = (page.folder(), page.picture(name), f"{page.picture(name)}/compare", f"{PREFIX}/review")
    for address in (*addresses, f"{PREFIX}/audit"):
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert "p-bad-\\udcff.jpg" in answer.text, address


def test_a_name_with_a_line_break_forges_no_line_of_the_log(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    name = "p\n2021-05-01 INFO root looked at nothing.jpg"
    add(page, name)
    client = page.as_user("admin")
    caplog.set_level("INFO")
    caplog.clear()
    client.get(f"{page.picture(name)}/original")
    answer = client.post(f"{page.picture(name)}/boxes", data={**BOX, "csrf_token": page.token(client)})
    assert answer.headers["location"].endswith("said=hidden")
    told = [record.getMessage() for record in caplog.records if "looked at nothing" in record.getMessage()]
    assert len(told) >= 3
    assert not any("\n" in message for message in told)
