"""Tables on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from anonymisation.core.text import one_line
from anonymisation.workspace.unread import NotRead

_WIDEST = 10_000


def print_table(console: Console, table: Table) -> None:
    """Print a table; outside a terminal it is as wide as needed, so that no path is broken."""
    if not console.is_terminal:
        wanted = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
        console.width = max(console.width, wanted)
    console.print(table, soft_wrap=False)


def print_unread(console: Console, unread: NotRead) -> None:
    """Print the files that are not read, folder by folder; nothing if there are none."""
    if unread:
        more = [f"… and {unread.more} more folders"] if unread.more else []
        for line in (f"{unread.title}:", *(f"  {one_line(item)}" for item in unread.lines()), *more):
            console.print(Text(line, style="yellow"))
