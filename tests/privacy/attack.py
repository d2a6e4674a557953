"""Attack published pictures, at length: `python -m tests.privacy.attack` (`make attack`, ATTACK="--quick").

Prints the result of each attack on the product, the result of guessing, and the result of the same attack on a plain
blur. Exits with 1 if an attack on the product does better than guessing, or fails on a plain blur and proves nothing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Final

import cv2  # noqa: TID253 - limits each process to one core
from rich.console import Console
from rich.table import Table

from tests.privacy.backgrounds import survey_pictures
from tests.privacy.campaign import Case, Row, cases
from tests.privacy.stats import LEVEL

TRIALS: Final = 30
_QUICK_TRIALS: Final = 12


def _run(case: Case) -> list[Row]:
    cv2.setNumThreads(1)
    return case.run()


def attack(todo: list[Case], jobs: int, console: Console) -> list[Row]:
    """Run the cases in `jobs` processes; returns their rows in the order of the cases."""
    started = time.monotonic()
    found: dict[int, list[Row]] = {}
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(_run, case): index for index, case in enumerate(todo)}
        for done, future in enumerate(as_completed(running), start=1):
            index = running[future]
            found[index] = future.result()
            seconds = time.monotonic() - started
            console.print(f"{done} of {len(todo)} after {seconds:.0f} s: {todo[index].name}", highlight=False)
    return [row for index in sorted(found) for row in found[index]]


def verdict(row: Row) -> str:
    """The verdict in words, for the table."""
    if row.control:
        return "broken, as expected" if row.above else "NOT BROKEN: the attack is too weak"
    return "ABOVE CHANCE" if row.above else "at chance"


def table_of(rows: list[Row]) -> Table:
    """The rows as a table; controls are dimmed, and unexpected results are highlighted."""
    table = Table("case", "hidden by", "result", "chance", "p", "verdict")
    for row in rows:
        style = "bold red" if not row.as_it_must_be else "dim" if row.control else ""
        table.add_row(row.case, row.hidden_by, row.result, row.chance, f"{row.level:.2g}", verdict(row), style=style)
    return table


def main() -> None:
    """Print progress and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer trials and readings: a few minutes")
    parser.add_argument("--trials", type=int, help=f"for each identification; default: {TRIALS}, or {_QUICK_TRIALS}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; default: one per core")
    options = parser.parse_args()
    trials = options.trials or (_QUICK_TRIALS if options.quick else TRIALS)
    console = Console(width=150 if not sys.stdout.isatty() else None)
    console.print(
        f"backgrounds: {len(survey_pictures())} survey pictures" if survey_pictures() else "drawn backgrounds"
    )
    rows = attack(cases(trials, quick=options.quick), options.jobs, console)
    console.print(table_of(rows))
    wrong = [row for row in rows if not row.as_it_must_be]
    console.print(f"{len(rows) - len(wrong)} of {len(rows)} rows as expected (level {LEVEL})")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
