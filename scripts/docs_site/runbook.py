"""A page for each row of the production guide's table of problems, so that a message can lead to its page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.docs_site.links import rewrite
from scripts.docs_site.markdown import page, table
from scripts.docs_site.paths import DOCS

FOLDER: Final = DOCS / "operate" / "runbook"
GUIDE: Final = DOCS / "production.md"
_HEADING: Final = "## When something fails"
_ROW: Final = re.compile(
    r"\| \*\*(?P<title>.+?)\*\*(?P<more>[^|]*)\|(?P<message>.*?) \| (?P<reaction>.*?) \| (?P<do>.*) \|"
)
_NONE: Final = "–"
INTRODUCTION: Final = """\
What to do when something fails, one page for each problem. The summary of the run names every failed folder and picture
with its reason; look for that message here, or in the search. When the cause is gone, **clear** the red task with
everything downstream of it, or trigger a run on the folder, or wait for the next night. All three continue from the
files on disk; nothing is done twice."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the table; the texts are Markdown, with links as the production guide has them."""

    title: str
    more: str
    message: str
    reaction: str
    to_do: str

    @property
    def file(self) -> Path:
        """The page of the problem."""
        return FOLDER / (re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") + ".md")


def problems(guide: str) -> list[Problem]:
    """The rows of the table in the text of the production guide.

    Raises:
        ValueError: a row has another form, or two have one page.
    """
    rows = [line for line in guide.split(_HEADING, 1)[1].split("\n## ")[0].splitlines() if line.startswith("| **")]
    found = []
    for row in rows:
        parts = _ROW.fullmatch(row)
        if parts is None:
            raise ValueError(f"expected a row of problem, message, reaction and what to do, got {row[:80]}")
        found.append(Problem(*(parts[name].strip() for name in ("title", "more", "message", "reaction", "do"))))
    if len({problem.file for problem in found}) != len(found):
        raise ValueError(f"{GUIDE.name}: two problems of the table have the same title")
    return found


def runbook() -> dict[Path, str]:
    """Every page of the runbook with its text, the list of problems among them."""
    found = problems(GUIDE.read_text(encoding="utf-8"))
    pages = {FOLDER / "index.md": _index(found)}
    for number, problem in enumerate(found):
        pages[problem.file] = _page(problem, found[number - 1], found[(number + 1) % len(found)], found)
    return pages


def _index(found: list[Problem]) -> str:
    here = FOLDER / "index.md"
    rows = [(f"[{problem.title}]({problem.file.name})", _moved(problem.message, here)) for problem in found]
    tree = "\n".join(["```{toctree}", ":hidden:", "", *(problem.file.stem for problem in found), "```"])
    return page("Runbook", INTRODUCTION, table(("problem", "message"), rows), tree)


def _page(problem: Problem, before: Problem, after: Problem, found: list[Problem]) -> str:
    def text(cell: str) -> str:
        for other in found:
            if other != problem:
                cell = cell.replace(f"*{other.title}*", _link(other))
        cell = cell.replace("as above", f"as for {_link(before)}").replace("as in the next row", f"see {_link(after)}")
        return _sentence(_moved(cell, problem.file))

    parts = [_sentence(problem.more.strip("()"))] if problem.more else []
    if problem.message != _NONE:
        parts += ["## Message", text(problem.message)]
    if problem.reaction != _NONE:
        parts += ["## What happens by itself", text(problem.reaction)]
    return page(problem.title, *parts, "## What to do", text(problem.to_do))


def _link(problem: Problem) -> str:
    return f"[{problem.title}]({FOLDER.relative_to(DOCS)}/{problem.file.name})"


def _moved(text: str, to: Path) -> str:
    """The text with links that lead from `to` where they led from the production guide."""
    text = text.replace("](#", f"]({GUIDE.name}#").replace(
        "*Housekeeping*", f"[Housekeeping]({GUIDE.name}#housekeeping)"
    )
    return rewrite(text, written_in=DOCS, page=to, pages={})


def _sentence(text: str) -> str:
    """The text of a cell as a sentence: a capital letter in front, if it begins with a word, and a full stop."""
    text = text.replace("\\|", "|").strip()
    quoted = text.startswith("`") and text.endswith("`")
    return text[:1].upper() + text[1:] + ("" if quoted or text.endswith((".", "?")) else ".")
