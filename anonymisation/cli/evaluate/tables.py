"""The figures of `anonymise evaluate` on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anonymisation.cli.tables import print_table
from anonymisation.core.settings import Settings
from anonymisation.core.text import one_line
from anonymisation.evaluation.classes import ALL_SIZES, GROUPS, ROWS, SIZES
from anonymisation.evaluation.curve import Curve, Point
from anonymisation.evaluation.measure import Evaluation, MeasuredPicture
from anonymisation.evaluation.precision import PRECISION_KEYS, Precision
from anonymisation.evaluation.summary import settings_used
from anonymisation.evaluation.tally import Row, Tally
from anonymisation.evaluation.truth import KIND_TEXTS, Failure

_NONE: Final = "–"
_MAX_LISTED: Final = 20


def print_evaluation(out: Console, evaluation: Evaluation, settings: Settings, *, apart: bool) -> None:
    """Print all figures; with `apart` also those of each picture."""
    if apart and evaluation.pictures:
        _print(out, "each picture", _pictures_table(evaluation.pictures))
    _print_heading(out, evaluation, settings)
    figures = evaluation.figures
    if figures.pixels:
        _print(out, "Pixels hidden, of those that must be", _rows_table("pixels", figures.pixels))
    if figures.instances:
        _print(out, "Instances at least 75 % hidden", _rows_table("instances", figures.instances))
    clean = figures.clean
    out.print(f"Clean pixels hidden by mistake: {_share(clean)} ({clean.hidden} of {clean.total})\n", style="bold")
    if evaluation.precision is not None:
        _print_precision(out, evaluation.precision)
    if evaluation.curve is not None:
        _print_curve(out, evaluation.curve, settings)
    for note in evaluation.source.notes:
        out.print(note)
    _print_failures(out, evaluation.failures)


def _print(out: Console, title: str, table: Table) -> None:
    out.print(title, style="bold")
    print_table(out, table)


def _print_heading(out: Console, evaluation: Evaluation, settings: Settings) -> None:
    source = evaluation.source
    measured, failed = len(evaluation.pictures), len(evaluation.failures)
    touched = sum(picture.anything_hidden for picture in evaluation.pictures)
    used = ", ".join(f"{key} {value}" for key, value in settings_used(settings).items() if key != "model_type")
    lines = {
        "model": evaluation.model,
        "settings": used,
        "pictures": f"{source.images}: {measured} measured, {failed} failed, {touched} with anything hidden",
        "annotations": KIND_TEXTS[source.kind].format(source.annotations),
    }
    if source.unlabelled:
        lines["not labelled"] = f"{', '.join(source.unlabelled)}: hiding them does not count"
    if evaluation.seconds is not None:
        lines["detector"] = f"{evaluation.seconds:.3f} s per picture (median)"
    width = max(map(len, lines))
    out.print("\n".join(one_line(f"{label:<{width}}  {text}") for label, text in lines.items()), end="\n\n")


def _rows_table(unit: str, tallies: dict[Row, Tally]) -> Table:
    table = _table("class")
    sizes = (ALL_SIZES, *(size for size in SIZES if any(row[1] == size for row in tallies)))
    counted = unit == "instances"
    for heading in sizes if counted else (unit, *sizes):
        table.add_column(heading, justify="right")
    for label in ROWS:
        if (label, ALL_SIZES) not in tallies:
            continue
        cells = [_cell(tallies.get((label, size), Tally()), counted=counted) for size in sizes]
        totals = [] if counted else [str(tallies[label, ALL_SIZES].total)]
        table.add_row(label if label in GROUPS else f"  {label}", *totals, *cells)
    return table


def _pictures_table(pictures: Sequence[MeasuredPicture]) -> Table:
    table = _table("picture")
    with_precision = any(picture.precision is not None for picture in pictures)
    for heading in ("person", "vehicle", "missed", "clean hidden", *(("AP", "AP50") if with_precision else ())):
        table.add_column(heading, justify="right")
    for picture in pictures:
        shares = (_share(picture.person), _share(picture.vehicle))
        precision = picture.precision
        values = () if precision is None else tuple(_number(precision.values[key]) for key in ("AP", "AP50"))
        name = Text(one_line(picture.name))
        table.add_row(name, *shares, str(picture.sought.missed), _share(picture.clean), *values)
    return table


def _print_precision(out: Console, precision: Precision) -> None:
    out.print("COCO mask AP and AR, of the model's masks without dilation", style="bold")
    for keys in (PRECISION_KEYS[:6], PRECISION_KEYS[6:]):  # two tables, so that they fit a terminal
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for key in keys:
            table.add_column(key.replace("_", " "), justify="right")
        table.add_row(*(_number(precision.values[key]) for key in keys))
        print_table(out, table)
    classes = ", ".join(f"{label} {_number(value)}" for label, value in precision.per_class.items())
    out.print(f"AP per class: {classes}\n")


def _print_curve(out: Console, curve: Curve, settings: Settings) -> None:
    table = _table("score_threshold")
    for heading in ("person", "vehicle", "clean hidden", ""):
        table.add_column(heading, justify="right")
    uniform = not settings.score_thresholds
    for point in curve.points:
        marked = uniform and point.threshold == curve.in_force.threshold
        _add_point(table, f"{point.threshold:g}", point, "in force" if marked else "")
    if not uniform:
        _add_point(table, f"{curve.in_force.threshold:g}, score_thresholds", curve.in_force, "in force")
    _print(out, "What one threshold for all would hide", table)
    if curve.cut:
        out.print(f"The model gave no score below {curve.lowest_score:.3f}: the curve ends there.\n")


def _add_point(table: Table, name: str, point: Point, mark: str) -> None:
    table.add_row(name, *(_share(tally) for tally in (point.person, point.vehicle, point.clean)), mark)


def _print_failures(out: Console, failures: Sequence[Failure]) -> None:
    if failures:
        out.print(f"{len(failures)} pictures or annotations could not be measured:", style="red")
    for failure in failures[:_MAX_LISTED]:
        out.print(f"  {one_line(str(failure))}", style="red")
    if len(failures) > _MAX_LISTED:
        out.print(f"  … and {len(failures) - _MAX_LISTED} more; --json and the log name all", style="red")


def _table(first: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold")
    return table


def _cell(tally: Tally, *, counted: bool) -> str:
    return f"{_share(tally)} of {tally.total}" if counted and tally.total else _share(tally)


def _share(tally: Tally) -> str:
    return _number(tally.share)


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"
