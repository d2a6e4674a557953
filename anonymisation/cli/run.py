"""`anonymise run`: the whole chain for every folder that has something left to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click

from anonymisation.chain.discover import Finding, FoundFolder
from anonymisation.chain.dry_run import make_plan, render_plan
from anonymisation.chain.retention import end_with_retention
from anonymisation.chain.run import run_all
from anonymisation.chain.waiting_rows import with_trouble
from anonymisation.cli.model import ModelOnDemand
from anonymisation.cli.options import ChainOptions, run_options
from anonymisation.cli.progress import RunProgress
from anonymisation.cli.session import Session, open_session
from anonymisation.core.text import hide_credentials
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.summary import render_summary


@click.command("run")
@run_options
@click.option("--dry-run", is_flag=True, help="List the work and estimate its time; change nothing.")
def run_command(options: ChainOptions, dry_run: bool) -> None:
    """Mask, archive, load, check and release every folder that has work left, or a single picture.

    A picture or folder that fails does not stop the others; the summary lists each failure with its reason.

    \b
    Examples:
      anonymise run -i pictures -o masked
      anonymise run -i picture.jpg -o masked
      anonymise run -i captures -o masked -a archive -k config.yml --folder 2026/FV13 --dry-run
    """
    session = open_session(options)
    if dry_run:
        _print_plan(session)
        return
    with _mail_if_stopped(session):
        started = time.monotonic()
        session.workspace.require_shares(first_look=True)
        trouble = session.send_waiting_rows()
        report = _run(session)
        report = with_trouble(replace(report, seconds=time.monotonic() - started), trouble)
    if report.broken:
        session.mailer.folder(FolderReport(".", error="; ".join(report.broken), error_exit_code=report.exit_code))
    _finish(session, report)
    click.get_current_context().exit(report.exit_code)


def _print_plan(session: Session) -> None:
    session.workspace.require_input(first_look=True)
    plan = make_plan(session.workspace, session.selection)
    text = render_plan(plan)
    session.log(text)
    session.out.print(text)
    if plan.broken:
        click.get_current_context().exit(1)


def _run(session: Session) -> RunReport:
    idle: list[FolderReport] = []

    def found(finding: Finding) -> None:
        progress.found(finding)
        if isinstance(finding, FoundFolder) and not finding.pending and not finding.known_failed:
            idle.append(FolderReport(finding.folder, mask=finding.idle_report()))

    def ended(report: FolderReport) -> None:
        progress.report(report)
        session.mailer.folder(report)

    with RunProgress(session.err) as progress:
        report = run_all(
            session.workspace,
            ModelOnDemand(session.workspace.settings),
            selection=session.selection,
            on_found=found,
            on_folder=progress.folder,
            on_progress=progress.picture,
            on_report=ended,
            clean_up=not session.options.skip_clear_cache,
        )
    end_with_retention(session.workspace)
    # Finished folders count as well, so that the numbers of the summary add up.
    return replace(report, folders=(*report.folders, *idle), up_to_date=0, selection=session.selected)


def _finish(session: Session, report: RunReport) -> None:
    summary = render_summary(report)
    places = _places(session, report)
    session.log(f"{summary}\n\n{places}")
    headline, _, rest = summary.partition("\n")
    session.out.print()
    session.out.print(headline, style="bold green" if report.succeeded else "bold red")
    session.out.print(rest)
    session.out.print()
    session.out.print(places)
    session.mailer.finished(report)


def _places(session: Session, report: RunReport) -> str:
    shares = session.workspace.shares
    failed = report.total("mask", "failed") + report.total("mask", "known_failed")
    places = {
        "masked pictures": shares.output,
        "archive": shares.archive,
        "failed pictures": shares.errors if failed else None,
        "state": shares.state,
        "database": session.workspace.database_url if session.workspace.settings.write_exif_to_db else None,
        "log": session.log_file,
    }
    listed = [(label, hide_credentials(str(place))) for label, place in places.items() if place is not None]
    width = max(len(label) for label, _ in listed)
    return "\n".join(f"{label:<{width}}  {place}" for label, place in listed)


@contextmanager
def _mail_if_stopped(session: Session) -> Iterator[None]:
    """Mail an error that ends the run, and raise it again."""
    try:
        yield
    except Exception as error:
        session.mailer.critical(error)
        raise
