from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anonymisation.core.errors import ModelUnavailableError
from anonymisation.masking.models.download import RetryPolicy
from anonymisation.masking.models.weights import builtin_folder, installed_folder, is_installed, models_dir, pull
from anonymisation.masking.models.zoo import ZooModel
from anonymisation.masking.saved_model import SavedModel
from tests.masking.model_server import Site, serving, tar_gz

GRAPH = random.Random(0).randbytes(400_000)
CHUNK = 65536  # a chunk cut off by a broken connection is dropped
ARCHIVE = tar_gz({"tiny/saved_model/saved_model.pb": GRAPH, "tiny/saved_model/variables/variables.index": b"index"})
AT_ONCE = RetryPolicy(attempts=3, first_wait_seconds=0, timeout_seconds=20)

PULL = """
import sys
from pathlib import Path
from anonymisation.masking.models.weights import pull
from anonymisation.masking.models.zoo import ZooModel
size, checksum = int(sys.argv[3]), sys.argv[4]
print("ready", flush=True)
pull(ZooModel("Tiny", "tf9/tiny.tar.gz", size, checksum, ""), Path(sys.argv[1]), base_url=sys.argv[2])
"""


def tiny(archive: bytes = ARCHIVE, *, pinned: bool = True) -> ZooModel:
    checksum = hashlib.sha256(archive).hexdigest()
    return ZooModel("Tiny", "tf9/tiny.tar.gz", len(archive) if pinned else None, checksum if pinned else None, "")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site({"/tf9/tiny.tar.gz": ARCHIVE})) as served:
        yield served


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "not yet" / "models"


def names(models: Path) -> set[str]:
    return {path.name for path in models.iterdir() if not path.name.endswith(".lock")}


def test_a_model_is_fetched_verified_and_unpacked(site: Site, models: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    folder = pull(tiny(), models, base_url=site.base_url, progress=lambda done, total: seen.append((done, total)))
    assert folder == installed_folder(tiny(), models)
    assert (folder / "saved_model.pb").read_bytes() == GRAPH
    assert names(models) == {"tiny"}
    assert seen[0] == (0, len(ARCHIVE))
    assert seen[-1] == (len(ARCHIVE), len(ARCHIVE))
    pull(tiny(), models, base_url=site.base_url.removesuffix("/"))
    assert len(site.requests) == 1


def test_a_real_model_works_after_download(site: Site, models: Path, tf2_model: Path) -> None:
    files = [path for path in tf2_model.rglob("*") if path.is_file()]
    archive = tar_gz({f"x/saved_model/{path.relative_to(tf2_model).as_posix()}": path.read_bytes() for path in files})
    site.files["/tf9/tiny.tar.gz"] = archive
    folder = pull(tiny(archive), models, base_url=site.base_url)
    assert SavedModel(folder, score_threshold=0.1).max_batch == 1


def test_a_broken_download_is_resumed(site: Site, models: Path) -> None:
    site.drop_after = [CHUNK, 2 * CHUNK + 5]
    pull(tiny(), models, base_url=site.base_url, retries=AT_ONCE)
    assert [asked for _, asked in site.requests] == [None, f"bytes={CHUNK}-", f"bytes={3 * CHUNK}-"]
    assert is_installed(tiny(), models)


def test_a_server_that_ignores_ranges_is_read_from_the_start(site: Site, models: Path) -> None:
    site.ranges = False
    site.drop_after = [CHUNK]
    pull(tiny(), models, base_url=site.base_url, retries=AT_ONCE)
    assert [asked for _, asked in site.requests] == [None, f"bytes={CHUNK}-"]
    assert (installed_folder(tiny(), models) / "saved_model.pb").read_bytes() == GRAPH


def test_after_giving_up_the_next_pull_resumes(site: Site, models: Path) -> None:
    site.drop_after = [CHUNK, CHUNK, CHUNK]
    with pytest.raises(ModelUnavailableError, match="the part so far is kept, run the same command again"):
        pull(tiny(), models, base_url=site.base_url, retries=AT_ONCE)
    assert not is_installed(tiny(), models)
    pull(tiny(), models, base_url=site.base_url, retries=AT_ONCE)
    assert site.requests[-1][1] == f"bytes={3 * CHUNK}-"
    assert names(models) == {"tiny"}


@pytest.mark.parametrize("pinned", [True, False])
def test_a_file_that_changed_on_the_server_is_read_from_the_start(site: Site, models: Path, pinned: bool) -> None:
    site.files["/tf9/tiny.tar.gz"] = ARCHIVE[::-1]
    site.drop_after = [CHUNK, 0, 0]
    with pytest.raises(ModelUnavailableError, match="the part so far is kept"):
        pull(tiny(pinned=pinned), models, base_url=site.base_url, retries=AT_ONCE)
    site.files["/tf9/tiny.tar.gz"] = ARCHIVE
    site.etag = '"two"'
    pull(tiny(pinned=pinned), models, base_url=site.base_url, retries=AT_ONCE)
    assert site.requests[-1][1] == f"bytes={CHUNK}-"
    assert (installed_folder(tiny(), models) / "saved_model.pb").read_bytes() == GRAPH


def test_without_checksum_and_version_nothing_is_resumed(site: Site, models: Path) -> None:
    site.etag = None
    site.drop_after = [CHUNK]
    pull(tiny(pinned=False), models, base_url=site.base_url, retries=AT_ONCE)
    assert [asked for _, asked in site.requests] == [None, None]


def test_a_complete_part_is_not_requested_again(site: Site, models: Path) -> None:
    models.mkdir(parents=True)
    (models / "tiny.tar.gz.part").write_bytes(ARCHIVE)
    pull(tiny(), models, base_url=site.base_url)
    assert site.requests == []
    assert is_installed(tiny(), models)


@pytest.mark.timeout(60)
def test_pipes_in_place_of_a_part_are_replaced(site: Site, models: Path) -> None:
    models.mkdir(parents=True)
    for name in ("tiny.tar.gz.part", "tiny.tar.gz.part.version"):
        os.mkfifo(models / name)
    pull(tiny(), models, base_url=site.base_url)
    assert is_installed(tiny(), models)


def test_a_complete_part_of_unknown_size_is_recognised(site: Site, models: Path) -> None:
    models.mkdir(parents=True)
    (models / "tiny.tar.gz.part").write_bytes(ARCHIVE)
    (models / "tiny.tar.gz.part.version").write_text('"one"')
    pull(tiny(pinned=False), models, base_url=site.base_url)
    assert [asked for _, asked in site.requests] == [f"bytes={len(ARCHIVE)}-"]
    assert names(models) == {"tiny", "tiny.sha256"}


def test_a_wrong_checksum_is_refused_before_unpacking(site: Site, models: Path) -> None:
    evil = bytearray(ARCHIVE)
    evil[-1] ^= 1
    site.files["/tf9/tiny.tar.gz"] = bytes(evil)
    with pytest.raises(ModelUnavailableError, match=r"wrong checksum: SHA-256 \w{64}, expected \w{64}"):
        pull(tiny(), models, base_url=site.base_url)
    assert names(models) == set()


def test_another_size_is_refused_before_reading(site: Site, models: Path) -> None:
    site.files["/tf9/tiny.tar.gz"] = ARCHIVE + b"more"
    with pytest.raises(ModelUnavailableError, match=r"another file than expected.*--base-url"):
        pull(tiny(), models, base_url=site.base_url)
    assert names(models) == set()


def test_the_first_download_pins_a_model_without_checksum(site: Site, models: Path) -> None:
    model = tiny(pinned=False)
    folder = pull(model, models, base_url=site.base_url)
    assert (models / "tiny.sha256").read_text().strip() == hashlib.sha256(ARCHIVE).hexdigest()
    (folder / "saved_model.pb").unlink()
    (folder / "variables" / "variables.index").unlink()
    for empty in (folder / "variables", folder, folder.parent):
        empty.rmdir()
    site.files["/tf9/tiny.tar.gz"] = tar_gz({"tiny/saved_model/saved_model.pb": b"another graph"})
    with pytest.raises(ModelUnavailableError, match="wrong checksum"):
        pull(model, models, base_url=site.base_url)
    site.files["/tf9/tiny.tar.gz"] = ARCHIVE
    assert pull(model, models, base_url=site.base_url) == folder


def test_a_hostile_archive_with_the_right_checksum_leaves_nothing(site: Site, models: Path, tmp_path: Path) -> None:
    hostile = tar_gz({"tiny/saved_model/saved_model.pb": b"graph", "../../../escaped": b"evil"})
    site.files["/tf9/tiny.tar.gz"] = hostile
    with pytest.raises(ModelUnavailableError, match="unsafe path"):
        pull(tiny(hostile), models, base_url=site.base_url)
    assert names(models) <= {"tiny.tar.gz.part.version"}
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("status", [404, 403])
def test_an_address_without_the_file_fails_at_once(site: Site, models: Path, status: int) -> None:
    site.statuses = [status]
    with pytest.raises(ModelUnavailableError, match=f"the server answered {status}.*--base-url"):
        pull(tiny(), models, base_url=site.base_url, retries=AT_ONCE)
    assert len(site.requests) == 1


def test_a_busy_server_is_tried_again(site: Site, models: Path) -> None:
    site.statuses = [503, 429]
    pull(tiny(), models, base_url=site.base_url, retries=AT_ONCE)
    assert len(site.requests) == 3
    assert is_installed(tiny(), models)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1/", "gopher://nowhere/", "no address"])
def test_unreachable_addresses_fail(models: Path, base_url: str) -> None:
    with pytest.raises(ModelUnavailableError, match="cannot be fetched"):
        pull(tiny(), models, base_url=base_url, retries=AT_ONCE)


def test_a_server_that_does_not_answer_is_named_once_with_the_reason(models: Path) -> None:
    with pytest.raises(ModelUnavailableError) as refused:
        pull(tiny(), models, base_url="http://127.0.0.1:1/", retries=AT_ONCE)
    assert "Connection refused; check the network, or give another address" in str(refused.value).replace(")", "")
    assert "Max retries" not in str(refused.value)
    assert str(refused.value).count("127.0.0.1") == 1


def test_a_full_disk_is_reported_and_cleaned_up(site: Site, models: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, the device that is always full")
    models.mkdir(parents=True)
    (models / "tiny.tar.gz.part").symlink_to("/dev/full")
    with pytest.raises(ModelUnavailableError, match=r"is full.*removed.*model_dir"):
        pull(tiny(), models, base_url=site.base_url, retries=AT_ONCE)
    assert names(models) == set()


def test_a_folder_that_cannot_be_created_is_reported(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailableError, match="set model_dir to another folder"):
        pull(tiny(), tmp_path / "file" / "models", base_url=site.base_url)


def test_a_folder_without_a_model_is_not_overwritten(site: Site, models: Path) -> None:
    mine = models / "tiny" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(ModelUnavailableError, match="exists, but holds no complete model"):
        pull(tiny(), models, base_url=site.base_url)
    assert mine.read_text() == "mine"


def pulling(site: Site, models: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PULL, str(models), site.base_url, str(len(ARCHIVE)), tiny().sha256 or ""]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_two_processes_at_once_download_once(site: Site, models: Path) -> None:
    site.stall_after = 1000
    first, second = pulling(site, models), pulling(site, models)
    for process in (first, second):
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    assert site.stalled.wait(60)
    site.released.set()
    for process in (first, second):
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output.decode()
    assert len(site.requests) == 1
    assert names(models) == {"tiny"}


def test_a_killed_pull_leaves_no_model_and_is_resumed(site: Site, models: Path) -> None:
    site.stall_after = len(ARCHIVE) - 10
    process = pulling(site, models)
    assert site.stalled.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not is_installed(tiny(), models)
    leftover = models / ".unpacking-tiny-abc" / "saved_model"
    leftover.mkdir(parents=True)
    (leftover / "saved_model.pb").write_bytes(GRAPH[:10])
    site.stall_after = None
    pull(tiny(), models, base_url=site.base_url, retries=AT_ONCE)
    assert (installed_folder(tiny(), models) / "saved_model.pb").read_bytes() == GRAPH
    assert names(models) == {"tiny"}


def test_folders_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert models_dir(str(tmp_path)) == tmp_path
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models_dir().parts[-2:] == ("image-anonymisation", "models")
    assert models_dir("~/models") == tmp_path / "models"
    assert builtin_folder().parts[-4:] == ("anonymisation", "masking", "builtin", "saved_model")
