"""Splits long lists into pages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paging:
    """Page `asked` (from 1) of `total` items, `each` on a page. Numbers beyond the last page mean the last page."""

    asked: int
    each: int
    total: int

    @property
    def pages(self) -> int:
        """The number of pages, at least one."""
        return max(1, -(-self.total // self.each))

    @property
    def number(self) -> int:
        """The number of the page that is shown."""
        return min(max(1, self.asked), self.pages)

    @property
    def first(self) -> int:
        """The index of the page's first item, from 0."""
        return (self.number - 1) * self.each

    @property
    def last(self) -> int:
        """The index after the page's last item."""
        return min(self.first + self.each, self.total)

    @property
    def shown(self) -> list[int]:
        """The page numbers to offer: the first, the last and those near this page. 0 stands for a gap."""
        near = {1, self.pages, *range(max(1, self.number - 2), min(self.pages, self.number + 2) + 1)}
        offered: list[int] = []
        for number in sorted(near):
            if offered and number - offered[-1] > 1:
                offered.append(0)
            offered.append(number)
        return offered
