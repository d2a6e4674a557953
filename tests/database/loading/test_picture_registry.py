"""Whose row stands under an identifier: the registry through rivals, torn lines, compaction and loss."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.database.loading.loader import (
    DatabaseTarget,
    LoadLimits,
    LoadReport,
    SourceRecord,
    load_records,
    send_spooled,
)
from anonymisation.database.loading.picture_registry import IdentifierRegistry
from anonymisation.files.append_log import to_line

Make = Callable[..., list[SourceRecord]]


def registry_files(state: Path) -> list[Path]:
    return sorted((state / "identifiers").rglob("*.jsonl"))


def test_the_registry_lies_by_capture_day_and_grows_only_by_what_is_new(
    state: Path, target: DatabaseTarget, limits: LoadLimits, make_records: Make
) -> None:
    odd = SourceRecord("x.jpg", make_records(1)[0].record | {"bildeid": "odd"})
    load_records([*make_records(3), odd], target, state, limits)
    before = {path.name: path.read_bytes() for path in registry_files(state)}
    assert sorted(before) == ["2021-05-01.jsonl", "2021-05-02.jsonl", "2021-05-03.jsonl", "other.jsonl"]
    load_records([*make_records(3), odd], target, state, limits)
    assert {path.name: path.read_bytes() for path in registry_files(state)} == before


def test_registries_see_each_others_claims_through_torn_lines_and_compaction(state: Path) -> None:
    one, two = (IdentifierRegistry(state, "key") for _ in range(2))
    one.claim({"2021-05-01_a": "a.jpg"})
    assert two.pictures(["2021-05-01_a", "2021-05-01_b"]) == {"2021-05-01_a": "a.jpg"}
    [path] = registry_files(state)
    with path.open("ab") as stream:
        stream.write(b'{"identifier": "2021-05-01_b", "pic')
    two.claim({"2021-05-01_c": "c.jpg"})
    assert one.pictures(["2021-05-01_b", "2021-05-01_c"]) == {"2021-05-01_c": "c.jpg"}
    for number in range(1500):
        two.claim({"2021-05-01_a": f"{number}.jpg"})
    assert one.pictures(["2021-05-01_a", "2021-05-01_c"]) == {"2021-05-01_a": "1499.jpg", "2021-05-01_c": "c.jpg"}
    assert len(path.read_bytes().splitlines()) < 1100
    path.unlink()
    assert one.pictures(["2021-05-01_a"]) == {}
    one.claim({"2021-05-01_a": "z.jpg"})
    assert two.pictures(["2021-05-01_a"]) == {"2021-05-01_a": "z.jpg"}


def test_what_a_loader_has_written_itself_it_need_not_read_and_others_do(state: Path) -> None:
    one, two = (IdentifierRegistry(state, "key") for _ in range(2))
    names = {f"2021-05-01_{letter}": f"{letter}\\\udce5.jpg" for letter in 'aÆ"'}
    for number, (name, picture) in enumerate(names.items()):
        one.claim({name: picture})
        assert one.pictures(names) == two.pictures(names) == dict(list(names.items())[: number + 1])
    two.claim({"2021-05-01_a": "two.jpg"})
    one.claim({"2021-05-01_b": "b.jpg"})
    assert one.pictures(["2021-05-01_a", "2021-05-01_b"]) == {"2021-05-01_a": "two.jpg", "2021-05-01_b": "b.jpg"}
    [path] = registry_files(state)
    lines = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert path.read_bytes() == b"".join(map(to_line, lines))
    for number in range(1500):
        one.claim({"2021-05-01_a": f"{number}.jpg"})
    assert len(path.read_bytes().splitlines()) < 1100
    assert one.pictures(names) == two.pictures(names) == names | {"2021-05-01_a": "1499.jpg"}


def test_a_lost_registry_is_filled_again_by_loading(
    state: Path, target: DatabaseTarget, limits: LoadLimits, captured: list[SourceRecord]
) -> None:
    first = load_records(captured, target, state, limits)
    before = {path: path.read_bytes() for path in registry_files(state)}
    for path in before:
        path.unlink()
    again = load_records(captured, target, state, limits)
    assert again.collisions == first.collisions
    assert {path: path.read_bytes() for path in registry_files(state)} == before


def test_a_registry_that_cannot_be_read_stops_no_load(
    target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    load_records(make_records(3), target, state, limits)
    [path, *_] = days = sorted((state / "identifiers").rglob("*.jsonl"))
    path.unlink()
    path.mkdir()
    days[1].write_bytes(b'{"identifier": [], "picture": 7}\n{"identifier": {}}\n')
    report = load_records(make_records(3), target, state, limits)
    assert (report.updated, report.failed, report.waiting) == (3, (), 0)
    [problem] = report.problems
    assert problem.path == str(path)
    assert f"kept as {path.name}.damaged" in problem.message
    assert load_records(make_records(3), target, state, limits) == LoadReport(0, 3, (), 0, ())


def test_a_registry_that_cannot_be_written_loses_no_row(
    target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    state.mkdir()
    (state / "identifiers").write_text("no folder")
    with pytest.raises(ShareUnavailableError, match=r"identifiers.*check this file and the share of the state folder"):
        load_records(make_records(3), target, state, limits)
    (state / "identifiers").unlink()
    assert send_spooled(target, state, limits) == LoadReport(0, 3, (), 0, ())
    assert len(list((state / "identifiers").rglob("*.jsonl"))) == 3
