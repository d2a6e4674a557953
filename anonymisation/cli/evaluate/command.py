"""`anonymise evaluate`: measure what a model misses and what it hides by mistake, on annotated pictures.

Imports happen when the verb runs, so that its help is quick.
"""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anonymisation.cli.evaluate.options import EvaluateOptions, evaluate_options

if TYPE_CHECKING:
    from rich.console import Console

    from anonymisation.core.settings import Settings
    from anonymisation.evaluation.measure import Evaluation, MeasuredPicture
    from anonymisation.evaluation.truth import Failure, Source


@click.command("evaluate")
@evaluate_options
def evaluate_command(options: EvaluateOptions) -> None:
    """Measure a model on annotated pictures, with the settings in force (tiles, threshold, dilation).

    Prints the share of the pixels of persons and vehicles that is hidden, the share of instances that is at least 75 %
    hidden, the share of clean pixels that is hidden by mistake, and COCO's mask AP. Crowds and unknown regions do not
    count. AP judges the model's own masks, without dilation.

    Ends with exit code 1 if a picture could not be measured; the figures are then those of the other pictures.

    \b
    Examples:
      anonymise evaluate -i sample -a instances.json
      anonymise evaluate -i empty --empty --contact-sheet signs.jpg
    """
    from rich.console import Console

    from anonymisation.cli.session import start_logging
    from anonymisation.core.logs import silence_tensorflow
    from anonymisation.core.settings import load_settings

    options.check()
    silence_tensorflow()
    settings = load_settings(options.config_file, options.overrides()).settings
    err = Console(stderr=True)
    start_logging(settings, err, options.log_folder)
    evaluation = _evaluate(options, settings, _source(options), err)
    _report(options, settings, evaluation)
    if options.contact_sheet is not None:
        _draw(options.contact_sheet, evaluation)
    if options.curve is not None:
        _draw_curve(options.curve, evaluation)
    click.get_current_context().exit(1 if evaluation.failures else 0)


def _source(options: EvaluateOptions) -> Source:
    from anonymisation.core.errors import ShareUnavailableError
    from anonymisation.evaluation.classes import labels_in, read_class_names
    from anonymisation.evaluation.coco import open_coco
    from anonymisation.evaluation.folders import open_empty, open_rasters

    if not options.images.is_dir():
        raise ShareUnavailableError(f"the folder of pictures {options.images} does not exist")
    unlabelled = labels_in(options.unlabelled)
    if options.annotations is None:
        source = open_empty(options.images, unlabelled)
    elif not options.annotations.exists():
        raise ShareUnavailableError(f"the annotations {options.annotations} do not exist")
    else:
        names = None if options.classes is None else read_class_names(options.classes)
        open_annotations = open_rasters if options.annotations.is_dir() else open_coco
        source = open_annotations(options.images, options.annotations, names, unlabelled)
    if not source.labels:
        raise click.UsageError("--unlabelled leaves no class to measure.")
    return source if options.limit is None else source.thinned(options.limit)


def _evaluate(options: EvaluateOptions, settings: Settings, source: Source, err: Console) -> Evaluation:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from anonymisation.cli.app import INTERRUPTED
    from anonymisation.cli.model import ModelOnDemand
    from anonymisation.evaluation.curve import LOWEST
    from anonymisation.evaluation.measure import evaluate
    from anonymisation.evaluation.truth import Failure
    from anonymisation.masking.panoramas.sphere import sphere_of
    from anonymisation.workspace.camera_regions import CameraRegions

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
    bars = Progress(*columns, TimeRemainingColumn(elapsed_when_finished=True), console=err, transient=True,
                    redirect_stdout=False, disable=not err.is_terminal)  # fmt: skip
    log = logging.getLogger(__name__)

    def through(outcome: MeasuredPicture | Failure) -> None:
        log.debug("%s", outcome if isinstance(outcome, Failure) else f"{outcome.name}: measured")
        bars.advance(task)

    detector = ModelOnDemand(settings, doubtful_from=None if options.curve is None else LOWEST)()
    with bars:
        task = bars.add_task("pictures measured", total=len(source.pictures))
        try:
            return evaluate(
                detector,
                source,
                dilation=settings.mask_dilation_pixels,
                accumulate=options.accumulate,
                worst=0 if options.contact_sheet is None else options.worst,
                curve_around=None if options.curve is None else settings.score_threshold,
                sphere=partial(sphere_of, settings=settings),
                regions=CameraRegions.configured(settings).for_picture,
                on_picture=through,
            )
        except KeyboardInterrupt:
            done, all_of_them = int(bars.tasks[0].completed), len(source.pictures)
            log.warning("interrupted after %d of %d pictures; no figures are printed", done, all_of_them)
            click.get_current_context().exit(INTERRUPTED)


def _report(options: EvaluateOptions, settings: Settings, evaluation: Evaluation) -> None:
    from anonymisation.cli.evaluate.tables import print_evaluation
    from anonymisation.cli.session import output_console
    from anonymisation.core.logs import FILE_ONLY
    from anonymisation.evaluation.summary import as_json

    content = json.dumps(as_json(evaluation, settings), ensure_ascii=False, indent=2)
    if options.json_on_terminal:
        click.echo(content)
    else:
        print_evaluation(output_console(), evaluation, settings, apart=not options.accumulate)
        if options.json_file is not None:
            _write(options.json_file, f"{content}\n".encode())
    extra = None if options.json_on_terminal else FILE_ONLY  # the tables list them already
    for failure in evaluation.failures:
        logging.getLogger(__name__).warning("not measured: %s", failure, extra=extra)


def _draw(path: Path, evaluation: Evaluation) -> None:
    from anonymisation.evaluation.sheet import contact_sheet, encode_sheet

    log = logging.getLogger(__name__)
    sheet = contact_sheet(evaluation)
    if sheet is None:
        log.info("no contact sheet is drawn: nothing is missed, and nothing is hidden by mistake")
        return
    _write(path, encode_sheet(sheet, path.suffix.lower()), mode=0o600)
    log.warning("%s shows pictures without masks: keep it as you keep the originals (only you can read it)", path)


def _draw_curve(path: Path, evaluation: Evaluation) -> None:
    from anonymisation.evaluation.curve_picture import curve_svg

    if evaluation.curve is not None and evaluation.pictures:
        title = f"{evaluation.model}, {len(evaluation.pictures)} pictures, dilation {evaluation.dilation} px"
        _write(path, curve_svg(evaluation.curve, title).encode())


def _write(path: Path, data: bytes, mode: int | None = None) -> None:
    from anonymisation.core.errors import ShareUnavailableError
    from anonymisation.files.atomic import write_atomically

    try:
        write_atomically(path, data, mode=mode)
    except OSError as error:
        raise ShareUnavailableError(f"{path} cannot be written: {error.strerror}") from error
