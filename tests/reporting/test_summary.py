"""The summary: its numbers, its names, and what must not be in it."""

from __future__ import annotations

import re

import pytest

from anonymisation.database.loading.limits import Collision
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import (
    SUSPICIOUS_FROM,
    ArchiveReport,
    CheckReport,
    Failure,
    Gap,
    LoadSummary,
    MaskReport,
    ReleaseReport,
)
from anonymisation.reporting.summary import MAX_LINES, headline, render_folder, render_summary


def mask(
    folder: str, masked: int = 0, failures: tuple[Failure, ...] = (), objects: dict[str, int] | None = None
) -> MaskReport:
    known = sum(failure.known for failure in failures)
    return MaskReport(
        folder, masked + len(failures), masked, 0, len(failures) - known, known, failures, objects or {}, 1.0
    )


def lines_of(report: RunReport) -> dict[str, str]:
    lines = (line.rsplit("  ", 1) for line in render_summary(report).splitlines() if "  " in line.strip())
    return {pair[0].strip(): pair[1].strip() for pair in lines}


def test_counts_are_sums_over_the_folders() -> None:
    first = FolderReport(
        "a",
        mask=mask("a", 3, objects={"car": 2, "person": 1}),
        archive=ArchiveReport("a", archived=3),
        load=LoadSummary("a", inserted=2, updated=1),
        check=CheckReport("a", expected=9),
        release=ReleaseReport("a", released=3),
    )
    second = FolderReport("b", mask=mask("b", 1, (Failure("b/x.jpg", "torn"),), {"car": 1}))
    told = lines_of(RunReport((first, second), seconds=3725.4))
    assert told["folders"] == "2"
    assert (told["images found"], told["masked"], told["failed"]) == ("5", "4", "1")
    assert (told["rows inserted"], told["rows updated"], told["rows failed"]) == ("2", "1", "0")
    assert (told["originals archived"], told["originals released"]) == ("3", "3")
    assert told["hidden"] == "3 car, 1 person"
    assert told["time spent"] == "1 h 02 min"


@pytest.mark.parametrize(
    ("report", "subject", "verdict"),
    [
        (RunReport((FolderReport("a", mask=mask("a", 3)), FolderReport("b", mask=mask("b", 1)))),
         "Finished: 2 folders, 4 pictures masked", "Everything is done."),
        (RunReport((FolderReport("a", mask=mask("a", 1, (Failure("a/x.jpg", "torn"),))), FolderReport("b"))),
         "FAILED: 1 of 2 folders, 1 picture", "Not everything succeeded; see below."),
        (RunReport((), broken=("no capture folder matches typo/*",)),
         "FAILED: not complete", "Not everything succeeded; see below."),
        (RunReport((FolderReport("a", mask=mask("a", SUSPICIOUS_FROM)),)),
         f"SUSPICIOUS: nothing found in {SUSPICIOUS_FROM} pictures", "Everything is done."),
        (RunReport((), up_to_date=12),
         "Nothing to do: everything in 12 folders is done", "Nothing to do: everything in 12 folders is done."),
        (RunReport((), up_to_date=1, unsettled=("a",)),
         "Nothing to do yet: 1 folder still changes and is left for a later run",
         "Nothing to do yet: 1 folder still changes and is left for a later run."),
        (RunReport((), selection="captured 2021-06-01"),
         "Nothing to do: no capture folder matches captured 2021-06-01",
         "Nothing to do: no capture folder matches captured 2021-06-01."),
        (RunReport(()), "Nothing to do: there are no pictures in the input folder",
         "Nothing to do: there are no pictures in the input folder."),
    ],
)  # fmt: skip
def test_success_failure_and_the_kinds_of_nothing_to_do_differ(report: RunReport, subject: str, verdict: str) -> None:
    assert headline(report) == subject
    assert render_summary(report).splitlines()[0] == verdict


def test_everything_that_went_wrong_is_named() -> None:
    folders = (
        FolderReport("a", mask=mask("a", 1, (Failure("a/x.jpg", "torn"), Failure("a/old.jpg", "12 bits", known=True)))),
        FolderReport("b", error="the archive share is away", error_exit_code=3),
        FolderReport("g", error="g: another run is working on this folder", error_exit_code=3),
        FolderReport("c", check=CheckReport("c", 4, 1, (Gap("c/y.jpg", "archive", "is missing"),))),
        FolderReport("d", load=LoadSummary("d", updated=1, collisions=(Collision("id 1", "d/2.jpg", "d/1.jpg"),))),
    )
    text = render_summary(
        RunReport(folders, problems=("e: cannot be read", "f: is a link"), broken=("e: cannot be read",))
    )
    assert text.startswith("Not everything succeeded; see below.")
    for line in (
        "Not complete:\n  e: cannot be read",
        "Folders that stopped:\n  b: the archive share is away\n  g: another run is working on this folder",
        "Failed:\n  a/x.jpg: torn\n  c/y.jpg: archive: is missing",
        "Known to fail, and unchanged since:\n  a/old.jpg: 12 bits",
        "Two pictures with one ID:\n  id 1: the row is of d/2.jpg, not of d/1.jpg",
        "Not entered:\n  f: is a link",
    ):
        assert f"\n{line}" in text


def test_pictures_with_one_id_are_counted_once_and_those_not_listed_too() -> None:
    pairs = tuple(Collision(f"id {n}", "e/2.jpg", f"d/{n}.jpg") for n in range(3))
    folders = (
        FolderReport(
            "d",
            load=LoadSummary("d", collided=2, collisions=pairs[:2]),
            check=CheckReport("d", collided=2, collisions=pairs[:2]),
        ),
        FolderReport("e", load=LoadSummary("e", collided=2, collisions=pairs[1:])),
        FolderReport("f", check=CheckReport("f", collided=7, collisions=(Collision("id f", "g/1.jpg", "f/1.jpg"),))),
    )
    report = RunReport(folders)
    text = render_summary(report)
    assert re.search(r"^pictures that yield their ID +10$", text, re.MULTILINE)
    assert text.count("the row is of") == 4
    assert "not of f/1.jpg\n  … and 6 more" in text
    assert report.succeeded


def test_a_good_run_has_no_lists() -> None:
    text = render_summary(RunReport((FolderReport("a", mask=mask("a", 2)),)))
    assert text.startswith("Everything is done.")
    assert not [line for line in text.splitlines() if line.endswith(":")]


def test_known_failures_are_part_of_the_verdict() -> None:
    old = Failure("a/old.jpg", "12 bits", known=True)
    report = RunReport((FolderReport("a", mask=mask("a", 2, (old, old))),))
    assert report.succeeded
    assert render_summary(report).startswith("Everything is done, but for 2 pictures that are known to fail.")


def test_long_lists_are_cut_and_say_so() -> None:
    folders = tuple(
        FolderReport(str(n), mask=mask(str(n), 0, tuple(Failure(f"{n}/{m}.jpg", "torn") for m in range(40))))
        for n in range(5)
    )
    text = render_summary(RunReport(folders))
    assert text.count(": torn") == MAX_LINES
    assert "  … and 100 more" in text
    assert "failed           200" in text


def test_failures_beyond_those_a_report_lists_are_counted() -> None:
    report = FolderReport("a", mask=MaskReport("a", 80, 0, 0, 80, 0, (Failure("a/1.jpg", "torn"),)))
    assert "  … and 79 more" in render_folder(report)


def test_a_line_of_the_summary_cannot_be_forged() -> None:
    report = FolderReport("a\nmasked  99", error="x\r\x1b[2Jy")
    text = render_summary(RunReport((report,)))
    assert r"  a\nmasked  99: x\r\x1b[2Jy" in text.splitlines()


def test_credentials_and_lone_surrogates_do_not_come_through() -> None:
    report = FolderReport("a", error="oracle+oracledb://u:hemmelig@h/x refused \udcff")
    text = render_summary(RunReport((report,)))
    assert "hemmelig" not in text
    text.encode("utf-8")


SUSPICION = (
    "Suspicious: the model found nobody and no vehicle in {} pictures. Look at some of them, and at the model and "
)


def test_many_pictures_without_anything_are_suspicious_and_no_failure() -> None:
    half = SUSPICIOUS_FROM // 2
    report = RunReport(
        (FolderReport("a", mask=mask("a", half)), FolderReport("b", mask=mask("b", SUSPICIOUS_FROM - half)))
    )
    text = render_summary(report)
    assert text.startswith("Everything is done.")
    assert f"\n{SUSPICION.format(SUSPICIOUS_FROM)}score_threshold." in text
    assert (report.succeeded, report.exit_code) == (True, 0)


def test_few_pictures_or_one_find_or_what_was_done_before_are_not_suspicious() -> None:
    few = FolderReport("a", mask=mask("a", SUSPICIOUS_FROM - 1))
    many = FolderReport("b", mask=mask("b", 5 * SUSPICIOUS_FROM))
    one = FolderReport("c", mask=mask("c", 1, objects={"bus": 1}))
    done = FolderReport("d", mask=MaskReport("d", 5 * SUSPICIOUS_FROM, 0, 5 * SUSPICIOUS_FROM, 0, 0))
    archived = FolderReport("e", archive=ArchiveReport("e", archived=5 * SUSPICIOUS_FROM))
    for folders in ((), (few,), (many, one), (few, done), (archived,)):
        report = RunReport(folders)
        assert not report.suspicious
        assert "Suspicious" not in render_summary(report)


def test_a_failed_night_can_be_suspicious_too() -> None:
    torn = (Failure("a/x.jpg", "torn"),)
    report = RunReport((FolderReport("a", mask=mask("a", SUSPICIOUS_FROM, torn)),))
    text = render_summary(report)
    assert text.startswith("Not everything succeeded")
    assert SUSPICION.format(SUSPICIOUS_FROM) in text
