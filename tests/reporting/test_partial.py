"""What was done before an error ended a step is reported with that error."""

from __future__ import annotations

import pytest

from anonymisation.chain.run import report_of
from anonymisation.core.errors import ConfigProblem, ConfigurationError, ShareUnavailableError
from anonymisation.reporting.partial import keeping, partial_report
from anonymisation.reporting.step_reports import ArchiveReport, ImageOutcome, MaskReport, MaskTally, Status


@pytest.mark.parametrize("error", [ShareUnavailableError("disk full"), KeyError("a fault of ours")])
def test_the_report_of_a_step_travels_on_its_error(error: Exception) -> None:
    tally = MaskTally("f")

    def mask() -> MaskReport:
        with keeping(lambda: tally.report(1.5, found=3)):
            tally.add(ImageOutcome("f/a.jpg", Status.MASKED, objects={"car": 2}))
            tally.add(ImageOutcome("f/b.jpg", Status.FAILED, reason="torn"))
            raise error

    report = report_of("f", [("mask", mask), ("archive", lambda: ArchiveReport("f"))])
    assert report.error is not None
    assert report.archive is None  # the error ended the chain
    assert report.mask is not None
    assert (report.mask.found, report.mask.masked, report.mask.failed, report.mask.left) == (3, 1, 1, 1)
    assert report.mask.objects == {"car": 2}
    assert [failure.picture for failure in report.failures] == ["f/b.jpg"]


def test_an_error_without_a_report_has_none() -> None:
    assert partial_report(KeyError("x")) is None


def test_a_report_that_cannot_be_made_does_not_hide_the_error(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> MaskReport:
        raise ZeroDivisionError

    with pytest.raises(KeyError, match="the first") as caught, keeping(broken):
        raise KeyError("the first")
    assert partial_report(caught.value) is None
    assert "cannot be reported" in caplog.text


def test_the_problems_of_a_configuration_are_one_line_of_the_summary() -> None:
    def load() -> ArchiveReport:
        raise ConfigurationError([ConfigProblem("db", "T", "is not there"), ConfigProblem("db", "U", "is a view")])

    report = report_of("f", [("load", load)])
    assert report.error == "configuration refused: db: T: is not there; db: U: is a view"
