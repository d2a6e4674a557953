"""Pages of the site that show a file of the repository, and links from pages to the repository's files.

A page whose first line is `<!-- shows: CONTRIBUTING.md -->` has the text of that file. A link to such a file, from any
page, leads to its page. A link to another file of the repository leads to a copy in the site, so that the site works
without the repository, and without a network. A link to a folder loses its link. A link to nothing is left as it is:
Sphinx then warns, and the build fails.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

_SHOWS = re.compile(r"<!-- shows: (\S+) -->")
# An inline link or picture with a relative address: [text](address) and [text](address "title").
_ADDRESS = r"\((?P<to>(?![a-z]+:|#)[^)\s]+)(?P<title>\s\"[^\"]*\")?\)"
_LINK = re.compile(r"(?P<text>!?\[(?:[^\[\]]|\[[^\]]*\]|!\[[^\]]*\]\([^)]*\))*\])" + _ADDRESS)
_INNER = re.compile(r"(?P<text>!\[[^\]]*\])" + _ADDRESS)
_CODE = re.compile(r"(```.*?^```|~~~.*?^~~~|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def shown_file(page: str) -> str | None:
    """The file of the repository that the text of a page names, as a path below the repository; None: it names none."""
    found = _SHOWS.match(page)
    return found[1] if found else None


@cache
def shown_files(docs: Path) -> dict[Path, Path]:
    """Each file of the repository that has a page, and its page."""
    pages = {}
    for page in sorted(docs.rglob("*.md")):
        if shown := shown_file(page.read_text(encoding="utf-8")):
            pages[(docs.parent / shown).resolve()] = page
    return pages


def rewrite(text: str, *, written_in: Path, page: Path, pages: dict[Path, Path]) -> str:
    """The text of a page with its links rewritten.

    Args:
        text: Markdown.
        written_in: the folder to which its relative links refer.
        page: the file of the page that shows the text.
        pages: see `shown_files`.
    """

    def link(found: re.Match[str]) -> str:
        label = found["text"]
        if label.startswith("[!"):
            label = _INNER.sub(link, label)
        path, _, anchor = found["to"].partition("#")
        target = Path(os.path.normpath(written_in / path))
        if target.is_dir():
            return label[1:-1]
        target = pages.get(target, target)
        address = os.path.relpath(target, page.parent) + (f"#{anchor}" if anchor else "")
        return f"{label}({address}{found['title'] or ''})"

    parts = _CODE.split(text)
    # A link's text may hold code, so that links are looked for in text and inline code together.
    joined, fences = "", []
    for part in parts:
        if part.startswith(("```", "~~~")):
            fences.append(part)
            joined += f"\0{len(fences) - 1}\0"
        else:
            joined += part
    joined = _LINK.sub(link, joined)
    return re.sub("\0([0-9]+)\0", lambda found: fences[int(found[1])], joined)


def _on_read(app: Any, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    docs = Path(app.srcdir)
    text, written_in = source[0], page.parent
    if shown := shown_file(text):
        file = docs.parent / shown
        app.env.note_dependency(str(file))
        text, written_in = file.read_text(encoding="utf-8"), file.parent
    source[0] = rewrite(text, written_in=written_in, page=page, pages=shown_files(docs))


def setup(app: Any) -> dict[str, bool]:
    """Join Sphinx."""
    connect: Callable[..., object] = app.connect
    connect("source-read", _on_read)
    return {"parallel_read_safe": True}
