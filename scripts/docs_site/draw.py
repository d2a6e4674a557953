"""Draws the Mermaid diagrams of the documentation that have no drawing yet: `make diagrams`.

It needs npm, which fetches Mermaid, and Chromium. The site shows the drawings, so that neither its readers nor its
build need either.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

from scripts.docs_site.paths import DOCS, ROOT, drawing_of

MERMAID: Final = "mermaid@11"
_FENCE: Final = re.compile(r"^```mermaid\n(.*?)^```", re.DOTALL | re.MULTILINE)
_DRAW: Final = """\
async (text) => { mermaid.initialize({startOnLoad: false, theme: "neutral", flowchart: {htmlLabels: false},
htmlLabels: false, fontFamily: "sans-serif"}); return (await mermaid.render("drawing", text)).svg; }"""


def diagrams() -> Iterator[str]:
    """The text of every diagram of the documentation and of the files at the root of the repository."""
    for path in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")]):
        yield from _FENCE.findall(path.read_text(encoding="utf-8"))


def main() -> int:
    """Draw what is missing, and remove the drawings of diagrams that are gone."""
    wanted = {drawing_of(text): text for text in diagrams()}
    for old in set((DOCS / "diagrams").glob("*.svg")) - set(wanted):
        old.unlink()
        print(f"removed {old.relative_to(ROOT)}")
    missing = {path: text for path, text in wanted.items() if not path.exists()}
    if missing:
        with tempfile.TemporaryDirectory() as folder:
            _draw(missing, _fetch_mermaid(Path(folder)))
    return 0


def _fetch_mermaid(folder: Path) -> Path:
    packed = subprocess.run(
        ["npm", "pack", "--silent", MERMAID], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()
    with tarfile.open(folder / packed) as archive:
        archive.extract("package/dist/mermaid.min.js", folder, filter="data")
    return folder / "package/dist/mermaid.min.js"


def _draw(wanted: dict[Path, str], mermaid: Path) -> None:
    with sync_playwright() as playwright:
        chromium = next(filter(Path.exists, map(Path, ("/usr/bin/chromium", "/usr/bin/google-chrome"))), None)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.add_script_tag(path=mermaid)
        for path, text in wanted.items():
            path.write_text(page.evaluate(_DRAW, text) + "\n", encoding="utf-8")
            print(f"drew {path.relative_to(ROOT)}")
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
