"""Which pictures are up to date: checks of a whole folder and of single pictures agree."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from anonymisation.chain.discover import discover
from anonymisation.chain.up_to_date import UpToDatePictures, is_done
from anonymisation.workspace.folder_state import FAILED, FileStamp, open_state, read_pictures
from anonymisation.workspace.listing import list_pictures
from tests.captures import FOLDER, Site, capture

NAME = "p000.jpg"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Three pictures after the whole chain."""
    site = Site(tmp_path)
    site.fill(3)
    assert site.run(site.workspace(archive=True, remote_json=True, write_exif_to_db=True)).succeeded
    return site


def left(site: Site, **settings: Any) -> tuple[int, int]:
    """The number of pending pictures, and of those that need the model; checked in both ways."""
    workspace = site.workspace(archive=True, **{"remote_json": True, "write_exif_to_db": True, **settings})
    states = read_pictures(site.state, FOLDER)
    pictures = list_pictures(site.input / FOLDER)
    finished = UpToDatePictures(workspace, FOLDER, pictures, states, table=None)
    for picture in pictures:
        if (known := states.get(picture.name)) is not None:
            assert finished.is_done(picture, known) == is_done(workspace, FOLDER, picture, known), picture.name
    found = discover(workspace).folders
    return (found[0].pending, found[0].to_mask) if found else (0, 0)


def rewritten(path: Path) -> None:
    """Replace the bytes: same size, another time."""
    stat = path.stat()
    path.write_bytes(bytes(stat.st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def grown(path: Path) -> None:
    """Add one byte: another size, same time."""
    stat = path.stat()
    path.write_bytes(path.read_bytes() + b"x")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_dead_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("act", [rewritten, grown, a_folder, a_dead_link, Path.unlink])
def test_a_changed_output_is_found(site: Site, act: Callable[[Path], None]) -> None:
    assert left(site) == (0, 0)
    act(site.output / FOLDER / NAME)
    assert left(site) == (1, 1)


@pytest.mark.parametrize("act", [rewritten, grown])
def test_a_changed_original_is_found(site: Site, act: Callable[[Path], None]) -> None:
    act(site.input / FOLDER / NAME)
    assert left(site) == (1, 1)


def test_a_new_picture_is_found(site: Site) -> None:
    site.put("new.jpg", capture(9))
    assert left(site) == (1, 1)


def test_a_missing_record_is_found_if_records_are_configured(site: Site) -> None:
    (site.output / FOLDER / "p000.json").unlink()
    assert left(site) == (1, 0)
    assert left(site, remote_json=False) == (0, 0)


@pytest.mark.parametrize("change", [{"archived": False}, {"loaded": None}, {"loaded": "another table"}])
def test_a_missing_step_is_found(site: Site, change: dict[str, Any]) -> None:
    with open_state(site.state, FOLDER) as state:
        state.put(replace(state.pictures[NAME], **change))
    assert left(site) == (1, 0)


def test_an_unreleased_original_is_found(site: Site) -> None:
    assert left(site, delete_input=True) == (3, 0)


def test_a_picture_masked_without_an_output_is_found_once_draw_mask_is_on(site: Site) -> None:
    with open_state(site.state, FOLDER) as state:
        state.put(replace(state.pictures[NAME], output=None))
    (site.output / FOLDER / NAME).unlink()
    assert left(site) == (1, 1)
    (site.output / FOLDER / NAME).symlink_to("nowhere")
    assert left(site) == (1, 1)
    assert left(site, draw_mask=False, remote_mask=True) == (0, 0)


def test_a_failed_picture_with_an_old_output_is_not_done(site: Site) -> None:
    with open_state(site.state, FOLDER) as state:
        known = state.pictures[NAME]
        state.put(
            replace(
                known,
                status=FAILED,
                reason="torn",
                digest="of other settings",
                output=FileStamp.of(site.output / FOLDER / NAME),
            )
        )
    assert left(site) == (1, 1)


def test_an_output_folder_that_cannot_be_read_counts_as_empty(site: Site) -> None:
    place = site.output / FOLDER
    place.rename(place.with_name("away"))
    assert left(site) == (3, 3)
    place.write_bytes(b"no folder")
    assert left(site) == (3, 3)


def test_a_name_that_the_share_lists_in_another_unicode_form_is_found(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    @contextmanager
    def apart(place: Path) -> Iterator[list[os.DirEntry[str]]]:
        with listed(place) as entries:
            yield [entry for entry in entries if not entry.name.startswith("p000.")]

    states, pictures = read_pictures(site.state, FOLDER), list_pictures(site.input / FOLDER)
    monkeypatch.setattr("anonymisation.chain.up_to_date.os.scandir", apart)
    finished = UpToDatePictures(site.workspace(remote_json=True), FOLDER, pictures, states, table=None)
    assert all(finished.is_up_to_date(picture, states[picture.name]) for picture in pictures)
    (site.output / FOLDER / NAME).unlink()
    finished = UpToDatePictures(site.workspace(), FOLDER, pictures, states, table=None)
    assert [picture.name for picture in pictures if not finished.is_done(picture, states[picture.name])] == [NAME]
