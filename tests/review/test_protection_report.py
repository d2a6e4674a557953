"""The report for the data-protection officer counts what happened in its period."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from anonymisation.chain.run import run_folder
from anonymisation.review.apply import remask_folder
from anonymisation.review.audit import note_look
from anonymisation.review.certificate.actions import draw_sample, issue_certificate
from anonymisation.review.certificate.sample import Plan
from anonymisation.review.certificate.store import add_judgement
from anonymisation.review.model import Box
from anonymisation.review.protection_report import Period, collect, render
from anonymisation.review.store import add_box, withdraw_box
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, CountingDetector, Site, capture

TODAY = datetime.now(UTC).date()
NOW = Period(TODAY - timedelta(days=1), TODAY + timedelta(days=1))
BEFORE = Period(date(2001, 1, 1), date(2001, 12, 31))


@pytest.fixture
def worked(tmp_path: Path) -> Workspace:
    """Three pictures masked and released, one failed; one region, withdrawn again; one certificate; one look."""
    site = Site(tmp_path)
    site.fill(3)
    site.put("torn.jpg", capture(8)[:900])
    workspace = site.workspace(archive=True, delete_input=True, remote_json=True, error_retention_days=30)
    run_folder(workspace, FOLDER, CountingDetector())
    added = add_box(site.state, FOLDER, "p000.jpg", Box(0.1, 0.1, 0.2, 0.2), "kari")
    remask_folder(workspace, FOLDER)
    withdraw_box(site.state, FOLDER, "p000.jpg", added.number, "ola", "a sign")
    note_look(site.state, "<b>kari</b>", "looked at the original", f"{FOLDER}/p000.jpg")
    note_look(site.state, "kari", "marked a region to hide", f"{FOLDER}/p000.jpg")
    sample = draw_sample(workspace, [FOLDER], Plan(bound=0.1, second_share=0.0), title="Night", by="kari")
    for number in sample.numbers:
        add_judgement(site.state, sample, number, "kari", missed=False, mistake=False)
    issue_certificate(workspace, sample, by="kari")
    return workspace


def test_everything_of_the_period_is_counted(worked: Workspace) -> None:
    values = collect(worked.shares.state, NOW).as_json()
    wanted = {
        "masked": 3, "folders": 1, "released": 3, "failed_now": 1, "reviewed": 1, "judged_for_certificates": 3,
        "regions_added": 1, "regions_withdrawn": 1,
    }  # fmt: skip
    look = {"by": "<b>kari</b>", "action": "looked at the original", "count": 1}
    assert values["looks_at_originals"] == [look]
    marked = {"by": "kari", "action": "marked a region to hide", "count": 1}
    assert values["changes_of_regions"] == [marked]
    assert {key: values[key] for key in wanted} == wanted
    assert [one["pictures"] for one in values["maskings"]] == [3]
    (certificate,) = values["certificates"]
    assert certificate["void"] == ""
    assert "at most 0 % of the pictures (0 of 3) have something missed" in certificate["statements"][0]


def test_another_period_has_nothing_of_it(worked: Workspace) -> None:
    values = collect(worked.shares.state, BEFORE).as_json()
    keys = ("masked", "reviewed", "judged_for_certificates", "certificates", "looks_at_originals", "changes_of_regions")
    assert [values[key] for key in keys] == [0, 0, 0, [], [], []]


def test_the_page_is_whole_and_escapes_what_people_wrote(worked: Workspace) -> None:
    page = render(collect(worked.shares.state, NOW), worked.settings, "2021-05-01T00:00:00+00:00")
    assert "&lt;b&gt;kari&lt;/b&gt;" in page
    assert "<script" not in page
    assert "30 days after they failed" in page
    assert "without limit" in page


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a period"):
        Period(date(2021, 5, 2), date(2021, 5, 1))
