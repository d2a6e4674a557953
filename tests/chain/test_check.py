"""The check reports every gap in input, output, archive and database."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from anonymisation.chain.check import check_folder
from anonymisation.chain.mask import mask_folder
from anonymisation.files.digests import sha256_of
from anonymisation.workspace.folder_state import read_pictures
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, CountingDetector, Site, capture, plain

EVERYTHING = {
    "remote_json": True, "local_json": True, "archive_json": True, "remote_mask": True, "local_mask": True,
    "archive_mask": True, "write_exif_to_db": True,
}  # fmt: skip
PER_PICTURE = 10  # input, output, archive, row, and three records and masks


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Three captures after the whole chain, with every possible file."""
    site = Site(tmp_path)
    site.fill(3)
    assert site.run(site.workspace(archive=True, **EVERYTHING)).succeeded
    return site


@pytest.fixture
def workspace(site: Site) -> Workspace:
    return site.workspace(archive=True, **EVERYTHING)


def gaps(workspace: Workspace) -> list[tuple[str, str]]:
    report = check_folder(workspace, FOLDER)
    assert report.missing == len(report.gaps)
    return [(gap.place, gap.problem) for gap in report.gaps]


def test_a_complete_folder_has_no_gap_and_everything_is_checked(workspace: Workspace) -> None:
    report = check_folder(workspace, FOLDER)
    assert (report.expected, report.missing, report.gaps) == (3 * PER_PICTURE, 0, ())


def test_pictures_that_failed_are_counted_and_are_no_gaps(site: Site) -> None:
    for number in range(3):
        site.put(f"torn{number}.jpg", capture(20 + number)[:700])
    workspace = site.workspace(archive=True, **EVERYTHING)
    assert not site.run(workspace).succeeded
    report = check_folder(workspace, FOLDER)
    assert (report.missing, report.known_failed) == (0, 3)
    assert [failure.picture for failure in report.failures] == [f"{FOLDER}/torn{number}.jpg" for number in range(3)]
    assert all(failure.known and "truncated" in failure.reason for failure in report.failures)
    (site.input / FOLDER / "torn1.jpg").unlink()  # taken away by a person: nothing is to be done about it
    assert check_folder(workspace, FOLDER).known_failed == 2


PLACES = (
    "in/{}.json", "in/{}.webp", "out/{}.jpg", "out/{}.json", "out/{}.webp", "arch/{}.jpg", "arch/{}.json",
    "arch/{}.webp",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_missing_file_is_named(site: Site, workspace: Workspace, place: str) -> None:
    base, name = place.format("p001").split("/")
    path = site.root / base / FOLDER / name
    path.unlink()
    ((where, problem),) = gaps(workspace)
    assert problem == "is missing"
    assert where in {str(path), {"out": "output", "arch": "archive"}.get(base)}


@pytest.mark.parametrize("place", PLACES)
def test_a_truncated_file_is_named(site: Site, workspace: Workspace, place: str) -> None:
    base, name = place.format("p001").split("/")
    path = site.root / base / FOLDER / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    ((where, problem),) = gaps(workspace)
    assert problem != "is missing"
    assert where in {str(path), {"out": "output", "arch": "archive"}.get(base)}


def _of_other_original(site: Site) -> None:
    shutil.copyfile(site.output / FOLDER / "p000.jpg", site.output / FOLDER / "p001.jpg")


def _unmasked(site: Site) -> None:
    (site.output / FOLDER / "p001.jpg").write_bytes(plain(1))


def _smaller(site: Site) -> None:
    with Image.open(site.output / FOLDER / "p001.jpg") as picture:
        picture.resize((72, 48)).save(site.output / FOLDER / "p001.jpg", exif=picture.getexif())


def _small_mask(site: Site) -> None:
    Image.new("RGB", (72, 48)).save(site.output / FOLDER / "p001.webp", lossless=True)


def _other_keys(site: Site) -> None:
    path = site.output / FOLDER / "p001.json"
    path.write_text(path.read_text().replace('"exif_tid"', '"exif_time"'))


def _other_copy(site: Site) -> None:
    (site.archive / FOLDER / "p001.jpg").write_bytes(capture(99))


def _changed_input(site: Site) -> None:
    site.put("p001.jpg", capture(98))


def _new_input(site: Site) -> None:
    site.put("p009.jpg", capture(9))


def _no_row(site: Site) -> None:
    connection = sqlite3.connect(site.database)
    with connection:
        connection.execute("DELETE FROM PICTURES WHERE Filnavn = 'p001.jpg'")
    connection.close()


def _stranger(site: Site) -> None:
    (site.output / FOLDER / "stranger.jpg").write_bytes(plain(5))


@pytest.mark.parametrize(
    ("damage", "place", "problem"),
    [
        (_of_other_original, "output", "was made from a different original"),
        (_unmasked, "output", "does not say which original"),
        (_smaller, "output", "is 72x48, the original 144x96"),
        (_small_mask, "p001.webp", "is 72x48, the picture 144x96"),
        (_other_keys, "p001.json", "does not have the keys of a record: exif_tid, exif_time"),
        (_other_copy, "archive", "differs from the original that was masked"),
        (_changed_input, "input", "differs from the original that was masked"),
        (_new_input, "input", "is not masked yet"),
        (_no_row, "database", "has no row in PICTURES"),
        (_stranger, "output", "is not a masked picture"),
    ],
)
def test_disagreement_is_named(
    site: Site, workspace: Workspace, damage: Callable[[Site], None], place: str, problem: str
) -> None:
    damage(site)
    ((where, found),) = gaps(workspace)
    assert where.endswith(place)
    assert problem in found


def test_failed_pictures_are_not_gaps(site: Site, workspace: Workspace) -> None:
    site.put("broken.jpg", b"no picture")
    site.run(workspace)
    assert gaps(workspace) == []


def test_only_what_the_settings_want_is_expected(site: Site) -> None:
    for path in (site.output / FOLDER).glob("*.json"):
        path.unlink()
    shutil.rmtree(site.archive)
    site.database.unlink()
    report = check_folder(site.workspace(), FOLDER)
    assert (report.expected, report.missing) == (6, 0)
    assert check_folder(site.workspace(remote_json=True), FOLDER).missing == 3


def test_gaps_beyond_those_listed_are_counted(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fill(1)
    for number in range(1, 61):
        site.put(f"n{number}.jpg", b"x")
    report = check_folder(site.workspace(), FOLDER)
    assert (report.missing, len(report.gaps)) == (61, 50)


def test_released_pictures_are_still_checked_where_they_went(site: Site) -> None:
    workspace = site.workspace(archive=True, delete_input=True, **EVERYTHING)
    assert site.run(workspace).succeeded
    assert list(site.input.iterdir()) == []
    assert check_folder(workspace, FOLDER).missing == 0
    (site.archive / FOLDER / "p002.jpg").unlink()
    assert gaps(workspace) == [("archive", "is missing")]


def test_a_masked_picture_that_was_found_sound_is_recognised_and_any_other_is_decoded(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fill(1)
    workspace = site.workspace()
    mask_folder(workspace, FOLDER, CountingDetector())
    assert read_pictures(site.state, FOLDER)["p000.jpg"].sound_digest == ""
    assert check_folder(workspace, FOLDER).missing == 0
    known = read_pictures(site.state, FOLDER)["p000.jpg"]
    masked = site.output / FOLDER / "p000.jpg"
    assert known.sound_digest == sha256_of(masked.read_bytes())[:32]
    assert check_folder(workspace, FOLDER).missing == 0
    masked.write_bytes(masked.read_bytes()[:-200])
    (gap,) = check_folder(workspace, FOLDER).gaps
    assert gap.place == "output"
    assert read_pictures(site.state, FOLDER)["p000.jpg"] == known
