"""The whole chain with real captures, broken files and the settings that have no test elsewhere."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from anonymisation.chain.run import failed_pictures_error, run_all, run_folder
from anonymisation.core.errors import ModelUnavailableError
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.metadata.record import record_from_json
from anonymisation.reporting.run_report import FolderReport
from tests.captures import (
    FOLDER,
    CountingDetector,
    Site,
    capture,
    files_below,
    names_below,
    require_whole_files,
)
from tests.imaging.broken import BROKEN
from tests.imaging.test_torture import DRAWN, VERDICTS
from tests.sources import SHARED, sources


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


# --- Files that broke other programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sources())
def test_broken_files_among_good_ones(site: Site, kind: str) -> None:
    site.fill(4, "mixed")
    if kind == "drawn":
        verdicts, files = DRAWN, {name: make() for name, (make, _) in BROKEN.items()}
    else:
        verdicts, files = VERDICTS, {path.name: path.read_bytes() for path in (SHARED / "torture").iterdir()}
    for name, data in files.items():
        (site.input / "mixed" / name).write_bytes(data)
    bad = {name for name, verdict in verdicts.items() if isinstance(verdict, str)}
    workspace = site.workspace(archive=True, remote_json=True, remote_mask=True, write_exif_to_db=True)
    report = run_all(workspace, CountingDetector())
    (folder,) = report.folders
    assert folder.error is None
    mask = folder.mask
    assert mask is not None
    total = 4 + len(verdicts)
    assert (mask.found, mask.masked, mask.failed) == (total, total - len(bad), len(bad))
    reasons = {failure.picture.removeprefix("mixed/"): failure.reason for failure in mask.failures}
    assert set(reasons) == bad
    for name, reason in reasons.items():
        assert str(verdicts[name]) in reason
        assert (site.errors / "mixed" / name).read_bytes() == files[name]
        assert reason in (site.errors / "mixed" / name).with_name(f"{Path(name).stem}_error.txt").read_text()
    come_out = {path.name for path in (site.output / "mixed").glob("*.jpg")}
    assert come_out == {path.name for path in (site.input / "mixed").iterdir()} - bad
    assert {path.name for path in (site.archive / "mixed").iterdir()} == come_out
    require_whole_files(site.output)
    assert report.exit_code == 1
    again = site.run(workspace)
    assert again.succeeded
    assert again.total("mask", "known_failed") == len(bad)


# --- A failed folder does not stop the others ------------------------------------------------------------------------


def test_a_failed_folder_does_not_stop_the_others(site: Site) -> None:
    for folder in ("a", "b", "c"):
        site.fill(2, folder)
    (site.output / "b").parent.mkdir()
    (site.output / "b").write_bytes(b"a file where a folder should be")
    report = site.run(site.workspace())
    assert [folder.succeeded for folder in report.folders] == [True, False, True]
    assert report.exit_code == 3
    assert f"{site.output / 'b'}: cannot be read" in str(report.folders[1].error)
    (site.output / "b").unlink()
    assert site.run(site.workspace()).succeeded


def test_the_last_task_of_a_folder_names_the_failures(site: Site) -> None:
    site.fill(2)
    site.put("p001.jpg", b"no picture")
    report = run_folder(site.workspace(), FOLDER, CountingDetector())
    error = failed_pictures_error(report)
    assert error is not None
    assert f"{FOLDER}/p001.jpg: " in str(error)
    assert "1 failed" in str(error)
    assert failed_pictures_error(run_folder(site.workspace(), FOLDER, CountingDetector())) is None
    many = FolderReport("f")
    assert failed_pictures_error(many) is None


def test_a_missing_model_is_an_error_of_the_environment(site: Site) -> None:
    site.fill(1)

    def no_model() -> Any:
        raise ModelUnavailableError("not installed")

    report = run_all(site.workspace(), no_model)
    assert (report.exit_code, report.folders[0].error) == (3, "not installed")


def test_a_run_without_folders_succeeds(site: Site) -> None:
    report = site.run(site.workspace())
    assert (report.folders, report.succeeded, report.exit_code) == ((), True, 0)


# --- The same input gives the same output ----------------------------------------------------------------------------


def outputs(site: Site) -> dict[str, bytes]:
    return {str(path.relative_to(site.output)): path.read_bytes() for path in files_below(site.output)}


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    results = []
    for workers in (0, 1, 4):
        root = tmp_path / "same"
        root.mkdir()
        site = Site(root)
        for path in site.fill(9):
            os.utime(path, (1_600_000_000, 1_600_000_000))
        overlap: dict[str, Any] = {"enable_async": workers > 0, "max_num_async_workers": max(workers, 1)}
        report = site.run(site.workspace(remote_json=True, remote_mask=True, **overlap))
        assert report.succeeded
        states = {path.name: path.read_bytes() for path in (root / "out_state" / "folders").rglob("*s.jsonl")}
        states.pop("pictures.jsonl")  # has the times of the output files
        results.append((outputs(site), states))
        shutil.rmtree(root)
    assert len(results[0][0]) == 27
    assert set(results[0][1]) == {"records.jsonl", "detections.jsonl"}
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("settings", "threads"),
    [
        ({"enable_async": False, "max_num_async_workers": 4}, 0),
        ({"enable_async": True, "max_num_async_workers": 1}, 1),
        ({"enable_async": True, "max_num_async_workers": 3}, 3),
    ],
)
def test_the_number_of_workers_is_as_configured(site: Site, settings: dict[str, Any], threads: int) -> None:
    site.fill(8)
    seen: set[int] = set()
    models: set[threading.Thread] = set()

    def look(_: NDArray[np.uint8]) -> None:
        models.add(threading.current_thread())
        seen.add(sum(thread.name.startswith("picture") for thread in threading.enumerate()))

    assert site.run(site.workspace(**settings), CountingDetector(before=look)).succeeded
    assert max(seen) == threads
    assert models == {threading.current_thread()}  # the model runs on one thread only


# --- Settings --------------------------------------------------------------------------------------------------------


def one_record(site: Site, **settings: Any) -> dict[str, Any]:
    site.put("a.jpg", capture(1, "a.jpg"), "Slott/x/y")
    assert site.run(site.workspace(remote_json=True, force_remask=True, **settings)).succeeded
    return record_from_json((site.output / "Slott/x/y/a.json").read_bytes())


def test_application_version_is_in_the_record(site: Site) -> None:
    assert one_record(site, application_version="4.2")["versjon"].startswith("P4.2_K20")


def test_exif_mappenavn_and_exif_top_dir_form_the_folder_name(site: Site) -> None:
    record = one_record(site, exif_mappenavn="Bilder/{aar}/{fylke}/{relative_input_dir}", exif_top_dir="Slott")
    assert record["mappenavn"] == "Bilder/2021/50/x/y"
    assert one_record(site, exif_mappenavn="{relative_input_dir}", exif_top_dir="x")["mappenavn"] == "y"


@pytest.mark.parametrize(
    ("settings", "written"),
    [
        ({}, set()),
        ({"remote_json": True}, {"out/a.json"}),
        ({"local_json": True}, {"in/a.json"}),
        ({"remote_mask": True}, {"out/a.webp"}),
        ({"local_mask": True}, {"in/a.webp"}),
        ({"remote_json": True, "archive_json": True}, {"out/a.json", "arch/a.json"}),
        ({"remote_mask": True, "archive_mask": True}, {"out/a.webp", "arch/a.webp"}),
    ],
)
def test_switches_of_derived_files(site: Site, settings: dict[str, bool], written: set[str]) -> None:
    site.put("a.jpg", capture(1, "a.jpg"), ".")
    assert site.run(site.workspace(archive=True, **settings)).succeeded
    found = {str(path.relative_to(site.root)) for path in files_below(site.root)}
    ours = {name for name in found if name.split("/")[0] in {"in", "out", "arch"}}
    assert ours == {"in/a.jpg", "out/a.jpg", "arch/a.jpg"} | written


def quantisation(path: Path) -> dict[int, list[int]]:
    with Image.open(path) as picture:
        assert isinstance(picture, JpegImageFile)
        return picture.quantization


def test_jpeg_quality_is_that_of_the_original_or_as_configured(site: Site) -> None:
    site.put("a.jpg", capture(1))
    wanted = quantisation(site.input / FOLDER / "a.jpg")
    for quality in ("keep", 40):
        site.run(site.workspace(jpeg_quality=quality, force_remask=True))
        assert (quantisation(site.output / FOLDER / "a.jpg") == wanted) == (quality == "keep")


def test_force_remask_masks_again_and_counts_correctly(site: Site) -> None:
    site.fill(2)
    workspace = site.workspace(archive=True, write_exif_to_db=True)
    site.run(workspace)
    detector = CountingDetector()
    forced = site.workspace(archive=True, write_exif_to_db=True, force_remask=True)
    report = site.run(forced, detector)
    assert report.succeeded
    assert (report.total("mask", "masked"), detector.calls) == (2, 2)
    assert (report.total("archive", "already_archived"), report.total("load", "updated")) == (2, 2)
    assert len(site.rows()) == 2


def test_write_exif_to_db_off_leaves_no_database(site: Site) -> None:
    site.fill(1)
    site.run(site.workspace(archive=True))
    assert not site.database.exists()
    assert site.run(site.workspace(archive=True, write_exif_to_db=True)).total("load", "inserted") == 1
    assert len(site.rows()) == 1


def test_only_delete_input_empties_the_input(site: Site) -> None:
    site.fill(2)
    site.run(site.workspace(archive=True, remote_json=True))
    assert len(names_below(site.input)) == 2
    site.run(site.workspace(archive=True, remote_json=True, delete_input=True))
    assert names_below(site.input) == []


def test_skipping_the_clean_up_leaves_leftovers(site: Site) -> None:
    site.fill(1)
    leftover = site.output / FOLDER / ".0123456789abcdef.part"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    site.run(site.workspace(), clean_up=False)
    assert leftover.exists()
    site.run(site.workspace(force_remask=True))
    assert not leftover.exists()


def pixels_read(site: Site) -> Iterator[NDArray[np.uint8]]:
    for path in files_below(site.output):
        yield decode_jpeg(path.read_bytes()).pixels


def test_progress_is_reported_during_the_run(site: Site) -> None:
    site.fill(2, "a")
    site.fill(1, "b", first=5)
    events: list[str] = []
    run_all(
        site.workspace(),
        CountingDetector(),
        on_folder=lambda folder: events.append(f"begin {folder.folder} {folder.pending}"),
        on_progress=lambda outcome: events.append(outcome.picture),
        on_report=lambda report: events.append(f"end {report.folder}"),
    )
    assert events == ["begin a 2", "a/p000.jpg", "a/p001.jpg", "end a", "begin b 1", "b/p005.jpg", "end b"]
    assert len(list(pixels_read(site))) == 3
