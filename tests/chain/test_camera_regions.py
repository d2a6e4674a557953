"""Fixed regions in the chain: hidden in the published picture and its mask, not counted, and part of what is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymisation.chain.run import run_folder
from anonymisation.core.errors import ConfigurationError, ShareUnavailableError
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.imaging.mask_file import decode_mask
from anonymisation.masking.detections import Detections
from anonymisation.masking.fixed_regions import FixedRegions
from anonymisation.metadata.record import record_from_json
from anonymisation.workspace.camera_regions import FILE_NAME, Rule, draw_region, read_drawn, remove_region
from anonymisation.workspace.folder_state import read_pictures
from tests.captures import CAR_BOX, FILL, FOLDER, HEIGHT, WIDTH, CountingDetector, Site, capture

BONNET = [[0, 1], [0, 0.8], [1, 0.8], [1, 1]]
MIRROR = [[0.7, 0.0], [0.95, 0.0], [0.95, 0.2], [0.7, 0.2]]
SETTINGS: dict[str, Any] = {
    "remote_json": True, "remote_mask": True, "mask_color": list(FILL), "blur": None, "mask_dilation_pixels": 0,
}  # fmt: skip
ON_BONNET = Detections.of([CAR_BOX, (0.85, 0.1, 0.99, 0.9)], [0.9, 0.8], [3, 3])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(1)
    return site


def masked(site: Site, found: Detections = ON_BONNET, **settings: Any) -> tuple[Any, Any, dict[str, str]]:
    """Mask the picture; returns its pixels, its mask and the objects of its record."""
    workspace = site.workspace(**{**SETTINGS, **settings})
    assert run_folder(workspace, FOLDER, CountingDetector(found)).succeeded
    place = site.output / FOLDER / "p000.jpg"
    record = record_from_json(place.with_suffix(".json").read_bytes())
    mask = decode_mask(place.with_suffix(".webp").read_bytes(), max_pixels=HEIGHT * WIDTH)
    return decode_jpeg(place.read_bytes()).pixels, mask, record["detekterte_objekter"]


def part(values: Any, box: Any) -> Any:
    """The inner part of a rectangle that is given by its corners."""
    x, y = np.array(box).T
    rows = slice(int(y.min() * HEIGHT) + 2, int(y.max() * HEIGHT) - 2)
    return values[rows, int(x.min() * WIDTH) + 2 : int(x.max() * WIDTH) - 2]


def test_what_is_found_on_the_bonnet_alone_is_neither_hidden_nor_counted(site: Site) -> None:
    assert masked(site)[2] == {"car": "2"}
    _, mask, objects = masked(site, camera_regions=[{"ignore": [BONNET]}], force_remask=True)
    assert objects == {"car": "1"}
    assert not part(mask, BONNET).any()


def test_a_hidden_region_is_hidden_in_picture_and_mask_and_not_counted(site: Site) -> None:
    pixels, mask, objects = masked(site, Detections.empty(), camera_regions=[{"hide": [MIRROR]}])
    assert part(mask, MIRROR).all()
    assert np.abs(part(pixels, MIRROR).astype(int) - np.array(FILL)).max() < 12
    assert objects == {}


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_regions_are_those_of_the_upright_picture(site: Site, orientation: int) -> None:
    site.put("p000.jpg", capture(0, "p000.jpg", orientation=orientation))
    _, mask, _ = masked(site, Detections.empty(), camera_regions=[{"hide": [BONNET]}])
    turned = {3: np.rot90(mask, 2), 6: np.rot90(mask, -1), 8: np.rot90(mask, 1)}[orientation]
    height = turned.shape[0]
    assert turned[int(0.8 * height) + 2 :].all()
    assert not turned[: int(0.8 * height) - 2].any()


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"folders": FOLDER}, True),
        ({"folders": "Til*"}, True),
        ({"folders": "2099/*"}, False),
        ({"camera": "Ladybug5"}, False),
    ],
)
def test_a_rule_holds_in_its_folders_and_for_its_camera(site: Site, rule: dict[str, str], holds: bool) -> None:
    _, mask, _ = masked(site, Detections.empty(), camera_regions=[{**rule, "hide": [MIRROR]}])
    assert part(mask, MIRROR).any() == holds


def test_drawn_regions_hold_until_they_are_removed_and_change_what_is_known(site: Site) -> None:
    masked(site, Detections.empty())
    plain = read_pictures(site.state, FOLDER)["p000.jpg"].digest
    region = draw_region(site.state, MIRROR, folders="*", camera="", hide=True, by="kari", note="  the  mirror ")
    _, mask, _ = masked(site, Detections.empty(), force_remask=True)
    assert part(mask, MIRROR).all()
    assert read_pictures(site.state, FOLDER)["p000.jpg"].digest != plain
    remove_region(site.state, region.id, "ola")
    _, mask, _ = masked(site, Detections.empty(), force_remask=True)
    assert not part(mask, MIRROR).any()
    assert read_pictures(site.state, FOLDER)["p000.jpg"].digest == plain
    (kept,) = read_drawn(site.state)
    assert (kept.note, kept.by, kept.removed_by) == ("the mirror", "kari", "ola")
    with pytest.raises(LookupError):
        remove_region(site.state, region.id, "ola")


def test_nothing_is_published_while_the_drawn_regions_cannot_be_read(site: Site) -> None:
    site.state.mkdir(exist_ok=True)
    (site.state / FILE_NAME).mkdir()
    report = run_folder(site.workspace(**SETTINGS), FOLDER, CountingDetector())
    assert not report.succeeded
    assert not (site.output / FOLDER / "p000.jpg").exists()
    with pytest.raises(ShareUnavailableError):
        read_drawn(site.state)


@pytest.mark.parametrize(
    "wrong",
    [
        [{"hide": [[[0, 0], [1, 1]]]}],
        [{"hide": [[[0, 0], [0.5, 0.5], [1, 1]]]}],
        [{"hide": [[[0, 0], [2, 0], [1, 1]]]}],
        [{"hidden": []}],
        "all",
        {"hide": []},
    ],
)
def test_what_is_no_region_is_refused_at_the_start(site: Site, wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="camera_regions: expected a list of mappings"):
        site.workspace(camera_regions=wrong)


@pytest.mark.parametrize(
    ("pattern", "folder", "holds"),
    [
        ("2021/E6 [old]", "2021/E6 [old]", True),
        ("2021/E6 [old]/", "2021/E6 [old]/F1", True),
        ("2021/E6/", "2021/E6", True),
        ("2021/E6", "2021/E60", False),
        ("2021/*", "2021/a/b", True),
    ],
)
def test_the_name_of_a_folder_is_a_pattern_of_it(pattern: str, folder: str, holds: bool) -> None:
    assert Rule(pattern, "", FixedRegions()).matches(folder) == holds
