"""`anonymise models`: fetch the models of the zoo, and list the installed ones."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from anonymisation.cli.options import config_option
from anonymisation.cli.tables import print_table
from anonymisation.core.settings import Settings, load_settings
from anonymisation.masking.models.weights import builtin_folder, installed_folder, is_installed, models_dir, pull
from anonymisation.masking.models.zoo import BASE_URL, BUILT_IN, ZOO, ZooModel


@click.group("models")
def models_group() -> None:
    """Fetch masking models and list those that are installed.

    \b
    Example:
      anonymise models list
    """


@models_group.command("pull", short_help="Fetch models of the TensorFlow detection zoo.")
@click.argument("names", nargs=-1, type=click.Choice(list(ZOO), case_sensitive=False))
@click.option("--base-url", default=BASE_URL, show_default=True, help="Base address of the archives.")
@config_option
def pull_command(names: tuple[str, ...], base_url: str, config_file: Path | None) -> None:
    """Fetch models of the TensorFlow detection zoo; without NAMES, the configured model.

    An interrupted download continues where it stopped. The checksum is verified before anything is unpacked.

    \b
    Example:
      anonymise models pull Slow
    """
    settings = load_settings(config_file).settings
    wanted = names or _configured(settings)
    if not wanted:
        click.echo(f"{settings.model_type} needs no download; name one of: {', '.join(ZOO)}")
    for name in dict.fromkeys(wanted):
        _pull_one(ZOO[name], models_dir(settings.model_dir), base_url)


@models_group.command("list", short_help="Show every model, and whether it is installed.")
@config_option
def list_command(config_file: Path | None) -> None:
    """Show every model: whether it is installed, and its size. Below, the path of each that is installed.

    \b
    Example:
      anonymise models list
    """
    settings = load_settings(config_file).settings
    models = models_dir(settings.model_dir)
    table = Table("Name", "State", "About")
    paths: dict[str, Path] = {}
    folder = builtin_folder()
    if folder.is_dir():
        paths[BUILT_IN] = folder
    table.add_row(BUILT_IN, _state(folder.is_dir(), folder, None), "ships with the software, for CPUs")
    for model in ZOO.values():
        folder = installed_folder(model, models)
        installed = is_installed(model, models)
        if installed:
            paths[model.name] = folder
        table.add_row(model.name, _state(installed, folder, model.archive_bytes), model.about)
    print_table(Console(), table)
    for name, path in paths.items():  # outside the table, which would break long paths, and users copy them
        click.echo(f"{name}: {path}")
    click.echo(f"Fetched models go to: {models}")


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


def _state(installed: bool, folder: Path, archive_bytes: int | None) -> str:
    if installed:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return f"installed, {decimal(size)}"
    return f"{decimal(archive_bytes)} to fetch" if archive_bytes else "to fetch"
