"""Where tests take pictures and weights from: drawn ones for everybody, real ones where their folder is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SHARED: Final = Path(__file__).resolve().parent.parent.parent / "shared"
"""The folder of real pictures, weights and reference results next to the checkout."""


def sources(free: str = "drawn", real: str = "real") -> tuple[str, ...]:
    """The parameters of a test or fixture with a source for everybody and another in `SHARED`."""
    return (free, real) if SHARED.is_dir() else (free,)
