"""A state that cannot be read is said on the page, and is no error of the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymisation.files.append_log import to_line
from anonymisation.workspace.folder_state import state_folder
from tests.captures import FOLDER
from tests.plugins.operations.conftest import PREFIX, Page


def put_in_the_way(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


@pytest.mark.parametrize("name", ["pictures.jsonl", "detections.jsonl", "reviews.jsonl"])
def test_a_journal_in_the_way_is_named(page: Page, name: str) -> None:
    client = page.as_user("admin")
    addresses = [page.folder(), page.picture("p000.jpg"), f"{PREFIX}/review"]
    path = state_folder(page.site.state, FOLDER) / name
    put_in_the_way(path)
    for address in addresses:
        answer = client.get(address)
        if answer.status_code != 200:  # the list of folders goes by the journal of pictures
            assert answer.status_code == 503, address
            assert f"{path} cannot be read" in answer.text, address
    assert client.get(addresses[0]).status_code == 503
    assert client.get(f"{PREFIX}/folders").status_code == 200


def test_the_audit_page_shows_what_it_can_read(page: Page) -> None:
    client = page.as_user("admin")
    client.get(f"{page.picture('p000.jpg')}/original")
    path = page.site.state / "audit" / "originals.jsonl"
    newer = {"at": "2030-01-01", "by": "ola", "did": "looked", "picture": "x.jpg", "from": "10.0.0.1"}
    with path.open("ab") as stream:
        stream.write(to_line(newer) + to_line({"version": 9}) + b'{"half')
    answer = client.get(f"{PREFIX}/audit")
    assert answer.status_code == 200
    assert "x.jpg" in answer.text
    assert "p000.jpg" in answer.text
    put_in_the_way(path)
    answer = client.get(f"{PREFIX}/audit")
    assert answer.status_code == 503
    assert f"{path} cannot be read" in answer.text


def test_reviews_that_cannot_be_stored_are_refused(page: Page) -> None:
    client = page.as_user("operator")
    form = page.form(client)
    path = state_folder(page.site.state, FOLDER) / "reviews.lock"
    put_in_the_way(path)
    answer = client.post(f"{page.picture('p000.jpg')}/ok", data=form)
    assert answer.status_code == 503
    assert f"{path} cannot be locked" in answer.text
