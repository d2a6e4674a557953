"""The page of a panorama shows its masked picture in views without distortion, too."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from anonymisation.chain.mask import mask_folder
from tests.captures import FOLDER
from tests.imaging.builders import jpeg
from tests.masking.panoramas.drawing import GreenDetector, with_discs
from tests.plugins.operations.conftest import Page, words


@pytest.fixture
def panorama(page: Page) -> str:
    """The address of a panorama with an object at the seam, in a folder of its own."""
    pixels, _ = with_discs(512, 1024, (180.0, -3.0, 12.0))
    page.site.put("round.jpg", jpeg(pixels), f"{FOLDER}_360")
    settings = {"mask_color": [0, 0, 255], "blur": None, "remote_mask": True, "remote_json": True}
    report = mask_folder(page.site.workspace(**settings), f"{FOLDER}_360", GreenDetector)
    assert report.masked == 1
    return page.picture("round.jpg", f"{FOLDER}_360")


def test_every_view_that_is_listed_can_be_shown(page: Page, panorama: str) -> None:
    client = page.as_user("viewer")
    text = client.get(panorama).text
    listed = re.findall(r'<option value="(\d+)">([^<]+)</option>', text)
    assert [name for _, name in listed][:2] == ["seam", "ahead, 45° down"]
    assert {"ahead", "300° to the right", "240° to the right, 45° up"} <= {*dict(listed).values()}
    for number, name in listed[:3]:
        answer = client.get(f"{panorama}?view={number}")
        assert f"view {name}" in answer.text
        assert f"/views/{number}" in answer.text
        assert 'id="boxes"' not in answer.text
        assert 'id="mark"' not in page.as_user("operator").get(f"{panorama}?view={number}").text
        image = client.get(f"{panorama}/views/{number}")
        assert image.headers["content-type"] == "image/webp"
        assert client.get(f"{panorama}/views/{number}").content == image.content  # from the cache


def test_the_view_of_the_seam_shows_the_hidden_object_in_one_piece(page: Page, panorama: str) -> None:
    data = page.as_user("viewer").get(f"{panorama}/views/0").content
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert pixels.shape[:2] == (512, 128)
    blue = (pixels[:, :, 2] > 150) & (pixels[:, :, 0] < 100)
    assert blue[250:270, 40:88].all()
    assert not (pixels[:, :, 1] > 180).any()  # nothing green is left


def test_the_whole_panorama_shows_both_boxes_of_the_object(page: Page, panorama: str) -> None:
    text = page.as_user("viewer").get(panorama).text
    assert text.count('<rect class="c-person"') == 2
    assert "Detections 1" in words(text)


@pytest.mark.parametrize("number", ["99", "16", "-1", "x"])
def test_a_view_that_does_not_exist(page: Page, panorama: str, number: str) -> None:
    client = page.as_user("viewer")
    assert client.get(f"{panorama}/views/{number}").status_code in (404, 422)
    assert client.get(f"{panorama}?view={number}").status_code in (404, 422)


def test_flat_pictures_have_no_views(page: Page) -> None:
    client = page.as_user("viewer")
    assert 'name="view"' not in client.get(page.picture("p000.jpg")).text
    assert client.get(f"{page.picture('p000.jpg')}/views/0").status_code == 404
