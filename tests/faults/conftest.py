"""What the fault suite shares: how much is tried, and the table of what was tried."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from tests.faults import shim
from tests.faults.harness import Nights, warm_nights
from tests.faults.memory_disk import MemoryDisks

LONG: Final = os.environ.get("ANONYMISATION_FAULTS") == "long"
"""Whether everything is tried (`make faults`), or only a sample (the ordinary run)."""
EVERY: Final = int(os.environ.get("ANONYMISATION_FAULTS_EVERY") or 1)
"""Of so many positions at which all is tried, the long run takes one: operations of a night, bytes of a spool."""
_TRIED: Final = "tried"


class Tried(Protocol):
    """Notes for the table what a test tried; a test calls it once for each row."""

    def __call__(self, kind: str, what: str, times: int = 1) -> None:
        """`kind` is the kind of fault, `what` names the faults, `times` is how often they were tried."""


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Tried:
    """See `Tried`. The promises held if the test passes."""

    def note(kind: str, what: str, times: int = 1) -> None:
        request.node.user_properties.append((_TRIED, [kind, what, times]))  # pytest-xdist sends these

    return note


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """Nights that may meet faults; skips where the library for them cannot be built."""
    folder = tmp_path_factory.mktemp("nights")
    library = shim.build(folder)
    if library is None:
        pytest.skip("needs a C compiler (cc) and the C library's headers, which are not there")
    with warm_nights(folder, library) as started:
        yield started


@pytest.fixture
def disks() -> Iterator[MemoryDisks]:
    """File systems in memory, taken away at the end."""
    disks = MemoryDisks()
    yield disks
    disks.unmount()


@pytest.fixture
def quick_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one, since thousands of flushes take long on a busy disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="faults-", dir=memory) as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True, order=True)
class _Row:
    kind: str
    what: str
    times: int
    held: bool


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print for every kind of fault what was tried, how often, and whether the promises held."""
    rows = _merged(row for outcome in ("passed", "failed") for row in _rows(terminalreporter.stats.get(outcome, ())))
    if not rows:
        return
    terminalreporter.section("faults")
    for line in _table(rows):
        terminalreporter.write_line(line)


def _rows(reports: Iterable[Any]) -> Iterable[_Row]:
    for report in reports:
        if getattr(report, "when", "") == "call":
            for name, values in report.user_properties:
                if name == _TRIED:
                    yield _Row(values[0], values[1], values[2], held=report.passed)


def _merged(rows: Iterable[_Row]) -> list[_Row]:
    """The rows in order, those of the same faults added up."""
    merged: dict[tuple[str, str], _Row] = {}
    for row in rows:
        before = merged.get((row.kind, row.what), _Row(row.kind, row.what, 0, held=True))
        merged[row.kind, row.what] = _Row(row.kind, row.what, before.times + row.times, before.held and row.held)
    return sorted(merged.values())


def _table(rows: list[_Row]) -> list[str]:
    """The table in Markdown, as it stands in docs/faults.md."""
    heading = ("Fault", "Tried", "Times", "Promises")
    body = [(row.kind, row.what, f"{row.times:,}", "held" if row.held else "BROKEN") for row in rows]
    widths = [max(len(line[column]) for line in (heading, *body)) for column in range(len(heading))]
    rule = tuple("-" * width for width in widths)
    return [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in (heading, rule, *body)
    ]
