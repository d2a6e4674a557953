"""The records of a folder become rows once, and only loaded rows count as loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anonymisation.chain.load import load_folder, rows_present, send_waiting_rows
from anonymisation.chain.mask import mask_folder
from anonymisation.core.errors import DatabaseUnavailableError, LoadFailedError
from anonymisation.reporting.partial import partial_report
from anonymisation.workspace.folder_state import open_state, read_pictures, state_folder
from tests.captures import FOLDER, CountingDetector, Site, capture, plain, properties


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Three captures, masked."""
    site = Site(tmp_path)
    site.fill(3)
    mask_folder(site.workspace(), FOLDER, CountingDetector())
    return site


def names(site: Site) -> list[str]:
    return [name for name, _ in site.rows()]


def test_rows_are_inserted_once(site: Site) -> None:
    workspace = site.workspace(write_exif_to_db=True)
    report = load_folder(workspace, FOLDER)
    assert (report.inserted, report.updated, report.already_loaded, report.failed) == (3, 0, 0, 0)
    assert names(site) == ["p000.jpg", "p001.jpg", "p002.jpg"]
    again = load_folder(workspace, FOLDER)
    assert (again.inserted, again.updated, again.already_loaded) == (0, 0, 3)
    assert len(names(site)) == 3


def test_without_write_exif_to_db_nothing_is_loaded(site: Site) -> None:
    report = load_folder(site.workspace(), FOLDER)
    assert (report.inserted, report.already_loaded) == (0, 0)
    assert not site.database.exists()


def test_rows_go_to_the_configured_database(site: Site) -> None:
    place = site.root / "elsewhere.db"
    assert load_folder(site.workspace(write_exif_to_db=True, database=f"sqlite:///{place}"), FOLDER).inserted == 3
    assert place.exists()
    assert not site.database.exists()


def test_a_picture_masked_again_updates_its_row(site: Site) -> None:
    load_folder(site.workspace(write_exif_to_db=True), FOLDER)
    newer = site.workspace(write_exif_to_db=True, force_remask=True, application_version="9")
    mask_folder(newer, FOLDER, CountingDetector())
    report = load_folder(newer, FOLDER)
    assert (report.inserted, report.updated) == (0, 3)
    assert {version[:3] for (version,) in site.rows("SELECT Versjon FROM PICTURES")} == {"P9_"}


def test_deleted_rows_are_inserted_again(site: Site) -> None:
    workspace = site.workspace(write_exif_to_db=True)
    load_folder(workspace, FOLDER)
    site.database.unlink()
    report = load_folder(workspace, FOLDER)
    assert (report.inserted, report.already_loaded) == (3, 0)
    assert len(names(site)) == 3


def test_db_table_selects_the_layout_and_refused_rows_do_not_affect_others(site: Site) -> None:
    site.put("plain.jpg", plain(9))  # has no road, which VEGBILDER requires and PICTURES does not
    workspace = site.workspace(write_exif_to_db=True, db_table="VEGBILDER")
    mask_folder(workspace, FOLDER, CountingDetector())
    report = load_folder(workspace, FOLDER)
    assert (report.inserted, report.failed) == (3, 1)
    assert report.failures[0].picture == f"{FOLDER}/plain.jpg"
    assert len(site.rows("SELECT ID FROM VEGBILDER")) == 3
    assert read_pictures(site.state, FOLDER)["plain.jpg"].loaded is None
    assert load_folder(workspace, FOLDER).failed == 1
    assert load_folder(site.workspace(write_exif_to_db=True), FOLDER).inserted == 4


def test_db_max_n_errors_stops_a_load(site: Site) -> None:
    for number in range(3):
        site.put(f"plain{number}.jpg", plain(20 + number))
    settings: dict[str, Any] = {"write_exif_to_db": True, "db_table": "VEGBILDER", "db_max_n_accumulated_rows": 1}
    mask_folder(site.workspace(), FOLDER, CountingDetector())
    with pytest.raises(LoadFailedError, match="db_max_n_errors 1") as caught:
        load_folder(site.workspace(db_max_n_errors=1, **settings), FOLDER)
    assert partial_report(caught.value).failed >= 2  # the counts of a load that stopped are reported
    assert load_folder(site.workspace(db_max_n_errors=3, **settings), FOLDER).failed == 3


def test_db_max_n_accumulated_rows_limits_a_batch(site: Site) -> None:
    away = f"sqlite:///{site.root}/no/such/folder/rows.db"
    spooled = {}
    for size in (1, 3):
        state = site.root / f"state{size}"
        workspace = site.workspace(
            write_exif_to_db=True, database=away, db_max_n_accumulated_rows=size, state_dir=str(state)
        )
        mask_folder(workspace, FOLDER, CountingDetector())
        with pytest.raises(DatabaseUnavailableError):
            load_folder(workspace, FOLDER)
        spooled[size] = len(list((state / "spool").rglob("*.jsonl")))
    assert spooled == {1: 3, 3: 1}


def test_rows_wait_for_an_unreachable_database_and_are_sent_later(site: Site) -> None:
    place = site.root / "later"
    workspace = site.workspace(write_exif_to_db=True, database=f"sqlite:///{place}/rows.db")
    with pytest.raises(DatabaseUnavailableError, match="3 rows wait") as caught:
        load_folder(workspace, FOLDER)
    assert caught.value.retryable
    assert all(known.loaded is None for known in read_pictures(site.state, FOLDER).values())
    place.mkdir()
    site.database = place / "rows.db"
    report = send_waiting_rows(workspace)
    assert report is not None
    assert (report.inserted, report.waiting) == (3, 0)
    assert load_folder(workspace, FOLDER).failed == 0
    assert names(site) == ["p000.jpg", "p001.jpg", "p002.jpg"]
    assert send_waiting_rows(site.workspace()) is None


def test_db_max_cache_size_stops_a_load_and_discards_nothing(site: Site) -> None:
    place = site.root / "later"
    settings: dict[str, Any] = {
        "write_exif_to_db": True,
        "database": f"sqlite:///{place}/rows.db",
        "db_max_n_accumulated_rows": 1,
    }
    with pytest.raises(LoadFailedError, match="db_max_cache_size 2"):
        load_folder(site.workspace(db_max_cache_size=2, **settings), FOLDER)
    place.mkdir()
    site.database = place / "rows.db"
    assert load_folder(site.workspace(**settings), FOLDER).failed == 0
    assert len(names(site)) == 3


def test_a_lost_record_is_reported_and_restored(site: Site) -> None:
    path = state_folder(site.state, FOLDER) / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    workspace = site.workspace(write_exif_to_db=True)
    report = load_folder(workspace, FOLDER)
    assert (report.inserted, report.failed) == (2, 1)
    assert report.failures[0].picture == f"{FOLDER}/p001.jpg"
    assert read_pictures(site.state, FOLDER)["p001.jpg"].loaded is None
    detector = CountingDetector()
    assert mask_folder(workspace, FOLDER, detector).already_done == 3
    assert detector.calls == 0
    assert load_folder(workspace, FOLDER).inserted == 1
    assert len(names(site)) == 3


def test_two_pictures_with_one_id_are_reported(site: Site) -> None:
    other = f"{FOLDER}_again"
    site.put("p000.jpg", capture(0, xml=properties("p000.jpg", 0, "<Friction>9</Friction>")), other)
    workspace = site.workspace(write_exif_to_db=True)
    load_folder(workspace, FOLDER)
    mask_folder(workspace, other, CountingDetector())
    report = load_folder(workspace, other)
    (collision,) = report.collisions
    assert collision.stands == f"{other}/p000.jpg"
    assert collision.yields == f"{FOLDER}/p000.jpg"
    assert len(names(site)) == 3


def test_a_row_leads_to_the_masked_picture_wherever_its_folder_is(tmp_path: Path) -> None:
    site = Site(tmp_path)
    workspace = site.workspace(write_exif_to_db=True)
    folders = ("Survey 2021/EV6/F1_2021_05_01", "Survey 2021/EV6/F2_2021_05_01")
    for number, folder in enumerate(folders):
        site.put(f"p{number}.jpg", capture(number, f"p{number}.jpg"), folder)
        mask_folder(workspace, folder, CountingDetector())
        load_folder(workspace, folder)
    rows = site.rows("SELECT Mappenavn, Filnavn FROM PICTURES ORDER BY 1")
    assert len(rows) == len(folders)
    for folder, name in rows:
        assert (site.output / folder.removeprefix("Vegbilder\\") / name).is_file()


def test_present_rows_are_looked_up_in_the_database(site: Site) -> None:
    workspace = site.workspace(write_exif_to_db=True)
    load_folder(workspace, FOLDER)
    with open_state(site.state, FOLDER) as state:
        assert rows_present(workspace, state, ["p000.jpg", "p002.jpg", "no.jpg"]) == {"p000.jpg", "p002.jpg"}
        site.database.unlink()
        assert rows_present(workspace, state, ["p000.jpg"]) == frozenset()
