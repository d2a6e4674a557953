"""Nobody gets anything that they may not see, from any route, whatever the address or the form says."""

from __future__ import annotations

import itertools
import json
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute

from anonymisation.review.certificate.actions import draw_sample, issue_certificate
from anonymisation.review.certificate.sample import Plan
from anonymisation.review.certificate.store import add_judgement
from anonymisation.review.comparison.shadow import Contender, compare
from anonymisation.review.store import read_reviews
from tests.captures import CAR, FOLDER, capture
from tests.doubles import ScriptedDetector
from tests.plugins.operations.conftest import FOUND, PREFIX, Page

FINDS = {"A": CAR, "B": FOUND}

BOX = {"top": "1", "left": "50", "bottom": "20", "right": "90"}
FORM = {**BOX, "reason": "a sign"}
VERBS = ("ok", "boxes", "boxes/0/withdraw")
PICTURE = "/folders/{folder_key}/pictures/{picture_key}/"
SHOWN = "/certificates/{identity}/pictures/{number}"
REGION = "/comparisons/{identity}/regions/{number}"
# The routes that change something.
WRITTEN = {
    *(PICTURE + verb for verb in ("ok", "boxes", "boxes/{number}/withdraw")),
    *("/certificates", "/certificates/{identity}/issue", "/certificates/{identity}/more", SHOWN),
    *("/regions", "/regions/{identity}/remove", REGION),
}
FOR_ADMINS = ("/compare", "/original", "/audit", "/comparisons/{identity}/next", REGION, f"{REGION}/image")
FOR_REVIEWERS = ("/certificates/{identity}/next", SHOWN, f"{SHOWN}/image")
ESCAPES = (
    "../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..\\", "....//", "%252e%252e%252f", "..%00/", "%c0%ae%c0%ae/",
    "..;/", "file:///", "//", "/",
)  # fmt: skip
TARGETS = ("etc/passwd", "in/secret.jpg", "out_state/audit/originals.jsonl", "config.yml")


def routes() -> list[tuple[str, str]]:
    """Every method and address of the application."""
    from anonymisation_airflow.operations.web.application import create_app

    found = [route for route in _flat(create_app().routes) if isinstance(route, APIRoute)]
    listed = [(method, route.path) for route in found for method in sorted(route.methods)]
    assert len(listed) >= 15
    return listed


def _flat(routes: list[Any]) -> list[Any]:
    return [inner for route in routes for inner in (_flat(route.routes) if hasattr(route, "routes") else [route])]


@pytest.fixture
def things(page: Page) -> dict[str, str]:
    """The IDs of a certificate that is issued, and of a comparison, by the first part of their addresses."""
    sample = draw_sample(page.workspace, [FOLDER], Plan(bound=0.1, second_share=0.0), title="Night", by="kari")
    for number in sample.numbers:
        add_judgement(page.site.state, sample, number, "kari", missed=False, mistake=False)
    issue_certificate(page.workspace, sample, by="kari")
    sides = [Contender(name, page.workspace.settings, {}, ScriptedDetector(found)) for name, found in FINDS.items()]
    study = compare(page.workspace, [FOLDER], (sides[0], sides[1]), 1, title="New model", by="kari")
    return {"certificates": sample.id, "comparisons": study.id}


def address(page: Page, path: str, things: dict[str, str], run_id: str = "none") -> str:
    """A route's address with keys of things that are there."""
    folder, picture = page.folder().rpartition("/")[2], page.picture("p000.jpg").rpartition("/")[2]
    keys = {"{folder_key}": folder, "{picture_key}": picture, "{run_id}": quote(run_id, safe=""), "{name}": "app.css"}
    keys["{number}"] = "0" if path.startswith("/folders") else "1"
    keys["{identity}"] = things.get(path.split("/")[1], "none")
    for name, value in keys.items():
        path = path.replace(name, value)
    assert "{" not in path
    return PREFIX + path


@pytest.mark.parametrize(("role", "status"), [("anonymous", 401), ("nobody", 403)])
def test_who_has_no_permission_gets_nothing_from_any_route(
    page: Page, night: str, things: dict[str, str], role: str, status: int
) -> None:
    client = page.as_user(role)
    for method, path in routes():
        answer = client.request(method, address(page, path, things, night), data=FORM if method == "POST" else None)
        assert answer.status_code == status, (method, path)
        for secret in (FOLDER, "p000", "PIC", "RIFF", "sha256"):
            assert secret not in answer.text, (method, path)
    assert read_reviews(page.site.state, FOLDER) == {}
    assert {path for method, path in routes() if method == "POST"} == WRITTEN


def test_everyone_else_gets_what_is_theirs_and_no_more(page: Page, night: str, things: dict[str, str]) -> None:
    for role, (method, path) in itertools.product(("viewer", "operator", "admin"), routes()):
        if method == "POST":
            continue
        answer = page.as_user(role).get(address(page, path, things, night))
        forbidden = (role != "admin" and path.endswith(FOR_ADMINS)) or (role == "viewer" and path in FOR_REVIEWERS)
        # The picture is flat, so that it has no views of a panorama.
        other = 303 if path.endswith("/next") else 404 if path.endswith("/views/{number}") else 200
        expected = 403 if forbidden else other
        assert answer.status_code == expected, (role, path, answer.text[:300])


def test_a_token_that_is_made_up_is_none(page: Page) -> None:
    client = page.as_user("anonymous")
    client.cookies.set("_token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJhZG1pbiJ9.")
    assert client.get(f"{PREFIX}/").status_code in {401, 403}
    assert client.get(f"{PREFIX}/", headers={"Authorization": "Bearer nonsense"}).status_code in {401, 403}


def test_viewers_change_nothing(page: Page) -> None:
    client = page.as_user("viewer")
    token = page.token(page.as_user("operator"))
    assert 'name="csrf_token"' not in client.get(page.picture("p000.jpg")).text
    for verb in VERBS:
        answer = client.post(f"{page.picture('p000.jpg')}/{verb}", data={**FORM, "csrf_token": token})
        assert answer.status_code == 403
    assert read_reviews(page.site.state, FOLDER) == {}


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://testserver.evil.example"}],
)  # fmt: skip
def test_forms_of_other_sites_are_refused(page: Page, headers: dict[str, str]) -> None:
    client = page.as_user("operator")
    data = {**FORM, "csrf_token": page.token(client)}
    for verb in VERBS:
        assert client.post(f"{page.picture('p000.jpg')}/{verb}", data=data, headers=headers).status_code == 403
    assert read_reviews(page.site.state, FOLDER) == {}


def test_a_form_without_its_token_or_with_another_s_is_refused(page: Page) -> None:
    client = page.as_user("operator")
    token = page.token(client)
    # Not its last character, some of whose bits mean nothing.
    forged = token[:-2] + ("B" if token[-2] == "A" else "A") + token[-1]
    tokens = ["", "made up", page.token(page.as_user("admin")), forged]
    for token, verb in itertools.product(tokens, VERBS):
        answer = client.post(f"{page.picture('p000.jpg')}/{verb}", data={**FORM, "csrf_token": token})
        assert answer.status_code == 403, token
    assert client.post(f"{page.picture('p000.jpg')}/ok", data=BOX).status_code == 403
    assert read_reviews(page.site.state, FOLDER) == {}


def test_old_forms_are_refused(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    from anonymisation_airflow.operations.web import access

    client = page.as_user("operator")
    token = page.token(client)
    monkeypatch.setattr(access, "TOKEN_SECONDS", -1)
    assert client.post(f"{page.picture('p000.jpg')}/ok", data={"csrf_token": token}).status_code == 403


def escapes() -> list[str]:
    deep = [way * depth + target for way in ESCAPES for depth in (1, 6) for target in TARGETS]
    return [*deep, "%00", "0" * 16, "0" * 15, "g" * 16, "*", "?" * 16, "[0-9a-f]", "%2f" * 8, ".", "~root"]


def test_no_address_leads_out_of_the_folders(page: Page) -> None:
    (page.site.input / "secret.jpg").write_bytes(b"top secret")
    client = page.as_user("admin")
    folder, picture = page.folder(), page.picture("p000.jpg")
    shapes = [
        PREFIX + "/folders/{}", folder + "/pictures/{}", folder + "/pictures/{}/masked", picture + "/{}",
        PREFIX + "/static/{}", PREFIX + "/runs/{}", PREFIX + "/review?folder={}", PREFIX + "/review?run={}",
    ]  # fmt: skip
    tried = 0
    for shape, escape in itertools.product(shapes, escapes()):
        answer = client.get(shape.format(escape))
        tried += 1
        for secret in (b"root:", b"top secret", b"looked at the original", b"model_type", b"\xff\xd8"):
            assert secret not in answer.content, (shape, escape)
        if answer.status_code == 200:  # an address of our own after all, as "//" or "." or "?" make one
            assert b"<!doctype html>" in answer.content or answer.headers["content-type"].startswith(
                ("image/webp", "text/")
            )
    assert tried >= 100


def test_links_out_of_the_folders_are_not_followed(page: Page) -> None:
    outside = page.site.root / "outside.jpg"
    outside.write_bytes(capture(0, "p000.jpg"))
    places = [page.site.output, page.site.input, page.site.archive]
    for base in places:
        path = base / FOLDER / "p000.jpg"
        path.unlink()
        path.symlink_to(outside)
    client = page.as_user("admin")
    for file in ("small", "large", "masked", "original"):
        assert client.get(f"{page.picture('p000.jpg')}/{file}").status_code == 404, file


def test_links_within_the_folders_are_not_followed(page: Page) -> None:
    for base in (page.site.output, page.site.input, page.site.archive):
        path = base / FOLDER / "p000.jpg"
        path.rename(base / "moved.jpg")
        path.symlink_to(base / "moved.jpg")
    client = page.as_user("admin")
    for file in ("small", "large", "masked", "original"):
        assert client.get(f"{page.picture('p000.jpg')}/{file}").status_code == 404, file


def test_a_folder_that_is_a_link_leads_nowhere(page: Page) -> None:
    elsewhere = page.site.root / "elsewhere"
    (page.site.output / FOLDER).rename(elsewhere)
    (page.site.output / FOLDER).symlink_to(elsewhere)
    assert page.as_user("viewer").get(f"{page.picture('p000.jpg')}/small").status_code == 404


def test_what_is_no_masked_picture_of_ours_is_not_shown(page: Page) -> None:
    path = page.site.output / FOLDER / "p000.jpg"
    path.write_bytes(capture(0, "p000.jpg"))  # the original itself
    client = page.as_user("viewer")
    for file in ("small", "large", "masked"):
        assert client.get(f"{page.picture('p000.jpg')}/{file}").status_code == 404, file
    path.write_bytes((page.site.output / FOLDER / "p001.jpg").read_bytes())  # another masked picture
    assert client.get(f"{page.picture('p000.jpg')}/masked").status_code == 404


def test_a_state_that_names_a_folder_elsewhere_is_not_believed(page: Page) -> None:
    place = next((page.site.state / "folders").glob("*/folder.json"))
    place.write_text(json.dumps({"folder": "../../etc"}))
    assert page.as_user("admin").get(page.folder()).status_code == 404


def test_every_look_at_an_original_is_written_down_first(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    caplog.set_level("INFO")
    answer = page.as_user("admin").get(f"{page.picture('p001.jpg')}/original")
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == "no-store"
    lines = (page.site.state / "audit" / "originals.jsonl").read_text().split()
    assert len(lines) >= 1
    said = json.loads("".join((page.site.state / "audit" / "originals.jsonl").read_text().splitlines()[-1:]))
    assert (said["by"], said["did"], said["picture"]) == ("admin", "looked at the original", f"{FOLDER}/p001.jpg")
    assert f"admin looked at the original {FOLDER}/p001.jpg" in caplog.text
    with create_session() as session:
        query = select(Log.owner, Log.extra).where(Log.event == "anonymisation: looked at the original")
        assert ("admin", f"{FOLDER}/p001.jpg") in [tuple(row) for row in session.execute(query)]
    assert "p001.jpg" in page.as_user("admin").get(f"{PREFIX}/audit").text
    assert page.as_user("viewer").get(f"{page.picture('p001.jpg')}/original").status_code == 403


def test_an_original_whose_look_cannot_be_written_down_is_not_shown(page: Page) -> None:
    (page.site.state / "audit").write_text("in the way")
    assert page.as_user("admin").get(f"{page.picture('p001.jpg')}/original").status_code == 503


def test_an_original_comes_from_the_archive_when_it_was_released_and_only_whole(page: Page) -> None:
    client = page.as_user("admin")
    (page.site.input / FOLDER / "p001.jpg").unlink()
    assert client.get(f"{page.picture('p001.jpg')}/original").status_code == 200
    (page.site.archive / FOLDER / "p001.jpg").write_bytes(capture(8))
    assert client.get(f"{page.picture('p001.jpg')}/original").status_code == 404


def test_with_another_auth_manager_originals_need_a_permission_of_their_own(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    from anonymisation_airflow.operations.web import access

    class Manager:
        """As FAB's: whoever may read the custom view of that name."""

        def __getattr__(self, name: str) -> Any:
            return getattr(get_auth_manager(), name)

        def is_authorized_custom_view(self, *, method: str, resource_name: str, user: Any) -> bool:
            return (method, resource_name, user.get_id()) == ("GET", "Anonymisation originals", "viewer")

    monkeypatch.setattr(access, "get_auth_manager", Manager)
    assert page.as_user("viewer").get(f"{page.picture('p001.jpg')}/original").status_code == 200
    assert page.as_user("admin").get(f"{page.picture('p001.jpg')}/original").status_code == 403


def test_every_answer_carries_the_headers(page: Page) -> None:
    client = page.as_user("admin")
    for path in (
        f"{PREFIX}/",
        page.folder(),
        f"{page.picture('p000.jpg')}/small",
        f"{PREFIX}/nothing",
        page.folder() + "x",
    ):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] in {"no-store", "private, max-age=300"}
    assert page.as_user("anonymous").get(f"{PREFIX}/").headers["cache-control"] == "no-store"


def test_there_is_no_inline_script_or_style(page: Page, night: str, things: dict[str, str]) -> None:
    client = page.as_user("admin")
    for method, path in routes():
        if method == "GET" and not path.endswith("/print"):  # has a policy of its own, with the digest of its style
            text = client.get(address(page, path, things, night)).text.lower()
            assert "<style" not in text
            assert " style=" not in text
            assert " onclick" not in text
            assert "<script>" not in text
            assert "https://" not in text
