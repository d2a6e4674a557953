"""The list of the runbook, from its pages: one for each problem, so that a message can lead to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.docs_site.markdown import page, table
from scripts.docs_site.paths import DOCS

FOLDER: Final = DOCS / "operate" / "runbook"
INDEX: Final = "index.md"
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Shares, disks and state": (
        "share-away", "share-not-mounted", "disk-full", "state-of-a-folder-unreadable", "lines-of-the-state-skipped",
        "folder-locked", "folder-became-a-link",
    ),
    "Pictures": (
        "pictures-failed", "picture-too-large", "name-too-long", "link-among-the-captures",
        "other-picture-in-the-archive", "mask-missing", "preview-missing", "nothing-found", "stranger-in-the-output",
        "not-released", "left-by-a-killed-release",
    ),
    "Model and GPU": (
        "model-missing", "model-unusable", "a-picture-that-the-model-fails-on", "gpu-out-of-memory", "gpu-not-found",
    ),
    "Database of the records": (
        "record-database-away", "record-database-refuses", "a-file-of-waiting-rows-is-damaged",
    ),
    "Processes that end or hang": (
        "worker-killed", "task-hangs", "a-picture-ends-the-process", "the-model-ends-the-process",
    ),
    "Airflow": (
        "discovery-failed", "a-folder-is-not-there", "night-is-late", "tasks-stay-queued", "tasks-stay-scheduled",
        "scheduler-down", "metadata-database-away", "dag-not-there",
    ),
    "Configuration and mail": ("configuration-refused", "no-mail"),
}  # fmt: skip
"""The pages in the order of the list, by what they are about."""
_TO_DO: Final = "What to do"
INTRODUCTION: Final = """\
What to do when something fails, one page for each problem. The summary of the run (in its log and in the mail) names
every failed folder and picture with its reason; look for that message here, or in the search. `…` stands for names and
numbers. The task's own log has more.

When the cause is gone, **clear** the red task with everything downstream of it (in the grid: the task, *Clear*,
*Downstream*), or trigger a run on the folder, or wait for the next night. All three continue from the files on disk;
nothing is done twice.

`known to fail` in a summary: the picture failed before and has not changed since. The summary lists it, and it does not
fail the night again.

`dc` and `ANONYMISE` are [short forms](../index.md#commands-on-these-pages)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The page of one problem: its file, title, and sections by their headings."""

    file: Path
    title: str
    sections: Mapping[str, str]

    @property
    def message(self) -> str:
        """The messages as the software prints them; empty if there is none."""
        return self.sections.get("Message", "")


def read_problem(file: Path) -> Problem:
    """The problem that a page describes.

    Raises:
        ValueError: the page has no title, or does not say what to do.
    """
    head, *rest = re.split(r"^## (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    title = re.match(r"# (.+)\n", head)
    sections = {rest[i]: rest[i + 1].strip() for i in range(0, len(rest), 2)}
    if title is None or not sections.get(_TO_DO):
        raise ValueError(f"{file.name}: expected a title and a section `{_TO_DO}`")
    return Problem(file, title[1], sections)


def problems(folder: Path = FOLDER) -> list[Problem]:
    """Every problem of a runbook, in the order of the files' names."""
    return [read_problem(file) for file in sorted(folder.glob("*.md")) if file.name != INDEX]


def runbook(folder: Path = FOLDER, groups: Mapping[str, tuple[str, ...]] = GROUPS) -> dict[Path, str]:
    """The list of the problems, as its file with its text.

    Raises:
        ValueError: a page is in no group, or a group names a page that is not there.
    """
    found = {problem.file.stem: problem for problem in problems(folder)}
    named = [stem for stems in groups.values() for stem in stems]
    if sorted(named) != sorted(found):
        differing = sorted(set(named) ^ set(found)) or sorted(stem for stem in named if named.count(stem) > 1)
        raise ValueError(f"expected each page of {folder} in one group of {Path(__file__).name}, not so: {differing}")
    parts = [INTRODUCTION]
    for group, stems in groups.items():
        rows = [(f"[{found[stem].title}]({stem}.md)", found[stem].message or "–") for stem in stems]
        parts += [f"## {group}", table(("problem", "message"), rows)]
    tree = "\n".join(["```{toctree}", ":hidden:", "", *named, "```"])
    return {folder / INDEX: page("Runbook", *parts, tree)}
