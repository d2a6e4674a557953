"""`anonymise models`: fetch the models of the zoo, and list the installed ones."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.filesize import decimal
from rich.measure import Measurement
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from anonymisation.cli.options import config_option
from anonymisation.core.settings import Settings, load_settings
from anonymisation.masking.models.weights import builtin_folder, installed_folder, is_installed, models_dir, pull
from anonymisation.masking.models.zoo import BASE_URL, BUILT_IN, ZOO, ZooModel


@click.group("models")
def models_group() -> None:
    """Fetch masking models and list those that are installed."""


@models_group.command("pull")
@click.argument("names", nargs=-1, type=click.Choice(list(ZOO), case_sensitive=False))
@click.option("--base-url", default=BASE_URL, show_default=True, help="Base address of the archives.")
@config_option
def pull_command(names: tuple[str, ...], base_url: str, config_file: Path | None) -> None:
    """Fetch models of the TensorFlow detection zoo; without NAMES, the configured model.

    An interrupted download continues where it stopped. The checksum is verified before anything is unpacked.
    """
    settings = load_settings(config_file).settings
    wanted = names or _configured(settings)
    if not wanted:
        click.echo(f"{settings.model_type} needs no download; name one of: {', '.join(ZOO)}")
    for name in dict.fromkeys(wanted):
        _pull_one(ZOO[name], models_dir(settings.model_dir), base_url)


@models_group.command("list")
@config_option
def list_command(config_file: Path | None) -> None:
    """Show every model: whether it is installed, its size, and its path."""
    settings = load_settings(config_file).settings
    models = models_dir(settings.model_dir)
    table = Table("Name", "Installed", "Size", "Path", "About")
    folder = builtin_folder()
    table.add_row(BUILT_IN, *_state(folder.is_dir(), folder, None), "ships with the software, for CPUs")
    for model in ZOO.values():
        folder = installed_folder(model, models)
        table.add_row(model.name, *_state(is_installed(model, models), folder, model.archive_bytes), model.about)
    # As wide as needed: in a pipe's 80 columns the table would break the paths, and users copy them.
    console = Console()
    console.width = max(
        console.width, Measurement.get(console, console.options.update(max_width=10_000), table).maximum
    )
    console.print(table)


def _configured(settings: Settings) -> tuple[str, ...]:
    return (settings.model_type,) if settings.model_type in ZOO else ()


def _pull_one(model: ZooModel, models: Path, base_url: str) -> None:
    if is_installed(model, models):
        click.echo(f"{model.name} is installed already: {installed_folder(model, models)}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(model.name, total=model.archive_bytes)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        folder = pull(model, models, base_url=base_url, progress=show)
    click.echo(f"{model.name} is installed: {folder}")


def _state(installed: bool, folder: Path, archive_bytes: int | None) -> tuple[str, str, str]:
    if installed:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return "yes", decimal(size), str(folder)
    return "no", f"{decimal(archive_bytes)} to fetch" if archive_bytes else "", str(folder)
