"""Why folders and pictures of a run failed, grouped: a thousand pictures often fail for a few reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

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
    """Group what failed by its reason: new failures first, then the reasons with the most items."""
    groups: dict[str, list[Item]] = {}
    for line in lines:
        if line.report.error:
            groups.setdefault(line.report.error, []).append(Item(line.folder, line))
        for failure in line.failures:
            groups.setdefault(failure.reason, []).append(Item(failure.picture, line, failure.known))
    found = [
        Reason(text, items[:MAX_ITEMS], len(items), sum(item.known for item in items)) for text, items in groups.items()
    ]
    return tuple(sorted(found, key=lambda reason: (reason.known == reason.count, -reason.count, reason.text)))
