"""Journals are compacted whatever lies in the place of their notes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from anonymisation.workspace.journal import GROWTH_BYTES, compact_overgrown


@pytest.mark.timeout(60)
def test_a_pipe_in_place_of_the_note_costs_one_more_pass(tmp_path: Path) -> None:
    journal, note = tmp_path / "pictures.jsonl", tmp_path / "pictures.jsonl.compacted"
    line = b'{"name":"p.jpg"}\n'
    journal.write_bytes(line * (GROWTH_BYTES // len(line) + 2))
    os.mkfifo(note)
    compact_overgrown(journal)
    assert journal.read_bytes() == line
    assert note.read_bytes() == str(len(line)).encode()
