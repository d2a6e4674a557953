"""The verbs of `anonymise models`, with the flag -l of every verb."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from anonymisation.cli.models import models_group
from anonymisation.cli.options import log_option
from anonymisation.cli.session import start_logging
from anonymisation.core.settings import load_settings

__all__ = ["models_group"]


def _with_log(command: click.Command) -> None:
    """Add -l, if the command does not have it."""
    callback = command.callback
    if callback is None or any("-l" in parameter.opts for parameter in command.params):
        return
    command.callback = _logged(callback)
    log_option(command)


def _logged(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def wrapper(log_folder: Path | None, **flags: Any) -> Any:
        start_logging(load_settings(flags.get("config_file")).settings, Console(stderr=True), log_folder)
        return callback(**flags)

    return wrapper


for _command in models_group.commands.values():
    _with_log(_command)
