"""Notes inform and decide nothing: whatever is wrong with one, it counts as missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from anonymisation.files.notes import keep_note, read_note


@dataclass(frozen=True)
class Note:
    name: str
    number: int = 1

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError("expected a number from 1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "note.json"


def test_a_note_is_read_as_written_and_unknown_keys_are_ignored(path: Path) -> None:
    assert read_note(path, Note) is None
    keep_note(path, {"name": "bl\udce5", "number": 7, "from_the_future": [1]})
    assert read_note(path, Note) == Note("bl\udce5", 7)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"name": 5}', b'{"number": 5}', b'{"name": "a", "number": "5"}',
        b'{"name": "a", "number": 0}', b'{"name": "a", "number": Infinity}', b'{"name": "a", "number": 1e999}',
        b'{"a":' * 100_000, bytes(1 << 21),
    ],
)  # fmt: skip
def test_a_note_of_another_form_is_missing(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert read_note(path, Note) is None


def test_what_is_no_file_is_missing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.mkdir()
    assert read_note(path, Note) is None
    keep_note(path, {"name": "a"})
    assert f"{path} cannot be written" in caplog.text
    path.rmdir()
    os.mkfifo(path)
    assert read_note(path, Note) is None
