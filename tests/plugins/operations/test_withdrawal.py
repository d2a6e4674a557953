"""A region that a person takes back stays hidden in the published picture, and all of it is written down."""

from __future__ import annotations

from typing import Any

import pytest

from anonymisation.chain.run import run_folder
from anonymisation.review.audit import newest_looks
from anonymisation.review.store import read_reviews
from anonymisation.workspace.folder_state import open_state
from tests.captures import FOLDER, CountingDetector
from tests.plugins.operations.conftest import BOX, FOUND, PREFIX, SETTINGS, Page, words


def withdraw(page: Page, client: Any, number: int = 0, reason: str = "It is a sign, not a face") -> Any:
    data = {**page.form(client), "reason": reason}
    return client.post(f"{page.picture('p000.jpg')}/boxes/{number}/withdraw", data=data)


def test_a_region_is_withdrawn_before_it_is_hidden(page: Page) -> None:
    client = page.as_user("operator")
    masked = page.site.output / FOLDER / "p000.jpg"
    before = masked.read_bytes()
    with open_state(page.site.state, FOLDER):  # so that it waits
        client.post(f"{page.picture('p000.jpg')}/boxes", data={**BOX, **page.form(client)})
    assert "The region will not be hidden." in client.get(page.picture("p000.jpg")).text
    answer = withdraw(page, client)
    assert answer.headers["location"] == f"{page.picture('p000.jpg')}?said=withdrawn"
    text = words(client.get(answer.headers["location"]).text)
    assert "Later maskings of this picture do not hide the region" in text
    assert "Nothing is uncovered" not in text
    assert "Region 1 withdrawn" in text
    assert "It is a sign, not a face" in text
    assert "still hidden" not in text.lower()
    run_folder(page.workspace, FOLDER, CountingDetector(FOUND))
    assert masked.read_bytes() == before
    assert "p000.jpg" in client.get(f"{PREFIX}/review").text  # nobody has judged it


def test_a_withdrawn_region_stays_hidden_in_what_is_published_and_the_page_says_so(page: Page) -> None:
    client = page.as_user("operator")
    masked = page.site.output / FOLDER / "p000.jpg"
    client.post(f"{page.picture('p000.jpg')}/boxes", data={**BOX, **page.form(client)})
    published = masked.read_bytes()
    assert (
        "The region stays hidden in the published picture until the picture is masked again"
        in client.get(page.picture("p000.jpg")).text
    )
    answer = withdraw(page, client)
    assert masked.read_bytes() == published
    text = words(client.get(answer.headers["location"]).text)
    assert "Nothing is uncovered by that" in text
    way = "A run with “Mask again” (force_remask) masks the picture from its original"
    assert f"Still hidden in the published picture. {way}" in text
    assert "put back from the archive" not in text  # it is in the input folder
    assert withdraw(page, client).status_code == 409
    # Masked again from the original, the region is not hidden, and the page no longer says that it is.
    again = page.site.workspace(archive=True, force_remask=True, **SETTINGS)
    run_folder(again, FOLDER, CountingDetector(FOUND))
    assert masked.read_bytes() != published
    text = words(client.get(page.picture("p000.jpg")).text)
    assert "Still hidden" not in text
    assert "Region 1 withdrawn" in text


def test_of_a_picture_whose_original_was_released_the_page_says_where_that_is(page: Page) -> None:
    run_folder(page.site.workspace(archive=True, delete_input=True, **SETTINGS), FOLDER, CountingDetector(FOUND))
    assert not (page.site.input / FOLDER / "p000.jpg").exists()
    client = page.as_user("operator")
    client.post(f"{page.picture('p000.jpg')}/boxes", data={**BOX, **page.form(client)})
    text = words(client.get(withdraw(page, client).headers["location"]).text)
    assert "the original has to be put back from the archive into the input folder" in text


def test_who_withdrew_what_and_why_is_written_down_first(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    client = page.as_user("operator")
    client.post(f"{page.picture('p000.jpg')}/boxes", data={**BOX, **page.form(client)})
    caplog.set_level("INFO")
    withdraw(page, client, reason="  Kari's <b>car</b>\nis gone ")
    look = newest_looks(page.site.state, 1)[0]
    assert (look.by, look.did, look.picture) == ("operator", "withdrew a marked region", f"{FOLDER}/p000.jpg")
    assert look.reason == "Kari's <b>car</b> is gone"
    assert "operator withdrew a marked region" in caplog.text
    assert "Kari" not in caplog.text  # the reason is for those who may see originals
    audit = page.as_user("admin").get(f"{PREFIX}/audit").text
    assert "is gone" in audit
    assert "<b>car" not in audit
    # What cannot be written down does not happen.
    client.post(f"{page.picture('p000.jpg')}/boxes", data={**BOX, **page.form(client)})
    file = page.site.state / "audit" / "originals.jsonl"
    file.unlink()
    file.mkdir()
    assert withdraw(page, client, number=1).status_code == 503
    assert len(read_reviews(page.site.state, FOLDER)["p000.jpg"].active) == 1


def test_what_cannot_be_withdrawn_is_refused(page: Page) -> None:
    client = page.as_user("operator")
    client.post(f"{page.picture('p000.jpg')}/boxes", data={**BOX, **page.form(client)})
    form = page.form(client)
    wrong = [("0", "", 422), ("0", "  ", 422), ("0", "x" * 301, 422), ("1", "why", 409), ("-1", "why", 422)]
    for number, reason, status in (*wrong, ("x", "why", 422)):
        address = f"{page.picture('p000.jpg')}/boxes/{number}/withdraw"
        assert client.post(address, data={**form, "reason": reason}).status_code == status, (number, reason)
    assert len(read_reviews(page.site.state, FOLDER)["p000.jpg"].active) == 1
    assert "withdrew" not in page.as_user("admin").get(f"{PREFIX}/audit").text.partition("<tbody>")[2]
