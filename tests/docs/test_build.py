"""The site is built strictly, and needs nothing of another host. Skipped where `make docs` installed nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from scripts.docs_site.paths import DOCS, ROOT

SPHINX: Final = ROOT / ".venv-docs" / "bin" / "python"
# Scripts, styles, pictures and fonts that a page loads by itself; not the links that a reader may follow.
_LOADED: Final = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*\b(?:src|href)=\"(https?:[^\"]+)")
# What breaks a page, and what the build then says.
_BROKEN: Final = (
    ("[a](gone.md)", "gone.md"),
    ("[a](#no-heading)", "no-heading"),
    ("![a](gone.png)", "gone.png"),
    ("```mermaid\nflowchart LR\n  new --> diagram\n```", "no drawing"),
    ("```{toctree}\nno_page\n```", "no_page"),
)

pytestmark = pytest.mark.skipif(not SPHINX.exists(), reason="the tools of the site are not installed: run `make docs`")


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Build as `make docs` does."""
    arguments = ["-m", "sphinx", "-E", "-q", "-W", "--keep-going", "-n", "-b", "html", str(source), str(target)]
    return subprocess.run([SPHINX, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def small_site(folder: Path, text: str) -> Path:
    """A site of the same configuration with one page of this text."""
    docs = folder / "docs"
    docs.mkdir()
    shutil.copy(DOCS / "conf.py", docs)
    shutil.copytree(DOCS / "static", docs / "static")
    (folder / "anonymisation").mkdir()
    shutil.copy(ROOT / "anonymisation" / "__init__.py", folder / "anonymisation")
    (docs / "index.md").write_text(f"# Title\n\n{text}\n", encoding="utf-8")
    return docs


def test_what_make_built_loads_nothing_from_another_host() -> None:
    built = ROOT / "build" / "docs"
    if not (built / "index.html").exists():
        pytest.skip("the site is not built: run `make docs`")
    pages = sorted(built.rglob("*.html"))
    assert len(pages) > 50
    assert [(page.name, found) for page in pages for found in _LOADED.findall(page.read_text("utf-8"))] == []
    assert (built / "searchindex.js").stat().st_size > 10_000


def test_every_fault_of_a_page_fails_the_build(tmp_path: Path) -> None:
    docs = small_site(tmp_path, "\n\n".join(text for text, _ in _BROKEN))
    (docs / "alone.md").write_text("# In no navigation\n", encoding="utf-8")
    done = build(docs, tmp_path / "built")
    assert done.returncode != 0
    missing = [said for said in (*(said for _, said in _BROKEN), "alone.md") if said not in done.stderr]
    assert missing == [], done.stderr
