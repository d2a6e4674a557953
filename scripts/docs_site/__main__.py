"""Makes the pages of the reference from the code: `make docs-reference`; with --check, only compares."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from scripts.docs_site.commands import command_line
from scripts.docs_site.environment import environment_variables, exit_codes, metrics
from scripts.docs_site.exif import published_tags
from scripts.docs_site.paths import DOCS, ROOT
from scripts.docs_site.python import python_modules
from scripts.docs_site.records import record_keys, table_layouts
from scripts.docs_site.runbook import runbook
from scripts.docs_site.settings import configuration

FOLDER: Final = DOCS / "reference"
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "command-line.md": command_line,
    "configuration.md": configuration,
    "environment.md": environment_variables,
    "exif.md": published_tags,
    "exit-codes.md": exit_codes,
    "metrics.md": metrics,
    "record.md": record_keys,
    "tables.md": table_layouts,
    "python.md": python_modules,
}


def made_pages() -> dict[Path, str]:
    """Every page that is made from the code or from the pages of the runbook, with its text."""
    return {FOLDER / name: make() for name, make in PAGES.items()} | runbook()


def outdated(wanted: Mapping[Path, str]) -> list[Path]:
    """The pages that have another text than the wanted one, or are missing."""
    return sorted(path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text)


def main(arguments: list[str]) -> int:
    """Write what differs, or name it."""
    wanted = made_pages()
    differing = outdated(wanted)
    for path in differing:
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)}: the code says something else; run `make docs-reference`", file=sys.stderr)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if differing and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
