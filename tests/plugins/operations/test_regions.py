"""Fixed regions on the page: drawn on a picture, shown on the next one of the folder, and removed."""

from __future__ import annotations

import re
from typing import Any

from anonymisation.files.digests import name_digest
from anonymisation.workspace.camera_regions import draw_region, read_drawn
from tests.captures import FOLDER
from tests.plugins.operations.conftest import PREFIX, Page, words

CORNER = [[0.0, 0.8], [0.5, 1.0], [0.0, 1.0]]


def shown(page: Page, client: Any) -> str:
    """The page of regions over a picture."""
    query = {"folder": page.folder().rpartition("/")[2], "picture": name_digest("p000.jpg")}
    answer = client.get(f"{PREFIX}/regions", params=query)
    assert answer.status_code == 200
    return str(answer.text)


def outlines(text: str) -> list[tuple[str, str]]:
    """The class and the corners of every polygon over the picture."""
    return [(kind, corners.strip()) for kind, corners in re.findall(r'<polygon class="(\w+)" points="([^"]*)"', text)]


def test_a_region_is_drawn_shown_on_the_picture_and_removed(page: Page) -> None:
    client = page.as_user("operator")
    text = shown(page, client)
    assert "No region is in force." in words(text)
    assert outlines(text) == []
    token = text.partition('name="csrf_token" value="')[2].partition('"')[0]
    corners = "0, 80\n50, 100\n0, 100"
    form = {"corners": corners, "hide": "false", "folders": FOLDER, "camera": "Ladybug5", "csrf_token": token}
    assert client.post(f"{PREFIX}/regions", data=form).status_code == 303
    text = shown(page, client)
    assert outlines(text) == [("ignore", "0.0,80.0 50.0,100.0 0.0,100.0")]
    assert "never searched" in words(text)
    (region,) = read_drawn(page.site.state)
    answer = client.post(f"{PREFIX}/regions/{region.id}/remove", data={"csrf_token": token})
    assert answer.status_code == 303
    text = shown(page, client)
    assert outlines(text) == []
    assert "removed by operator" in words(text)


def test_regions_of_other_folders_are_listed_and_not_outlined(page: Page) -> None:
    where = {"camera": "", "hide": True, "by": "kari", "note": ""}
    draw_region(page.site.state, CORNER, folders="2099/*", **where)  # type: ignore[arg-type]
    draw_region(page.site.state, CORNER, folders="*", **where)  # type: ignore[arg-type]
    text = shown(page, page.as_user("viewer"))
    assert "2099/*" in text
    assert outlines(text) == []  # viewers draw nothing, so no picture is shown
    assert [kind for kind, _ in outlines(shown(page, page.as_user("operator")))] == ["hide"]
