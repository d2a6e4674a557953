"""`anonymise retention`: remove what is kept longer than the configuration allows."""

from __future__ import annotations

import click

from anonymisation.chain.retention import enforce_retention, retention_log
from anonymisation.cli.options import ChainOptions, chain_options
from anonymisation.cli.session import open_session
from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.core.settings import Settings
from anonymisation.core.text import counted


@click.command("retention")
@chain_options
def retention_command(options: ChainOptions) -> None:
    """Remove archived originals and failed pictures that are older than the configuration allows, and log each file.

    See archive_retention_days and error_retention_days. Runs do the same at their end. --folder and the dates do not
    matter here. Ends with exit code 1 if a file that is too old had to stay.

    \b
    Example:
      anonymise retention -i in/ -o out/ -a archive/ -k config.yml
    """
    session = open_session(options)
    settings = session.workspace.settings
    if not settings.archive_retention_days and not settings.error_retention_days:
        message = "is 0, and so is error_retention_days: everything is kept; set one of them to a number of days"
        raise ConfigurationError([ConfigProblem("configuration", "archive_retention_days", message)])
    if settings.archive_retention_days and session.workspace.shares.archive is None:
        message = f"is {settings.archive_retention_days}, and no archive folder is given; give it with -a"
        raise ConfigurationError([ConfigProblem("configuration", "archive_retention_days", message)])
    report = enforce_retention(session.workspace)
    if report.originals or report.failures:
        session.out.print(f"{report}; each is named in {retention_log(session.workspace.shares.state)}")
    else:
        session.out.print("Nothing is removed." if report.kept else f"Nothing is removed: {_why_not(settings)}.")
    for reason in report.kept:
        session.out.print(reason, style="red")
    click.get_current_context().exit(1 if report.kept else 0)


def _why_not(settings: Settings) -> str:
    """Which ages no file has reached, in words."""
    ages = (("archived original", settings.archive_retention_days), ("failed picture", settings.error_retention_days))
    return ", and ".join(f"no {what} is older than {counted(days, 'day')}" for what, days in ages if days)
