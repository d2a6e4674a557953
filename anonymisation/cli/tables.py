"""Tables on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_WIDEST = 10_000


def print_table(console: Console, table: Table) -> None:
    """Print a table; outside a terminal it is as wide as needed, so that no path is broken."""
    if not console.is_terminal:
        wanted = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
        console.width = max(console.width, wanted)
    console.print(table, soft_wrap=False)
