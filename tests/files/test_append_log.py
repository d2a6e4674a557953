"""Append-only logs survive a kill at any byte."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.append_log import AppendLog, parse_line, read_as, read_from, read_lines, read_tail, to_line

# Any text, with lone surrogates, which Python uses in names that are not valid UTF-8.
TEXT = st.text(st.characters(codec=None), max_size=12)
LINES = st.lists(st.dictionaries(TEXT, st.none() | st.integers() | TEXT | st.lists(TEXT), max_size=4), max_size=8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "below" / "journal.jsonl"


def written(path: Path, lines: list[dict[str, object]]) -> list[int]:
    writer = AppendLog(path)
    offsets = [writer.append(line) for line in lines]
    writer.close()
    return offsets


@given(lines=LINES)
def test_appended_lines_are_read_with_their_offsets(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, object]]
) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    offsets = written(path, lines)
    assert list(read_lines(path)) == list(zip(offsets, lines, strict=True))


@given(lines=LINES, data=st.data())
def test_a_log_torn_at_any_byte_keeps_all_complete_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, object]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    written(path, lines)
    whole = path.read_bytes() if lines else b""
    size = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:size])
    kept = whole[:size].count(b"\n")
    found = [values for _, values in read_lines(path)]
    # A last line that only lacks its line break is complete.
    assert found in (lines[:kept], lines[: kept + 1])
    offset = written(path, [{"after": 1}])[0]
    assert [values for _, values in read_lines(path)] == [*found, {"after": 1}]
    assert path.read_bytes()[offset:] == to_line({"after": 1})


@given(lines=LINES, junk=st.binary(max_size=60))
def test_only_the_damaged_line_is_lost(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, object]], junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    written(path, lines)
    with path.open("ab") as stream:
        stream.write(b"{" + junk.replace(b"\n", b"") + b"\x00\n")
    written(path, [{"after": 1}])
    assert [values for _, values in read_lines(path)] == [*lines, {"after": 1}]


def test_damage_is_logged_with_its_offset(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"a": 1}\n{"a": \n[1]\n\n{"a": 2}\n')
    assert [values["a"] for _, values in read_lines(path)] == [1, 2]
    assert f"{path}: line at byte 9 is damaged" in caplog.text
    assert "line at byte 16 is damaged" in caplog.text
    assert len(caplog.records) == 2


def test_a_missing_log_is_empty(path: Path) -> None:
    assert list(read_lines(path)) == []


def test_a_line_is_in_the_file_before_the_log_is_closed(path: Path) -> None:
    writer = AppendLog(path)
    assert not writer.used
    writer.append({"a": 1})
    assert writer.used
    assert path.read_bytes() == b'{"a":1}\n'
    writer.close()
    assert not writer.used


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"1", b"null", b"\xff\xfe", b'{"a":1'])
def test_lines_that_are_not_json_objects_are_none(line: bytes) -> None:
    assert parse_line(line) is None


def test_lines_are_ascii() -> None:
    assert to_line({"name": "bl\udce5bær"}) == b'{"name":"bl\\udce5b\\u00e6r"}\n'


class Line(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    number: int = 0


@given(names=st.lists(TEXT, max_size=6))
def test_lines_are_read_as_structs(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    written(path, [{"name": name, "number": number} for number, name in enumerate(names)])
    assert list(read_as(path, Line)) == [Line(name, number) for number, name in enumerate(names)]


def test_lines_of_another_form_are_skipped_and_logged_as_damage_is(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(read_as(path, Line)) == []
    others: list[dict[str, object]] = [
        {"name": 5},
        {"name": "b", "new": 1},
        {"number": 1},
        {"name": "\udce5", "new": 1},
    ]
    written(path, [{"name": "a"}, *others, {"name": "z"}])
    assert list(read_as(path, Line)) == [Line("a"), Line("z")]
    assert caplog.text.count("is of an unknown kind") == len(others)
    path.write_bytes(path.read_bytes() + b'{"name":"\xff"}\n\n{"name":"t')
    caplog.clear()
    assert list(read_as(path, Line)) == [Line("a"), Line("z")]
    assert caplog.text.count("is of an unknown kind") == len(others)
    assert caplog.text.count("is damaged and is skipped") == 1  # five lines of a log are named
    assert "1 more lines are damaged" in caplog.text
    caplog.clear()
    assert list(read_as(path, Line, warn=False)) == [Line("a"), Line("z")]
    assert caplog.text == ""


def test_what_is_there_and_cannot_be_read_does_not_count_as_nothing(path: Path) -> None:
    path.mkdir(parents=True)
    for read in (
        lambda: list(read_lines(path)),
        lambda: list(read_as(path, Line)),
        lambda: read_tail(path, Line, 100),
    ):
        with pytest.raises(ShareUnavailableError, match=f"{path} cannot be read: is not a file"):
            read()
    with pytest.raises(OSError, match="is not a file"):
        read_from(path, 0)
    path.rmdir()
    os.mkfifo(path)  # reading it would wait for ever
    with pytest.raises(ShareUnavailableError, match=f"{path} cannot be read"):
        list(read_lines(path))


def test_a_line_nested_without_end_costs_itself(path: Path) -> None:
    written(path, [{"name": "a"}])
    path.write_bytes(path.read_bytes() + b'{"name":' + b"[" * 100_000 + b"\n")
    written(path, [{"name": "b"}])
    assert [values for _, values in read_lines(path)] == [{"name": "a"}, {"name": "b"}]
    assert list(read_as(path, Line)) == read_tail(path, Line, 1 << 20)[::-1] == [Line("a"), Line("b")]


def test_garbage_does_not_flood_the_log(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage\n" * 1000 + b'{"a":1}\n')
    assert [values for _, values in read_lines(path)] == [{"a": 1}]
    assert len(caplog.records) < 10
    assert "995 more lines are damaged" in caplog.text


def test_a_full_disk_is_an_error_with_the_path(tmp_path: Path) -> None:
    path = tmp_path / "pictures.jsonl"
    path.symlink_to("/dev/full")
    writer = AppendLog(path)
    with pytest.raises(
        ShareUnavailableError, match=rf"{path} cannot be written: disk full \(No space left on device\); make"
    ):
        writer.append({"name": "a.jpg"})
    with pytest.raises(ShareUnavailableError, match="cannot be written"):
        writer.close()


@pytest.mark.timeout(60)
def test_no_line_is_written_into_a_pipe(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    with pytest.raises(ShareUnavailableError, match=f"{path} cannot be written: is not a file"):
        AppendLog(path).append({"name": "p.jpg"})
