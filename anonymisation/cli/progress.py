"""Progress of a run: on a terminal a bar for all pictures and one for the folder, elsewhere lines in the log."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from anonymisation.chain.discover import Finding, FoundFolder
from anonymisation.core.text import one_line
from anonymisation.reporting.run_report import FolderReport
from anonymisation.reporting.step_reports import ImageOutcome, MaskReport, Status

_NAME_WIDTH: Final = 36


class RunProgress:
    """Draws the bars (on a terminal) and writes a line per folder to the log, from the events of a run."""

    def __init__(self, console: Console) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}", style="red", markup=False),
        )
        # Without redirection of stdout, because results are printed after the bars.
        self._bars = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal
        )
        self._log = logging.getLogger(__name__)
        self._all = self._bars.add_task(_short("looking for pictures"), total=None, note="")
        self._folder = self._bars.add_task("", total=None, visible=False, note="")
        self._pictures = 0
        self._failed = 0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def found(self, finding: Finding) -> None:
        """Discovery found something; the pictures of a folder with work left are added to the total."""
        if isinstance(finding, FoundFolder) and finding.pending:
            self.expect(finding.pictures)

    def expect(self, pictures: int) -> None:
        """Add `pictures` to the total."""
        self._pictures += pictures
        if self._bars.tasks[0].total is None:
            self._bars.update(self._all, description=_short("pictures found"), completed=self._pictures)

    def folder(self, folder: FoundFolder) -> None:
        """The run begins a folder."""
        self._log.info("%s: %s, %d to do", folder.folder, _pictures(folder.pictures), folder.pending)
        if self._bars.tasks[0].total is None:
            self._bars.reset(self._all, description=_short("all pictures"), completed=0)
        self._bars.update(self._all, total=self._pictures)
        self._bars.reset(
            self._folder, description=_short(folder.folder), total=folder.pictures, completed=0, visible=True
        )

    def picture(self, outcome: ImageOutcome) -> None:
        """The mask step has finished a picture."""
        self._log.debug("%s: %s %s", outcome.picture, outcome.status, dict(outcome.objects) or "")
        self._failed += outcome.status is Status.FAILED
        self._bars.advance(self._folder)
        self._bars.update(self._all, advance=1, note=f"{self._failed} failed" if self._failed else "")

    def report(self, report: FolderReport) -> None:
        """The run has finished a folder."""
        if report.mask is not None:
            self._log.info("%s: %s", report.folder, describe(report.mask))


def describe(report: MaskReport) -> str:
    """The counts of the mask step in one line, without the zeros."""
    counts = {
        "masked": report.masked,
        "done already": report.already_done,
        "failed": report.failed,
        "known to fail": report.known_failed,
        "not reached": report.left,
    }
    listed = ", ".join(f"{number} {label}" for label, number in counts.items() if number)
    return f"{listed or 'no pictures'} ({report.seconds:.0f} s)"


def _pictures(number: int) -> str:
    return "1 picture" if number == 1 else f"{number} pictures"


def _short(name: str) -> str:
    """The end of a name, which distinguishes folders, in a fixed width so that the bars are aligned."""
    text = Text(one_line(name))
    if text.cell_len > _NAME_WIDTH:
        text = Text(f"…{one_line(name)[-_NAME_WIDTH + 1 :]}")
    text.truncate(_NAME_WIDTH, pad=True)
    return text.plain
