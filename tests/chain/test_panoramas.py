"""A 360° picture goes through the chain: what stands at the seam is hidden on both sides, and counted once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.chain.mask import mask_folder
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.imaging.xmp import read_xmp
from anonymisation.workspace.folder_state import read_detections
from tests.captures import FOLDER, Site
from tests.imaging.builders import jpeg
from tests.imaging.test_panorama import GPANO, packet, with_xmp
from tests.masking.panoramas.drawing import GREEN, GreenDetector, with_discs

HEIGHT, WIDTH = 250, 500  # too small to count as a panorama by its aspect
NUMBERS = {
    "ProjectionType": "equirectangular",
    "FullPanoWidthPixels": str(WIDTH),
    "FullPanoHeightPixels": str(HEIGHT),
    "CroppedAreaImageWidthPixels": str(WIDTH),
    "CroppedAreaImageHeightPixels": str(HEIGHT),
    "CroppedAreaLeftPixels": "0",
    "CroppedAreaTopPixels": "0",
}
DISCS = ((180.0, -3.0, 12.0), (30.0, -60.0, 14.0))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def panorama(numbers: dict[str, str] | None) -> tuple[bytes, NDArray[np.bool_]]:
    """A JPEG with two objects, one at the seam and one close to the car, and where they are."""
    pixels, where = with_discs(HEIGHT, WIDTH, *DISCS)
    data = jpeg(pixels)
    return data if numbers is None else with_xmp(data, packet(GPANO, numbers)), where


def masked(site: Site, data: bytes, **settings: Any) -> tuple[NDArray[np.uint8], list[dict[str, Any]], Path]:
    """The masked picture, its detections in the state, and its file."""
    site.put("p.jpg", data)
    workspace = site.workspace(mask_color=[0, 0, 255], blur=None, remote_json=True, **settings)
    report = mask_folder(workspace, FOLDER, GreenDetector)
    assert (report.masked, report.failed) == (1, 0)
    path = site.output / FOLDER / "p.jpg"
    found = read_detections(workspace.shares.state, FOLDER)["p.jpg"]["detections"]
    return decode_jpeg(path.read_bytes()).pixels, found, path


def visible(pixels: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """The share of the objects' pixels that are still green."""
    return float(np.all(np.abs(pixels.astype(int) - GREEN) < 60, axis=2)[where].mean())


@pytest.mark.parametrize("settings", [{}, {"image_type": "360", "record_form": 2022}], ids=["gpano", "image type"])
def test_both_sides_of_the_seam_are_hidden_and_the_object_counts_once(site: Site, settings: dict[str, Any]) -> None:
    data, where = panorama(None if settings else NUMBERS)
    pixels, found, path = masked(site, data, **settings)
    assert visible(pixels, where) == 0
    at_seam = [one for one in found if "beyond" in one]
    assert len(found) == 2
    assert len(at_seam) == 1
    assert min(at_seam[0]["box"][1], at_seam[0]["beyond"][1]) == 0
    record = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert record["detekterte_objekter"] == {"person": "2"}
    if not settings:
        kept = read_xmp(path.read_bytes()).panorama
        assert kept is not None
        assert kept.values["FullPanoWidthPixels"] == WIDTH


def test_a_panorama_that_is_searched_as_a_flat_picture(site: Site) -> None:
    """The setting has an effect, and the test above a reason: the flat picture shows the detector what is bent."""
    data, where = panorama(NUMBERS)
    pixels, found, _ = masked(site, data, panorama_views=False)
    assert found == []
    assert visible(pixels, where) > 0.9
