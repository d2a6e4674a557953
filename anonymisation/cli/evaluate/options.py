"""The flags of `anonymise evaluate`, and the value that holds them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from anonymisation.cli.options import config_option, log_option
from anonymisation.cli.overrides import parsed

# As in `anonymisation.evaluation.classes`, which the help does not import.
_NAMES: Final = ("person", "vehicle", "bicycle", "car", "motorcycle", "bus", "truck")
_SHEET_SUFFIXES: Final = (".jpg", ".jpeg", ".png")
_MOST_SHOWN: Final = 50  # twice as many rows stay below the 65 535 lines of a JPEG
_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """The values of the flags."""

    images: Path
    annotations: Path | None
    empty: bool
    accumulate: bool
    json_file: Path | None
    contact_sheet: Path | None
    worst: int
    curve: Path | None
    model: str | None
    changed: tuple[str, ...]
    classes: Path | None
    unlabelled: tuple[str, ...]
    limit: int | None
    config_file: Path | None
    log_folder: Path | None

    @property
    def json_on_terminal(self) -> bool:
        """Whether JSON is printed instead of the tables."""
        return self.json_file == Path("-")

    def check(self) -> None:
        """Refuse flags that contradict each other, and output files that cannot be written.

        Raises:
            click.UsageError: there is such a flag or file.
        """
        if self.empty == (self.annotations is not None):
            raise click.UsageError("Give either -a ANNOTATIONS, or --empty for pictures that show nothing to hide.")
        if self.empty and self.classes is not None:
            raise click.UsageError("--classes describes annotations; with --empty there are none.")
        if self.contact_sheet is not None and self.contact_sheet.suffix.lower() not in _SHEET_SUFFIXES:
            raise click.UsageError(f"--contact-sheet: expected a name that ends with {', '.join(_SHEET_SUFFIXES)}.")
        if self.curve is not None and self.curve.suffix.lower() != ".svg":
            raise click.UsageError("--curve: expected a name that ends with .svg.")
        for path in (None if self.json_on_terminal else self.json_file, self.contact_sheet, self.curve):
            if path is not None and not os.access(path.absolute().parent, os.W_OK):
                raise click.UsageError(f"{path}: its folder does not exist or cannot be written.")

    def overrides(self) -> dict[str, Any]:
        """The settings that the flags change.

        Raises:
            click.UsageError: a flag is not of the form KEY=VALUE.
        """
        overrides = parsed(self.changed)
        return overrides if self.model is None else {**overrides, "model_type": self.model}


_OPTIONS: Final = (
    click.option("-i", "--input-folder", "images", type=click.Path(path_type=Path), required=True,
                 help="Folder of the pictures."),
    click.option("-a", "--annotations", type=click.Path(path_type=Path), help="COCO annotations (instances.json), or "
                 "a folder of class rasters: a .png per picture, of the same name and size, one class number per "
                 "pixel."),
    click.option("--empty", is_flag=True, help="There are no annotations: the pictures show nothing to hide."),
    click.option("--accumulate", is_flag=True, help="Print only figures over all pictures, with COCO's AP over all; "
                 "default: also for each picture."),
    click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
                 help="Write the figures as JSON to this file; - prints them instead of the tables."),
    click.option("--contact-sheet", type=_FILE, help="Draw the worst misses and the worst false finds to this .jpg or "
                 ".png. It shows unmasked pictures."),
    click.option("--worst", type=click.IntRange(1, _MOST_SHOWN), default=12, show_default=True,
                 help="Number of pictures of each kind on the contact sheet."),
    click.option("--curve", type=_FILE, help="Draw recall over clean pixels hidden to this .svg, for a range of "
                 "thresholds, with the settings in force marked; adds a table and JSON. Takes longer, for the doubtful "
                 "finds."),
    click.option("-m", "--model", help="Model instead of the configured model_type: Built-in, Slow, Medium, Fast, or "
                 "the folder of a SavedModel."),
    click.option("-s", "--set", "changed", multiple=True, metavar="KEY=VALUE", help="Change a setting for this run, "
                 "such as mask_dilation_pixels=0 or score_threshold=0.05; may be given several times."),
    click.option("--classes", type=_FILE, help="YAML or JSON file with the meaning of the annotated classes, by name "
                 "(COCO) or number (rasters; default: CamVid's), as in {8: car, 11: unknown}: one of "
                 f"{', '.join(_NAMES)}, unknown or clean."),
    click.option("--unlabelled", multiple=True, type=click.Choice(_NAMES), help="A class that the pictures show "
                 "without annotations: hiding it is neither right nor wrong; may be given several times."),
    click.option("--limit", type=click.IntRange(min=1), help="Measure at most so many pictures, evenly chosen."),
    config_option,
    log_option,
)  # fmt: skip


def evaluate_options(function: Callable[[EvaluateOptions], None]) -> Callable[..., None]:
    """Add the flags to a verb; it gets them as one value."""

    @functools.wraps(function)
    def wrapper(**flags: Any) -> None:
        function(EvaluateOptions(**flags))

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper
