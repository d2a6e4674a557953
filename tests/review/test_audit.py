"""The audit log is read whatever versions wrote it, and a log that cannot be read is no empty one."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.append_log import to_line
from anonymisation.review.audit import newest_looks, note_look


def test_lines_of_other_versions_cost_themselves(tmp_path: Path) -> None:
    assert newest_looks(tmp_path, 5) == []
    first = note_look(tmp_path, "kari", "looked", "a.jpg")
    with (tmp_path / "audit" / "originals.jsonl").open("ab") as stream:
        for line in ({"by": "ola"}, {"at": "", "by": ["ola"], "did": "", "picture": ""}, {}, {"version": 9}):
            stream.write(to_line(line))
        stream.write(to_line({"at": "1", "by": "ola", "did": "looked", "picture": "b.jpg", "from": "10.0.0.1"}))
        stream.write(b"{" * 10_000 + b"\n")
    last = note_look(tmp_path, "per", "looked", "c.jpg", "why")
    assert [look.by for look in newest_looks(tmp_path, 5)] == ["per", "ola", "kari"]
    assert newest_looks(tmp_path, 1) == [last]
    assert newest_looks(tmp_path, 5)[-1] == first


def test_a_log_that_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "audit" / "originals.jsonl").mkdir(parents=True)
    with pytest.raises(ShareUnavailableError, match=r"originals\.jsonl cannot be read"):
        newest_looks(tmp_path, 5)
    with pytest.raises(ShareUnavailableError, match=r"originals\.jsonl cannot be written"):
        note_look(tmp_path, "kari", "looked", "a.jpg")
