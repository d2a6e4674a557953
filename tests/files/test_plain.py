"""Only regular files are read: no link is followed, and opening a pipe does not block."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from anonymisation.files.access import is_share_error
from anonymisation.files.digests import sha256_of
from anonymisation.files.plain import LINK, NO_FILE, is_there, link_within, open_plain, read_plain, sha256_of_plain


def to_a_file(path: Path) -> None:
    (path.parent / "real").write_bytes(b"secret")
    path.symlink_to("real")


def to_a_folder(path: Path) -> None:
    path.symlink_to(path.parent)


def to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def to_a_pipe(path: Path) -> None:
    os.mkfifo(path.parent / "pipe")
    path.symlink_to("pipe")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))  # the path of a socket must be short


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


LINKS = (to_a_file, to_a_folder, to_nowhere, to_itself, to_a_pipe)
NO_FILES = (pipe, listener, Path.mkdir)


def test_a_file_is_read_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom((1 << 20) + 17))
    assert read_plain(path) == path.read_bytes()
    assert sha256_of_plain(path) == sha256_of(path.read_bytes())
    with open_plain(path) as stream:
        assert os.get_blocking(stream.fileno())
        assert not os.get_inheritable(stream.fileno())


@pytest.mark.parametrize(
    ("make", "reason"), [*((make, LINK) for make in LINKS), *((make, NO_FILE) for make in NO_FILES)]
)
def test_anything_but_a_regular_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "a.jpg"
    make(path)
    before = open_descriptors()
    for read in (open_plain, read_plain, sha256_of_plain):
        with pytest.raises(OSError, match=reason) as caught:
            read(path)
        assert (caught.value.strerror, caught.value.filename) == (reason, str(path))
        assert not is_share_error(caught.value)  # nothing to wait for
    assert open_descriptors() == before


def test_other_errors_are_passed_on(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "missing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        read_plain(tmp_path / "file" / "a.jpg")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        read_plain(tmp_path / "loop" / "a.jpg")


def test_a_file_with_a_lease_is_waited_for(tmp_path: Path) -> None:
    """Samba gives its clients leases on files: opening such a file waits until the lease is released."""
    path = tmp_path / "lent"
    path.write_bytes(b"content")
    lender = (
        "import fcntl, os, signal, sys, time\n"
        "file = os.open(sys.argv[1], os.O_RDWR)\n"
        "def give_back(*_):\n"
        "    time.sleep(0.2); fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK); sys.exit()\n"
        "signal.signal(signal.SIGIO, give_back)\n"
        "fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
        "print('lent', flush=True)\n"
        "time.sleep(30)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", lender, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as it:
        assert it.stdout is not None
        if it.stdout.readline() != b"lent\n":
            pytest.skip("this file system lends no files")
        started = time.monotonic()
        assert read_plain(path) == b"content"
        assert time.monotonic() - started > 0.1
        it.send_signal(signal.SIGTERM)


def test_the_first_link_in_a_path_is_found(tmp_path: Path) -> None:
    (tmp_path / "real" / "b" / "c").mkdir(parents=True)
    (tmp_path / "base").symlink_to("real")
    base = tmp_path / "base"  # the base may be a link
    assert link_within(base, ".") is None
    assert link_within(base, "b/c") is None
    assert link_within(base, "b/missing/d") is None
    (tmp_path / "real" / "b" / "up").symlink_to("..")
    assert link_within(base, "b/up/b") == base / "b" / "up"
    (tmp_path / "real" / "dead").symlink_to("nowhere")
    assert link_within(base, "dead") == base / "dead"


def test_a_broken_link_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert not is_there(path)
    path.symlink_to("nowhere")
    assert is_there(path)
    assert is_there(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file whose reading fails, as on Linux")
def test_an_error_of_reading_names_the_file() -> None:
    memory = Path("/proc/self/mem")  # its first page cannot be read
    for read in (read_plain, sha256_of_plain):
        with pytest.raises(OSError, match="/proc/self/mem") as failed:
            read(memory)
        assert failed.value.filename == str(memory)
