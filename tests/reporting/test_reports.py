"""Reports add up, and travel as plain JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.database.loading.limits import Collision
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import (
    MAX_LISTED,
    ArchiveReport,
    CheckReport,
    Failure,
    Gap,
    ImageOutcome,
    LoadSummary,
    MaskReport,
    ReleaseReport,
    Status,
)
from anonymisation.reporting.summary import headline

TEXT = st.text(max_size=20)
COUNT = st.integers(0, 10**6)
FAILURES = st.lists(st.builds(Failure, TEXT, TEXT, st.booleans()), max_size=3).map(tuple)
COLLISIONS = st.lists(st.builds(Collision, TEXT, TEXT, TEXT), max_size=2).map(tuple)
OUTCOMES = st.lists(
    st.sampled_from(Status).map(
        lambda status: ImageOutcome(
            "a.jpg",
            status,
            reason="broken" if status in {Status.FAILED, Status.KNOWN_FAILED} else None,
            objects={"car": 2} if status is Status.MASKED else {},
        )
    ),
    max_size=120,
)
MASKS = OUTCOMES.map(lambda outcomes: MaskReport.of("f", outcomes, 1.5))
FOLDERS = st.builds(
    FolderReport,
    folder=TEXT,
    mask=st.none() | MASKS,
    archive=st.none() | st.builds(ArchiveReport, TEXT, COUNT, COUNT, COUNT, COUNT, FAILURES),
    load=st.none()
    | st.builds(
        LoadSummary, TEXT, COUNT, COUNT, COUNT, COUNT, COUNT, FAILURES,
        COLLISIONS, COUNT,
    ),
    check=st.none()
    | st.builds(
        CheckReport, TEXT, COUNT, COUNT, st.lists(st.builds(Gap, TEXT, TEXT, TEXT), max_size=2).map(tuple),
        collided=COUNT, collisions=COLLISIONS,
    ),
    release=st.none() | st.builds(ReleaseReport, TEXT, COUNT, COUNT, COUNT, st.booleans(), FAILURES),
    error=st.none() | TEXT,
    error_exit_code=st.sampled_from([0, 1, 3]),
)  # fmt: skip


@given(FOLDERS)
def test_keys_of_a_newer_version_are_ignored(report: FolderReport) -> None:
    """After a rollback, the pages read reports that the newer version left."""

    def extended(value: Any) -> Any:
        if isinstance(value, list):
            return [extended(item) for item in value]
        if isinstance(value, dict) and "objects" not in value:
            return {**{key: extended(item) for key, item in value.items()}, "from_the_future": [1]}
        return value

    assert FolderReport.from_dict(extended(report.to_dict())) == FolderReport.from_dict(report.to_dict())


@given(FOLDERS)
def test_reports_come_back_from_json_as_they_were(report: FolderReport) -> None:
    values = report.to_dict()
    assert json.loads(json.dumps(values)) == values  # whoever keeps it in another form than JSON gets nothing else
    assert FolderReport.from_dict(values) == report


@given(OUTCOMES)
def test_a_mask_report_accounts_for_every_outcome(outcomes: list[ImageOutcome]) -> None:
    report = MaskReport.of("f", outcomes, 0.0)
    assert report.found == len(outcomes)
    assert report.found == report.masked + report.already_done + report.failed + report.known_failed
    assert report.objects == ({"car": 2 * report.masked} if report.masked else {})
    assert len(report.failures) == min(report.failed + report.known_failed, MAX_LISTED)
    assert MaskReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


@pytest.mark.parametrize("found", [9, 11])
def test_counts_that_do_not_add_up_are_refused(found: int) -> None:
    with pytest.raises(ValueError, match=f"expected {found} pictures accounted for, got 10"):
        MaskReport("f", found=found, masked=4, already_done=3, failed=2, known_failed=1)


@pytest.mark.parametrize(
    ("status", "reason"), [(Status.MASKED, "odd"), (Status.ALREADY_DONE, "odd"), (Status.FAILED, None)]
)
def test_an_outcome_has_a_reason_if_and_only_if_it_failed(status: Status, reason: str | None) -> None:
    with pytest.raises(ValueError, match="expected a reason for a failed picture only"):
        ImageOutcome("a.jpg", status, reason)


def mask(masked: int = 0, already_done: int = 0, failed: int = 0, known_failed: int = 0) -> MaskReport:
    return MaskReport("f", masked + already_done + failed + known_failed, masked, already_done, failed, known_failed)


@pytest.mark.parametrize(
    ("parts", "failed"),
    [
        ({"mask": mask(masked=2, already_done=1)}, 0),
        ({"mask": mask(known_failed=2)}, 0),
        ({"mask": mask(masked=1, failed=2)}, 2),
        ({"archive": ArchiveReport("f", failed=3)}, 3),
        ({"load": LoadSummary("f", failed=1)}, 1),
        ({"check": CheckReport("f", expected=9, missing=4)}, 4),
        ({"release": ReleaseReport("f", failed=1), "mask": mask(failed=1)}, 2),
    ],
)
def test_a_folder_succeeds_when_nothing_failed_anew(parts: dict[str, Any], failed: int) -> None:
    report = FolderReport("f", **parts)
    assert report.failed_count == failed
    assert report.succeeded == (failed == 0)


def test_a_picture_that_lacks_several_files_failed_once() -> None:
    gaps = [Gap(picture, f"{picture}.{kind}", "is missing") for picture in ("a", "b") for kind in ("json", "webp")]
    archive = ArchiveReport("f", failed=1, failures=(Failure("a", "not archived"),))
    report = FolderReport("f", mask=mask(masked=9), archive=archive, check=CheckReport("f", 20, 4, tuple(gaps)))
    assert (report.failed_count, report.failed_pictures) == (5, 2)
    assert headline(RunReport((report,))) == "FAILED: 1 of 1 folder, 2 pictures"


@pytest.mark.parametrize(("found", "pictures"), [(100, 70), (60, 60)])
def test_failures_that_are_not_listed_count_as_pictures_up_to_those_found(found: int, pictures: int) -> None:
    gaps = tuple(Gap(f"p{number}", "output", "is missing") for number in range(MAX_LISTED))
    report = FolderReport("f", mask=mask(masked=found), check=CheckReport("f", 200, MAX_LISTED + 20, gaps))
    assert report.failed_pictures == pictures


def test_failures_of_all_steps_are_listed_without_the_known() -> None:
    report = FolderReport(
        "f",
        mask=MaskReport("f", 2, 0, 0, 1, 1, (Failure("a", "new"), Failure("b", "old", known=True))),
        check=CheckReport("f", 3, 1, (Gap("c", "archive", "is missing"),)),
        release=ReleaseReport("f", failed=1, failures=(Failure("d", "not released"),)),
    )
    assert [(failure.picture, failure.reason) for failure in report.failures] == [
        ("a", "new"), ("d", "not released"), ("c", "archive: is missing"),
    ]  # fmt: skip


def run(*codes: int, broken: int | None = None) -> RunReport:
    folders = tuple(
        FolderReport(f"f{i}", error="x" if code else None, error_exit_code=code) for i, code in enumerate(codes)
    )
    return RunReport(folders, broken=() if broken is None else ("x",), broken_exit_code=broken or 1)


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (run(), 0), (run(0, 0), 0), (run(0, 3), 3), (run(3, 3), 3), (run(1, 3), 1), (run(0, 1), 1),
        (run(0, broken=1), 1), (run(0, broken=3), 3), (run(3, broken=1), 1),
        (RunReport((FolderReport("f", mask=mask(failed=1)), FolderReport("g", error="x", error_exit_code=3))), 1),
    ],
)  # fmt: skip
def test_exit_code_of_a_run(report: RunReport, code: int) -> None:
    assert report.exit_code == code
    assert report.succeeded == (code == 0)


def test_totals_count_steps_that_ran() -> None:
    report = RunReport(
        (FolderReport("f", mask=mask(masked=2)), FolderReport("g"), FolderReport("h", mask=mask(masked=3)))
    )
    assert report.total("mask", "masked") == 5
    assert report.total("archive", "archived") == 0
