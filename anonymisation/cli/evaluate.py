"""`anonymise evaluate`: what a model misses and what it hides by mistake, on annotated pictures.

Everything beyond the flags is imported when the verb runs, so that its help is quick.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from anonymisation.cli.options import config_option, log_option

if TYPE_CHECKING:
    from rich.console import Console

    from anonymisation.evaluation.measure import Evaluation
    from anonymisation.evaluation.truth import Source
    from anonymisation.settings import Settings

_NAMES: Final = ("person", "vehicle", "bicycle", "car", "motorcycle", "bus", "truck")
_SHEET_SUFFIXES: Final = (".jpg", ".jpeg", ".png")
_STDOUT: Final = "-"


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What the flags say."""

    images: Path
    annotations: Path | None
    empty: bool
    accumulate: bool
    json_file: Path | None
    contact_sheet: Path | None
    worst: int
    model: str | None
    changed: tuple[str, ...]
    classes: Path | None
    unlabelled: tuple[str, ...]
    limit: int | None
    config_file: Path | None
    log_folder: Path | None

    def check(self) -> None:
        """Refuse flags that contradict each other.

        Raises:
            click.UsageError: they do.
        """
        if self.empty == (self.annotations is not None):
            raise click.UsageError("Give either -a ANNOTATIONS, or --empty for pictures that show nothing to hide.")
        if self.empty and self.classes is not None:
            raise click.UsageError("--classes tells what annotations mean; with --empty there are none.")
        if self.contact_sheet is not None and self.contact_sheet.suffix.lower() not in _SHEET_SUFFIXES:
            raise click.UsageError(f"--contact-sheet: expected a name that ends with {', '.join(_SHEET_SUFFIXES)}.")
        for path in (self.json_file, self.contact_sheet):
            if path is not None and path != Path(_STDOUT) and not path.absolute().parent.is_dir():
                raise click.UsageError(f"{path}: its folder does not exist.")


@click.command("evaluate")
@click.option(
    "-i", "--input-folder", "images", type=click.Path(path_type=Path), required=True, help="Folder of the pictures."
)
@click.option(
    "-a",
    "--annotations",
    type=click.Path(path_type=Path),
    help="COCO annotations (instances.json), or a "
    "folder of class rasters: a .png per picture, of the same name and size, one class number per pixel.",
)
@click.option("--empty", is_flag=True, help="There are no annotations: nothing on the pictures is to be hidden.")
@click.option(
    "--accumulate",
    is_flag=True,
    help="Only figures over all pictures, and COCO's AP over all of them; without it also for each picture.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the figures as JSON to this file; - prints them instead of the tables.",
)
@click.option(
    "--contact-sheet",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the worst misses and the worst false finds to this .jpg or .png. It shows unmasked pictures.",
)
@click.option(
    "--worst",
    type=click.IntRange(1, 50),
    default=12,
    show_default=True,
    help="So many pictures of each kind on the contact sheet.",
)
@click.option(
    "-m",
    "--model",
    help="Model instead of the configured model_type: Built-in, Slow, Medium, Fast, or the folder of a SavedModel.",
)
@click.option(
    "-s",
    "--set",
    "changed",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting for this run, such "
    "as mask_dilation_pixels=0 or score_threshold=0.05; may be given several times.",
)
@click.option(
    "--classes",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML or JSON file that says what the "
    "annotated classes are, by name (COCO) or number (rasters; default: CamVid's), as in {8: car, 11: "
    f"unknown}}: one of {', '.join(_NAMES)}, unknown or clean.",
)
@click.option(
    "--unlabelled",
    multiple=True,
    type=click.Choice(_NAMES),
    help="The pictures show such things and they "
    "are not annotated: hiding them is neither right nor wrong; may be given several times.",
)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many pictures, evenly chosen.")
@config_option
@log_option
def evaluate_command(**flags: Any) -> None:  # fmt: skip
    """Measure a model on annotated pictures, with the settings in force (tiles, threshold, dilation).

    Tells the share of the pixels of persons and vehicles that is hidden, the share of instances that is at least 75 %
    hidden, the share of clean pixels that is hidden by mistake, and COCO's mask AP. Crowds and unknown regions count
    neither way. AP judges the model's own masks, without dilation.

    Ends with exit code 1 when a picture could not be measured; the figures are of the others.
    """
    options = EvaluateOptions(**flags)
    options.check()
    _run(options)


def _run(options: EvaluateOptions) -> None:
    from rich.console import Console

    from anonymisation.cli.session import start_logging
    from anonymisation.evaluation.summary import as_json
    from anonymisation.logs import silence_tensorflow
    from anonymisation.settings import load_settings

    silence_tensorflow()
    overrides = _overrides(options)
    settings = load_settings(options.config_file, overrides).settings
    err = Console(stderr=True)
    start_logging(settings, err, options.log_folder)
    evaluation = _evaluate(options, settings, _source(options), err)
    content = json.dumps(as_json(evaluation, settings), ensure_ascii=False, indent=2)
    if options.json_file == Path(_STDOUT):
        click.echo(content)
    else:
        _show(options, settings, evaluation, content)
    if options.contact_sheet is not None:
        _draw(options.contact_sheet, evaluation)
    click.get_current_context().exit(1 if evaluation.failures else 0)


def _overrides(options: EvaluateOptions) -> dict[str, Any]:
    import yaml

    overrides: dict[str, Any] = {}
    for text in options.changed:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--set: expected KEY=VALUE, got {text!r}.")
        try:
            overrides[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise click.UsageError(f"--set {key}: {value!r} is not valid YAML.") from error
    if options.model is not None:
        overrides["model_type"] = options.model
    return overrides


def _source(options: EvaluateOptions) -> Source:
    from anonymisation.errors import ShareUnavailableError
    from anonymisation.evaluation.classes import labels_in, read_class_names
    from anonymisation.evaluation.coco import open_coco
    from anonymisation.evaluation.folders import open_empty, open_rasters

    if not options.images.is_dir():
        raise ShareUnavailableError(f"folder of pictures {options.images} does not exist")
    unlabelled = labels_in(options.unlabelled)
    if options.annotations is None:
        source = open_empty(options.images, unlabelled)
    elif not options.annotations.exists():
        raise ShareUnavailableError(f"annotations {options.annotations} do not exist")
    else:
        names = None if options.classes is None else read_class_names(options.classes)
        open_annotations = open_rasters if options.annotations.is_dir() else open_coco
        source = open_annotations(options.images, options.annotations, names, unlabelled)
    return source if options.limit is None else source.thinned(options.limit)


def _evaluate(options: EvaluateOptions, settings: Settings, source: Source, err: Console) -> Evaluation:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from anonymisation.cli.app import INTERRUPTED
    from anonymisation.cli.model import ModelOnDemand
    from anonymisation.evaluation.measure import evaluate

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
    bars = Progress(*columns, TimeRemainingColumn(elapsed_when_finished=True), console=err, transient=True,
                    redirect_stdout=False, disable=not err.is_terminal)  # fmt: skip
    detector = ModelOnDemand(settings)()
    worst = options.worst if options.contact_sheet is not None else 0
    with bars:
        task = bars.add_task("pictures measured", total=len(source.pictures))
        try:
            return evaluate(
                detector,
                source,
                dilation=settings.mask_dilation_pixels,
                accumulate=options.accumulate,
                worst=worst,
                on_picture=lambda _: bars.advance(task),
            )
        except KeyboardInterrupt:
            done = int(bars.tasks[task].completed)
            logging.getLogger(__name__).warning(
                "interrupted after %d of %d pictures; no figures are told", done, len(source.pictures)
            )
            click.get_current_context().exit(INTERRUPTED)


def _show(options: EvaluateOptions, settings: Settings, evaluation: Evaluation, content: str) -> None:
    from anonymisation.cli.evaluate_tables import print_evaluation
    from anonymisation.cli.session import output_console

    print_evaluation(output_console(), evaluation, settings, apart=not options.accumulate)
    if options.json_file is not None:
        _write(options.json_file, f"{content}\n".encode())


def _draw(path: Path, evaluation: Evaluation) -> None:
    from anonymisation.evaluation.sheet import contact_sheet, encode_sheet

    sheet = contact_sheet(evaluation)
    if sheet is None:
        logging.getLogger(__name__).warning("no contact sheet is drawn: nothing is missed, nothing hidden by mistake")
        return
    _write(path, encode_sheet(sheet, path.suffix.lower()), mode=0o600)
    logging.getLogger(__name__).warning(
        "%s shows pictures without masks: keep it as you keep the originals (only you can read it)", path
    )


def _write(path: Path, data: bytes, mode: int = 0o666) -> None:
    from anonymisation.errors import ShareUnavailableError
    from anonymisation.files import write_atomically

    try:
        write_atomically(path, data, mode=mode)
    except OSError as error:
        raise ShareUnavailableError(f"{path} cannot be written: {error.strerror}") from error
