"""The flags that the verbs share, and the value that holds them."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import click

_FOLDER: Final = click.Path(path_type=Path, file_okay=False)
_INPUT: Final = "Folder of the originals (.jpg, .jpeg). Pictures and videos in other formats are not read, but named."

config_option = click.option(
    "-k",
    "--config-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file; it needs only the keys that it changes.",
)
log_option = click.option("-l", "--log-folder", type=_FOLDER, help="Folder of the log file (created if needed).")
input_option = click.option(
    "-i",
    "--input-folder",
    type=_FOLDER,
    required=True,
    help=_INPUT,
)
archive_option = click.option("-a", "--archive-folder", type=_FOLDER, help="Folder of the archived originals.")


def output_option(*, required: bool, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The flag -o, `required` or not."""
    return click.option("-o", "--output-folder", type=_FOLDER, required=required, help=text)


def _once(_context: click.Context, parameter: click.Parameter, values: tuple[Path, ...]) -> Path | None:
    """The one value of a folder's flag. click would take the last of several without a word."""
    if len(values) > 1:
        raise click.UsageError(
            f"{' / '.join(parameter.opts)} is given {len(values)} times; one call takes one folder. Call it once for "
            "each, or give the folder above them and choose with --folder"
        )
    return values[0] if values else None


@dataclass(frozen=True, slots=True)
class ChainOptions:
    """The values of the flags of a chain verb. `database` may contain a password.

    `picture` is the only picture that is taken from the input folder; empty: all are.
    """

    input_folder: Path
    output_folder: Path
    picture: str = ""
    archive_folder: Path | None = None
    log_folder: Path | None = None
    config_file: Path | None = None
    skip_clear_cache: bool = False
    database: str | None = field(default=None, repr=False)
    state: Path | None = None
    force_remask: bool = False
    folders: tuple[str, ...] = ()
    capture_date: date | None = None
    date_from: date | None = None
    date_to: date | None = None

    def __post_init__(self) -> None:
        if self.date_from is not None and self.date_to is not None and self.date_from > self.date_to:
            raise click.BadParameter(f"{self.date_from} is later than --to {self.date_to}", param_hint="--from")

    def overrides(self) -> dict[str, Any]:
        """The settings that the flags change. `database` also switches write_exif_to_db on."""
        values: dict[str, Any] = {}
        if self.state is not None:
            values["state_dir"] = str(self.state)
        if self.force_remask:
            values["force_remask"] = True
        if self.database is not None:
            values["write_exif_to_db"] = True
        return values


_DAY: Final = click.DateTime(["%Y-%m-%d"])
_DAYS: Final = ("capture_date", "date_from", "date_to")


class _Stray(click.Argument):
    """Takes the words without a flag, which the verb refuses with advice; the help does not show it."""

    def get_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Nothing."""
        return []


_FOLDER_OR_PICTURE: Final = click.Path(path_type=Path)
_CHAIN_OPTIONS: Final = (
    click.option("-o", "--output-folder", type=_FOLDER, multiple=True, callback=_once, help="Folder of the masked "
                 "pictures.  [required]"),
    archive_option,
    log_option,
    config_option,
    click.option("--skip-clear-cache", is_flag=True, help="Ignore leftovers and waiting rows of earlier runs."),
    click.option("--database", metavar="NAME|URL", help="Load into this database: a connection stored by `anonymise db "
                 "configure`, or an SQLAlchemy URL, whose password may be in ANONYMISATION_DB_PASSWORD. Switches "
                 "write_exif_to_db on."),
    click.option("--state", "--state-dir", "state", type=_FOLDER, help="State folder (state_dir)."),
    click.option("--force-remask", is_flag=True, help="Mask finished pictures again."),
    click.option("--folder", "folders", multiple=True, metavar="PATTERN", help="Only this folder below the input "
                 "folder and those below it, or a shell pattern; may be given several times."),
    click.option("--date", "capture_date", type=_DAY, help="Only folders captured that day."),
    click.option("--from", "date_from", type=_DAY, help="Only folders captured on that day or later."),
    click.option("--to", "date_to", type=_DAY, help="Only folders captured on that day or earlier."),
)  # fmt: skip


def chain_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags of the chain to a verb; it gets them as its keyword `options`."""
    own_input = click.option(
        "-i", "--input-folder", type=_FOLDER, multiple=True, callback=_once, help=f"{_INPUT}  [required]"
    )
    return _with_options(function, own_input)


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `chain_options`; the input may also be a single picture."""
    text = f"{_INPUT} Or a single picture.  [required]"
    own_input = click.option(
        "-i",
        "--input-folder",
        type=_FOLDER_OR_PICTURE,
        metavar="DIRECTORY|FILE",
        multiple=True,
        callback=_once,
        help=text,
    )
    return _with_options(function, own_input)


def _with_options(function: Callable[..., Any], own_input: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(**flags: Any) -> Any:
        _require_folders(flags["input_folder"], flags["output_folder"], flags.pop("strays"))
        flags["input_folder"], flags["picture"] = _split(flags["input_folder"])
        days: dict[str, Any] = {name: None if (at := flags.pop(name)) is None else at.date() for name in _DAYS}
        own = {name: flags.pop(name) for name in list(flags) if name not in ChainOptions.__slots__}
        return function(options=ChainOptions(**flags, **days), **own)

    for option in reversed((own_input, *_CHAIN_OPTIONS)):
        wrapper = option(wrapper)
    stray: Callable[..., Any] = click.argument("strays", nargs=-1, cls=_Stray, type=click.UNPROCESSED)(wrapper)
    return stray


def _require_folders(source: Path | None, target: Path | None, strays: tuple[str, ...]) -> None:
    """Refuse words without a flag, and missing folders, with the command that was most likely meant."""
    if source is not None and target is not None and not strays:
        return
    words = list(strays)
    if source is not None and source.is_file() and any(map(os.path.isfile, words)):
        source, words = source.parent, [word for word in words if not Path(word).is_file()]  # -i *.jpg
    if source is None:
        source = Path(words.pop(0)) if words else None
    if target is None:
        target = Path(words.pop(0)) if words else None
    typed = source or Path("pictures")
    if target is None:
        target = Path("masked") if typed.is_file() or not typed.name else typed.with_name(f"{typed.name}_masked")
    command = click.get_current_context().command_path
    problem = "expected the originals after -i (--input-folder) and a folder for the masked pictures after -o "
    problem += "(--output-folder)"
    problem += f", and nothing else without a flag, got {shlex.join(strays)}" if strays else ""
    raise click.UsageError(
        f"{problem}. Type:\n\n  {shlex.join([*command.split(), '-i', str(typed), '-o', str(target)])}"
    )


def _split(source: Path) -> tuple[Path, str]:
    """The input folder and, if `source` is a file, the name of the only picture that is taken from it."""
    from anonymisation.workspace.paths import PICTURE_SUFFIXES, is_picture_name  # late, so that help is quick

    if not source.is_file():
        return source, ""
    if not is_picture_name(source.name):
        raise click.BadParameter(
            f"{source} is not read: expected a folder, or a JPEG with a name that ends with "
            f"{' or '.join(PICTURE_SUFFIXES)} and does not begin with a dot", param_hint="-i",
        )  # fmt: skip
    return source.parent, source.name
