"""What failed for one reason is one group of the night's page, also where the reason names the picture's files."""

from __future__ import annotations

import pytest

from anonymisation.reporting.run_report import FolderReport
from anonymisation.reporting.step_reports import ArchiveReport, CheckReport, Failure, Gap
from anonymisation_airflow.operations.runs.nights_view import FolderLine
from anonymisation_airflow.operations.runs.reasons import reasons, shared_reason

LACKS = "is missing; make it with create-previews"


def line(report: FolderReport) -> FolderLine:
    return FolderLine(report.folder, "k", "failed", "", report, 1, 0, 0, 0, 0, None, None)


def test_missing_files_of_many_pictures_are_one_group_with_each_picture_once() -> None:
    names = [f"F/p{number}.jpg" for number in range(3)]
    places = [f"/out/{name.removesuffix('.jpg')}_preview.jpg" for name in names]
    gaps = tuple(Gap(name, place, LACKS) for name, place in zip(names, places, strict=True))
    archive = ArchiveReport("F", failed=1, failures=(Failure(names[0], f"{places[0]}: {LACKS}"),))
    (group,) = reasons([line(FolderReport("F", archive=archive, check=CheckReport("F", 9, 3, gaps)))])
    assert group.text == f"/out/…_preview.jpg: {LACKS}"
    assert sorted(item.name for item in group.items) == names
    assert group.count == 3


@pytest.mark.parametrize(
    ("picture", "reason", "shared"),
    [
        ("a.jpg", "/archive/a.json: is missing", "/archive/….json: is missing"),
        ("F/p1.jpg", "/out/F/p10.webp: is missing", "/out/F/p10.webp: is missing"),
        ("F/p (1).jpg", "/out/F/p (1).webp: is missing", "/out/….webp: is missing"),
        ("", "the database is away", "the database is away"),
    ],
)
def test_only_the_own_path_of_a_picture_is_left_out(picture: str, reason: str, shared: str) -> None:
    assert shared_reason(Failure(picture, reason)) == shared
