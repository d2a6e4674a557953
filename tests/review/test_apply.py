"""A region that a person marked is hidden, whatever is left of the original, and stays hidden at later maskings."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymisation.chain.mask import mask_folder
from anonymisation.chain.run import run_folder
from anonymisation.core.errors import FolderLockedError
from anonymisation.files.atomic import MakeFolder, write_atomically
from anonymisation.files.digests import sha256_of_file
from anonymisation.imaging.exif.provenance import read_provenance
from anonymisation.imaging.jpeg.codec import decode_jpeg, to_upright
from anonymisation.imaging.mask_file import decode_mask
from anonymisation.review import apply as review_remask
from anonymisation.review.apply import finish_outstanding, remask_folder
from anonymisation.review.images import stored
from anonymisation.review.model import Box
from anonymisation.review.store import add_box, mark_hidden, read_reviews, withdraw_box
from anonymisation.workspace.folder_state import FAILED, open_state, state_folder
from anonymisation.workspace.shards import Shard
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, FULL, CountingDetector, Site, capture

BOX = Box(0.0, 0.5, 0.2, 0.9)  # away from the car that the scripted detector finds
NAME = "p000.jpg"
KEEP: dict[str, Any] = {"remote_mask": True, "mask_color": [0, 0, 255], "blur": None, "mask_dilation_pixels": 2}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def masked(site: Site, name: str = NAME) -> np.ndarray:
    return decode_jpeg((site.output / FOLDER / name).read_bytes()).pixels.astype(int)


def window(pixels: np.ndarray, box: Box) -> tuple[slice, slice]:
    height, width = pixels.shape[:2]
    rows = slice(int(box.top * height), int(box.bottom * height))
    return rows, slice(int(box.left * width), int(box.right * width))


def hides(pixels: np.ndarray, box: Box) -> bool:
    """Whether the box is filled with blue, up to what JPEG changes."""
    return bool(np.abs(pixels[window(pixels, box)] - np.array([0, 0, 255])).mean() < 8)


def mask_once(site: Site, workspace: Workspace, detector: CountingDetector | None = None) -> CountingDetector:
    detector = detector or CountingDetector()
    mask_folder(workspace, FOLDER, detector)
    return detector


def test_a_marked_region_is_hidden_without_the_model_and_nothing_else_changes(site: Site) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(2)
    mask_once(site, workspace)
    before, other = masked(site), masked(site, "p001.jpg")
    assert not hides(before, BOX)

    add_box(site.state, FOLDER, NAME, BOX, "kari")
    assert remask_folder(workspace, FOLDER) == [NAME]

    after = masked(site)
    assert hides(after, BOX)
    untouched = np.ones(after.shape[:2], bool)
    untouched[window(after, Box(0, 0.4, 0.3, 1))] = False
    assert np.array_equal(after[untouched], before[untouched])
    assert np.array_equal(masked(site, "p001.jpg"), other)
    mask = decode_mask((site.output / FOLDER / NAME).with_suffix(".webp").read_bytes())
    assert mask[window(mask, BOX)].all()
    assert read_reviews(site.state, FOLDER)[NAME].waiting == ()
    # It is still the masked picture of that original, and done.
    provenance = read_provenance((site.output / FOLDER / NAME).read_bytes())
    assert provenance is not None
    assert provenance.source_sha256 == sha256_of_file(site.input / FOLDER / NAME)
    assert mask_once(site, workspace).calls == 0
    assert remask_folder(workspace, FOLDER) == []


def test_the_box_is_honoured_when_the_picture_is_masked_again(site: Site) -> None:
    site.fill(1)
    mask_once(site, site.workspace(**KEEP))
    add_box(site.state, FOLDER, NAME, BOX, "kari")
    remask_folder(site.workspace(**KEEP), FOLDER)

    assert mask_once(site, site.workspace(force_remask=True, **KEEP)).calls == 1
    assert hides(masked(site), BOX)
    site.put(NAME, capture(7, NAME))  # other bytes under the name: the same place of the road
    assert mask_once(site, site.workspace(**KEEP)).calls == 1
    assert hides(masked(site), BOX)


def test_a_released_picture_is_masked_again_and_its_archived_original_stays(site: Site) -> None:
    workspace = site.workspace(archive=True, **{**FULL, **KEEP})
    site.fill(1)
    report = run_folder(workspace, FOLDER, CountingDetector())
    assert report.succeeded
    assert not (site.input / FOLDER).exists()
    archived = (site.archive / FOLDER / NAME).read_bytes()

    add_box(site.state, FOLDER, NAME, BOX, "kari")
    assert finish_outstanding(workspace) == [FOLDER]

    assert hides(masked(site), BOX)
    assert (site.archive / FOLDER / NAME).read_bytes() == archived
    mask = decode_mask((site.archive / FOLDER / NAME).with_suffix(".webp").read_bytes())
    assert mask[window(mask, BOX)].all()


def test_a_box_drawn_while_the_folder_is_worked_on_waits_for_the_end_of_that(site: Site) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(3)

    def draw_then_be_refused(_: object) -> None:
        if not read_reviews(site.state, FOLDER):
            add_box(site.state, FOLDER, "p002.jpg", BOX, "kari")  # not begun yet
        elif len(read_reviews(site.state, FOLDER)) == 1:
            add_box(site.state, FOLDER, NAME, BOX, "kari")  # finished already
            with pytest.raises(FolderLockedError):
                remask_folder(workspace, FOLDER)
            assert finish_outstanding(workspace) == []

    mask_once(site, workspace, CountingDetector(before=draw_then_be_refused))

    assert hides(masked(site, "p002.jpg"), BOX)
    assert hides(masked(site), BOX)
    assert all(not review.waiting for review in read_reviews(site.state, FOLDER).values())


def test_a_box_is_drawn_on_what_a_viewer_shows(site: Site) -> None:
    workspace = site.workspace(**KEEP)
    site.put(NAME, capture(0, NAME, orientation=6))
    mask_once(site, workspace)
    add_box(site.state, FOLDER, NAME, stored(BOX, 6), "kari")
    remask_folder(workspace, FOLDER)
    assert hides(to_upright(masked(site), 6), BOX)


def test_what_is_no_masked_picture_is_left_alone_and_the_box_waits(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(1)
    mask_once(site, workspace)
    stranger = capture(9)
    (site.output / FOLDER / NAME).write_bytes(stranger)
    add_box(site.state, FOLDER, NAME, BOX, "kari")

    assert remask_folder(workspace, FOLDER) == []
    assert (site.output / FOLDER / NAME).read_bytes() == stranger
    assert "not all marked regions are hidden" in caplog.text
    assert [added.box for added in read_reviews(site.state, FOLDER)[NAME].waiting] == [BOX]
    mask_once(site, workspace)
    assert hides(masked(site), BOX)


def test_a_kill_between_picture_and_state_is_made_good_by_the_next_run(site: Site) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(1)
    mask_once(site, workspace)
    with open_state(site.state, FOLDER) as state:
        before = state.pictures[NAME]
    add_box(site.state, FOLDER, NAME, BOX, "kari")
    remask_folder(workspace, FOLDER)
    with open_state(site.state, FOLDER) as state:
        state.put(before)  # as if the kill had come before the state was written

    assert mask_once(site, workspace).calls == 0
    assert hides(masked(site), BOX)


@pytest.mark.parametrize("next_box", [None, Box(0.85, 0.0, 0.95, 0.2)])
def test_what_is_brought_back_from_before_a_box_was_hidden_is_hidden_again(site: Site, next_box: Box | None) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(1)
    mask_once(site, workspace)
    published = site.output / FOLDER / NAME
    before = published.read_bytes()
    add_box(site.state, FOLDER, NAME, BOX, "kari")
    remask_folder(workspace, FOLDER)
    published.write_bytes(before)  # from a back-up of the output share
    assert not hides(masked(site), BOX)

    if next_box is not None:
        add_box(site.state, FOLDER, NAME, next_box, "kari")
        assert remask_folder(workspace, FOLDER) == [NAME]
        assert hides(masked(site), next_box)
    assert mask_once(site, workspace).calls == 0
    assert hides(masked(site), BOX)
    assert read_reviews(site.state, FOLDER)[NAME].waiting == ()


def test_a_box_of_a_second_reviewer_who_is_refused_is_hidden_by_the_first(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(2)
    mask_once(site, workspace)
    add_box(site.state, FOLDER, NAME, BOX, "kari")

    def meanwhile(*arguments: object) -> None:
        mark_hidden(*arguments)  # type: ignore[arg-type]
        if "p001.jpg" not in read_reviews(site.state, FOLDER):
            add_box(site.state, FOLDER, "p001.jpg", BOX, "ola")
            with pytest.raises(FolderLockedError):
                remask_folder(workspace, FOLDER)

    monkeypatch.setattr(review_remask, "mark_hidden", meanwhile)
    assert remask_folder(workspace, FOLDER) == [NAME, "p001.jpg"]
    assert hides(masked(site, "p001.jpg"), BOX)


def test_a_withdrawn_box_uncovers_nothing_until_the_picture_is_masked_again_from_its_original(site: Site) -> None:
    other = Box(0.85, 0.0, 0.95, 0.2)
    workspace = site.workspace(**KEEP)
    site.fill(1)
    mask_once(site, workspace)
    for box in (BOX, other):
        add_box(site.state, FOLDER, NAME, box, "kari")
    remask_folder(workspace, FOLDER)
    published = (site.output / FOLDER / NAME).read_bytes()

    withdraw_box(site.state, FOLDER, NAME, 0, "kari", "a sign")
    assert remask_folder(workspace, FOLDER) == []
    assert mask_once(site, workspace).calls == 0
    assert (site.output / FOLDER / NAME).read_bytes() == published
    assert hides(masked(site), BOX)
    assert read_reviews(site.state, FOLDER)[NAME].remaining == {0}

    mask_once(site, site.workspace(force_remask=True, **KEEP))
    assert not hides(masked(site), BOX)
    assert hides(masked(site), other)
    assert read_reviews(site.state, FOLDER)[NAME].hidden == {1}


def test_a_released_original_is_put_back_to_be_masked_without_a_withdrawn_box(site: Site) -> None:
    workspace = site.workspace(archive=True, **{**FULL, **KEEP})
    site.fill(1)
    assert run_folder(workspace, FOLDER, CountingDetector()).succeeded
    add_box(site.state, FOLDER, NAME, BOX, "kari")
    remask_folder(workspace, FOLDER)
    withdraw_box(site.state, FOLDER, NAME, 0, "kari", "a sign")

    site.put(NAME, (site.archive / FOLDER / NAME).read_bytes())
    again = site.workspace(archive=True, force_remask=True, **{**FULL, **KEEP})
    assert run_folder(again, FOLDER, CountingDetector()).succeeded
    assert not hides(masked(site), BOX)
    assert not (site.input / FOLDER).exists()  # released again


def test_a_box_that_is_withdrawn_while_it_waits_is_not_hidden(site: Site) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(1)
    mask_once(site, workspace)
    before = (site.output / FOLDER / NAME).read_bytes()
    add_box(site.state, FOLDER, NAME, BOX, "kari")
    withdraw_box(site.state, FOLDER, NAME, 0, "kari", "a slip of the hand")
    assert finish_outstanding(workspace) == []
    assert (site.output / FOLDER / NAME).read_bytes() == before


def test_what_stays_hidden_of_a_withdrawn_box_stays_known_when_the_state_is_rebuilt(site: Site) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(1)
    mask_once(site, workspace)
    add_box(site.state, FOLDER, NAME, BOX, "kari")
    remask_folder(workspace, FOLDER)
    withdraw_box(site.state, FOLDER, NAME, 0, "kari", "a sign")
    add_box(site.state, FOLDER, NAME, Box(0.85, 0.0, 0.95, 0.2), "kari")
    (state_folder(site.state, FOLDER) / "pictures.jsonl").unlink()
    mask_once(site, workspace)
    review = read_reviews(site.state, FOLDER)[NAME]
    assert (review.hidden, review.remaining) == (frozenset({0, 1}), frozenset({0}))
    assert hides(masked(site), BOX)


def test_a_box_is_hidden_on_what_stands_published_when_masking_it_again_failed(site: Site) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(1)
    mask_once(site, workspace)
    site.put(NAME, capture(7, NAME)[:900])  # other bytes, and no whole picture
    mask_once(site, workspace)
    with open_state(site.state, FOLDER) as state:
        assert state.pictures[NAME].status == FAILED
    add_box(site.state, FOLDER, NAME, BOX, "kari")

    assert remask_folder(workspace, FOLDER) == [NAME]
    assert hides(masked(site), BOX)
    assert read_reviews(site.state, FOLDER)[NAME].waiting == ()
    mask = decode_mask((site.output / FOLDER / NAME).with_suffix(".webp").read_bytes())
    assert mask[window(mask, BOX)].all()
    with open_state(site.state, FOLDER) as state:
        assert state.pictures[NAME].status == FAILED


def test_a_box_waits_quietly_for_the_first_masked_picture_of_one_that_failed(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = site.workspace(**KEEP)
    site.put(NAME, capture(0, NAME)[:900])
    mask_once(site, workspace)
    add_box(site.state, FOLDER, NAME, BOX, "kari")
    caplog.clear()
    assert finish_outstanding(workspace) == []
    assert caplog.records == []
    site.put(NAME, capture(0, NAME))
    mask_once(site, workspace)
    assert hides(masked(site), BOX)


class Away:
    """A share that answers so many writes of mask files, or none, with the error of one that is away."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, path: Path, data: bytes, *, make: MakeFolder) -> None:
        if path.suffix == ".webp" and self.left:
            self.left -= 1
            raise OSError(errno.EHOSTDOWN, "Host is down")
        write_atomically(path, data, make=make)


def test_a_share_that_blinks_while_a_mask_file_is_written_is_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = site.workspace(**{**KEEP, "file_access_timeout_seconds": 60})
    site.fill(1)
    mask_once(site, workspace)
    add_box(site.state, FOLDER, NAME, BOX, "kari")
    monkeypatch.setattr(review_remask, "write_atomically", Away(times=2))
    assert remask_folder(workspace, FOLDER) == [NAME]
    mask = decode_mask((site.output / FOLDER / NAME).with_suffix(".webp").read_bytes())
    assert mask[window(mask, BOX)].all()


def test_a_box_waits_while_its_mask_file_cannot_be_written(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(1)
    mask_once(site, workspace)
    add_box(site.state, FOLDER, NAME, BOX, "kari")
    with monkeypatch.context() as patch:
        patch.setattr(review_remask, "write_atomically", Away(times=1_000_000))
        assert remask_folder(workspace, FOLDER) == []
    assert len(read_reviews(site.state, FOLDER)[NAME].waiting) == 1
    assert hides(masked(site), BOX)  # the picture itself came first
    assert finish_outstanding(workspace) == [FOLDER]
    mask = decode_mask((site.output / FOLDER / NAME).with_suffix(".webp").read_bytes())
    assert mask[window(mask, BOX)].all()


def test_who_is_refused_reads_who_works_on_what_and_what_becomes_of_the_regions(site: Site) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(2)
    mask_once(site, workspace)
    add_box(site.state, FOLDER, NAME, BOX, "kari")
    with open_state(site.state, FOLDER, Shard(2, 5)), pytest.raises(FolderLockedError) as refused:
        remask_folder(workspace, FOLDER)
    assert "the marked regions are kept, and are hidden when this work ends" in str(refused.value)
    assert "is working on part 2 of 5 of this folder" in str(refused.value)


def test_what_was_marked_on_a_part_that_has_ended_is_hidden_at_the_end_of_the_run(site: Site) -> None:
    workspace = site.workspace(**KEEP)
    site.fill(8)
    first, second = Shard(1, 2), Shard(2, 2)
    name = next(f"p{n:03d}.jpg" for n in range(8) if first.holds(f"p{n:03d}.jpg"))
    mask_folder(workspace, FOLDER, CountingDetector(), shard=first)

    def draw(_: object) -> None:
        if not read_reviews(site.state, FOLDER):
            add_box(site.state, FOLDER, name, BOX, "kari")

    mask_folder(workspace, FOLDER, CountingDetector(before=draw), shard=second)
    assert not hides(masked(site, name), BOX)
    assert finish_outstanding(workspace, ["another folder"]) == []
    assert finish_outstanding(workspace, ["another folder", FOLDER, FOLDER]) == [FOLDER]
    assert hides(masked(site, name), BOX)
