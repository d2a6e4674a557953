"""Pictures and videos in other formats: counted and named wherever a run reports, and neither masked nor removed."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from anonymisation.chain.discover import Selection, discover
from anonymisation.chain.dry_run import make_plan, render_plan
from anonymisation.reporting.mail import build_finished
from anonymisation.reporting.mail_context import MailContext
from anonymisation.reporting.summary import headline, render_summary, verdict
from tests.captures import FOLDER, Site, names_below

VIDEOS = "TilSladding/2021/F2_2021_06_01"
EVERY = {f"{FOLDER}/a.png", f"{VIDEOS}/a.mp4", f"{VIDEOS}/b.MOV"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(2)
    for place in EVERY:
        folder, _, name = place.rpartition("/")
        site.put(name, b"no JPEG", folder)
    site.put("track.gpx", b"no picture", VIDEOS)
    return site


def test_a_run_counts_and_names_them_and_does_not_fail(site: Site) -> None:
    report = site.run(site.workspace())
    assert report.exit_code == 0
    assert (report.unread.files, report.unread.folders) == (3, 2)
    summary = render_summary(report)
    assert summary.startswith("Everything is done, but for 3 files that are not read.")
    assert re.search(r"^files not read +3$", summary, re.MULTILINE)
    named = f"  {FOLDER}: 1 file: a.png\n  {VIDEOS}: 2 files: a.mp4, b.MOV"
    assert summary.endswith(f"\n3 files that are not read (only .jpg and .jpeg are):\n{named}")
    assert "track.gpx" not in summary
    assert headline(report) == "Finished: 1 folder, 2 pictures masked, 3 files not read"


def test_the_mail_names_them(site: Site) -> None:
    message = build_finished(site.run(site.workspace()), MailContext("host", "now"))
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        text = part.get_content()
        assert f"{VIDEOS}: 2 files: a.mp4, b.MOV" in text
        assert "3 files that are not read (only .jpg and .jpeg are)" in text
    assert "3 files not read" in message["Subject"]


def test_the_dry_run_names_them(site: Site) -> None:
    plan = make_plan(site.workspace())
    assert f"  {VIDEOS}: 2 files: a.mp4, b.MOV" in render_plan(plan)
    assert plan.to_dict()["unread"]["files"] == 3
    assert not plan.broken


def test_a_run_that_finds_nothing_else_says_so(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.put("a.mp4", b"", VIDEOS)
    report = site.run(site.workspace())
    assert report.exit_code == 0
    sentence = "Nothing to do: there are no JPEG pictures in the input folder, but 1 file that is not read"
    assert verdict(report) == f"{sentence}."
    assert headline(report) == sentence
    assert f"{VIDEOS}: 1 file: a.mp4" in render_summary(report)


def test_later_runs_name_them_again(site: Site) -> None:
    site.run(site.workspace())
    assert verdict(site.run(site.workspace())) == (
        "Nothing to do: everything in 1 folder is done, but for 3 files that are not read."
    )


@pytest.mark.parametrize(
    ("selection", "number"),
    [
        (Selection(patterns=(VIDEOS,)), 2),
        (Selection(patterns=("*/F1_*",)), 1),
        (Selection(capture_date=date(2021, 6, 1)), 2),
        (Selection(date_to=date(2021, 5, 1)), 1),
        (Selection(capture_date=date(2020, 1, 1)), 0),
    ],
)
def test_a_selection_selects_them_too(site: Site, selection: Selection, number: int) -> None:
    found = discover(site.workspace(), selection)
    assert found.unread.files == number
    assert found.unmatched == ()  # a folder with nothing but videos is one that the pattern matches
    report = site.run(site.workspace(), selection=selection)
    assert (report.exit_code, report.unread) == (0, found.unread)


def test_release_keeps_them_with_their_folder_and_names_them(site: Site) -> None:
    workspace = site.workspace(archive=True, delete_input=True, remote_json=True, capture_marker_file="ready")
    report = site.run(workspace)
    assert report.exit_code == 0
    assert report.total("release", "released") == 2
    assert report.folders[0].release is not None
    assert not report.folders[0].release.folder_removed
    assert report.unread.files == 3
    assert {*names_below(site.input)} == EVERY | {f"{VIDEOS}/track.gpx"}
    assert not [name for name in names_below(site.output) if name.endswith((".png", ".mp4"))]
    again = site.run(workspace)
    assert verdict(again).endswith("but 3 files that are not read.")
