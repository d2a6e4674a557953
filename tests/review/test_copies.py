"""The thumbnails' cache: what shows nothing that is there goes, what is used stays, and no one is in another's way."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from anonymisation.chain.run import run_folder
from anonymisation.files.digests import name_digest
from anonymisation.review import copies as review_copies
from anonymisation.review.apply import remask_folder
from anonymisation.review.copies import Sweeper, sweep_copies
from anonymisation.review.images import Size, thumbnail
from anonymisation.review.index import read_index
from anonymisation.review.model import Box
from anonymisation.review.store import add_box
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, CountingDetector, Site, capture

NAMES = ("p000.jpg", "p001.jpg", "p002.jpg")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def workspace(site: Site) -> Workspace:
    """Three masked pictures, each with a small and a large copy."""
    workspace = site.workspace()
    site.fill(3)
    run_folder(workspace, FOLDER, CountingDetector())
    for name in NAMES:
        show(workspace, name)
    assert kept(site) == dict.fromkeys(NAMES, 2)
    return workspace


def show(workspace: Workspace, name: str) -> None:
    row = read_index(workspace.shares.state, FOLDER).row(name_digest(name))
    assert row is not None
    for size in (Size.SMALL, Size.LARGE):
        assert thumbnail(workspace, FOLDER, row, size)[:4] == b"RIFF"


def copies(site: Site) -> list[Path]:
    return sorted(path for path in (site.state / "folders").glob("*/thumbnails/*/*") if path.is_file())


def kept(site: Site) -> dict[str, int]:
    """How many copies there are of each picture."""
    names = {name_digest(name): name for name in NAMES}
    found = [names[path.name[:16]] for path in copies(site)]
    return {name: found.count(name) for name in NAMES if name in found}


def last_used(site: Site, name: str, seconds: float) -> None:
    for path in copies(site):
        if path.name.startswith(name_digest(name)):
            os.utime(path, (seconds, seconds))


def test_copies_of_what_is_as_it_was_stay(site: Site, workspace: Workspace) -> None:
    assert sweep_copies(workspace.shares) == 0
    assert kept(site) == dict.fromkeys(NAMES, 2)


def test_copies_of_pictures_that_are_gone_or_changed_go(site: Site, workspace: Workspace) -> None:
    (site.output / FOLDER / "p000.jpg").unlink()
    (site.output / FOLDER / "p001.jpg").write_bytes(capture(7))
    assert sweep_copies(workspace.shares) == 4
    assert kept(site) == {"p002.jpg": 2}


def test_copies_of_a_folder_that_is_gone_go_with_their_places(site: Site, workspace: Workspace) -> None:
    (site.output / FOLDER).rename(site.root / "elsewhere")
    assert sweep_copies(workspace.shares) == 6
    assert list((site.state / "folders").glob("*/thumbnails")) == []
    assert list((site.state / "folders").glob("*/pictures.jsonl"))  # nothing else


def test_nothing_goes_while_the_share_is_away(site: Site, workspace: Workspace) -> None:
    site.output.rename(site.root / "elsewhere")
    assert sweep_copies(workspace.shares) == 0
    assert kept(site) == dict.fromkeys(NAMES, 2)


def test_hiding_a_region_leaves_no_copy_that_shows_it(site: Site, workspace: Workspace) -> None:
    add_box(site.state, FOLDER, "p001.jpg", Box(0.0, 0.5, 0.2, 0.9), "kari")
    assert remask_folder(workspace, FOLDER) == ["p001.jpg"]
    assert kept(site) == {"p000.jpg": 2, "p002.jpg": 2}


def test_above_the_limit_those_go_that_were_used_longest_ago(site: Site, workspace: Workspace) -> None:
    for age, name in enumerate(NAMES):
        last_used(site, name, 1_600_000_000.0 - 1000 * age)
    show(workspace, "p002.jpg")  # looked at now, and so the newest
    oldest = name_digest("p001.jpg")
    limit = sum(path.stat().st_size for path in copies(site) if not path.name.startswith(oldest))
    assert sweep_copies(workspace.shares, limit) == 2
    assert kept(site) == {"p000.jpg": 2, "p002.jpg": 2}
    assert sweep_copies(workspace.shares, limit=0) == 4


def test_leftovers_of_killed_writes_go_when_no_one_can_be_writing_them(site: Site, workspace: Workspace) -> None:
    place = copies(site)[0].parent
    old, new, strange = (place / name for name in (f".{'0' * 16}.part", f".{'1' * 16}.part", "notes.txt"))
    for path in (old, new, strange):
        path.write_bytes(b"half")
    os.utime(old, (1_600_000_000.0, 1_600_000_000.0))
    assert sweep_copies(workspace.shares) == 2
    assert [path.exists() for path in (old, new, strange)] == [False, True, False]


def test_a_copy_that_cannot_be_kept_is_shown_all_the_same(
    site: Site, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    sweep_copies(workspace.shares, limit=0)
    place = next((site.state / "folders").iterdir()) / "thumbnails"
    place.write_bytes(b"in the way")
    show(workspace, "p000.jpg")
    assert "not stored" in caplog.text


def test_pictures_are_shown_while_copies_are_swept(site: Site, workspace: Workspace) -> None:
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            sweep_copies(workspace.shares, limit=0)

    thread = threading.Thread(target=sweep)
    thread.start()
    try:
        for _ in range(25):
            for name in NAMES:
                show(workspace, name)
    finally:
        done.set()
        thread.join()
    sweep_copies(workspace.shares, limit=0)
    assert copies(site) == []


def test_a_sweeper_sweeps_after_every_so_many_copies_and_once_at_a_time(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeper = Sweeper(workspace.shares, every=3, limit=5)
    assert [sweeper.is_due() for _ in range(7)] == [False, False, True, False, False, True, False]
    asked = []

    def sweep(*arguments: object) -> None:
        asked.append(arguments)
        sweeper.sweep()  # as another thread would

    monkeypatch.setattr(review_copies, "sweep_copies", sweep)
    sweeper.sweep()
    sweeper.sweep()
    assert asked == [(workspace.shares, 5)] * 2


@pytest.mark.timeout(60)
def test_a_pipe_in_place_of_a_copy_counts_as_none(site: Site, workspace: Workspace) -> None:
    (copy,) = copies(site)[:1]
    content = copy.read_bytes()
    copy.unlink()
    os.mkfifo(copy)
    assert review_copies.read_copy(copy) is None
    review_copies.keep_copy(copy, content)
    assert review_copies.read_copy(copy) == content
