"""Files and folders have the given permissions, whatever the umask of the process."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from anonymisation.files.atomic import copy_atomically, write_atomically
from anonymisation.files.folders import make_folders
from anonymisation.files.permissions import new_file, new_file_exactly


@pytest.fixture(params=[0, 0o022, 0o077, 0o777], ids=oct, autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder whose permissions do not depend on the umask of the test."""
    tmp_path.chmod(0o755)
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("wanted", [0o700, 0o750, 0o777, 0o2770])
def test_new_folders_get_the_mode_and_existing_ones_keep_theirs(place: Path, wanted: int) -> None:
    old = place / "old"
    old.mkdir()
    old.chmod(0o711)
    make_folders(old / "a" / "b", wanted)
    make_folders(old / "a" / "b", 0o700)
    assert [mode(path) for path in (old, old / "a", old / "a" / "b")] == [0o711, wanted, wanted]


def test_the_group_of_a_shared_folder_is_inherited(place: Path) -> None:
    place.chmod(0o2770)
    make_folders(place / "a" / "b", 0o750)
    assert [mode(place / "a"), mode(place / "a" / "b")] == [0o2750, 0o2750]


def test_a_file_in_place_of_a_folder_is_an_error(place: Path) -> None:
    write_atomically(place / "a", b"", mode=0o600)
    for path in (place / "a", place / "a" / "b"):
        with pytest.raises(OSError):
            make_folders(path, 0o700)


@pytest.mark.parametrize("wanted", [0o600, 0o640, 0o660])
def test_files_have_the_mode_from_their_first_byte_on(place: Path, wanted: int) -> None:
    seen: list[int] = []

    def pieces() -> Iterator[bytes]:
        seen.extend(mode(path) for path in place.iterdir())
        yield b"secret"

    write_atomically(place / "a.jpg", pieces(), mode=wanted)
    assert seen == [wanted]
    assert mode(place / "a.jpg") == wanted

    def put(part: Path, target: Path, _: str) -> None:
        seen.append(mode(part))
        part.replace(target)

    copy_atomically(place / "a.jpg", place / "b.jpg", put=put, mode=wanted)
    assert seen == [wanted, wanted]
    assert mode(place / "b.jpg") == wanted


def test_a_new_file_never_replaces_another_one(place: Path, umask: int) -> None:
    with new_file(place / "a", 0o640):
        assert mode(place / "a") == 0o640 & ~umask
    with new_file_exactly(place / "b", 0o640):
        assert mode(place / "b") == 0o640
    (place / "c").symlink_to("d")
    for make in (new_file, new_file_exactly):
        for name in ("a", "c"):
            with pytest.raises(FileExistsError):
                make(place / name, 0o600)
    assert not (place / "d").exists()


@pytest.mark.parametrize(("of_source", "of_copy"), [(0o644, 0o644), (0o640, 0o640), (0o600, 0o600), (0o444, 0o644)])
def test_a_copy_has_no_more_permissions_than_its_source(place: Path, umask: int, of_source: int, of_copy: int) -> None:
    write_atomically(place / "a.jpg", b"secret", mode=0o600)
    (place / "a.jpg").chmod(of_source)
    if umask == 0o777:
        return  # not even the owner could read such a copy
    copy_atomically(place / "a.jpg", place / "b.jpg")
    assert mode(place / "b.jpg") == of_copy & ~umask
