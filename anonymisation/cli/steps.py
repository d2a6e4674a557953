"""One step of the chain over all folders, with a table of the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from anonymisation.chain.discover import FoundFolder
from anonymisation.chain.run import no_match, report_of
from anonymisation.chain.waiting_rows import Trouble
from anonymisation.cli.folders import all_folders
from anonymisation.cli.session import Session
from anonymisation.cli.tables import print_table
from anonymisation.core.text import one_line
from anonymisation.reporting.run_report import RunReport
from anonymisation.reporting.summary import render_problems, verdict
from anonymisation.workspace.unread import NotRead

StepCall = Callable[[FoundFolder], Any]
Column = tuple[str, str]  # heading, name of the count in the step's report


def run_step(
    session: Session,
    step: str,
    call: StepCall,
    *,
    released_too: bool = False,
    broken: Trouble | None = None,
    on_found: Callable[[FoundFolder], None] | None = None,
) -> RunReport:
    """Call the step for every folder. An error in one folder goes into its report and does not stop the others.

    `on_found` is called with every folder before the step begins with the first. `broken` is an earlier problem that
    makes the run incomplete.

    Raises:
        ShareUnavailableError: the input folder, or another share, cannot be reached.
    """
    started = time.monotonic()
    session.workspace.require_shares(first_look=True)
    folders = all_folders(session.workspace, session.selection, released_too=released_too)
    if on_found is not None:
        for folder in folders.found:
            on_found(folder)
    reports = tuple(report_of(folder.folder, [(step, partial(call, folder))]) for folder in folders.found)
    hidden = [str(problem) for problem in folders.problems if problem.hides_pictures]
    names = {*(folder.folder for folder in folders.found), *(item.folder for item in folders.unread)}
    unmatched = session.selection.unmatched(names)
    others = (*hidden, *map(no_match, unmatched))
    return RunReport(
        folders=reports,
        problems=tuple(str(problem) for problem in folders.problems),
        broken=others if broken is None else (*others, broken.reason),
        unread=NotRead.of(folders.unread),
        broken_exit_code=1 if broken is None or others else broken.exit_code,
        seconds=time.monotonic() - started,
        selection=session.selected,
    )


def finish(session: Session, report: RunReport, step: str, columns: Sequence[Column]) -> None:
    """Print the table and the failures, and end with the report's exit code."""
    print_table(session.out, _table(report, step, columns))
    problems = render_problems(report)
    session.out.print("\n".join([verdict(report), *problems]), style=None if report.succeeded else "red")
    totals = ", ".join(f"{heading} {report.total(step, count)}" for heading, count in columns)
    session.log("\n".join([f"{step}: {len(report.folders)} folders, {totals}", verdict(report), *problems]))
    click.get_current_context().exit(report.exit_code)


def _table(report: RunReport, step: str, columns: Sequence[Column]) -> Table:
    table = Table(show_footer=True)
    table.add_column("folder", footer="all", overflow="fold")
    for heading, count in columns:
        table.add_column(heading, footer=str(report.total(step, count)), justify="right")
    for folder in report.folders:
        result = getattr(folder, step)
        cells = ["–" if result is None else str(getattr(result, count)) for _, count in columns]
        style = None if folder.succeeded else "red"
        table.add_row(Text(one_line(folder.folder)), *cells, style=style)
    return table
