"""Files that are not read: which count, and how they are counted and named within bounds."""

from __future__ import annotations

import json
import os

import pytest

from anonymisation.workspace.unread import MAX_FOLDERS, MAX_NAMED, NotRead, UnreadFiles, is_unread_name


@pytest.mark.parametrize(
    "name",
    ["a.png", "a.TIF", "a.tiff", "a.HEIC", "a.mp4", "a.MOV", "a.dng", "a.cr3", "a.insv", "a.jpe", "a.b.avi", "a.360"],
)
def test_pictures_and_videos_of_cameras_count(name: str) -> None:
    assert is_unread_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg", "a.JPEG", "a.xml", "a.json", "a.txt", "a.gpx", "a.csv", "a.kml", "a.log", "a.nmea", "a.md5", "a.las",
        "Thumbs.db", "desktop.ini", ".DS_Store", ".a.png", "._a.mov", ".png", "png", "a.png.part", "ready", "a", "",
    ],
)  # fmt: skip
def test_pictures_that_are_read_and_sidecars_do_not_count(name: str) -> None:
    assert not is_unread_name(name)


def test_the_first_files_are_named_and_all_are_counted() -> None:
    many = UnreadFiles.of("a/b", {f"v{number:02d}.mp4" for number in range(25)} | {"x.txt", "p.jpg"}, ["p.jpg"])
    assert many is not None
    assert (many.number, len(many.names), many.names[0]) == (25, MAX_NAMED, "v00.mp4")
    assert str(many).startswith("a/b: 25 files: v00.mp4, v01.mp4")
    assert str(many).endswith("v09.mp4 and 15 more")
    assert str(UnreadFiles.of("a", ["b.png"], [])) == "a: 1 file: b.png"
    assert UnreadFiles.of("a", ["b.jpg", "b.xml"], ["b.jpg"]) is None


def test_masks_of_pictures_do_not_count_and_foreign_pictures_of_their_form_do() -> None:
    names = {"a.webp", "b.mask.png", "a.json", "phone.webp", "c.WEBP", "b.png", "other.mask.png"}
    assert UnreadFiles.of("a", names, ["a.jpg", "b.JPEG", "c.jpg"]) == UnreadFiles(
        "a", 4, ("b.png", "c.WEBP", "other.mask.png", "phone.webp")
    )
    assert UnreadFiles.of("a", {"a.webp", "a.mask.png", "a.json"}, ["a.jpg"]) is None


def test_a_name_that_is_no_unicode_can_be_printed() -> None:
    odd = UnreadFiles.of("a", [os.fsdecode(b"bl\xe5.png")], [])
    assert str(odd) == r"a: 1 file: bl\udce5.png"


def test_many_folders_are_cut_and_counted_and_survive_json() -> None:
    folders = [UnreadFiles(f"f{number:03d}", 2, ("a.png",)) for number in range(MAX_FOLDERS + 5)]
    total = NotRead.of(folders)
    assert (total.files, total.folders, len(total.lines()), total.more) == (210, 105, MAX_FOLDERS, 5)
    assert NotRead.from_dict(json.loads(json.dumps(total.to_dict()))) == total
    assert NotRead.from_dict({}) == NotRead.of([])
    assert not NotRead.of([])
    assert total.title == "210 files that are not read (only .jpg and .jpeg are)"


def test_the_title_says_that_previews_are_not_read_either() -> None:
    found = UnreadFiles.of("a", ["b_preview.jpg", "b.jpg"], ["b.jpg"])
    assert found is not None
    total = NotRead.of([found])
    assert total.title == "1 file that is not read (only .jpg and .jpeg are, and no previews)"
