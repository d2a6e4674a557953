"""Where the documentation's pages and drawings are. Nothing here needs Sphinx."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"


def drawing_of(diagram: str) -> Path:
    """The file with the drawing of a Mermaid diagram, named by a checksum of its text."""
    return DOCS / "diagrams" / f"{hashlib.sha256(diagram.strip().encode()).hexdigest()[:16]}.svg"
