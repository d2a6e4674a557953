"""The note of the pictures in flight, as dead processes leave it: what it says, to whom, and what it costs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.workspace.folder_state import FileStamp, state_folder
from anonymisation.workspace.in_flight import DeadlyPictureError, InFlight, has_suspects, pictures_in_flight
from anonymisation.workspace.listing import PictureFile
from anonymisation.workspace.shards import WHOLE, Shard

FOLDER = "2021/EV6"
MODEL = "Built-in@1a2b3c4d5e6f"
FILES = [PictureFile(f"p{number:03d}.jpg", FileStamp(1000, number)) for number in range(12)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The state folder of the capture folder."""
    made = state_folder(tmp_path, FOLDER)
    made.mkdir(parents=True)
    return made


def die(state: Path, files: Iterable[PictureFile], *, shard: Shard = WHOLE) -> None:
    """Leave the note of a process that ended while it worked on these pictures."""
    process = os.fork()
    if process == 0:
        try:
            with pictures_in_flight(state, FOLDER, shard, MODEL, []) as note:
                for file in files:
                    note.begin(file)
                os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(process, 0)[1] == 0


def groups(note: InFlight, files: Iterable[PictureFile] = FILES) -> list[list[str]]:
    return [[file.name for file in group] for group in note.groups([*files])]


def names(*numbers: int) -> list[str]:
    return [f"p{number:03d}.jpg" for number in numbers]


def test_suspects_are_tried_alone_and_after_the_others_once_one_got_through(place: Path, tmp_path: Path) -> None:
    die(tmp_path, FILES[:3])
    with pictures_in_flight(tmp_path, FOLDER, WHOLE, MODEL, []) as note:
        tried = []
        for group in note.groups(FILES):
            tried.append([file.name for file in group])
            for file in FILES:
                if file.name in tried[-1]:
                    note.begin(file)
                    note.end(file.name, got_through=True)
    assert tried == [names(0), names(*range(3, 12)), names(1), names(2)]
    assert not has_suspects(tmp_path, FOLDER)


def test_only_a_picture_alone_in_flight_is_blamed(place: Path, tmp_path: Path) -> None:
    for _ in range(3):
        die(tmp_path, FILES[:2])
    die(tmp_path, FILES[:1])
    with pictures_in_flight(tmp_path, FOLDER, WHOLE, MODEL, []) as note:
        note.begin(FILES[0])  # one death is too few
        note.begin(FILES[1])
    die(tmp_path, FILES[:1])
    die(tmp_path, FILES[:1])
    with (
        pictures_in_flight(tmp_path, FOLDER, WHOLE, MODEL, []) as note,
        pytest.raises(DeadlyPictureError, match="the process ended 2 times"),
    ):
        note.begin(FILES[0])


@pytest.mark.parametrize("change", ["bytes", "model"])
def test_other_bytes_or_another_model_begin_from_nothing(place: Path, tmp_path: Path, change: str) -> None:
    die(tmp_path, FILES[:1])
    die(tmp_path, FILES[:1])
    file, model = FILES[0], MODEL
    if change == "bytes":
        file = PictureFile(file.name, FileStamp(1001, 0))
    else:
        model = "Slow@000000000000"
    with pictures_in_flight(tmp_path, FOLDER, WHOLE, model, []) as note:
        note.begin(file)


def test_a_shard_takes_over_the_suspects_that_are_its_own(place: Path, tmp_path: Path) -> None:
    die(tmp_path, FILES)
    shards = [Shard(number, 3) for number in (1, 2, 3)]
    for shard in shards:
        own = [file for file in FILES if shard.holds(file.name)]
        with pictures_in_flight(tmp_path, FOLDER, shard, MODEL, []) as note:
            assert sorted(groups(note, own)) == sorted([[], *([file.name] for file in own)])
    assert has_suspects(tmp_path, FOLDER)  # each leaves to the others what may be theirs
    with pictures_in_flight(tmp_path, FOLDER, WHOLE, MODEL, []):
        pass
    assert not has_suspects(tmp_path, FOLDER)


def test_the_whole_folder_takes_over_from_its_shards(place: Path, tmp_path: Path) -> None:
    shard = Shard(2, 3)
    die(tmp_path, [file for file in FILES if shard.holds(file.name)][:1], shard=shard)
    with pictures_in_flight(tmp_path, FOLDER, Shard(1, 3), MODEL, []) as note:
        assert groups(note) == [[file.name for file in FILES]]  # the work of another
    assert [path.name for path in place.iterdir()] == ["in_flight-2-of-3"]
    with contextlib.suppress(KeyboardInterrupt), pictures_in_flight(tmp_path, FOLDER, WHOLE, MODEL, []) as note:
        assert len(groups(note)) == 2
        raise KeyboardInterrupt  # a run that is stopped keeps what is suspected
    assert [path.name for path in place.iterdir()] == ["in_flight"]


def test_a_note_that_cannot_be_read_suspects_no_one(place: Path, tmp_path: Path) -> None:
    (place / "in_flight").write_bytes(b"\xff{}[" * 5000)
    with pictures_in_flight(tmp_path, FOLDER, WHOLE, MODEL, []) as note:
        assert groups(note) == [[file.name for file in FILES]]
        note.begin(FILES[0])
    assert [*place.iterdir()] == []


def test_a_state_folder_that_cannot_be_written_is_an_error_of_its_share(place: Path, tmp_path: Path) -> None:
    (place / "in_flight").mkdir()
    note = pictures_in_flight(tmp_path, FOLDER, WHOLE, MODEL, [])
    with pytest.raises(ShareUnavailableError, match=r"in_flight cannot be .*check this file"):
        note.__enter__()


def test_a_note_is_as_large_as_the_pictures_that_were_in_flight_at_once(place: Path, tmp_path: Path) -> None:
    with pictures_in_flight(tmp_path, FOLDER, WHOLE, MODEL, []) as note:
        for number in range(500):
            file = PictureFile("🚗" * 60 + f"{number:03d}.jpg", FileStamp(1 << 62, 1 << 62))
            note.begin(file)
            if number >= 4:
                note.end("🚗" * 60 + f"{number - 4:03d}.jpg")
        assert (place / "in_flight").stat().st_size == 5 * 4096


@pytest.mark.timeout(60)
def test_a_pipe_in_place_of_the_notes_is_named_and_not_waited_for(tmp_path: Path) -> None:
    place = state_folder(tmp_path, FOLDER)
    place.mkdir(parents=True)
    os.mkfifo(place / "in_flight")
    with (
        pytest.raises(ShareUnavailableError, match="is not a file"),
        pictures_in_flight(tmp_path, FOLDER, WHOLE, MODEL, []),
    ):
        pass
