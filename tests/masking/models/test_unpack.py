from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import pytest

from anonymisation.core.errors import ModelUnavailableError
from anonymisation.masking.models.unpack import unpack_model
from tests.limits import bounded, preload
from tests.masking.model_server import tar_gz

preload(__name__)

GOOD: dict[str, bytes | tarfile.TarInfo] = {
    "zoo/saved_model/saved_model.pb": b"graph",
    "zoo/saved_model/variables/variables.index": b"index",
}


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "models" / "new"
    made.mkdir(parents=True)
    return made


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_only_the_saved_model_is_unpacked(folder: Path, tmp_path: Path) -> None:
    extra: dict[str, bytes | tarfile.TarInfo] = {
        "zoo/frozen_inference_graph.pb": b"x" * 100,
        "zoo/saved_model/assets": special("zoo/saved_model/assets", tarfile.DIRTYPE),
    }
    unpack_model(written(tmp_path / "a.tar.gz", tar_gz(GOOD | extra)), folder)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert found == {"saved_model.pb", "variables", "variables/variables.index", "assets"}
    assert (folder / "saved_model.pb").read_bytes() == b"graph"


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("../../escaped", "unsafe path"),
        ("zoo/saved_model/../../../escaped", "unsafe path"),
        ("/tmp/escaped", "unsafe path"),
        ("zoo\\..\\escaped", "unsafe path"),
        ("C:escaped", "unsafe path"),
        (special("zoo/saved_model/link", tarfile.SYMTYPE, "/etc/passwd"), "neither file nor folder"),
        (special("zoo/saved_model/variables", tarfile.SYMTYPE, "../../.."), "neither file nor folder"),
        (special("zoo/hard", tarfile.LNKTYPE, "../../outside"), "neither file nor folder"),
        (special("zoo/saved_model/device", tarfile.CHRTYPE), "neither file nor folder"),
        (special("zoo/pipe", tarfile.FIFOTYPE), "neither file nor folder"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_hostile_archives_are_refused_and_write_nothing_outside(
    folder: Path, tmp_path: Path, member: str | tarfile.TarInfo, message: str, first: bool
) -> None:
    hostile: dict[str, bytes | tarfile.TarInfo]
    hostile = {member: b"evil"} if isinstance(member, str) else {member.name: member}
    members = hostile | GOOD if first else GOOD | hostile
    archive = written(tmp_path / "a.tar.gz", tar_gz(members))
    with pytest.raises(ModelUnavailableError, match=message):
        unpack_model(archive, folder)
    outside = {path for path in tmp_path.rglob("*") if folder not in path.parents}
    assert outside == {archive, folder, folder.parent}
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_a_bomb_is_refused_before_it_is_written(folder: Path, tmp_path: Path) -> None:
    archive = written(tmp_path / "a.tar.gz", tar_gz(GOOD | {"zoo/saved_model/zeros": bytes(2 << 20)}))
    assert archive.stat().st_size < 10_000
    with pytest.raises(ModelUnavailableError, match="unpacks to more than 1048576 bytes"):
        unpack_model(archive, folder, limit_bytes=1 << 20)
    assert not (folder / "zeros").exists()


def test_a_repeated_file_is_refused(folder: Path, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for _ in range(2):
            tar.addfile(special("zoo/saved_model/saved_model.pb", tarfile.REGTYPE))
    with pytest.raises(OSError, match="exists"):
        unpack_model(written(tmp_path / "a.tar.gz", stream.getvalue()), folder)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_truncated_archives_are_refused(folder: Path, tmp_path: Path, keep: float) -> None:
    random = bytes((number * 7919) % 251 for number in range(50_000))
    data = tar_gz({"zoo/saved_model/variables/data": random} | GOOD)
    archive = written(tmp_path / "a.tar.gz", data[: int(keep * len(data))])
    with pytest.raises(ModelUnavailableError, match=r"a\.tar\.gz is refused: it is damaged"):
        unpack_model(archive, folder)


def test_files_without_archive_or_model_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="it is damaged"):
        unpack_model(written(tmp_path / "a.tar.gz", b"<html>not found</html>"), folder)
    with pytest.raises(ModelUnavailableError, match=r"holds no saved_model/saved_model\.pb"):
        unpack_model(written(tmp_path / "a.tar.gz", tar_gz({"zoo/readme": b"hello"})), folder)


def header(kind: bytes, size: int, name: str = "zoo/x") -> bytes:
    """A raw header block of a member of any kind and size."""
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = b"\xff" + (size % (1 << 88)).to_bytes(11, "big") if size < 0 else b"%011o\0" % size
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def extended(kind: bytes, text: bytes) -> bytes:
    """An extended header (x, g, L and so on) with its data."""
    return header(kind, len(text)) + text + bytes(-len(text) % 512)


def pax(keys: int) -> bytes:
    return b"".join(b"%d k%06d=\n" % (12, number) for number in range(keys))


def unpacked(archive: Path, folder: Path) -> str:
    """The reason why the archive is refused."""
    try:
        unpack_model(archive, folder)
    except ModelUnavailableError as error:
        return str(error)
    return "unpacked"


FILE = header(b"0", 0)
BOMBS: dict[str, tuple[Callable[[], Iterable[bytes]], str]] = {
    "pax headers of 1 MiB each": (lambda: (extended(b"x", bytes(1 << 20)) for _ in range(200)), "has headers of more"),
    "one pax header of 256 MiB": (
        lambda: [header(b"x", 256 << 20), *[bytes(1 << 20)] * 256],
        "has headers of more than 8192 bytes for a member",
    ),
    "a pax header of all that follows": (lambda: [header(b"x", -512), *[bytes(1 << 20)] * 256], "has headers of more"),
    "a long name of 256 MiB": (lambda: [header(b"L", 256 << 20), *[b"a" * (1 << 20)] * 256], "has headers of more"),
    "thousands of pax headers in a row": (lambda: [extended(b"x", pax(1))] * 100_000, "has headers of more"),
    "global headers that every member inherits": (
        lambda: [*[extended(b"g", pax(600))] * 80, *[extended(b"x", pax(1)) + FILE] * 900],
        "has headers of more",
    ),
    "a pax header that takes long to search": (
        lambda: [extended(b"x", b"1" * 8000) + FILE] * 50,
        "has headers of more",
    ),
    "a hundred thousand members": (lambda: [FILE] * 100_000, "has more than 1000 members"),
    "a member of negative size": (lambda: [header(b"0", -1024)] * 10, "is refused"),
    "a member of a negative size in its pax header": (
        lambda: [extended(b"x", b"12 size=-99\n") + FILE] * 10,
        "is refused",
    ),
    "a number of too many digits": (
        lambda: [extended(b"x", b"6020 mtime=" + b"9" * 6008 + b"\n") + FILE],
        "is refused",
    ),
    "a sparse file": (lambda: [header(b"S", 0), bytes(1024)], "neither file nor folder"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_costs_anything(name: str, folder: Path, tmp_path: Path) -> None:
    blocks, reason = BOMBS[name]
    archive = tmp_path / "bomb.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as stream:
        stream.writelines(blocks())
    verdict = bounded(unpacked, archive, folder, seconds=4, mebibytes=100)
    assert verdict.startswith("the archive bomb.tar.gz is refused: it ")
    assert reason in verdict
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_archive_is_refused_or_unpacked_and_nothing_else(seed: int, folder: Path, tmp_path: Path) -> None:
    """Damage below the compression, which a checksum of the archive would hide."""
    random = Random(seed)
    data = bytearray(gzip.decompress(tar_gz(GOOD)))
    for _ in range(random.randint(1, 6)):
        data[random.randrange(2048)] = random.choice((0, 0xFF, 0x80, ord("x"), ord("9"), random.randrange(256)))
    archive = written(tmp_path / "a.tar.gz", gzip.compress(bytes(data), 1))
    assert unpacked(archive, folder).startswith(("the archive a.tar.gz is refused", "unpacked"))
    assert {path for path in tmp_path.rglob("*") if folder not in path.parents} == {archive, folder, folder.parent}
