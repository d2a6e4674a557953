"""Mails as a mail program shows them, on a screen and on a phone."""

from __future__ import annotations

from typing import Any

import pytest

from anonymisation.reporting.mail import build_critical, build_finished, build_processing_error
from anonymisation.reporting.mail_context import Link, MailContext
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import ArchiveReport, Failure, LoadSummary, MaskReport

DEEP = "TilSladding/2021/RegionMidtTrondelag/EV6/S1D1/F1_2021_05_13_012"
ADDRESS = "https://airflow.a-long-name.roads.example/airflow/dags/anonymise_captures/runs/scheduled__2026-11-28T02"
CONTEXT = MailContext("survey-worker-07.roads.example", "2026-11-28 14.56.13", None, links=(Link("Run", ADDRESS),))
FAILURE = Failure(
    f"{DEEP}/{'picture_0001_' * 6}.jpg", f"the archive holds a different picture as /mnt/archive/{DEEP}/a.jpg"
)
BAD = FolderReport(
    DEEP,
    MaskReport(DEEP, 123_456, 123_455, 0, 1, 0, (FAILURE,), objects={"car": 1_234_567, "person": 98_765}),
    ArchiveReport(DEEP, 123_455),
    LoadSummary(DEEP, 123_455),
    error=f"mask: {DEEP}: process 19190 on survey-worker-07 is working on this folder; try again later",
)
GOOD = FolderReport(
    "2021/EV6", MaskReport("2021/EV6", 4, 4, 0, 0, 0), ArchiveReport("2021/EV6", 4), LoadSummary("2021/EV6", 4)
)
MAILS = {
    "finished": build_finished(RunReport((BAD, GOOD), seconds=12_345), CONTEXT),
    "folder": build_processing_error(BAD, CONTEXT),
    "critical": build_critical(OSError(28, "No space left on device", f"/mnt/state/{DEEP * 3}"), CONTEXT),
}


@pytest.mark.parametrize("width", [1100, 390])
@pytest.mark.parametrize("kind", MAILS)
def test_no_mail_is_wider_than_the_window(chromium: Any, kind: str, width: int) -> None:
    part = MAILS[kind].get_body(("html",))
    assert part is not None
    page = chromium.new_page(viewport={"width": width, "height": 800})
    page.set_content(part.get_content())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()
