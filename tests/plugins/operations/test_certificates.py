"""Certificates on the page: drawing a sample, judging its pictures, and what the nights show."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from anonymisation.review.certificate.store import known_ids, read_judgements, read_sample
from anonymisation.review.certificate.verify import verify_document
from anonymisation.review.store import read_reviews
from tests.captures import FOLDER, CountingDetector
from tests.plugins.operations.conftest import FOUND, PREFIX, SETTINGS, Page, words

PLAN = {"bound": "50", "confidence": "90", "tolerated": "0", "second": "0", "seeded": "0", "title": "First of May"}
BOX = {"top": "1", "left": "50", "bottom": "20", "right": "90"}


def token(page: Page, client: Any) -> str:
    """The token of the form that draws a sample."""
    return str(client.get(f"{PREFIX}/certificates").text.partition('name="csrf_token" value="')[2].partition('"')[0])


def draw(page: Page, role: str = "operator", **changes: str) -> Any:
    client = page.as_user(role)
    return client.post(f"{PREFIX}/certificates", data={**PLAN, **changes, "csrf_token": token(page, client)})


def judge(page: Page, place: str, role: str = "operator", **said: str) -> str:
    """Judge the next picture of the sample; returns where the page goes next."""
    client = page.as_user(role)
    shown = client.get(f"{place}/next").headers["location"]
    answer = client.post(shown, data={"missed": "false", **said, "csrf_token": token(page, client)})
    assert answer.status_code == 303, words(answer.text)
    return str(answer.headers["location"])


def judge_all(page: Page, place: str) -> None:
    while "said=done" not in judge(page, place):
        pass


def test_a_sample_is_drawn_judged_issued_and_printed(page: Page) -> None:
    place = draw(page).headers["location"]
    client = page.as_user("operator")
    assert "in review" in words(client.get(place).text)
    shown = client.get(client.get(f"{place}/next").headers["location"])
    assert "Picture 1 of" in words(shown.text)
    image = client.get(re.findall(r'src="([^"]+/image)"', shown.text)[0])
    assert (image.status_code, image.headers["content-type"]) == (200, "image/webp")
    judge_all(page, place)
    answer = client.post(f"{place}/issue", data={"csrf_token": token(page, client)})
    assert answer.status_code == 303, answer.text
    text = words(client.get(place).text)
    assert "certified" in text
    assert "With 90 % confidence at most" in text
    printed = client.get(f"{place}/print")
    assert "First of May" in printed.text
    assert "script" not in printed.headers["content-security-policy"]
    assert verify_document(client.get(f"{place}/json").json()).is_valid


def test_a_missed_region_is_hidden_at_once_and_counts(page: Page) -> None:
    place = draw(page).headers["location"]
    judge(page, place, **BOX)
    sample = read_sample(page.site.state, known_ids(page.site.state)[0])
    assert sample is not None
    first = sample.pictures[0]
    assert first.number == 1
    assert read_judgements(page.site.state, sample.id).missed(1)
    (review,) = read_reviews(page.site.state, FOLDER).values()
    assert len(review.hidden) == 1


def test_two_reviewers_see_the_same_picture(page: Page) -> None:
    place = draw(page, second="100").headers["location"]
    client = page.as_user("operator")
    before = client.get(f"{place}/pictures/1/image").content
    judge(page, place, **BOX)
    assert page.as_user("admin").get(f"{place}/pictures/1/image").content == before
    while "said=done" not in judge(page, place):
        pass
    assert client.post(f"{place}/issue", data={"csrf_token": token(page, client)}).status_code == 409
    assert "second reviewer" in words(client.get(place).text)
    while "said=done" not in judge(page, place, role="admin"):
        pass
    assert client.post(f"{place}/issue", data={"csrf_token": token(page, client)}).status_code == 303


def test_who_comes_back_to_a_marked_picture_sees_it_as_it_was_drawn(page: Page) -> None:
    place = draw(page).headers["location"]
    client = page.as_user("operator")
    before = client.get(f"{place}/pictures/1/image").content
    judge(page, place, **BOX)
    assert client.get(f"{place}/pictures/1/image").content == before
    assert f'href="{place}/next"' in client.get(f"{place}/pictures/1").text  # goes on without another judgement


def test_a_night_shows_its_certificate_until_it_is_masked_again(page: Page, night: str) -> None:
    place = draw(page, run=night).headers["location"]
    client = page.as_user("operator")
    assert "in review" in words(client.get(f"{PREFIX}/").text)
    judge_all(page, place)
    client.post(f"{place}/issue", data={"csrf_token": token(page, client)})
    assert "missed at most" in words(client.get(f"{PREFIX}/").text)
    assert "missed at most" in words(client.get(f"{PREFIX}/runs/{quote(night, safe='')}").text)
    again = page.site.workspace(archive=True, **{**SETTINGS, "force_remask": True, "mask_dilation_pixels": 9})
    page.site.run(again, CountingDetector(FOUND))
    assert "no longer valid" in words(client.get(f"{PREFIX}/").text)
    assert "masked again" in words(client.get(place).text)


def test_known_faults_are_for_people_who_may_see_originals(page: Page) -> None:
    assert draw(page, seeded="1").status_code == 403
    refused = draw(page, "admin", seeded="1", bound="10")
    assert refused.status_code == 409  # too few pictures for that plan
    assert "out of reach" in words(refused.text)
    assert known_ids(page.site.state) == []


def test_viewers_read_and_do_not_judge(page: Page) -> None:
    place = draw(page).headers["location"]
    viewer = page.as_user("viewer")
    assert viewer.get(place).status_code == 200
    assert viewer.get(f"{place}/pictures/1").status_code == 403
    assert draw(page, "viewer").status_code == 403
    assert page.as_user("nobody").get(place).status_code in {401, 403}


def test_another_site_cannot_judge(page: Page) -> None:
    place = draw(page).headers["location"]
    client = page.as_user("operator")
    data = {"missed": "false", "csrf_token": token(page, client)}
    assert client.post(f"{place}/pictures/1", data=data, headers={"Origin": "http://evil"}).status_code == 403
    assert client.post(f"{place}/pictures/1", data={"missed": "false"}).status_code == 403


def test_what_does_not_exist_is_not_found(page: Page) -> None:
    place = draw(page).headers["location"]
    client = page.as_user("operator")
    for path in (f"{place}/pictures/999", f"{PREFIX}/certificates/2021-01-01-00000000", f"{place}/print"):
        assert client.get(path).status_code == 404, path
    assert draw(page, folders="2099/*").status_code == 422
    assert client.get(f"{PREFIX}/certificates/..%2f..").status_code in {404, 422}
