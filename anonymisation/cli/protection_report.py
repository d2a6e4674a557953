"""`anonymise protection-report`: what was done with people's pictures in a period, for the data-protection officer."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from anonymisation.cli.folders import require_results
from anonymisation.cli.options import ChainOptions, chain_options
from anonymisation.cli.session import open_session
from anonymisation.files.atomic import write_atomically
from anonymisation.files.reported import reported
from anonymisation.review.certificate.store import now
from anonymisation.review.protection_report import Period, collect, render

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("protection-report")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--since", type=_DAY, required=True, help="First day of the period, in UTC.")
@click.option("--until", type=_DAY, required=True, help="Last day of the period.")
@chain_options
def protection_report_command(options: ChainOptions, file: Path, since: datetime, until: datetime) -> None:
    """Write the report for the data-protection officer to FILE: a page for print, or JSON if its name ends with .json.

    It counts what was masked, released, reviewed and certified in the period, who looked at originals, and what the
    retention removed. --folder and the dates of capture do not matter here.

    \b
    Example:
      anonymise protection-report may.html --since 2021-05-01 --until 2021-05-31 -i in/ -o out/
    """
    try:
        period = Period(since.date(), until.date())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--until") from None
    session = open_session(options)
    require_results(session.workspace)
    report = collect(session.workspace.shares.state, period)
    if file.suffix.lower() == ".json":
        text = json.dumps(report.as_json(), indent=1)
    else:
        text = render(report, session.workspace.settings, now())
    path = file.expanduser().absolute()
    with reported(path, "written"):
        write_atomically(path, text.encode("utf-8", "backslashreplace"))
    session.out.print(
        f"masked: {report.masked}, reviewed: {report.reviewed}, judged for certificates: {report.judged}, "
        f"certificates: {len(report.certificates)}, looks at originals: {sum(report.looks.values())}\n{path}"
    )
