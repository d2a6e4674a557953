"""The page of the command line, from click's own description of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from anonymisation.cli import cli
from scripts.docs_site.markdown import code, page, table

_EXAMPLES = re.compile(r"\x08\nExamples?:\n((?:  .*(?:\n|$))+)")
INTRODUCTION = """\
The program is `anonymise`; `make run` and `make test` install it as `.venv/bin/anonymise`. `-h` or `--help` after any
verb prints what is below. [Exit codes](exit-codes.md) are the same for every verb. Options of the configuration are
in [Configuration](configuration.md)."""


def command_line() -> str:
    """The page: a section for each verb and each verb of a group."""
    return page("Command line", INTRODUCTION, *(_section(path, command) for path, command in _commands()))


def _commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(cli, info_name="anonymise")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is None:
            raise LookupError(name)
        yield (name,), command
        if isinstance(command, click.Group):
            inner = click.Context(command, info_name=name, parent=context)
            for verb in command.list_commands(inner):
                found = command.get_command(inner, verb)
                if found is None:
                    raise LookupError(verb)
                yield (name, verb), found


def _section(path: tuple[str, ...], command: click.Command) -> str:
    name = " ".join(("anonymise", *path))
    context = click.Context(command, info_name=name)
    heading = f"{'#' * (len(path) + 1)} {name}"
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = [heading, f"```text\n{usage}\n```", _text(command)]
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    rows = [_row(option, context) for option in options]
    if rows:
        parts.append(table(("option", "meaning"), rows))
    return "\n\n".join(parts)


def _text(command: click.Command) -> str:
    """The help of a command, with its examples as code."""
    text = inspect.cleandoc(command.help or "")
    return _EXAMPLES.sub(lambda found: f"```bash\n{inspect.cleandoc(found[1])}\n```", text)


def _row(option: click.Option, context: click.Context) -> tuple[str, str]:
    record = option.get_help_record(context)
    if record is None:
        raise ValueError(f"{option.name}: expected help for the option")
    return code(record[0]), record[1].replace("<", "\\<")
