"""`anonymise compare`: let two models or two settings look at the same pictures, before one replaces the other."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from anonymisation.cli.folders import require_results, selected_folders
from anonymisation.cli.model import ModelOnDemand
from anonymisation.cli.options import ChainOptions, chain_options
from anonymisation.cli.overrides import parsed
from anonymisation.cli.session import Session, open_session
from anonymisation.core.settings import Settings, load_settings
from anonymisation.core.text import counted
from anonymisation.review.comparison.shadow import Contender, compare
from anonymisation.review.comparison.store import read_sayings, read_study
from anonymisation.review.comparison.study import Study, in_words, result_of


@click.command("compare")
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    help="Model: Built-in, Slow, Medium, Fast, or the folder of a "
    "SavedModel. Given twice: compare the two. Given once: compare the model in force with it.",
)
@click.option(
    "-s",
    "--set",
    "changed",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the second side, such as score_threshold=0.3; may be given several times.",
)
@click.option(
    "-n",
    "--pictures",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    help="Number of masked pictures to compare, drawn at random.",
)
@click.option("--title", default="", help="Title of the comparison.")
@click.option("--by", default=getpass.getuser, show_default="your user name", help="Who does it.")
@click.option("--result", "identity", metavar="ID", help="Print the result of an earlier comparison instead.")
@chain_options
def compare_command(
    options: ChainOptions, models: tuple[str, ...], changed: tuple[str, ...], pictures: int, title: str, by: str,
    identity: str | None,
) -> None:  # fmt: skip
    """Compare two models or settings on masked pictures whose originals are at hand. Nothing is published.

    People then judge, on the operations page, only the regions that one side alone hides. The result says which side
    misses less and which hides less falsely, with bounds.

    \b
    Example:
      anonymise compare -i in/ -o out/ -m models/candidate -n 300
    """
    if len(models) > 2:
        raise click.UsageError("give at most two models")
    session = open_session(options)
    if identity is not None:
        _print(session, _study(session, identity))
        return
    overrides = parsed(changed)
    if not overrides and not models:
        raise click.UsageError("give a model with -m, or a setting with -s, to compare with what is in force")
    require_results(session.workspace)
    folders = selected_folders(session)
    sides = _sides(session, models, overrides)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
    bars = Progress(*columns, console=session.err, transient=True, redirect_stdout=False)
    bars.disable = not session.err.is_terminal
    with bars:
        task = bars.add_task("pictures compared", total=pictures)
        study = compare(
            session.workspace,
            folders,
            sides,
            pictures,
            title=title or f"{sides[0].name} and {sides[1].name}",
            by=by,
            on_picture=lambda _: bars.advance(task),
        )
    _print(session, study)


def _sides(session: Session, models: tuple[str, ...], overrides: Mapping[str, Any]) -> tuple[Contender, Contender]:
    """The side in force or the first model, and the other one; both with their model loaded."""
    first = {"model_type": models[0]} if len(models) == 2 else {}
    second = {**overrides, **({"model_type": models[-1]} if models else {})}
    return _contender(session, "A", first), _contender(session, "B", second)


def _contender(session: Session, name: str, changed: Mapping[str, Any]) -> Contender:
    options = session.options
    settings: Settings = load_settings(options.config_file, {**options.overrides(), **changed}).settings
    return Contender(name, settings, changed, ModelOnDemand(settings)())


def _study(session: Session, identity: str) -> Study:
    try:
        study = read_study(session.workspace.shares.state, identity)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--result") from None
    if study is None:
        raise click.BadParameter(f"there is no comparison {identity}", param_hint="--result")
    return study


def _print(session: Session, study: Study) -> None:
    out, sayings = session.out, read_sayings(session.workspace.shares.state, study.id)
    for name, side, hidden in (("A", study.a, "hidden_a"), ("B", study.b, "hidden_b")):
        changed = ", ".join(f"{key}={value}" for key, value in side.settings.items()) or "settings in force"
        share = sum(getattr(one, hidden) / (one.height * one.width) for one in study.pictures) / len(study.pictures)
        alone = counted(sum(region.difference.side == name.lower() for region in study.regions), "region")
        out.print(f"{name}: {side.model}, {changed}: hides {100 * share:.2g} % of the pixels, {alone} alone")
    if study.failures:
        failed = counted(len(study.failures), "picture")
        session.err.print(f"{failed} could not be compared, such as {study.failures[0]}", style="yellow")
    result = result_of(study, sayings)
    regions, pictures = counted(len(study.regions), "region"), counted(len(study.pictures), "picture")
    out.print(f"{result.judged} of {regions} on {pictures} judged" if study.regions else f"No difference on {pictures}")
    if result.judged == len(study.regions):
        for sentence in in_words(study, result):
            out.print(sentence)
    else:
        out.print("Judge them on the operations page (Certificates, Comparisons). Then this prints the result:")
        out.print(f"  anonymise compare {session.places} --result {study.id}")
