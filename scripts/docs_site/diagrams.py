"""Shows Mermaid diagrams as pictures that were drawn before, so that the site needs no script for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from scripts.docs_site.paths import ROOT, drawing_of


class DrawnDiagrams(SphinxTransform):  # type: ignore[misc]  # Sphinx is not installed where types are checked
    """Puts the drawing in the place of each Mermaid diagram, and warns of a diagram that has none."""

    default_priority = 10

    def apply(self, **_: Any) -> None:
        """Change the document."""
        for block in list(self.document.findall(nodes.literal_block)):
            if block.get("language") != "mermaid":
                continue
            drawing = drawing_of(block.astext())
            if not drawing.is_file():
                message = "the diagram has no drawing; run `make diagrams` and commit %s"
                logging.getLogger(__name__).warning(message, drawing.relative_to(ROOT), location=block)
                continue
            uri = os.path.relpath(drawing, Path(self.env.doc2path(self.env.docname)).parent)
            lines = [line.strip() for line in block.astext().strip().splitlines()[1:]]
            block.replace_self(nodes.image(uri=uri, alt="Diagram: " + "; ".join(lines), classes=["diagram"]))


def setup(app: Any) -> dict[str, bool]:
    """Join Sphinx."""
    app.add_transform(DrawnDiagrams)
    return {"parallel_read_safe": True}
