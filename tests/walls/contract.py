"""The contract of the rooms, as `pyproject.toml` has it for import-linter."""

from __future__ import annotations

import tomllib
from typing import Any

from tests.conftest import REPOSITORY


def _layers() -> tuple[tuple[str, ...], ...]:
    settings: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    [contract] = settings["contracts"]
    return tuple(tuple(name.strip() for name in layer.split("|")) for layer in contract["layers"])


LAYERS = _layers()
"""The rooms from the top; those of one layer know nothing of each other."""

FORBIDDEN: dict[str, tuple[str, ...]] = {
    room: (*(other for above in LAYERS[:index] for other in above), *(other for other in layer if other != room))
    for index, layer in enumerate(LAYERS)
    for room in layer
}
"""Room → the rooms that it must not import: those above it, and those next to it."""
