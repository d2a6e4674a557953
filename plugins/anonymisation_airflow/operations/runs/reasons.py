"""Why folders and pictures of a run failed, grouped: a thousand pictures often fail for a few reasons."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from anonymisation.reporting.step_reports import Failure
from anonymisation_airflow.operations.runs.nights_view import FolderLine

MAX_REASONS: Final = 50  # groups on the page
MAX_ITEMS: Final = 100  # folders or pictures listed in a group


@dataclass(frozen=True, slots=True)
class Item:
    """A picture that failed (its path below the input folder), or a folder that stopped, in the line of its folder."""

    name: str
    line: FolderLine
    known: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """Everything that failed for one reason; `items` are the first of `count`."""

    text: str
    items: Sequence[Item]
    count: int
    known: int

    @property
    def more(self) -> int:
        """The number of items that are not listed."""
        return self.count - len(self.items)


def reasons(lines: Iterable[FolderLine]) -> tuple[Reason, ...]:
    """Group what failed by its reason: new failures first, then the reasons with the most items.

    Several steps may name one picture with one reason; it is listed once.
    """
    groups: dict[str, dict[str, Item]] = {}
    for line in lines:
        if line.report.error:
            groups.setdefault(line.report.error, {}).setdefault(line.folder, Item(line.folder, line))
        for failure in line.failures:
            item = Item(failure.picture, line, failure.known)
            groups.setdefault(shared_reason(failure), {}).setdefault(failure.picture, item)
    found = [_reason(text, list(items.values())) for text, items in groups.items()]
    return tuple(sorted(found, key=lambda reason: (reason.known == reason.count, -reason.count, reason.text)))


def shared_reason(failure: Failure) -> str:
    """The reason with `…` for the picture's own path in names of files: else each would be a group of its own."""
    own = re.escape(failure.picture.rpartition(".")[0])
    return re.sub(f"(?<=/){own}(?=[._])", "…", failure.reason) if own else failure.reason


def _reason(text: str, items: list[Item]) -> Reason:
    return Reason(text, items[:MAX_ITEMS], len(items), sum(item.known for item in items))
