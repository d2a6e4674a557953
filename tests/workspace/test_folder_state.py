"""The state of a folder: the last line counts, only damaged lines are lost, any name survives the round trip."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.files.atomic import write_atomically
from anonymisation.workspace.folder_state import (
    FAILED,
    MASKED,
    FileStamp,
    PictureState,
    open_state,
    read_pictures,
    state_folder,
)
from anonymisation.workspace.shards import Shard
from tests.file_names import file_names

FOLDER = "Østfold/a b"
STAMP = FileStamp(10, 1_600_000_000_000_000_001)


def picture(name: str, **changes: object) -> PictureState:
    plain = PictureState(name, MASKED, STAMP, "0" * 64, "Scripted@0", "d" * 16, "P0.1_K20210501", 144, 96, STAMP)
    return msgspec.structs.replace(plain, **changes)


def lines(state: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (state_folder(state, FOLDER) / name).read_bytes().splitlines()]


def test_states_are_read_as_written(tmp_path: Path) -> None:
    assert read_pictures(tmp_path, FOLDER) == {}
    failed = picture("b.jpg", status=FAILED, output=None, reason="broken", sha256="")
    with open_state(tmp_path, FOLDER) as state:
        state.put_masked(picture("a.jpg"), {"bildeid": "å"}, [{"label": "car"}])
        state.put(failed)
        assert read_pictures(tmp_path, FOLDER) == {"a.jpg": picture("a.jpg"), "b.jpg": failed}  # readers take no lock
    assert read_pictures(tmp_path, FOLDER) == {"a.jpg": picture("a.jpg"), "b.jpg": failed}
    with open_state(tmp_path, FOLDER) as state:
        assert state.pictures == {"a.jpg": picture("a.jpg"), "b.jpg": failed}
        assert state.record("a.jpg") == {"bildeid": "å"}
        assert (state.has_record("a.jpg"), state.has_record("b.jpg"), state.record("b.jpg")) == (True, False, None)
    assert read_pictures(tmp_path, "Østfold") == {}


def test_the_last_line_counts_and_closing_removes_the_others(tmp_path: Path) -> None:
    with open_state(tmp_path, FOLDER) as state:
        for number in range(5):
            for name in ("b.jpg", "a.jpg"):
                state.put_masked(picture(name, width=number + 1), {"number": number}, [])
                assert state.record(name) == {"number": number}
        assert len(lines(tmp_path, "pictures.jsonl")) == 10
    assert [(line["name"], line["width"]) for line in lines(tmp_path, "pictures.jsonl")] == [("a.jpg", 5), ("b.jpg", 5)]
    assert [line["record"] for line in lines(tmp_path, "records.jsonl")] == [{"number": 4}, {"number": 4}]
    assert [line["name"] for line in lines(tmp_path, "detections.jsonl")] == ["a.jpg", "b.jpg"]


def test_a_state_that_was_only_read_is_not_written(tmp_path: Path) -> None:
    with open_state(tmp_path, FOLDER) as state:
        state.put(picture("a.jpg"))
    path = state_folder(tmp_path, FOLDER) / "pictures.jsonl"
    before = path.stat()
    with open_state(tmp_path, FOLDER) as state:
        assert state.pictures
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_only_torn_and_damaged_lines_are_lost(tmp_path: Path) -> None:
    with open_state(tmp_path, FOLDER) as state:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            state.put(picture(name))
    path = state_folder(tmp_path, FOLDER) / "pictures.jsonl"
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.replace(b'"name"', b'"nam\xff') + third[:40])
    assert set(read_pictures(tmp_path, FOLDER)) == {"a.jpg"}
    with open_state(tmp_path, FOLDER) as state:
        state.put(picture("d.jpg"))
        assert set(read_pictures(tmp_path, FOLDER)) == {"a.jpg", "d.jpg"}
    assert [line["name"] for line in lines(tmp_path, "pictures.jsonl")] == ["a.jpg", "d.jpg"]


@pytest.mark.parametrize(
    "foreign",
    [
        {"name": "b.jpg"},
        {**msgspec.to_builtins(picture("b.jpg")), "status": "sorted"},
        {**msgspec.to_builtins(picture("b.jpg")), "source": {"size": 1, "inode": 2}},
        {**msgspec.to_builtins(picture("b.jpg")), "source": [1]},
        {**msgspec.to_builtins(picture("b.jpg")), "name": "../b.jpg"},
        {**msgspec.to_builtins(picture("b.jpg")), "height": 10**400},
        {"version": 7, "pictures": []},
    ],
)
def test_lines_of_another_version_are_ignored(tmp_path: Path, foreign: dict[str, object]) -> None:
    with open_state(tmp_path, FOLDER) as state:
        state.put(picture("a.jpg"))
    with (state_folder(tmp_path, FOLDER) / "pictures.jsonl").open("a") as stream:
        stream.write(json.dumps(foreign) + "\n")
    assert set(read_pictures(tmp_path, FOLDER)) == {"a.jpg"}
    with open_state(tmp_path, FOLDER) as state:
        state.put(picture("b.jpg", width=7))
    assert read_pictures(tmp_path, FOLDER)["b.jpg"].width == 7


def append(state: Path, line: dict[str, object], name: str = "pictures.jsonl") -> None:
    with (state_folder(state, FOLDER) / name).open("a") as stream:
        stream.write(json.dumps(line) + "\n")


def test_unknown_keys_of_a_newer_version_are_ignored(tmp_path: Path) -> None:
    with open_state(tmp_path, FOLDER) as state:
        state.put(picture("a.jpg", sha256="1" * 64))
    newer = msgspec.to_builtins(picture("a.jpg", archived=True))
    append(tmp_path, {**newer, "checked": {"at": 1}, "source": {**newer["source"], "inode": 7}})
    assert read_pictures(tmp_path, FOLDER) == {"a.jpg": picture("a.jpg", archived=True)}


def test_a_status_of_a_newer_version_makes_the_picture_unknown(tmp_path: Path) -> None:
    """The line before it says what was true before; it must not count again."""
    with open_state(tmp_path, FOLDER) as state:
        for name in ("a.jpg", "b.jpg"):
            state.put(picture(name))
    append(tmp_path, {**msgspec.to_builtins(picture("a.jpg")), "status": "withheld"})
    assert set(read_pictures(tmp_path, FOLDER)) == {"b.jpg"}
    with open_state(tmp_path, FOLDER) as state:
        state.put(picture("b.jpg", width=1))  # closing rewrites the journal, and keeps the line for the newer version
    assert [line["status"] for line in lines(tmp_path, "pictures.jsonl")] == ["withheld", MASKED]


def test_lines_without_a_name_are_kept_for_the_version_that_wrote_them(tmp_path: Path) -> None:
    with open_state(tmp_path, FOLDER) as state:
        state.put(picture("a.jpg"))
    for number in range(2):
        append(tmp_path, {"version": 99, "number": number})
    with open_state(tmp_path, FOLDER) as state:
        state.put(picture("a.jpg", width=1))
    assert [line.get("number") for line in lines(tmp_path, "pictures.jsonl")] == [0, 1, None]


def test_records_of_many_pictures_are_those_of_each_alone(tmp_path: Path) -> None:
    """Also while the folder's journal and that of a shard hold some each, and others are written meanwhile."""
    shard = Shard(1, 2)
    names = [name for name in (f"{number}.jpg" for number in range(99)) if shard.holds(name)]
    with open_state(tmp_path, FOLDER) as state:
        for name in names[::3]:
            state.put_masked(picture(name), {"text": name * 999}, [])
    with open_state(tmp_path, FOLDER, shard) as state:
        for name in names[1::3]:
            state.put_masked(picture(name), {"text": name}, [])
        found = state.records(names)
        for number, name in enumerate(names[:20]):
            assert next(found) == state.record(name) == expected(number, name)
            state.put_masked(picture("later.jpg"), {"number": number}, [])
        assert list(found) == [expected(number, name) for number, name in enumerate(names[20:], 20)]


def expected(number: int, name: str) -> dict[str, str] | None:
    return [{"text": name * 999}, {"text": name}, None][number % 3]


def test_a_record_that_is_none_counts_as_lost(tmp_path: Path) -> None:
    with open_state(tmp_path, FOLDER) as state:
        state.put_masked(picture("a.jpg"), {"bildeid": "1"}, [])
    append(tmp_path, {"name": "a.jpg", "record": "of a newer version"}, "records.jsonl")
    with open_state(tmp_path, FOLDER) as state:
        assert state.record("a.jpg") == {"bildeid": "1"}


@pytest.mark.parametrize("name", ["pictures.jsonl", "lock", "gate", "folder.json", "holder.json"])
def test_a_file_in_the_way_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    with open_state(tmp_path, FOLDER) as state:
        state.put(picture("a.jpg"))
    path = state_folder(tmp_path, FOLDER) / name
    path.unlink(missing_ok=True)
    path.mkdir()
    with pytest.raises(ShareUnavailableError, match=f"{path} cannot be") as caught, open_state(tmp_path, FOLDER):
        raise AssertionError("the state was opened")
    assert caught.value.exit_code == 3
    path.rmdir()
    with open_state(tmp_path, FOLDER):  # no lock was left
        pass


@pytest.mark.parametrize("name", ["shard-0-of-2", "shard-3-of-2", "shard-1-of-0", "shard-1-of-2"])
def test_what_is_no_shard_stops_nothing(tmp_path: Path, name: str) -> None:
    place = state_folder(tmp_path, FOLDER)
    place.mkdir(parents=True)
    (place / name).write_bytes(b"a file")
    (place / name.replace("shard", "shard-x")).mkdir()
    (place / "shard-9-of-8").mkdir()
    with open_state(tmp_path, FOLDER) as state:
        state.put(picture("a.jpg"))
    assert set(read_pictures(tmp_path, FOLDER)) == {"a.jpg"}


def test_the_name_of_a_state_folder_is_repaired(tmp_path: Path) -> None:
    path = state_folder(tmp_path, FOLDER) / "folder.json"
    for damaged in (b"{", b"[]", b'{"folder": 5}', b'{"folder": "another"}', b"[" * 100_000):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damaged)
        with open_state(tmp_path, FOLDER):
            assert json.loads(path.read_bytes()) == {"folder": FOLDER}


def test_an_error_while_closing_does_not_hide_the_first(tmp_path: Path) -> None:
    place = state_folder(tmp_path, FOLDER)

    def break_off() -> None:
        with open_state(tmp_path, FOLDER) as state:
            state.put(picture("a.jpg"))
            (place / "pictures.jsonl").rename(place / "aside")
            (place / "pictures.jsonl").mkdir()
            raise RuntimeError("first")

    with pytest.raises(RuntimeError, match="first"):
        break_off()
    (place / "pictures.jsonl").rmdir()
    with open_state(tmp_path, FOLDER):  # the lock is free
        pass


@given(file_names)
def test_any_name_survives_the_round_trip(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("s")
    with open_state(root, name) as state:
        state.put_masked(picture(name), {"name": 1}, [])
        assert state.record(name) == {"name": 1}
    assert set(read_pictures(root, name)) == {name}


def test_state_folders_are_distinct_and_readable(tmp_path: Path) -> None:
    folders = [".", "a", "a b", "a_b", "a/b", "A", "ø", "å", "..a", "x" * 3000, "x" * 3001, "f\n1", "bl\udce5b"]
    places = [state_folder(tmp_path, folder) for folder in folders]
    assert len({str(place).lower() for place in places}) == len(folders)  # also on file systems that ignore case
    assert all(place.parent == tmp_path / "folders" and len(place.name) < 100 for place in places)
    assert places[0].name.startswith("input-")
    assert places[4].name.startswith("a_b-")
    assert all(place.name.isascii() and not place.name.startswith(".") for place in places)


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    place = state_folder(tmp_path, FOLDER)
    place.mkdir(parents=True)
    leftover = place / ".0123456789abcdef.part"
    leftover.write_bytes(b"half")
    write_atomically(place / "keep.part", b"")
    with open_state(tmp_path, FOLDER):
        assert not leftover.exists()
    assert (place / "keep.part").exists()


def test_a_status_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a\.jpg: expected the status masked or failed, got 'done'"):
        picture("a.jpg", status="done")
