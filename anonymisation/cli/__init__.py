"""The command line `anonymise`: one module per verb, each imported only when it is used."""

from __future__ import annotations

from anonymisation.cli.app import cli, main

__all__ = ["cli", "main"]
