"""Discovery finds capture folders of any depth and name, as long as they have work left."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from anonymisation.chain.discover import Discovery, Selection, discover
from anonymisation.chain.dry_run import make_plan, render_plan
from anonymisation.core.errors import ShareUnavailableError
from anonymisation.reporting.summary import render_summary
from anonymisation.workspace.folder_state import MASKED, read_pictures, state_folder
from anonymisation.workspace.listing import Listing, Problem, list_folder
from tests.captures import FOLDER, CountingDetector, Site, capture, files_below, names_below, plain, properties
from tests.faults.file_errors import failing

STRANGE = (
    "a b/ c ", "Østfold/Sjøvegen/Bø", "日本/写真", "100%/#1/{x}", "${HOME}/`id`", "a\nb", "e\u0301/\u00e9", "-rf",
    "a/b/c/d/e/f/g/h/i/j",
    "x.jpg", "\\back", "'\"",
)  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def taken(found: Discovery) -> dict[str, tuple[int, int]]:
    return {folder.folder: (folder.pictures, folder.pending) for folder in found.folders}


@pytest.mark.parametrize("asynchronous", [True, False])
def test_folders_of_any_depth_and_name_go_through_the_whole_chain(site: Site, asynchronous: bool) -> None:
    for number, folder in enumerate(STRANGE):
        site.put(f"p{number} %#{{}} ø\n.JPG", capture(number), folder)
    site.put("top.jpeg", capture(50), ".")
    workspace = site.workspace(
        archive=True, enable_async=asynchronous, remote_json=True, write_exif_to_db=True, delete_input=True
    )
    originals = names_below(site.input)
    found = discover(workspace)
    assert found.problems == ()
    assert set(taken(found)) == {folder.removesuffix("/") for folder in (*STRANGE, ".")}
    report = site.run(workspace)
    assert report.succeeded, [folder.error or folder.failures for folder in report.folders]
    assert names_below(site.archive) == originals
    assert [name for name in names_below(site.output) if not name.endswith(".json")] == originals
    assert len(site.rows()) == len(STRANGE) + 1
    assert list(site.input.iterdir()) == []  # the base folder itself stays
    assert discover(workspace).folders == ()


OTHER = "TilSladding/2022/F2_2022_05_01"


@pytest.mark.parametrize("released", [True, False])
def test_a_state_that_cannot_be_read_stops_no_other_folder(site: Site, released: bool) -> None:
    site.fill(2)
    site.fill(1, OTHER, first=9)
    workspace = site.workspace(archive=True, delete_input=True, remote_json=True)
    if released:
        assert site.run(workspace).succeeded
        (site.input / FOLDER).mkdir(parents=True)
        site.fill(1, OTHER, first=10)
    journal = state_folder(site.state, FOLDER) / "pictures.jsonl"
    journal.unlink(missing_ok=True)
    journal.mkdir(parents=True)
    found = discover(workspace)
    hit, other = found.folders
    assert (hit.folder, other.folder) == (FOLDER, OTHER)
    assert (hit.pictures, hit.pending > 0, other.pending) == (0 if released else 2, True, 1)
    assert f"{journal} cannot be read" in hit.trouble
    assert other.trouble == ""
    report = site.run(workspace)
    assert [folder.succeeded for folder in report.folders] == [False, True]
    assert report.exit_code == 3
    assert str(report.folders[0].error).startswith(f"{journal} cannot be read: ")
    assert render_summary(report).count(str(journal)) == 1


def test_a_dry_run_names_a_state_that_cannot_be_read(site: Site) -> None:
    site.fill(2)
    journal = state_folder(site.state, FOLDER) / "pictures.jsonl"
    journal.mkdir(parents=True)
    plan = make_plan(site.workspace())
    assert len(plan.broken) == 1
    assert f"{FOLDER}: {journal} cannot be read" in render_plan(plan)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_marker_that_cannot_be_looked_at_stops_no_other_folder(site: Site, number: int) -> None:
    site.fill(1)
    site.fill(1, OTHER, first=9)
    workspace = site.workspace(capture_marker_file="ready")
    with failing(site.input / FOLDER / "ready", number):
        found = discover(workspace, Selection(settled_only=True))
    (problem,) = found.problems
    assert problem.path == FOLDER
    assert problem.hides_pictures
    assert os.strerror(number) in problem.reason
    assert found.unsettled == (OTHER,)


def test_upper_case_and_other_files(site: Site) -> None:
    for name in ("A.JPG", "b.Jpeg", "c.png", "d.txt", ".e.jpg"):
        site.put(name, plain(1))
    assert taken(discover(site.workspace())) == {FOLDER: (2, 2)}


def test_links_and_loops_are_reported_and_not_followed(site: Site) -> None:
    site.fill(2)
    (site.input / "loop").symlink_to(site.input)
    (site.input / FOLDER / "up").symlink_to("..")
    (site.input / "again").symlink_to(site.input / FOLDER)
    (site.input / "snapshots").mkdir()
    shutil.copytree(site.input / FOLDER, site.input / "snapshots" / ".snapshot", symlinks=True)
    found = discover(site.workspace())
    assert taken(found) == {FOLDER: (2, 2)}
    assert {problem.path for problem in found.problems} == {"loop", "again", f"{FOLDER}/up", "snapshots/.snapshot"}
    report = site.run(site.workspace())
    assert report.succeeded  # they hide no pictures from the run
    assert len(report.problems) == 4
    assert report.total("mask", "masked") == 2


def test_folders_that_cannot_be_entered_fail_the_run_but_do_not_stop_it(site: Site) -> None:
    site.fill(2)
    place = site.input / os.fsdecode(b"bl\xe5b\xe6r")
    place.mkdir()
    (place / "a.jpg").write_bytes(capture(7))
    report = site.run(site.workspace())
    assert report.total("mask", "masked") == 2
    assert not report.succeeded
    assert report.exit_code == 1
    assert r"bl\udce5b\udce6r: its name is not valid UTF-8" in report.broken[0]


def test_a_folder_is_not_taken_again_when_everything_is_done(site: Site) -> None:
    site.fill(3)
    bare = site.workspace()
    site.run(bare)
    assert discover(bare).folders == ()
    assert site.run(bare).folders == ()
    assert taken(discover(site.workspace(force_remask=True))) == {FOLDER: (3, 3)}
    full = site.workspace(archive=True, write_exif_to_db=True)
    assert taken(discover(full)) == {FOLDER: (3, 3)}  # an archive and a table are new
    report = site.run(full)
    assert (report.total("mask", "already_done"), report.total("archive", "archived")) == (3, 3)
    assert discover(full).folders == ()
    site.fill(1, first=3)
    assert taken(discover(full)) == {FOLDER: (4, 1)}


def test_a_folder_is_taken_again_when_its_output_is_gone(site: Site) -> None:
    site.fill(2)
    workspace = site.workspace()
    site.run(workspace)
    (site.output / FOLDER / "p001.jpg").unlink()
    assert taken(discover(workspace)) == {FOLDER: (2, 1)}


@pytest.mark.parametrize("change", [{"database": "sqlite:///{root}/other.db"}, {"db_table": "VEGBILDER"}])
def test_another_table_or_database_gets_the_rows_too(site: Site, change: dict[str, str]) -> None:
    site.fill(2)
    site.run(site.workspace(write_exif_to_db=True))
    values: dict[str, Any] = {key: value.format(root=site.root) for key, value in change.items()}
    workspace = site.workspace(write_exif_to_db=True, **values)
    assert taken(discover(workspace)) == {FOLDER: (2, 2)}
    report = site.run(workspace)
    assert report.total("load", "inserted") == 2, report.folders
    assert discover(workspace).folders == ()


def test_known_failures_are_listed_and_not_retried(site: Site) -> None:
    site.fill(2)
    site.put("p001.jpg", b"no picture")
    first = site.run(site.workspace())
    assert (first.succeeded, first.exit_code) == (False, 1)
    found = discover(site.workspace())
    assert found.folders == ()
    assert [(report.found, report.already_done, report.known_failed) for report in found.idle] == [(2, 1, 1)]
    again = site.run(site.workspace())
    assert again.succeeded
    (folder,) = again.folders
    assert folder.mask is not None
    assert [(failure.picture, failure.known) for failure in folder.mask.failures] == [(f"{FOLDER}/p001.jpg", True)]
    assert folder.mask.failures[0].reason == first.folders[0].failures[0].reason


def test_stem_collisions_are_known_failures_too(site: Site) -> None:
    site.put("a.jpeg", capture(1))
    site.put("a.jpg", capture(2))
    workspace = site.workspace(remote_json=True)
    assert not site.run(workspace).succeeded
    found = discover(workspace)
    assert (found.folders, [report.known_failed for report in found.idle]) == ((), [1])
    (site.input / FOLDER / "a.jpeg").unlink()
    (site.output / FOLDER / "a.jpeg").unlink()
    shutil.rmtree(site.state)
    assert taken(discover(workspace)) == {FOLDER: (1, 1)}


def test_a_folder_settles_by_age_or_marker(site: Site) -> None:
    site.fill(1)
    nightly = Selection(settled_only=True)
    young = site.workspace(capture_settle_seconds=3600)
    assert discover(young, nightly).unsettled == (FOLDER,)
    assert discover(young, nightly).folders == ()
    assert taken(discover(young)) == {FOLDER: (1, 1)}  # only scheduled runs wait
    assert taken(discover(site.workspace(capture_settle_seconds=0), nightly)) == {FOLDER: (1, 1)}
    marked = site.workspace(capture_settle_seconds=3600, capture_marker_file="ready")
    assert discover(marked, nightly).folders == ()
    site.put("ready", b"")
    assert taken(discover(marked, nightly)) == {FOLDER: (1, 1)}
    assert discover(young, nightly).folders == ()


def test_age_comes_from_the_change_time_and_not_the_modification_time(site: Site) -> None:
    path = site.fill(1)[0]
    os.utime(path, (0, 0))  # as after a copy that keeps times
    os.utime(path.parent, (0, 0))
    found = discover(site.workspace(capture_settle_seconds=3600), Selection(settled_only=True))
    assert found.unsettled == (FOLDER,)


@pytest.mark.parametrize(
    ("folder", "data", "expected"),
    [
        ("2019_01_01/x/F1_2021_05_02", capture, date(2021, 5, 2)),
        ("x-2020-02-29", capture, date(2020, 2, 29)),
        ("2021_13_01", capture, date(2021, 5, 1)),  # not a date, so the EXIF counts
        ("plain", plain, date(2018, 6, 21)),  # no EXIF, so the file time counts
        ("xml", lambda n: capture(n, xml=properties("a", n, "<open>")), date(2018, 6, 21)),
    ],
)
def test_folders_of_a_capture_date(site: Site, folder: str, data: Callable[[int], bytes], expected: date) -> None:
    moment = datetime(2018, 6, 21, 12, tzinfo=UTC).timestamp()
    os.utime(site.put("a.jpg", data(1), folder), (moment, moment))
    site.put("a.jpg", capture(2), "other/1999_12_31")
    assert set(taken(discover(site.workspace(), Selection(capture_date=expected)))) == {folder}
    assert set(taken(discover(site.workspace(), Selection(capture_date=date(1999, 12, 31))))) == {"other/1999_12_31"}
    assert discover(site.workspace(), Selection(capture_date=date(2001, 1, 1))).folders == ()


def test_a_picture_that_cannot_be_read_does_not_stop_discovery_by_date(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fill(1)
    damaged = site.put("a.jpg", capture(1), "x")

    def read(path: Path) -> bytes:
        assert path == damaged
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))  # as with a bad block

    monkeypatch.setattr("anonymisation.chain.discover.read_plain", read)
    assert set(taken(discover(site.workspace(), Selection(capture_date=date(2021, 5, 1))))) == {FOLDER}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", {"a", "a/b"}), ("/a/", {"a", "a/b"}), ("a/b", {"a/b"}), ("*b", {"a/b", "c*b"}), ("c[*]b", {"c*b"}),
        ("A", set()), ("?", {"a"}),
    ],
)  # fmt: skip
def test_folders_by_pattern(site: Site, pattern: str, expected: set[str]) -> None:
    for folder in ("a", "a/b", "ab c", "c*b"):
        site.put("p.jpg", plain(1), folder)
    assert set(taken(discover(site.workspace(), Selection(patterns=(pattern,))))) == expected
    both = Selection(patterns=("ab c", pattern))
    assert set(taken(discover(site.workspace(), both))) == expected | {"ab c"}


@pytest.mark.parametrize("lazy", [True, False])
def test_lazy_paths_finds_folders_as_it_goes(site: Site, lazy: bool) -> None:
    site.fill(1, "a")
    (site.input / "b").mkdir()

    def deliver(_: object) -> None:
        site.fill(1, "b", first=1)

    report = site.run(site.workspace(lazy_paths=lazy), on_folder=deliver)
    assert [folder.folder for folder in report.folders] == (["a", "b"] if lazy else ["a"])


@pytest.mark.parametrize("settings", [{}, {"remote_json": True}, {"local_json": True}])
def test_lost_state_is_restored_from_the_shares(site: Site, settings: dict[str, Any]) -> None:
    site.fill(4)
    database = {"write_exif_to_db": True, "database": f"sqlite:///{site.root}/rows.db"}
    first = site.workspace(archive=True, **settings, **database)
    assert site.run(first).succeeded
    site.database = site.root / "rows.db"
    rows = site.rows("SELECT * FROM PICTURES ORDER BY ID")
    before = {path: path.read_bytes() for path in files_below(site.root) if site.state not in path.parents}
    known = read_pictures(site.state, FOLDER)
    records = (state_folder(site.state, FOLDER) / "records.jsonl").read_bytes()
    shutil.rmtree(site.state)
    (site.model / "saved_model.pb").write_bytes(b"a newer model")
    detector = CountingDetector()
    report = site.run(site.workspace(archive=True, application_version="9", **settings, **database), detector)
    assert report.succeeded
    assert detector.calls == 0
    assert (report.total("mask", "already_done"), report.total("archive", "already_archived")) == (4, 4)
    assert (state_folder(site.state, FOLDER) / "records.jsonl").read_bytes() == records
    assert site.rows("SELECT * FROM PICTURES ORDER BY ID") == rows
    for name, picture in read_pictures(site.state, FOLDER).items():
        old = known[name]
        assert (picture.status, picture.sha256, picture.source) == (MASKED, old.sha256, old.source)
        assert (picture.model, picture.version, picture.output) == (old.model, old.version, old.output)
    after = {path: path.read_bytes() for path in before if path.suffix != ".db" and path.name != "saved_model.pb"}
    assert after == {path: before[path] for path in after}


def test_a_masked_picture_of_another_original_is_not_adopted(site: Site) -> None:
    site.fill(2)
    site.run(site.workspace())
    shutil.rmtree(site.state)
    site.put("p001.jpg", capture(33))
    (site.output / FOLDER / "p000.jpg").write_bytes(plain(0))  # a valid JPEG of the same size, not masked
    detector = CountingDetector()
    assert site.run(site.workspace(), detector).total("mask", "masked") == 2
    assert detector.calls == 2


def test_a_missing_input_is_an_error(site: Site) -> None:
    workspace = site.workspace()
    site.input.rmdir()
    with pytest.raises(ShareUnavailableError):
        discover(workspace)


@pytest.mark.parametrize("missed", [".", FOLDER.split("/", maxsplit=1)[0]])
def test_a_folder_that_was_away_for_a_moment_is_listed_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, missed: str
) -> None:
    site.fill(2)
    left = [missed]

    def blinking(path: Path, folder: str) -> Listing | Problem:
        if folder in left:
            left.remove(folder)
            raise FileNotFoundError
        return list_folder(path, folder)

    monkeypatch.setattr("anonymisation.chain.discover.list_folder", blinking)
    assert taken(discover(site.workspace())) == {FOLDER: (2, 2)}


def test_a_folder_that_is_removed_while_its_parent_is_read_is_skipped(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fill(2)

    def removed(path: Path, folder: str) -> Listing | Problem:
        if folder == FOLDER:
            raise FileNotFoundError
        return list_folder(path, folder)

    monkeypatch.setattr("anonymisation.chain.discover.list_folder", removed)
    assert taken(discover(site.workspace())) == {}
