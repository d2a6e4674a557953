"""The state of a folder: the last line counts, only damaged lines are lost, any name survives the round trip."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given

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
        {**msgspec.to_builtins(picture("b.jpg")), "from_the_future": 1},
        {**msgspec.to_builtins(picture("b.jpg")), "status": "sorted"},
        {**msgspec.to_builtins(picture("b.jpg")), "source": {"size": 1, "inode": 2}},
        {**msgspec.to_builtins(picture("b.jpg")), "source": [1]},
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
