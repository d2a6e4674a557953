"""The documentation is complete: pages are in the navigation, links lead somewhere, diagrams are drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from scripts.docs_site import draw
from scripts.docs_site.links import rewrite, shown_file, shown_files
from scripts.docs_site.paths import DOCS, ROOT, drawing_of

PAGES: Final = sorted(DOCS.rglob("*.md"))
_TOCTREE: Final = re.compile(r"```\{toctree\}\n(.*?)```", re.DOTALL)
_FENCE: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK: Final = re.compile(r"\]\((?![a-z]+:)([^)\s]+)\)")


def in_navigation(page: Path) -> Iterator[Path]:
    """The pages that the navigation of a page names."""
    for tree in _TOCTREE.findall(page.read_text(encoding="utf-8")):
        lines = [line.strip() for line in tree.splitlines()]
        for entry in filter(None, (line for line in lines if not line.startswith(":"))):
            found = sorted(page.parent.glob(f"{entry}.md"))
            assert found, f"{page.relative_to(ROOT)}: its navigation names {entry}, which is no page"
            yield from (path.resolve() for path in found)


def test_every_page_is_in_the_navigation_once() -> None:
    named = [path for page in PAGES for path in in_navigation(page)]
    assert sorted({DOCS / "index.md", *named}) == PAGES
    assert len(named) == len(set(named))


def test_every_link_of_a_page_leads_to_a_file_of_the_repository() -> None:
    lost = []
    for page in PAGES:
        shown = shown_file(page.read_text(encoding="utf-8"))
        source = page if shown is None else ROOT / shown
        text = _FENCE.sub("", source.read_text(encoding="utf-8"))
        paths = (link.partition("#")[0] for link in _LINK.findall(text))
        lost += [f"{source.name}: {path}" for path in paths if path and not (source.parent / path).exists()]
    assert lost == []


def test_every_diagram_has_its_drawing_and_no_drawing_is_left_over() -> None:
    wanted = {drawing_of(text) for text in draw.diagrams()}
    assert len(wanted) >= 3
    assert set((DOCS / "diagrams").glob("*.svg")) == wanted, "run `make diagrams` and commit what it draws"


def test_a_drawing_contains_nothing_of_another_host() -> None:
    for drawing in (DOCS / "diagrams").glob("*.svg"):
        text = drawing.read_text(encoding="utf-8")
        assert not re.search(r"(href|src)=\"http|url\(['\"]?http|@import", text)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a](../CHANGELOG.md#x)", "[a](../changelog.md#x)"),
        ("[a](../pyproject.toml)", "[a](../../pyproject.toml)"),
        ("[`core/`](../anonymisation/core)", "`core/`"),
        ("[![p](privacy.png)](privacy.md)", "[![p](../privacy.png)](../privacy.md)"),
        ("[a](https://example.org/x)", "[a](https://example.org/x)"),
        ("[a](#here)", "[a](#here)"),
        ("```\n[a](../CHANGELOG.md)\n```", "```\n[a](../CHANGELOG.md)\n```"),
    ],
)
def test_links_to_files_of_the_repository_lead_into_the_site(link: str, expected: str) -> None:
    page = DOCS / "start" / "index.md"
    assert rewrite(link, written_in=DOCS, page=page, pages=shown_files(DOCS)) == expected


def test_pages_that_show_a_file_name_one_that_is_there() -> None:
    shown = shown_files(DOCS)
    assert {ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"} <= set(shown)
    assert all(path.is_file() for path in shown)
