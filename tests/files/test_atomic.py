"""Atomic writes and copies, and retries while a share cannot be reached."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.core.settings import Settings
from anonymisation.files.access import is_share_error, require_folder, with_access
from anonymisation.files.atomic import copy_atomically, is_leftover, remove_leftovers, write_atomically
from anonymisation.files.digests import sha256_of, sha256_of_file
from anonymisation.files.folders import flush_folder
from tests.captures import Site


@pytest.fixture
def hasty(tmp_path: Path) -> Settings:
    """Retries every 50 ms for 0.2 s."""
    return Site(tmp_path).workspace().settings


@pytest.fixture
def patient(tmp_path: Path) -> Settings:
    return Site(tmp_path).workspace(file_access_timeout_seconds=60).settings


@given(st.binary(max_size=3000))
def test_checksums_of_bytes_and_files_agree(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("sums") / "file"
    path.write_bytes(data)
    assert sha256_of_file(path) == sha256_of(data)
    assert len(sha256_of(data)) == 64


def test_checksum_of_a_known_text() -> None:
    # NIST, FIPS 180-4 example for "abc"
    assert sha256_of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("pieces", [b"whole", (b"who", b"le")])
def test_a_file_is_written_with_its_folders(tmp_path: Path, pieces: bytes | tuple[bytes, ...]) -> None:
    path = tmp_path / "a" / "b" / "file.bin"
    write_atomically(path, pieces)
    assert path.read_bytes() == b"whole"
    write_atomically(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_file_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"before")

    def pieces() -> Iterator[bytes]:
        yield b"half"
        during = [entry.name for entry in tmp_path.iterdir() if entry != path]
        assert len(during) == 1
        assert is_leftover(during[0])
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_atomically(path, pieces())
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("å" * 125 + ".jpg")  # 254 bytes; the limit is 255
    write_atomically(path, b"x")
    assert path.read_bytes() == b"x"


def test_a_copy_has_the_bytes_the_time_and_the_checksum(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom((1 << 20) + 17))
    os.utime(source, ns=(1_600_000_000_000_000_000, 1_600_000_000_123_456_789))
    target = tmp_path / "new" / "target"
    assert copy_atomically(source, target) == sha256_of_file(source) == sha256_of_file(target)
    assert target.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert list(target.parent.iterdir()) == [target]


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        copy_atomically(tmp_path / "missing", tmp_path / "new" / "target")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(("number", "counts"), [(errno.EINVAL, True), (errno.ENOSYS, True), (errno.EIO, False)])
def test_a_failed_folder_flush_counts_only_for_errors_of_the_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, counts: bool
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("anonymisation.files.atomic.os.fsync", refuse)
    with nullcontext() if counts else pytest.raises(OSError, match=os.strerror(number)):
        flush_folder(tmp_path)


def test_only_leftovers_are_removed(tmp_path: Path) -> None:
    for name in (".0123456789abcdef.part", ".0123456789abcdef.jpg", "0123456789abcdef.part", ".hidden.part", "a.jpg"):
        (tmp_path / name).write_bytes(b"x")
    assert remove_leftovers(tmp_path) == 1
    assert not (tmp_path / ".0123456789abcdef.part").exists()
    assert len(list(tmp_path.iterdir())) == 4
    assert remove_leftovers(tmp_path / "missing") == 0
    assert remove_leftovers(tmp_path / "a.jpg") == 0


def test_errors_of_a_share_and_errors_of_a_file() -> None:
    assert all(is_share_error(OSError(number, "")) for number in (errno.ESTALE, errno.EIO, errno.ENOTCONN))
    assert not any(is_share_error(OSError(number, "")) for number in (errno.ENOENT, errno.EACCES, errno.EISDIR))
    assert not is_share_error(ValueError())


def test_access_is_retried_until_the_share_is_back(patient: Settings) -> None:
    answers = [OSError(errno.ESTALE, "stale"), OSError(errno.EIO, "away"), None]

    def action() -> str:
        error = answers.pop(0)
        if error is not None:
            raise error
        return "there"

    assert with_access(patient, "reading", action) == "there"
    assert answers == []


def test_access_stops_after_the_timeout(hasty: Settings, caplog: pytest.LogCaptureFixture) -> None:
    tries = []

    def action() -> None:
        tries.append(1)
        raise OSError(errno.ESTALE, "stale handle")

    with pytest.raises(
        ShareUnavailableError, match=r"reading x: not reachable for 0\.2 s .*stale handle.*check"
    ) as caught:
        with_access(hasty, "reading x", action)
    assert caught.value.retryable
    assert 2 <= len(tries) <= 5  # every 0.05 s for 0.2 s
    assert "trying again in 0.05 s" in caplog.text


def test_errors_of_a_single_file_are_not_retried(patient: Settings) -> None:
    tries = []

    def action() -> None:
        tries.append(1)
        raise PermissionError(errno.EACCES, "forbidden")

    with pytest.raises(PermissionError):
        with_access(patient, "reading", action)
    assert tries == [1]


def test_a_folder_that_appears_in_time_is_accepted(tmp_path: Path, patient: Settings) -> None:
    place = tmp_path / "share"
    threading.Timer(0.2, place.mkdir).start()
    require_folder(patient, place, "input")
    assert place.is_dir()


def test_a_folder_that_does_not_appear_is_named(
    tmp_path: Path, hasty: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ShareUnavailableError) as caught:
        require_folder(hasty, tmp_path / "share", "input")
    missing = f"input folder {tmp_path}/share does not exist (mistyped, or its share is not mounted)"
    assert str(caught.value) == f"{missing}; waited 0.2 s for it"
    first, *rest = (record.getMessage() for record in caplog.records)
    assert first == f"{missing}; waiting up to 0.2 s"
    assert set(rest) == {f"input folder {tmp_path}/share: is not there; trying again in 0.05 s"}
    assert "Errno" not in caplog.text


def test_a_base_folder_on_a_failing_share_is_not_called_missing(
    tmp_path: Path, hasty: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(_path: Path) -> bool:
        raise OSError(errno.ESTALE, "stale handle")

    monkeypatch.setattr(Path, "is_dir", stale)
    with pytest.raises(ShareUnavailableError, match=r"input folder .*not reachable for .*stale handle"):
        require_folder(hasty, tmp_path, "input")
