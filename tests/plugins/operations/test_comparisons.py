"""Comparisons on the page: people who may see originals judge what differs, and everybody reads the result."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from anonymisation.masking.detections import Detections
from anonymisation.review.audit import newest_looks
from anonymisation.review.comparison.shadow import Contender, compare
from anonymisation.review.comparison.study import Study
from tests.captures import CAR_BOX, FOLDER
from tests.doubles import ScriptedDetector
from tests.plugins.operations.conftest import FOUND, PREFIX, Page, words
from tests.plugins.operations.test_certificates import token

ONLY_CAR = Detections.of([CAR_BOX], [0.9], [3])


@pytest.fixture
def study(page: Page) -> Study:
    """The person in the corner is hidden by A alone, on three pictures."""
    settings = page.workspace.settings
    sides = tuple(Contender(n, settings, {}, ScriptedDetector(f)) for n, f in (("A", FOUND), ("B", ONLY_CAR)))
    return compare(page.workspace, [FOLDER], (sides[0], sides[1]), 3, title="Candidate", by="kari")


def say(page: Page, client: Any, place: str, **data: str) -> Any:
    return client.post(place, data={**data, "csrf_token": token(page, client)})


def test_what_differs_is_judged_and_the_result_is_shown(page: Page, study: Study) -> None:
    admin, base = page.as_user("admin"), f"{PREFIX}/comparisons/{study.id}"
    assert "Candidate" in words(admin.get(f"{PREFIX}/comparisons").text)
    for is_object in ("true", "true", "false"):
        place = admin.get(f"{base}/next").headers["location"]
        assert "What is in the frame?" in words(admin.get(place).text)
        assert say(page, admin, place, is_object=is_object).status_code == 303
        if is_object == "true":
            assert "misses something" not in words(admin.get(base).text)  # what is judged so far bounds nothing
    assert admin.get(f"{base}/next").headers["location"] == base
    text = words(page.as_user("viewer").get(base).text)
    assert "B misses something that A hides in 2 of 3 pictures" in text
    assert "A alone hides 1 regions falsely" in text


def test_a_look_at_the_original_is_recorded_and_frames_the_region(page: Page, study: Study) -> None:
    answer = page.as_user("admin").get(f"{PREFIX}/comparisons/{study.id}/regions/1/image")
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == "no-store"
    shown = Image.open(io.BytesIO(answer.content))
    assert max(shown.size) == 1000
    (look,) = newest_looks(page.site.state, 5)
    assert (look.by, look.did) == ("admin", "looked at a part of the original")


@pytest.mark.parametrize("role", ["operator", "viewer", "nobody"])
def test_originals_are_for_those_who_may_see_them(page: Page, study: Study, role: str) -> None:
    client, base = page.as_user(role), f"{PREFIX}/comparisons/{study.id}"
    for path in ("/next", "/regions/1", "/regions/1/image"):
        assert client.get(base + path).status_code in {401, 403}, path
    if role != "nobody":
        assert say(page, client, f"{base}/regions/1", is_object="true").status_code == 403


def test_what_does_not_exist_is_not_found(page: Page, study: Study) -> None:
    admin = page.as_user("admin")
    for path in (f"{study.id}/regions/99", "2021-01-01-00000000"):
        assert admin.get(f"{PREFIX}/comparisons/{path}").status_code == 404
