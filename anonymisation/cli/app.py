"""The root of the command line: imports a verb when it is used, and turns errors into messages and exit codes."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Any, Final, NoReturn

import click

from anonymisation import __version__
from anonymisation.core.errors import AnonymisationError
from anonymisation.core.memory import keep_freed_memory
from anonymisation.core.text import encodable, hide_credentials, one_line
from anonymisation.files.reported import share_error_of

INTERRUPTED: Final = 130  # the shells' exit code of a program that Ctrl-C ended: 128 + SIGINT
LOG_FILE_KEY: Final = "anonymisation.log_file"
SECRETS_KEY: Final = "anonymisation.secrets"

# verb: (module and name of its command, line in the list of verbs)
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "run": ("anonymisation.cli.run:run_command", "The whole chain, folder by folder."),
    "mask": ("anonymisation.cli.mask:mask_command", "Hide people and vehicles in every picture."),
    "archive": ("anonymisation.cli.archive:archive_command", "Copy the originals of masked pictures to the archive."),
    "load": ("anonymisation.cli.load:load_command", "Load the records of masked pictures into the database."),
    "check": ("anonymisation.cli.check:check_command", "Compare input, output, archive and database; name every gap."),
    "release": ("anonymisation.cli.release:release_command", "Remove originals whose results are all verified."),
    "retention": (
        "anonymisation.cli.retention:retention_command",
        "Remove what is kept longer than the configuration allows.",
    ),
    "create-json": ("anonymisation.cli.create_json:create_json_command", "Write the records without masking anything."),
    "create-previews": (
        "anonymisation.cli.create_previews:create_previews_command",
        "Make previews of pictures that are masked already.",
    ),
    "check-folders": (
        "anonymisation.cli.check_folders:check_folders_command",
        "List which files of a picture exist.",
    ),
    "db": ("anonymisation.cli.db:db_group", "Connections, tables and rows: configure, create-table, load, status …"),
    "models": ("anonymisation.cli.mounted:models_group", "Fetch masking models and list those that are installed."),
    "evaluate": ("anonymisation.cli.evaluate.command:evaluate_command", "Measure a model on annotated pictures."),
    "compare": (
        "anonymisation.cli.compare:compare_command",
        "Compare two models or settings before one replaces the other.",
    ),
    "certificate": (
        "anonymisation.cli.certificate:certificate_group",
        "Certify how much was missed, from a random sample that people review.",
    ),
    "review": ("anonymisation.cli.review:review_group", "Export what people found in the review, in COCO form."),
    "protection-report": (
        "anonymisation.cli.protection_report:protection_report_command",
        "What was done with people's pictures in a period, for the data-protection officer.",
    ),
    "config": ("anonymisation.cli.config:config_group", "Show the configuration in force."),
}


class AnonymiseGroup(click.Group):
    """Imports a verb's module when the verb is used, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All verbs, in the order of the chain."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The verb `cmd_name`, imported now; None if there is no such verb."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; the error about an unknown one suggests a similar one."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of verbs without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb. Our own errors end it with their message and exit code, others with one line and code 1."""
        try:
            return super().invoke(ctx)
        except AnonymisationError as error:
            _print_error(ctx, str(error))
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            _print_error(ctx, "Interrupted. Nothing is lost: finished work is kept, and the next run does the rest.")
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            if isinstance(error, OSError):
                if error.errno == errno.EPIPE:
                    raise  # the reader of the output has closed it, as with `| head`; click ends quietly
                _end_with_share_error(ctx, error)
            _print_error(ctx, _unexpected(ctx, error))
            ctx.exit(1)


@click.group(cls=AnonymiseGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="anonymise")
def cli() -> None:
    """Hide every person and vehicle in road-survey pictures, archive the originals, load their metadata.

    Exit codes: 0 all done · 1 something failed · 2 usage or configuration · 3 share, model or database not
    available, or folder in use by another run · 130 interrupted.

    \b
    Example:
      anonymise run -i pictures -o masked
    """


def main() -> None:
    """The program `anonymise`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for file names that the terminal cannot show
    keep_freed_memory()
    cli(prog_name="anonymise")


def _print_error(ctx: click.Context, message: str) -> None:
    text = encodable(hide_credentials(message, ctx.meta.get(SECRETS_KEY, ())))
    lines = [one_line(line) for line in text.splitlines()]
    click.secho("\n".join(["", *lines]) if sys.stderr.isatty() else "\n".join(lines), err=True, fg="red")
    if logging.getLogger().hasHandlers():  # without a handler Python would print the line a second time
        logging.getLogger(__name__).error("%s", message, extra={"file_only": True})


def _end_with_share_error(ctx: click.Context, error: OSError) -> NoReturn:
    """Name the file; the traceback goes to the log file, if there is one."""
    problem = share_error_of(error)
    _print_error(ctx, str(problem))
    if logging.getLogger().hasHandlers():
        logging.getLogger(__name__).error("in detail", exc_info=error, extra={"file_only": True})
    ctx.exit(problem.exit_code)


def _unexpected(ctx: click.Context, error: Exception) -> str:
    """One line about an unexpected error. Its traceback goes to the log file, or to a new temporary file."""
    if logging.getLogger().hasHandlers():
        logging.getLogger(__name__).error("unexpected error", exc_info=error, extra={"file_only": True})
    path = ctx.meta.get(LOG_FILE_KEY)
    if path is None:
        trace = encodable(hide_credentials("".join(traceback.format_exception(error)), ctx.meta.get(SECRETS_KEY, ())))
        descriptor, path = tempfile.mkstemp(prefix="anonymise-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(trace)
    return f"Unexpected error, {type(error).__name__}: {one_line(str(error))} (traceback in {path})"
