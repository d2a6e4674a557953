"""The progress bars, in a real pseudo-terminal, and the lines elsewhere."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys

from anonymisation.cli.progress import describe
from anonymisation.reporting.step_reports import MaskReport
from tests.captures import FOLDER, capture
from tests.cli.conftest import Program
from tests.conftest import REPOSITORY


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Run the real program with a pseudo-terminal as its stderr and stdout; exit code and everything it drew."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-m", "anonymisation", *arguments],
        cwd=REPOSITORY, stdin=theirs, stdout=theirs, stderr=theirs, env=environment,
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 120)
        try:
            piece = os.read(ours, 65536) if ready else b""
        except OSError:  # Linux says so when the other end is closed
            piece = b""
        if not piece:
            break
        drawn += piece
    os.close(ours)
    return process.wait(timeout=60), drawn.decode()


def test_bars_are_drawn_on_a_terminal_and_gone_at_the_end(program: Program) -> None:
    program.site.fill(3)
    program.site.put("torn.jpg", capture(9)[:700])
    program.site.fill(1, "[bold]other[/bold]")
    code, drawn = on_a_terminal("run", *program.flags())
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
    assert code == 1
    assert "all pictures" in plain
    assert "/5" in plain
    assert "1 failed" in plain
    assert "[bold]other[/bold]: 1 picture, 1 to do" in plain
    assert "cuda" not in plain.lower()
    end = plain[plain.index("Not everything succeeded") :]
    assert "all pictures" not in end
    assert re.search(r"^masked +4\r?$", end, re.MULTILINE)


def test_elsewhere_a_line_tells_each_folders_beginning_and_end(program: Program) -> None:
    program.site.fill(2)
    result = program("run")
    lines = [line.split("INFO     ")[-1] for line in result.stderr.splitlines() if FOLDER in line]
    assert lines[0] == f"{FOLDER}: 2 pictures, 2 to do"
    assert re.fullmatch(rf"{FOLDER}: 2 masked \(\d+ s\)", lines[1])
    assert len(lines) == 2
    assert "\x1b" not in result.output
    assert "all pictures" not in result.output


def test_a_report_in_one_line_leaves_out_the_zeros() -> None:
    assert describe(MaskReport("a", 10, 4, 3, 2, 1, seconds=2.6)) == (
        "4 masked, 3 done already, 2 failed, 1 known to fail (3 s)"
    )
    assert describe(MaskReport("a", 0, 0, 0, 0, 0)) == "no pictures (0 s)"
