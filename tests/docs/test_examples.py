"""The examples of the pages are real: commands that the command line takes, keys and values of the configuration."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest
import yaml

from anonymisation.cli import cli
from anonymisation.core.settings import ALIASES, Settings, load_settings
from scripts.docs_site.paths import DOCS

PAGES: Final = [path for path in sorted(DOCS.rglob("*.md")) if "decisions" not in path.parts]
_FENCE: Final = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_INLINE: Final = re.compile(r"`(anonymise [a-z][^`]*)`")
_LAYOUT_KEYS: Final = {"pk_column", "columns"}


def fences(kind: str) -> Iterator[tuple[Path, str]]:
    """Every block of that kind, with its page."""
    for page in PAGES:
        for found, text in _FENCE.findall(page.read_text(encoding="utf-8")):
            if found == kind:
                yield page, text


def commands() -> Iterator[tuple[str, list[str]]]:
    """The arguments of every whole call of the program on the pages."""
    for page, text in fences("bash"):
        for line in re.sub(r"\\\n", " ", text).splitlines():
            if "anonymise " in line and not re.match(r"#|\w+\(\)", line):
                call = re.sub(r'.*"\$\((.*)\)".*', r"\1", line).split("anonymise ", 1)[1]
                yield page.name, shlex.split(call, comments=True)
    for page in PAGES:
        if page.parent.name == "reference":
            continue
        for call in _INLINE.findall(page.read_text(encoding="utf-8")):
            words = shlex.split(" ".join(call.split()))[1:]
            whole = "…" not in words and "." not in words[0]
            if whole and any(word.startswith("-") for word in words):
                yield page.name, words


def parsed(arguments: list[str]) -> click.Context:
    """The context of the call, as click makes it; an error of click if the call cannot be taken."""
    command: click.Command = cli
    words = list(arguments)
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    return command.make_context(command.name, words)


def test_every_command_is_one_that_the_command_line_takes() -> None:
    calls = list(commands())
    assert len(calls) >= 40
    refused = []
    for page, arguments in calls:
        try:
            parsed(arguments)
        except (click.UsageError, AssertionError) as error:
            refused.append(f"{page}: {shlex.join(arguments)}: {error}")
    assert refused == []


def test_a_command_that_does_not_exist_is_refused() -> None:
    with pytest.raises(click.UsageError):
        parsed(["run", "-i", "a", "-o", "b", "--no-such-option"])


def _of_the_configuration(values: Any) -> bool:
    known = set(Settings.model_fields) | set(ALIASES)
    return isinstance(values, dict) and bool(known & set(values)) and not _LAYOUT_KEYS & set(values)


def test_every_configuration_is_accepted(tmp_path: Path) -> None:
    examples = [(page, text) for page, text in fences("yaml") if _of_the_configuration(yaml.safe_load(text))]
    assert len(examples) >= 5
    for page, text in examples:
        config = tmp_path / f"{page.stem}.yml"
        # Examples of mail stand in two blocks; the second needs the addresses of the first.
        addresses = "" if "email_from" in text else "email_from_address: a@example.org\nemail_to_addresses: [b@c.no]\n"
        config.write_text(addresses + text, encoding="utf-8")
        load_settings(config)


def test_every_yaml_block_can_be_read() -> None:
    for page, text in fences("yaml"):
        assert isinstance(yaml.safe_load(text), dict), page
