from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from anonymisation.core.errors import ModelUnavailableError
from anonymisation.masking.models.unpack import unpack_model
from tests.masking.model_server import tar_gz

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
