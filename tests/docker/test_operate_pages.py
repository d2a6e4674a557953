"""The pages for operators say what the software says: their messages, commands, services and variables are there."""

from __future__ import annotations

import ast
import errno
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest
import yaml

from anonymisation.cli import cli as command_line
from anonymisation_airflow import deployment
from scripts.airflow_stack import ROOT
from scripts.docs_site.runbook import problems
from tests.docker.compose_file import example_values, read_compose

PAGES: Final = sorted((ROOT / "docs" / "operate").rglob("*.md"))
GUIDE: Final = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
# What Airflow and the operating system print, as the pages quote it.
FOREIGN: Final = ("Task was requeued more than 2 times and will be failed.", os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def said() -> tuple[str, ...]:
    """Every piece of text in the code that can end up in a message."""
    found = []
    for folder in ("anonymisation", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return (*found, *FOREIGN)


def test_every_message_is_one_that_the_software_prints(said: tuple[str, ...]) -> None:
    quoted = [text for problem in problems() for text in re.findall(r"`([^`]+)`", problem.message)]
    messages = [text for text in quoted if ("…" in text or " " in text) and not text.startswith("dc ")]
    assert len(messages) >= 30
    for message in messages:
        for piece in (piece.strip(" :(),;.") for piece in re.split("…|; ", message)):
            assert any(piece in text or piece in text.replace("%s", "").replace("%r", "") for text in said), piece


def test_every_command_of_ours_is_one_that_the_command_line_takes() -> None:
    here = GUIDE.replace("/etc/anonymisation/config.yml", shlex.quote(str(ROOT / "config" / "full_chain.yml")))
    commands = [re.sub(r"\s+", " ", found) for found in re.findall(r"ANONYMISE ([a-z][^`]+)`", here)]
    assert len(commands) >= 6
    for words in map(shlex.split, commands):
        command: click.Command = command_line
        while isinstance(command, click.Group):
            command = _named(command, words.pop(0))
        command.make_context(command.name, words, resilient_parsing=False)


def test_every_command_of_airflow_is_one_that_it_takes(tmp_path: Path) -> None:
    commands = re.findall(r"airflow ((?:db|pools|connections|rotate)[a-z-]*(?: [^`\n&]+)?)", GUIDE)
    commands += re.findall(r"airflow ([^&\n]+)", read_compose(example_values())["services"]["init"]["command"][0])
    assert len(commands) >= 5
    code = (
        "import shlex, sys; from airflow.cli.cli_parser import get_parser; parser = get_parser();"
        "[parser.parse_args(shlex.split(line)) for line in sys.argv[1:]]"
    )
    complete = [command for command in commands if command.strip() != "connections get"]
    done = subprocess.run(
        [sys.executable, "-c", code, *complete],
        env={"AIRFLOW_HOME": str(tmp_path), "PATH": str(Path(sys.executable).parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_service_it_names_is_in_the_compose_file() -> None:
    services = read_compose(example_values())["services"]
    options = r"(?:--?[a-z-]+(?: \d+)?(?: |`))*"
    named = set()
    for arguments in re.findall(rf"`dc (?:up|stop|restart|exec|logs|ps) {options}([a-z][a-z -]*)", GUIDE):
        named |= set(_first_services(arguments.split(), services))
    assert named >= {"worker", "gpu-worker", "scheduler", "postgres", "init", "dag-processor", "api-server"}


def test_every_variable_it_names_is_one_that_is_read() -> None:
    known = set(example_values()) | set(re.findall(r"ANONYMISATION_[A-Z_]+", deployment.__doc__ or ""))
    environment = read_compose(example_values())["services"]["scheduler"]["environment"]
    for name in set(re.findall(r"`((?:[A-Z]+_)+[A-Z]+)(?:=[^`]*)?`", GUIDE)):
        assert name in known or name in environment, name


def test_every_alert_leads_to_a_page_of_the_runbook() -> None:
    (group,) = yaml.safe_load((ROOT / "docker" / "monitoring" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    assert group["rules"]
    for rule in group["rules"]:
        assert ROOT / rule["annotations"]["runbook"] in PAGES, rule["alert"]


def _named(group: click.Group, name: str) -> click.Command:
    found = group.get_command(click.Context(group), name)
    assert found is not None, name
    return found


def _first_services(words: list[str], services: dict[str, object]) -> Iterator[str]:
    """The words up to the first that is no service: what follows `exec SERVICE` is a command in it."""
    assert words[0] in services, words
    for word in words:
        if word not in services:
            return
        yield word
