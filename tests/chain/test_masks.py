"""Masks of pictures that are too large for WebP, and masks as the original program wrote them, in every step."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.mask import mask_folder
from anonymisation.chain.release import release_folder
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.imaging.mask_file import decode_mask
from anonymisation.imaging.vp8l import encode_two_colours
from anonymisation.review.apply import remask_folder
from anonymisation.review.images import Size, overlay
from anonymisation.review.model import Box
from anonymisation.review.rows import Row, read_rows
from anonymisation.review.store import add_box
from anonymisation.workspace.expected_files import Bases, compare_folder, expected_places
from anonymisation.workspace.folder_state import state_folder
from tests.captures import FOLDER, CountingDetector, Site, names_below

MASKS: Final[dict[str, Any]] = {
    "archive": True, "remote_mask": True, "local_mask": True, "archive_mask": True, "delete_input": True,
    "remote_json": True, "local_json": True,
}  # fmt: skip
WIDE: Final = 16384  # one column more than WebP takes


def wide(height: int = 24, width: int = WIDE) -> bytes:
    buffer = io.BytesIO()
    gradient = np.linspace(0, 255, width, dtype=np.uint8)
    pixels = np.broadcast_to(gradient[None, :, None], (height, width, 3))
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def complete(site: Site, names: tuple[str, ...]) -> bool:
    """Whether `check-folders` would miss nothing of the folder."""
    bases = Bases(site.input, site.output, site.archive)
    found = {
        share: frozenset(Path(name).name for name in names_below(base))
        for share, base in (("input", site.input), ("output", site.output), ("archive", site.archive))
    }
    settings = site.workspace(**MASKS).settings
    files = [*compare_folder(bases, FOLDER, found, expected_places(settings, bases))]
    return [Path(file.picture).name for file in files] == sorted(names) and all(file.complete for file in files)


def test_a_picture_too_large_for_webp_goes_through_every_step(site: Site) -> None:
    site.fill(1)
    site.put("w.jpg", wide())
    foreign = site.put("w.png", b"\x89PNG, which a camera has put there")
    workspace = site.workspace(**MASKS)
    detector = CountingDetector()
    assert mask_folder(workspace, FOLDER, detector).masked == 2
    for base in (site.input, site.output):
        assert {f"{FOLDER}/p000.webp", f"{FOLDER}/w.mask.png"} < set(names_below(base))
    mask = decode_mask((site.output / FOLDER / "w.mask.png").read_bytes())
    assert mask.shape == (24, WIDE)
    assert 0.02 < mask.mean() < 0.5
    assert archive_folder(workspace, FOLDER).archived == 2
    assert (site.archive / FOLDER / "w.mask.png").read_bytes() == (site.output / FOLDER / "w.mask.png").read_bytes()
    assert check_folder(workspace, FOLDER).gaps == ()
    assert mask_folder(workspace, FOLDER, detector).already_done == 2
    assert detector.calls == 2
    assert release_folder(workspace, FOLDER).released == 2
    assert names_below(site.input) == [f"{FOLDER}/w.png"]
    assert foreign.read_bytes().startswith(b"\x89PNG, which")
    assert complete(site, ("p000.jpg", "w.jpg"))


@pytest.mark.parametrize("place", ["in", "out", "arch"])
@pytest.mark.parametrize("damage", ["gone", "torn", "of another size"])
def test_a_large_mask_that_is_gone_or_damaged_is_found(site: Site, place: str, damage: str) -> None:
    site.put("w.jpg", wide())
    workspace = site.workspace(**MASKS)
    mask_folder(workspace, FOLDER, CountingDetector())
    archive_folder(workspace, FOLDER)
    path = site.root / place / FOLDER / "w.mask.png"
    data = path.read_bytes()
    path.unlink()
    if damage == "torn":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "of another size":
        Image.new("L", (WIDE, 8)).save(path)
    ((where, problem),) = [(gap.place, gap.problem) for gap in check_folder(workspace, FOLDER).gaps]
    assert where == str(path)
    assert {"gone": "is missing", "torn": "does not decode"}.get(
        damage, f"is {WIDE}x8, the picture {WIDE}x24"
    ) in problem
    if place != "in":
        assert release_folder(workspace, FOLDER).released == 0


def test_a_box_is_added_to_a_large_mask_and_shown(site: Site) -> None:
    site.put("w.jpg", wide())
    workspace = site.workspace(**MASKS)
    mask_folder(workspace, FOLDER, CountingDetector())
    archive_folder(workspace, FOLDER)
    before = decode_mask((site.output / FOLDER / "w.mask.png").read_bytes())
    add_box(site.state, FOLDER, "w.jpg", Box(0.0, 0.9, 1.0, 0.99), "kari")
    assert remask_folder(workspace, FOLDER) == ["w.jpg"]
    for base in (site.input, site.output, site.archive):
        mask = decode_mask((base / FOLDER / "w.mask.png").read_bytes())
        assert mask[:, int(0.91 * WIDE) : int(0.98 * WIDE)].all()
        assert (mask >= before).all()
    assert check_folder(workspace, FOLDER).gaps == ()
    with Image.open(io.BytesIO(overlay(workspace, FOLDER, row_of(site, "w.jpg"), Size.LARGE))) as picture:
        assert picture.width == Size.LARGE.value


def row_of(site: Site, name: str) -> Row:
    return next(row for row in read_rows(state_folder(site.state, FOLDER)) if row.name == name)


def test_masks_of_0_and_1_still_count_as_done_and_sound(site: Site) -> None:
    """As the original program and older versions wrote them."""
    site.fill(2)
    workspace = site.workspace(**MASKS)
    detector = CountingDetector()
    mask_folder(workspace, FOLDER, detector)
    for base in (site.input, site.output):
        for path in (base / FOLDER).glob("*.webp"):
            path.write_bytes(encode_two_colours(decode_mask(path.read_bytes()), (0, 1)))
    assert mask_folder(workspace, FOLDER, detector).already_done == 2
    archive_folder(workspace, FOLDER)
    assert check_folder(workspace, FOLDER).gaps == ()
    before = decode_mask((site.output / FOLDER / "p000.webp").read_bytes())
    add_box(site.state, FOLDER, "p000.jpg", Box(0.0, 0.5, 0.2, 0.9), "kari")
    assert remask_folder(workspace, FOLDER) == ["p000.jpg"]
    for base in (site.input, site.output, site.archive):
        data = (base / FOLDER / "p000.webp").read_bytes()
        assert (decode_mask(data) >= before).all()
        with Image.open(io.BytesIO(data)) as picture:
            assert set(np.unique(np.asarray(picture))) == {0, 255}
    assert release_folder(workspace, FOLDER).released == 2
    assert names_below(site.input) == []


def test_a_picture_of_200_megapixels_is_within_the_limit(site: Site) -> None:
    """Only its header: masking it takes two gigabytes, see docs/architecture.md."""
    data = bytearray(wide(16, 160))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (12240).to_bytes(2, "big") + (16320).to_bytes(2, "big")
    site.put("s.jpg", bytes(data))
    report = mask_folder(site.workspace(), FOLDER, CountingDetector())
    assert "cannot hold 16320 × 12240 pixels" in report.failures[0].reason
    assert decode_jpeg(wide(16, 160), max_pixels=16 * 160).pixels.shape == (16, 160, 3)
