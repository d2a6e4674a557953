"""Previews in the chain: cut out of masked pictures alone, put where they are wanted, and never taken for pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.discover import discover
from anonymisation.chain.previews import create_previews
from anonymisation.chain.run import run_folder
from anonymisation.cli.app import cli
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.review.apply import remask_folder
from anonymisation.review.model import Box
from anonymisation.review.store import add_box
from anonymisation.workspace.workspace import Workspace
from tests.captures import FILL, FOLDER, CountingDetector, Site, capture, car_window, names_below

PREVIEW = "p000_preview.jpg"
SETTINGS: dict[str, Any] = {
    "remote_preview": True, "preview_dim": [80, 60], "preview_center": [0.5, 0.5], "mask_color": list(FILL),
    "blur": None,
}  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(1)
    return site


def masked(site: Site, **changes: Any) -> Workspace:
    workspace = site.workspace(archive=True, **{**SETTINGS, **changes})
    report = run_folder(workspace, FOLDER, CountingDetector())
    assert report.succeeded, report
    return workspace


def pixels(path: Path) -> Any:
    return decode_jpeg(path.read_bytes()).pixels.astype(int)


def test_a_preview_is_a_part_of_the_masked_picture(site: Site) -> None:
    masked(site)
    whole, part = pixels(site.output / FOLDER / "p000.jpg"), pixels(site.output / FOLDER / PREVIEW)
    assert part.shape == (60, 80, 3)
    assert np.abs(part - whole[18:78, 32:112]).mean() < 4
    top, left, bottom, right = car_window()
    hidden = part[max(0, top - 18) + 3 : bottom - 18 - 3, max(0, left - 32) + 3 : right - 32 - 3]
    assert hidden.size
    assert np.abs(hidden - np.array(FILL)).max() < 30


def test_previews_go_where_the_settings_want_them(site: Site, tmp_path: Path) -> None:
    apart = tmp_path / "apart"
    more = {"local_preview": True, "archive_preview": True, "separate_preview_directory": str(apart)}
    workspace = masked(site, **more, exif_top_dir="TilSladding")
    below = Path(*Path(FOLDER).parts[1:])
    places = [site.output / FOLDER, site.input / FOLDER, site.archive / FOLDER, apart / below]
    assert len({(place / PREVIEW).read_bytes() for place in places}) == 1
    assert names_below(site.archive) == [f"{FOLDER}/p000.jpg", f"{FOLDER}/{PREVIEW}"]
    assert check_folder(workspace, FOLDER).missing == 0
    (site.output / FOLDER / PREVIEW).write_bytes(b"torn")
    assert check_folder(workspace, FOLDER).missing == 1
    (site.output / FOLDER / PREVIEW).unlink()
    [gap] = check_folder(workspace, FOLDER).gaps
    assert gap.problem == "is missing; make it with create-previews"


def test_an_archive_that_wants_a_preview_says_which_is_missing_and_what_makes_it(site: Site) -> None:
    """As after the settings want previews of pictures that were masked before."""
    masked(site, remote_preview=False)
    workspace = site.workspace(archive=True, **SETTINGS, archive_preview=True)
    (failure,) = archive_folder(workspace, FOLDER).failures
    assert failure.reason == f"{site.output / FOLDER / PREVIEW}: is missing; make it with create-previews"
    assert create_previews(workspace, FOLDER).failures == []
    assert archive_folder(workspace, FOLDER).failures == ()
    assert check_folder(workspace, FOLDER).missing == 0


def test_previews_in_the_input_are_skipped_counted_and_named(site: Site) -> None:
    site.put(PREVIEW, capture(4))
    site.put("a_preview_b.jpeg", capture(5))
    found = discover(site.workspace(**SETTINGS))
    assert [folder.pictures for folder in found.folders] == [1]
    (unread,) = found.unread.listed
    assert (unread.number, unread.names) == (2, ("a_preview_b.jpeg", PREVIEW))


def test_released_folders_lose_their_local_previews_only(site: Site) -> None:
    masked(site, local_preview=True, delete_input=True, remote_json=True)
    assert names_below(site.input) == []
    assert (site.output / FOLDER / PREVIEW).exists()


def test_a_region_that_people_mark_is_hidden_in_every_preview(site: Site) -> None:
    workspace = masked(site, archive_preview=True)
    before = pixels(site.output / FOLDER / PREVIEW)
    add_box(site.state, FOLDER, "p000.jpg", Box(0.2, 0.25, 0.35, 0.5), "kari")
    assert remask_folder(workspace, FOLDER) == ["p000.jpg"]
    after = pixels(site.output / FOLDER / PREVIEW)
    assert np.abs(after[8:12, 12:36] - np.array(FILL)).max() < 30
    assert np.abs(after - before).max() > 50
    assert (site.archive / FOLDER / PREVIEW).read_bytes() == (site.output / FOLDER / PREVIEW).read_bytes()


def test_a_published_preview_never_shows_what_is_hidden_by_now(site: Site) -> None:
    """Also where the settings want no previews any more."""
    masked(site, blur=1, mask_color=None)
    older = pixels(site.output / FOLDER / PREVIEW)
    workspace = masked(site, remote_preview=False, force_remask=True)
    newer = pixels(site.output / FOLDER / PREVIEW)
    whole = pixels(site.output / FOLDER / "p000.jpg")
    assert np.abs(newer - older).max() > 30
    assert np.abs(newer - whole[18:78, 32:112]).mean() < 4
    add_box(site.state, FOLDER, "p000.jpg", Box(0.2, 0.25, 0.35, 0.5), "kari")
    assert remask_folder(workspace, FOLDER) == ["p000.jpg"]
    assert np.abs(pixels(site.output / FOLDER / PREVIEW)[8:12, 12:36] - np.array(FILL)).max() < 30
    (site.output / FOLDER / PREVIEW).unlink()
    masked(site, remote_preview=False, force_remask=True)
    assert not (site.output / FOLDER / PREVIEW).exists()


@pytest.mark.parametrize("place", ["output", "archive"])
def test_an_original_in_the_place_of_a_preview_is_found(site: Site, place: str) -> None:
    workspace = masked(site, archive_preview=True)
    add_box(site.state, FOLDER, "p000.jpg", Box(0.2, 0.25, 0.35, 0.5), "kari")
    assert remask_folder(workspace, FOLDER) == ["p000.jpg"]
    assert check_folder(workspace, FOLDER).missing == 0
    (getattr(site, place) / FOLDER / PREVIEW).write_bytes(capture(0))
    report = check_folder(workspace, FOLDER)
    assert "is not the preview of the masked picture" in str(report.gaps)
    assert create_previews(workspace, FOLDER).failures == []
    assert check_folder(workspace, FOLDER).missing == 0
    changed = site.workspace(archive=True, **{**SETTINGS, "archive_preview": True, "preview_dim": [40, 40]})
    assert create_previews(changed, FOLDER).made == 1
    assert check_folder(workspace, FOLDER).missing == 0


def test_two_pictures_of_one_stem_do_not_share_a_preview(site: Site) -> None:
    site.put("p000.jpeg", capture(7))
    workspace = site.workspace(**SETTINGS)
    report = run_folder(workspace, FOLDER, CountingDetector())
    [failure] = report.failures
    assert f"already uses p000.json, p000.webp and {PREVIEW}" in failure.reason


def test_the_own_previews_in_the_input_are_not_counted(site: Site) -> None:
    workspace = masked(site, local_preview=True)
    site.put("p001_preview.jpg", capture(4))
    (unread,) = discover(workspace).unread.listed
    assert (unread.number, unread.names) == (1, ("p001_preview.jpg",))
    (unread,) = discover(site.workspace(**SETTINGS)).unread.listed
    assert unread.number == 2


def test_previews_of_pictures_that_are_masked_already(site: Site) -> None:
    masked(site, remote_preview=False)
    workspace = site.workspace(archive=True, **SETTINGS, local_preview=True)
    for path in site.input.rglob("*.jpg"):
        path.unlink()  # released by hand: nothing is written next to it
    report = create_previews(workspace, FOLDER)
    assert (report.made, report.already, report.failures) == (1, 0, [])
    assert not (site.input / FOLDER / PREVIEW).exists()
    assert create_previews(workspace, FOLDER).already == 1
    made = (site.output / FOLDER / PREVIEW).read_bytes()
    (site.output / FOLDER / PREVIEW).write_bytes(b"torn")
    create_previews(workspace, FOLDER)
    assert (site.output / FOLDER / PREVIEW).read_bytes() == made


def test_both_roads_give_the_same_preview(site: Site) -> None:
    workspace = masked(site)
    made = (site.output / FOLDER / PREVIEW).read_bytes()
    (site.output / FOLDER / PREVIEW).unlink()
    create_previews(workspace, FOLDER)
    assert (site.output / FOLDER / PREVIEW).read_bytes() == made


@pytest.mark.parametrize("settings", [{}, {"preview_dim": [60, 40]}])
def test_the_next_run_makes_a_preview_that_went_missing(site: Site, settings: dict[str, Any]) -> None:
    """Also with another size than before: the check then knows which preview is the last one."""
    masked(site, archive_preview=True)
    (site.output / FOLDER / PREVIEW).unlink()
    workspace = site.workspace(archive=True, **SETTINGS | settings, archive_preview=True)
    (found,) = discover(workspace).folders
    assert (found.pending, found.to_mask) == (1, 0)
    detector = CountingDetector()
    report = run_folder(workspace, FOLDER, detector)
    assert report.succeeded, report
    assert report.mask is not None
    assert (report.mask.masked, report.mask.already_done) == (0, 1)
    assert (site.output / FOLDER / PREVIEW).read_bytes() == (site.archive / FOLDER / PREVIEW).read_bytes()
    assert check_folder(workspace, FOLDER).missing == 0
    assert discover(workspace).folders == ()


def test_a_link_in_the_place_of_a_preview_is_replaced_by_it(site: Site) -> None:
    workspace, preview = masked(site), site.output / FOLDER / PREVIEW
    preview.unlink()
    preview.symlink_to(site.input / FOLDER / "p000.jpg")
    assert run_folder(workspace, FOLDER, CountingDetector()).succeeded
    assert not preview.is_symlink()
    assert check_folder(workspace, FOLDER).missing == 0


def test_a_lost_state_comes_back_with_the_previews(site: Site) -> None:
    workspace = masked(site)
    shutil.rmtree(site.state)
    (site.output / FOLDER / PREVIEW).unlink()
    report = run_folder(workspace, FOLDER, CountingDetector())
    assert report.succeeded, report
    assert report.mask is not None
    assert (report.mask.masked, report.mask.already_done) == (0, 1)
    (site.output / FOLDER / PREVIEW).write_bytes((site.input / FOLDER / "p000.jpg").read_bytes())
    assert check_folder(workspace, FOLDER).missing == 1


def test_an_original_in_the_output_folder_gets_no_preview(site: Site) -> None:
    workspace = masked(site, remote_preview=False)
    (site.output / FOLDER / "p000.jpg").write_bytes(capture(0))
    report = create_previews(site.workspace(archive=True, **SETTINGS), FOLDER)
    assert report.made == 0
    assert "is not the masked picture of this original" in report.failures[0]
    assert not (site.output / FOLDER / PREVIEW).exists()
    assert workspace is not None


def test_the_verb_makes_them_and_refuses_settings_that_want_none(site: Site, tmp_path: Path) -> None:
    masked(site, remote_preview=False)
    config = tmp_path / "config.yml"
    places = ["-i", str(site.input), "-o", str(site.output), "-k", str(config)]
    config.write_text(f"model_type: {site.model}\n")
    refused = CliRunner().invoke(cli, ["create-previews", *places])
    assert refused.exit_code == 2
    assert "switch on one of remote_preview" in refused.output
    config.write_text(f"model_type: {site.model}\nremote_preview: True\n")
    done = CliRunner().invoke(cli, ["create-previews", *places])
    assert done.exit_code == 0, done.output
    assert (site.output / FOLDER / PREVIEW).exists()
