"""A reviewer certifies pictures in a real browser, with the keyboard alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from click.testing import CliRunner

from anonymisation.cli.app import cli
from anonymisation.review.certificate.store import known_ids, read_certificate, read_judgements
from anonymisation.review.store import read_reviews
from tests.browser.conftest import Deployment, expect
from tests.browser.prepare import FOLDER

pytestmark = pytest.mark.timeout(600)


def press(window: Any, key: str) -> None:
    """Press a key once the picture has been on the screen for a while: before, a judgement does not count."""
    window.wait_for_load_state("load")
    window.wait_for_timeout(500)
    window.keyboard.press(key)


def draw(airflow: Deployment, window: Any, title: str) -> str:
    """Draw a sample of six pictures with the keyboard, and open the first; returns the ID."""
    window.goto(f"{airflow.page}/certificates")
    plan = {"Folders": FOLDER, "Title": title, "Bound, %": "10", "Second reviewer, %": "0"}
    for label, value in plan.items():
        window.get_by_label(label).fill(value)
    before = set(known_ids(airflow.state))
    window.get_by_label("Title").press("Enter")
    window.get_by_role("link", name="Judge the next picture").press("Enter")
    expect(window.get_by_role("heading", name="Picture 1 of")).to_be_visible()
    return (set(known_ids(airflow.state)) - before).pop()


def test_a_sample_is_judged_with_the_keyboard_alone(airflow: Deployment) -> None:
    window = airflow.as_user("operator")
    identity = draw(airflow, window, "First night")
    picture = window.locator("#picture")
    expect(window.get_by_role("heading", name="Picture 1 of 6")).to_be_visible()
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    press(window, "m")
    expect(window.locator("#drawn")).to_be_focused()
    press(window, "ArrowRight")
    press(window, "Enter")
    expect(window.get_by_role("heading", name="Picture 2 of 6")).to_be_visible()
    press(window, "h")
    expect(window.locator("#mistake")).to_be_checked()
    for number in range(3, 7):
        press(window, "n")
        expect(window.get_by_role("heading", name=f"Picture {number} of 6")).to_be_visible()
    press(window, "n")
    window.wait_for_url(re.compile("said=done"))
    window.get_by_role("button", name="Issue the certificate").press("Enter")
    expect(window.get_by_text("The certificate is issued")).to_be_visible()

    lines = read_judgements(airflow.state, identity)
    assert [number for number in range(1, 7) if lines.missed(number)] == [1]
    assert [number for number in range(1, 7) if lines.mistake(number)] == [2]
    certificate = read_certificate(airflow.state, identity)
    assert certificate is not None
    first = certificate["sample"]["pictures"][0]
    (box,) = read_reviews(airflow.state, FOLDER)[first["name"]].boxes
    assert box.number in read_reviews(airflow.state, FOLDER)[first["name"]].hidden
    assert box.box.left == pytest.approx(0.405)

    window.goto(f"{airflow.page}/certificates/{identity}/print")
    expect(window.get_by_text("have something missed")).to_be_visible()
    assert window.locator("h1").evaluate("e => getComputedStyle(e).fontFamily").startswith("system-ui")
    file = airflow.state / "certificates" / identity / "certificate.json"
    places = ["-i", str(airflow.root / "input"), "-o", str(airflow.output), "-k", str(airflow.root / "config.yml")]
    result = CliRunner().invoke(cli, ["certificate", "verify", str(file), *places])
    assert result.exit_code == 0, result.output
    assert "The certificate is valid." in result.output


def test_keys_pressed_twice_judge_no_picture_unseen(airflow: Deployment) -> None:
    window = airflow.as_user("operator")
    identity = draw(airflow, window, "In a hurry")
    press(window, "n")
    for _ in range(12):
        window.keyboard.press("n")
        window.wait_for_timeout(15)
    expect(window.get_by_role("heading", name="Picture 2 of")).to_be_visible()
    assert set(read_judgements(airflow.state, identity).by_number) == {1}


def test_a_picture_that_does_not_come_is_not_judged_by_a_key(airflow: Deployment) -> None:
    window = airflow.as_user("operator")
    identity = draw(airflow, window, "Without pictures")
    window.route("**/image", lambda route: route.abort())
    window.reload()
    press(window, "n")
    window.wait_for_timeout(500)
    assert not read_judgements(airflow.state, identity).by_number
    window.unroute("**/image")


def test_who_goes_back_keeps_the_judgement_or_gives_another(airflow: Deployment) -> None:
    window = airflow.as_user("operator")
    identity = draw(airflow, window, "Second thoughts")
    press(window, "m")
    press(window, "Enter")
    expect(window.get_by_role("heading", name="Picture 2 of")).to_be_visible()
    press(window, "p")
    expect(window.get_by_text("You said: something is missed")).to_be_visible()
    press(window, "f")
    expect(window.get_by_role("heading", name="Picture 2 of")).to_be_visible()
    assert read_judgements(airflow.state, identity).missed(1)
    press(window, "n")
    expect(window.get_by_role("heading", name="Picture 3 of")).to_be_visible()
    window.go_back()  # the browser's own way
    expect(window.get_by_role("heading", name="Picture 2 of")).to_be_visible()
    press(window, "h")
    press(window, "n")
    expect(window.get_by_role("heading", name="Picture 3 of")).to_be_visible()
    assert read_judgements(airflow.state, identity).mistake(2)
