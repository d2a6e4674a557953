"""Long lists in pages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paging:
    """Page `asked` (from 1) of `total` things, `each` on a page; a page beyond the last is the last."""

    asked: int
    each: int
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // self.each))

    @property
    def number(self) -> int:
        """The page that is shown."""
        return min(max(1, self.asked), self.pages)

    @property
    def first(self) -> int:
        """The place of the page's first thing, from 0."""
        return (self.number - 1) * self.each

    @property
    def last(self) -> int:
        """The place behind the page's last thing."""
        return min(self.first + self.each, self.total)

    @property
    def shown(self) -> list[int]:
        """The page numbers to offer: the ends and those around this one; 0 stands for a gap."""
        near = {1, self.pages, *range(max(1, self.number - 2), min(self.pages, self.number + 2) + 1)}
        offered: list[int] = []
        for number in sorted(near):
            if offered and number - offered[-1] > 1:
                offered.append(0)
            offered.append(number)
        return offered
