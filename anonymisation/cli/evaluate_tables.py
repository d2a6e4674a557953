"""The figures of `anonymise evaluate` on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anonymisation.cli.tables import print_table
from anonymisation.evaluation.classes import ALL_SIZES, ROWS, SIZES
from anonymisation.evaluation.measure import Evaluation, MeasuredPicture
from anonymisation.evaluation.precision import PRECISION_KEYS, Precision
from anonymisation.evaluation.summary import settings_used
from anonymisation.evaluation.tally import Row, Tally
from anonymisation.evaluation.truth import KIND_TEXTS
from anonymisation.plain_text import one_line
from anonymisation.settings import Settings

_NONE = "–"


def print_evaluation(out: Console, evaluation: Evaluation, settings: Settings, *, apart: bool) -> None:
    """Print everything that was measured; `apart`: for each picture as well."""
    if apart and evaluation.pictures:
        print_table(out, _pictures_table(evaluation.pictures))
    _print_heading(out, evaluation, settings)
    figures = evaluation.figures
    if figures.pixels:
        print_table(out, _rows_table("pixels hidden, of those that must be", "pixels", figures.pixels))
    if figures.instances:
        print_table(out, _rows_table("instances at least 75 % hidden", "instances", figures.instances))
    clean = figures.clean
    out.print(f"clean pixels hidden by mistake: {_share(clean)} ({clean.hidden} of {clean.total})\n", style="bold")
    if evaluation.precision is not None:
        _print_precision(out, evaluation.precision)
    for note in evaluation.source.notes:
        out.print(note)
    for failure in evaluation.failures:
        out.print(f"not measured: {one_line(str(failure))}", style="red")


def _print_heading(out: Console, evaluation: Evaluation, settings: Settings) -> None:
    source = evaluation.source
    measured, failed = len(evaluation.pictures), len(evaluation.failures)
    touched = sum(picture.anything_hidden for picture in evaluation.pictures)
    used = ", ".join(f"{key} {value}" for key, value in settings_used(settings).items() if key != "model_type")
    lines = {
        "model": evaluation.model,
        "settings": used,
        "pictures": f"{source.images}: {measured} measured, {failed} failed, {touched} with anything hidden",
        "annotations": f"{source.annotations or _NONE} ({KIND_TEXTS[source.kind]})",
    }
    if source.unlabelled:
        lines["not labelled"] = f"{', '.join(source.unlabelled)}: hiding them counts neither way"
    if evaluation.seconds is not None:
        lines["detector"] = f"{evaluation.seconds:.3f} s per picture (median)"
    width = max(map(len, lines))
    out.print("\n".join(one_line(f"{label:<{width}}  {text}") for label, text in lines.items()))


def _rows_table(title: str, unit: str, tallies: dict[Row, Tally]) -> Table:
    table = _table(title)
    table.add_column("")
    sizes = (ALL_SIZES, *(size for size in SIZES if any(row[1] == size for row in tallies)))
    for heading in (unit, *sizes):
        table.add_column(heading, justify="right")
    for label in ROWS:
        if (label, ALL_SIZES) not in tallies:
            continue
        total = str(tallies[label, ALL_SIZES].total)
        cells = (_cell(tallies.get((label, size), Tally()), counted=unit == "instances") for size in sizes)
        table.add_row(label if label in ROWS[:2] else f"  {label}", total, *cells)
    return table


def _pictures_table(pictures: Iterable[MeasuredPicture]) -> Table:
    table = _table("each picture")
    table.add_column("picture", overflow="fold")
    for heading in ("person", "vehicle", "missed", "clean hidden", "AP", "AP50"):
        table.add_column(heading, justify="right")
    for picture in pictures:
        figures, precision = picture.figures, picture.precision
        shares = (_number(figures.recall("person")), _number(figures.recall("vehicle")))
        values = ("", "") if precision is None else tuple(_number(precision.values[key]) for key in ("AP", "AP50"))
        name = Text(one_line(picture.name))
        table.add_row(name, *shares, str(figures.sought.missed), _share(figures.clean), *values)
    return table


def _print_precision(out: Console, precision: Precision) -> None:
    table = _table("COCO mask AP and AR, of the model's masks without dilation")
    for key in PRECISION_KEYS:
        table.add_column(key.replace("_", "\n"), justify="right")
    table.add_row(*(_number(precision.values[key]) for key in PRECISION_KEYS))
    print_table(out, table)
    classes = ", ".join(f"{label} {_number(value)}" for label, value in precision.per_class.items())
    out.print(f"AP per class: {classes}\n")


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _cell(tally: Tally, *, counted: bool) -> str:
    return f"{_share(tally)} of {tally.total}" if counted and tally.total else _share(tally)


def _share(tally: Tally) -> str:
    return _number(tally.share)


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"
