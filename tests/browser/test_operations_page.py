"""The page in Airflow's UI, as operators meet it: opened, read, drawn on, and refused to those who may not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.review.store import read_reviews
from tests.browser.conftest import PATIENCE, Deployment, expect
from tests.browser.prepare import BROKEN, FOLDER, LARGE, RUN_ID

pytestmark = pytest.mark.timeout(600)
DAG_ID = "anonymise_captures"
FILL = np.array([0, 0, 255])
PICTURE = re.compile(r"/pictures/[0-9a-f]{16}")


def open_picture(airflow: Deployment, user: str, name: str, folder: str = FOLDER) -> Any:
    """The page of a picture, reached through the list of folders and the gallery."""
    window = airflow.as_user(user)
    window.goto(f"{airflow.page}/folders")
    window.get_by_role("link", name=folder).click()
    window.get_by_role("link", name=re.compile(f"masked picture {name}")).click()
    # Until it is loaded: what is pressed before its script has run is lost, and the page before has headings, too.
    window.wait_for_url(PICTURE)
    return window


def expect_shown(picture: Any) -> None:
    """Wait until an `img` shows a picture. The page's policy refuses what would evaluate an expression again and
    again, as `wait_for_function` does; a property is asked for without."""
    expect(picture).not_to_have_js_property("naturalWidth", 0)


def mark_region(window: Any) -> None:
    """Give a region by its edges, and wait until it is hidden."""
    for edge, value in {"left": 60, "top": 0, "right": 90, "bottom": 20}.items():
        window.get_by_label(edge).fill(str(value))
    with window.expect_navigation(url=re.compile("said=hidden")):  # a new one: the address may say so already
        window.get_by_role("button", name="Mask this region").click()
    window.get_by_text("The region is hidden now").wait_for()


def filled(path: Path, left: float, top: float, right: float, bottom: float) -> float:
    """How far, in levels, the inner part of a region is from the fill."""
    pixels = decode_jpeg(path.read_bytes()).pixels.astype(int)
    height, width = pixels.shape[:2]
    rows = slice(int((top + 0.02) * height), int((bottom - 0.02) * height))
    return float(np.abs(pixels[rows, int((left + 0.02) * width) : int((right - 0.02) * width)] - FILL).mean())


def test_the_item_of_the_navigation_opens_the_nights(airflow: Deployment) -> None:
    window = airflow.as_user("viewer")
    window.goto(airflow.stack.url, wait_until="domcontentloaded")
    window.locator("a[href$='/plugin/operations']").click()
    frame = window.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Nights")
    expect(frame.get_by_role("row")).to_have_count(2)
    frame.get_by_role("row").nth(1).get_by_role("link").click()
    expect(frame.get_by_role("heading", level=1)).to_contain_text("Run of")
    expect(frame.locator(".failures")).to_contain_text("broken.jpg")
    assert airflow.stack.api.call("GET", "plugins/importErrors")["import_errors"] == []


def test_the_tab_of_a_run_shows_its_folders_and_leads_to_the_log(airflow: Deployment) -> None:
    window = airflow.as_user("viewer")
    window.goto(f"{airflow.stack.url}/dags/{DAG_ID}/runs/{RUN_ID}", wait_until="domcontentloaded")
    window.locator("a[href$='/plugin/anonymisation']").click()
    frame = window.frame_locator("iframe")
    rows = frame.get_by_role("row")
    expect(rows.filter(has_text=FOLDER).locator(".pill")).to_have_text("done")
    expect(rows.filter(has_text=BROKEN).locator(".pill")).to_have_text("failed")
    # The script that opens the link in the window around the frame runs when the frame is read to its end.
    frame.locator("html[data-theme]").wait_for()
    frame.get_by_role("link", name=f"Task log of {BROKEN}").click()
    window.wait_for_url(re.compile(r"/tasks/folder\.release"), wait_until="commit")


def test_a_folder_of_100_000_pictures_is_paged_through(airflow: Deployment) -> None:
    window = airflow.as_user("viewer")
    window.goto(f"{airflow.page}/folders")
    window.get_by_role("link", name=LARGE).click()
    expect(window.get_by_role("status")).to_contain_text("100\u202f000 of 100\u202f000")
    for last in (False, True):
        if last:
            window.get_by_label("Go to page").fill("1667")
            window.get_by_role("button", name="Go").click()
            window.get_by_text("p099999.jpg").wait_for()
        expect(window.locator(".gallery img")).to_have_count(40 if last else 60)
        for picture in window.locator(".gallery img").all():
            picture.scroll_into_view_if_needed()
            expect_shown(picture)
    window.get_by_label("Class").select_option("bus")
    window.get_by_label("Score").select_option("0.3")
    window.get_by_label("Score").select_option("0.4")
    window.get_by_role("button", name="Show").click()
    window.wait_for_url(re.compile(r"below=0\.4"))
    shown = int(re.sub(r"\D", "", window.get_by_role("status").inner_text().split("of")[0]))
    assert 3_000 < shown < 20_000


def test_a_region_drawn_with_the_mouse_is_hidden(airflow: Deployment) -> None:
    window = open_picture(airflow, "operator", "p001.jpg")
    masked = airflow.output / FOLDER / "p001.jpg"
    assert filled(masked, 0.6, 0.05, 0.9, 0.2) > 30
    room = window.locator("#canvas").bounding_box()
    window.mouse.move(room["x"] + 0.6 * room["width"], room["y"] + 0.05 * room["height"])
    window.mouse.down()
    window.mouse.move(room["x"] + 0.8 * room["width"], room["y"] + 0.1 * room["height"])
    window.mouse.move(room["x"] + 0.9 * room["width"], room["y"] + 0.2 * room["height"])
    window.mouse.up()
    assert float(window.get_by_label("left").input_value()) == pytest.approx(60, abs=0.5)
    with window.expect_navigation(url=re.compile("said=hidden")):  # a new one: the address may say so already
        window.get_by_role("button", name="Mask this region").click()
    window.get_by_text("The region is hidden now").wait_for()
    assert filled(masked, 0.6, 0.05, 0.9, 0.2) < 8
    shown = window.evaluate(
        """async () => {
            const picture = document.getElementById('picture');
            await picture.decode();
            const canvas = new OffscreenCanvas(100, 100);
            const context = canvas.getContext('2d');
            context.drawImage(picture, 0, 0, 100, 100);
            return [...context.getImageData(75, 12, 1, 1).data].slice(0, 3);
        }"""
    )
    assert np.abs(np.array(shown) - FILL).max() < 40
    expect(window.locator("#boxes .c-added")).to_have_count(1)


def test_a_region_is_drawn_with_the_keyboard_alone(airflow: Deployment) -> None:
    window = open_picture(airflow, "operator", "p002.jpg")
    masked = airflow.output / FOLDER / "p002.jpg"
    window.keyboard.press("b")
    for key, times in (("Control+ArrowUp", 16), ("Control+ArrowRight", 10), ("Shift+ArrowRight", 20), ("ArrowLeft", 4)):
        for _ in range(times):
            window.keyboard.press(key)
    edges = [float(window.get_by_label(edge).input_value()) for edge in ("left", "top", "right", "bottom")]
    assert edges == [63, 0, 93, 20]
    window.keyboard.press("Enter")
    window.get_by_text("The region is hidden now").wait_for()
    assert filled(masked, 0.63, 0.0, 0.93, 0.2) < 8
    assert read_reviews(airflow.state, FOLDER)["p002.jpg"].by == "operator"


def test_a_region_is_given_by_its_edges_without_scripts(airflow: Deployment) -> None:
    signed_in = airflow.as_user("operator").context.storage_state()
    context = airflow.as_user("operator").context.browser.new_context(
        java_script_enabled=False, storage_state=signed_in
    )
    context.set_default_timeout(PATIENCE)
    window = context.new_page()
    window.goto(f"{airflow.page}/folders")
    window.get_by_role("link", name=FOLDER).click()
    window.get_by_role("link", name=re.compile("masked picture p003.jpg")).click()
    mark_region(window)
    assert filled(airflow.output / FOLDER / "p003.jpg", 0.6, 0, 0.9, 0.2) < 8


def test_a_region_is_withdrawn_with_the_keyboard_alone(airflow: Deployment) -> None:
    window = open_picture(airflow, "operator", "p000.jpg", BROKEN)
    mark_region(window)
    masked = airflow.output / BROKEN / "p000.jpg"
    published = masked.read_bytes()
    window.get_by_text("Withdraw region 1…").focus()
    expect(window.locator("#region-0")).to_have_class(re.compile("chosen"))
    window.keyboard.press("Enter")
    expect(window.get_by_text("The region stays hidden in the published picture")).to_be_visible()
    window.keyboard.press("Tab")
    expect(window.get_by_label("Reason")).to_be_focused()
    window.keyboard.type("It is a sign, not a face")
    window.keyboard.press("Enter")
    window.wait_for_url(re.compile("said=withdrawn"))
    window.get_by_text("Nothing is uncovered by that").wait_for()
    window.get_by_text("Still hidden in the published picture").wait_for()
    window.get_by_text("Withdrawn by operator").wait_for()
    expect(window.get_by_text("Withdraw region 1…")).to_have_count(0)
    expect(window.locator("#boxes .c-withdrawn")).to_have_count(1)
    assert masked.read_bytes() == published
    review = read_reviews(airflow.state, BROKEN)["p000.jpg"]
    assert (review.active, review.remaining) == ((), frozenset({0}))


def test_the_queue_leads_from_picture_to_picture(airflow: Deployment) -> None:
    window = airflow.as_user("operator")
    window.goto(f"{airflow.page}/folders")
    window.get_by_role("link", name=FOLDER).click()
    window.get_by_role("link", name="Review the least certain").click()
    window.wait_for_url(re.compile("/review"))
    before = window.locator(".queue li").count()
    window.locator(".queue a").first.click()
    window.wait_for_url(PICTURE)
    name = window.get_by_role("heading", level=1).inner_text()
    window.get_by_role("button", name="Ok, nothing is missing").click()
    window.get_by_text("Recorded as ok").wait_for()
    expect(window.get_by_role("heading", level=1)).not_to_have_text(name)
    assert read_reviews(airflow.state, FOLDER)[name].ok
    window.get_by_role("link", name="Back to the queue").click()
    expect(window.locator(".queue li")).to_have_count(before - 1)


def test_only_administrators_see_before_and_after(airflow: Deployment) -> None:
    window = open_picture(airflow, "admin", "p000.jpg")
    window.get_by_role("link", name="Before and after").click()
    expect(window.locator("img")).to_have_count(2)
    for shown in window.locator("img").all():
        expect_shown(shown)
    address = window.url
    window.get_by_role("link", name="Audit").click()
    expect(window.get_by_role("row").nth(1)).to_contain_text(f"{FOLDER}/p000.jpg")

    window = open_picture(airflow, "viewer", "p000.jpg")
    assert window.get_by_role("link", name="Before and after").count() == 0
    assert window.get_by_role("button", name="Mask this region").count() == 0
    for path in (address, address.replace("/compare", "/original"), f"{airflow.page}/audit"):
        answer = window.goto(path)
        assert answer.status == 403
        assert "administrators" in window.content()


def test_a_page_of_another_site_changes_nothing(airflow: Deployment) -> None:
    window = open_picture(airflow, "operator", "p004.jpg")
    action = window.locator("#mark").evaluate("(form) => form.action")
    token = window.locator("#mark input[name=csrf_token]").input_value()
    fields = "".join(
        f'<input name="{edge}" value="{10 + 10 * n}">' for n, edge in enumerate(("top", "left", "bottom", "right"))
    )
    html = f'<form method="post" action="{action}">{fields}<input name="csrf_token" value="{token}"></form>'
    window.route("http://evil.example/**", lambda route: route.fulfill(body=html, content_type="text/html"))
    window.goto("http://evil.example/")
    with window.expect_response(lambda answer: answer.url == action) as answer:
        window.evaluate("document.forms[0].submit()")
    assert answer.value.status in {401, 403}
    assert "p004.jpg" not in read_reviews(airflow.state, FOLDER)


def test_nothing_is_shown_without_signing_in(airflow: Deployment) -> None:
    window = airflow.as_user("nobody")
    assert window.goto(f"{airflow.page}/folders").status == 401
    assert "Unauthorized" in window.content()
    assert FOLDER not in window.content()


def _regions(picture: str) -> str:
    """The page of fixed regions, with the form that draws one on this picture."""
    folder, _, name = picture.partition("?")[0].rpartition("/folders/")[2].partition("/pictures/")
    return f"/regions?folder={folder}&picture={name}"


def test_no_page_is_wider_than_a_telephone(airflow: Deployment) -> None:
    window = open_picture(airflow, "admin", "p005.jpg")
    gallery, _, picture = window.url.removeprefix(airflow.page).partition("/pictures/")
    pages = ["/", f"/runs/{RUN_ID}", "/folders", gallery, f"{gallery}/pictures/{picture}"]
    window.set_viewport_size({"width": 390, "height": 844})
    try:
        for path in (*pages, "/review", "/certificates", "/comparisons", "/audit"):
            window.goto(airflow.page + path)
            assert window.evaluate("document.documentElement.scrollWidth") == 390, path
    finally:
        window.set_viewport_size({"width": 1400, "height": 900})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_accessible(airflow: Deployment, theme: str) -> None:
    """By axe-core, all its rules for WCAG 2.1 A and AA, contrast among them."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    window = open_picture(airflow, "admin", "p005.jpg")
    window.emulate_media(color_scheme=theme)
    picture = window.url
    mark_region(window)
    mark_region(window)
    first = window.locator("details").first
    first.locator("summary").click()
    first.get_by_label("Reason").fill("It is a sign")
    first.get_by_role("button").click()
    window.wait_for_url(re.compile("said=withdrawn"))
    gallery = picture.partition("/pictures/")[0]
    pages = ["/", f"/runs/{RUN_ID}", "/folders", "/review", "/certificates", "/comparisons", "/audit"]
    pages.append(_regions(picture))
    for address in (*(airflow.page + path for path in pages), gallery, picture, f"{picture.partition('?')[0]}/compare"):
        window.goto(address)
        found = axe.run(window, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
        assert found.violations_count == 0, f"{address}\n{found.generate_report()}"
