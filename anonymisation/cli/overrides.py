"""Settings that a flag changes for one call: KEY=VALUE, with the value as in a configuration file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
import yaml


def parsed(texts: Iterable[str]) -> dict[str, Any]:
    """The settings by key.

    Raises:
        click.UsageError: a text is not of the form KEY=VALUE.
    """
    overrides: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--set: expected KEY=VALUE, got {text!r}.")
        try:
            overrides[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise click.UsageError(f"--set {key}: {value!r} is not valid YAML.") from error
    return overrides
