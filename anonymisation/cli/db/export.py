"""`anonymise db export`: the rows of the table as a file for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from anonymisation.cli.db.options import DatabaseOptions, database_options, open_database
from anonymisation.core.errors import ConfigProblem, ConfigurationError, WorkFailedError
from anonymisation.database.administration import count_rows
from anonymisation.database.geojson import FeatureForm, Tally, feature_collection
from anonymisation.database.stored_rows import read_rows
from anonymisation.files.atomic import write_atomically


@click.command("export", short_help="Write the rows of the table to a GeoJSON file.")
@database_options
@click.option("--format", "form", type=click.Choice(["geojson"]), default="geojson", show_default=True, help="Format.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write; replaced."
)
@click.option(
    "--without", metavar="COLUMN", multiple=True, help="Leave a column out, such as JsonData; may be repeated."
)
def export_command(options: DatabaseOptions, form: str, output: Path, without: tuple[str, ...]) -> None:  # noqa: ARG001
    """Write every row of the table to a file: GeoJSON (RFC 7946) in WGS 84 with altitudes, a feature a line.

    The file appears when it is complete; memory stays flat whatever the number of rows.

    \b
    Example:
      anonymise db export --state masked_state -o pictures.geojson
    """
    session = open_database(options)
    target, path = session.target, output.expanduser().absolute()
    features = FeatureForm(target.layout, without)
    if count_rows(target) is None:
        message = "the table is not there; create it with `anonymise db create-table`"
        raise ConfigurationError([ConfigProblem(target.place, target.layout.name, message)])
    tally = Tally()
    try:
        write_atomically(path, feature_collection(read_rows(target), features, tally))
    except ValueError as error:
        message = (
            f"{target.place}, table {target.layout.name}: a row cannot be exported: {error}; {path} is not written"
        )
        raise WorkFailedError(message) from error
    session.out.print(f"{tally.features} features in {path}, {tally.without_position} of them without a position")
