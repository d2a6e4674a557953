"""Captures that the project may ship: drawn, and made up but for the form of their metadata. See draw.py."""

from pathlib import Path
from typing import Final

DRAWN: Final = Path(__file__).parent
"""A folder as that of the real captures: `captures/`, and `reference/` with their records and rows."""
