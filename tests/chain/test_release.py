"""Promise 3: an original is removed only after all files made from it are verified, and nothing else is removed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import anonymisation.chain.release as release_module
from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.load import load_folder
from anonymisation.chain.mask import mask_folder
from anonymisation.chain.release import release_folder
from anonymisation.core.errors import DatabaseUnavailableError, ShareUnavailableError
from anonymisation.files.digests import sha256_of_file
from anonymisation.workspace.roots import MARKER
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, CountingDetector, Site, capture, names_below, plain

FILES = {"remote_json": True, "archive_json": True, "remote_mask": True, "archive_mask": True}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(3)
    return site


def up_to_release(site: Site, **settings: Any) -> Workspace:
    """Run all steps before the release for three captures."""
    workspace = site.workspace(archive=True, delete_input=True, **settings)
    mask_folder(workspace, FOLDER, CountingDetector())
    assert archive_folder(workspace, FOLDER).failed == 0
    assert load_folder(workspace, FOLDER).failed == 0
    return workspace


def test_verified_originals_are_removed_and_the_base_folder_stays(site: Site) -> None:
    sums = {path.name: sha256_of_file(path) for path in (site.input / FOLDER).iterdir()}
    workspace = up_to_release(site, **FILES)
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.kept, report.failed, report.folder_removed) == (3, 0, 0, True)
    assert site.input.is_dir()
    assert list(site.input.iterdir()) == []
    assert {path.name: sha256_of_file(path) for path in (site.archive / FOLDER).glob("*.jpg")} == sums


def test_pictures_directly_in_the_base_folder_are_removed_and_it_stays(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fill(2, ".")
    report = site.run(site.workspace(archive=True, delete_input=True, remote_json=True))
    assert report.succeeded
    assert report.total("release", "released") == 2
    assert site.input.is_dir()
    assert list(site.input.iterdir()) == []


def test_without_delete_input_nothing_is_removed(site: Site) -> None:
    up_to_release(site, **FILES)
    report = release_folder(site.workspace(archive=True, **FILES), FOLDER)
    assert (report.released, report.kept) == (0, 3)
    assert len(names_below(site.input)) == 3


def _archive_damaged(site: Site) -> None:
    path = site.archive / FOLDER / "p001.jpg"
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)


def _archive_missing(site: Site) -> None:
    (site.archive / FOLDER / "p001.jpg").unlink()


def _output_truncated(site: Site) -> None:
    path = site.output / FOLDER / "p001.jpg"
    path.write_bytes(path.read_bytes()[:-30])


def _output_missing(site: Site) -> None:
    (site.output / FOLDER / "p001.jpg").unlink()


def _output_unmasked(site: Site) -> None:
    (site.output / FOLDER / "p001.jpg").write_bytes(plain(1))


def _output_of_other_bytes(site: Site) -> None:
    shutil.copyfile(site.output / FOLDER / "p000.jpg", site.output / FOLDER / "p001.jpg")


def _record_missing(site: Site) -> None:
    (site.output / FOLDER / "p001.json").unlink()


def _record_damaged(site: Site) -> None:
    (site.output / FOLDER / "p001.json").write_text("{}")


def _mask_missing(site: Site) -> None:
    (site.output / FOLDER / "p001.webp").unlink()


def _archived_record_missing(site: Site) -> None:
    (site.archive / FOLDER / "p001.json").unlink()


def _archived_mask_damaged(site: Site) -> None:
    (site.archive / FOLDER / "p001.webp").write_bytes(b"RIFF")


def _input_changed(site: Site) -> None:
    site.put("p001.jpg", capture(55))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_archive_damaged, "the archive copy"),
        (_archive_missing, "is missing"),
        (_output_truncated, "does not decode"),
        (_output_missing, "is missing"),
        (_output_unmasked, "does not say which original"),
        (_output_of_other_bytes, "different original"),
        (_record_missing, "p001.json is missing"),
        (_record_damaged, "p001.json does not have the keys"),
        (_mask_missing, "p001.webp is missing"),
        (_archived_record_missing, "p001.json is missing"),
        (_archived_mask_damaged, "p001.webp does not decode"),
        (_input_changed, "the original differs"),
    ],
)
def test_only_verified_originals_are_removed(site: Site, damage: Callable[[Site], None], reason: str) -> None:
    workspace = up_to_release(site, **FILES)
    damage(site)
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.kept, report.failed, report.folder_removed) == (2, 1, 1, False)
    assert report.failures[0].picture == f"{FOLDER}/p001.jpg"
    assert reason in report.failures[0].reason
    assert names_below(site.input) == [f"{FOLDER}/p001.jpg"]


def test_a_record_must_be_on_a_share_or_in_the_database(site: Site) -> None:
    workspace = up_to_release(site)
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.failed) == (0, 3)
    assert "neither on a share nor in a database" in report.failures[0].reason
    in_database = up_to_release(site, write_exif_to_db=True)
    assert release_folder(in_database, FOLDER).released == 3


def test_with_write_exif_to_db_the_row_must_exist(site: Site) -> None:
    workspace = up_to_release(site, write_exif_to_db=True, **FILES)
    connection = sqlite3.connect(site.database)
    with connection:
        connection.execute("DELETE FROM PICTURES WHERE Filnavn = 'p001.jpg'")
    connection.close()
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.failed) == (2, 1)
    assert "it has no row in PICTURES" in report.failures[0].reason


def test_nothing_is_removed_while_the_database_cannot_be_reached(site: Site) -> None:
    place = site.root / "db"
    place.mkdir()
    workspace = up_to_release(site, write_exif_to_db=True, database=f"sqlite:///{place}/rows.db")
    shutil.rmtree(place)
    with pytest.raises(DatabaseUnavailableError):
        release_folder(workspace, FOLDER)
    assert len(names_below(site.input)) == 3


def test_failed_and_unmasked_pictures_stay_and_keep_the_folder(site: Site) -> None:
    site.put("broken.jpg", b"no picture")
    workspace = up_to_release(site, **FILES)
    site.put("new.jpg", capture(8))
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.kept, report.failed, report.folder_removed) == (3, 2, 0, False)
    assert [name.rsplit("/", 1)[1] for name in names_below(site.input)] == ["broken.jpg", "new.jpg"]


def test_sidecars_are_removed_with_the_last_picture(site: Site) -> None:
    settings = {"local_json": True, "local_mask": True, "capture_marker_file": "ready", **FILES}
    site.put("ready", b"")
    site.put("p001.jpg", b"broken")
    workspace = up_to_release(site, **settings)
    assert release_folder(workspace, FOLDER).released == 2
    left = {name.rsplit("/", 1)[1] for name in names_below(site.input)}
    assert left == {"p000.json", "p000.webp", "p002.json", "p002.webp", "p001.jpg", "ready"}
    site.put("p001.jpg", capture(1))
    report = site.run(workspace)
    assert report.succeeded
    assert names_below(site.input) == []
    assert list(site.input.iterdir()) == []


def test_foreign_files_stay_and_keep_their_folder(site: Site) -> None:
    foreign = {"notes.txt": b"n", "p000.txt": b"t", "other.json": b"{}", "other.webp": b"w"}
    for name, data in foreign.items():
        site.put(name, data)
    other = site.put("a.txt", b"", "TilSladding/2021/EV7")
    workspace = up_to_release(site, local_json=True, local_mask=True, **FILES)
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.folder_removed) == (3, False)
    assert {path.name: path.read_bytes() for path in (site.input / FOLDER).iterdir()} == foreign
    assert other.exists()


def test_foreign_files_with_derived_names_stay(site: Site) -> None:
    own = site.put("p000.json", b"of the car")
    workspace = up_to_release(site, **FILES)  # without local_json
    assert release_folder(workspace, FOLDER).released == 3
    assert own.read_bytes() == b"of the car"


def test_only_empty_parents_are_removed(site: Site) -> None:
    sibling = "TilSladding/2021/EV6/S1D1/F2_2021_05_01"
    site.fill(1, sibling, first=20)
    workspace = up_to_release(site, **FILES)
    assert release_folder(workspace, FOLDER).folder_removed
    assert not (site.input / FOLDER).exists()
    assert names_below(site.input) == [f"{sibling}/p020.jpg"]


def test_a_linked_picture_is_neither_masked_nor_archived_nor_removed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    target = tmp_path / "real.bin"
    target.write_bytes(capture(3))
    (site.input / FOLDER).mkdir(parents=True)
    (site.input / FOLDER / "a.jpg").symlink_to(target)
    assert not site.run(site.workspace(archive=True, delete_input=True, remote_json=True)).succeeded
    assert target.read_bytes() == capture(3)
    assert (site.input / FOLDER / "a.jpg").is_symlink()
    assert names_below(site.output) == names_below(site.archive) == names_below(site.errors) == []


def test_a_picture_with_a_gap_is_not_released(site: Site) -> None:
    """A picture that is delivered again has its record restored, but not the mask next to it; the check says so."""
    settings = {"local_mask": True, "local_json": True, **FILES}
    workspace = site.workspace(archive=True, delete_input=True, **settings)
    assert site.run(workspace).succeeded
    site.put("p001.jpg", capture(1, "p001.jpg"))
    report = site.run(workspace)
    assert not report.succeeded
    (folder,) = report.folders
    assert folder.check is not None
    assert folder.release is not None
    missing = f"{site.input / FOLDER / 'p001.webp'}"
    assert [(gap.place, gap.problem) for gap in folder.check.gaps] == [(missing, "is missing")]
    assert (folder.release.released, folder.release.kept, folder.release.failed) == (0, 1, 1)
    assert folder.release.failures[0].reason == f"not released: {missing} is missing"
    assert (site.input / FOLDER / "p001.jpg").read_bytes() == capture(1, "p001.jpg")
    again = site.run(site.workspace(archive=True, delete_input=True, force_remask=True, **settings))
    assert again.succeeded
    assert names_below(site.input) == []


def test_the_record_of_another_picture_is_none(site: Site) -> None:
    workspace = up_to_release(site, **FILES)
    shutil.copyfile(site.output / FOLDER / "p000.json", site.output / FOLDER / "p001.json")
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.failed) == (2, 1)
    assert "p001.json is the record of another picture: its ID is " in report.failures[0].reason
    assert "p001.json" in check_folder(workspace, FOLDER).gaps[0].place


def test_the_row_of_another_picture_is_none(tmp_path: Path) -> None:
    """Two pictures with one ID: the row is that of the greater path, and the other's record would be lost."""
    site = Site(tmp_path)
    twin = "TilSladding/2021/EV6/S1D1/F2_2021_05_01"
    workspace = site.workspace(archive=True, delete_input=True, write_exif_to_db=True)
    for folder in (FOLDER, twin):
        site.put("p001.jpg", capture(1, "p001.jpg"), folder)
        mask_folder(workspace, folder, CountingDetector())
        archive_folder(workspace, folder)
    for folder in (FOLDER, twin):
        load_folder(workspace, folder)
    assert len(site.rows()) == 1
    report = release_folder(workspace, FOLDER)
    assert (report.released, report.failed) == (0, 1)
    assert f"the row with its ID is that of another picture ({twin}/p001.jpg)" in report.failures[0].reason
    assert release_folder(workspace, twin).released == 1
    assert names_below(site.input) == [f"{FOLDER}/p001.jpg"]
    recorded = site.workspace(archive=True, delete_input=True, write_exif_to_db=True, remote_json=True)
    assert site.run(recorded).succeeded
    assert names_below(site.input) == []


def test_an_archive_that_is_unmounted_during_the_release_stops_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = up_to_release(site, **FILES)
    monkeypatch.setattr("anonymisation.chain.release.flush_folder", lambda _: (site.archive / MARKER).unlink())
    with pytest.raises(ShareUnavailableError, match="is its share mounted"):
        release_folder(workspace, FOLDER)
    assert names_below(site.input) == [f"{FOLDER}/p00{number}.jpg" for number in range(3)]


def test_sidecars_of_a_new_delivery_stay(site: Site) -> None:
    """Its record has the name of ours, and its marker file must not be taken with the old one."""
    settings = {"local_json": True, "capture_marker_file": "ready", **FILES}
    site.put("ready", b"")
    workspace = up_to_release(site, **settings)
    foreign = site.input / FOLDER / "p001.json"
    known = release_module._remove_sidecar
    arrived: list[int] = []

    def deliver_first(path: Path, picture: Any) -> None:
        if not arrived:
            arrived.append(foreign.write_bytes(b"of the car"))
            site.put("new.jpg", capture(50))
        known(path, picture)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(release_module, "_remove_sidecar", deliver_first)
        assert release_folder(workspace, FOLDER).released == 3
    assert names_below(site.input) == [
        f"{FOLDER}/{name}" for name in ("new.jpg", "p000.json", "p001.json", "p002.json", "ready")
    ]
    (site.input / FOLDER / "new.jpg").unlink()
    release_folder(workspace, FOLDER)
    assert names_below(site.input) == [f"{FOLDER}/p001.json"]
    assert foreign.read_bytes() == b"of the car"


def test_release_asks_for_the_share_before_it_lists(site: Site) -> None:
    workspace = site.workspace()
    site.input.rename(site.root / "away")
    with pytest.raises(ShareUnavailableError, match="input folder"):
        release_folder(workspace, FOLDER)


@pytest.mark.parametrize("name", ["ø" * 125 + ".jpg", "p" * 251 + ".jpg"])
def test_the_longest_names_are_released(tmp_path: Path, name: str) -> None:
    site = Site(tmp_path)
    site.put(name, capture(4))
    report = site.run(site.workspace(archive=True, delete_input=True, write_exif_to_db=True))
    assert report.total("release", "released") == 1
    assert list(site.input.iterdir()) == []
