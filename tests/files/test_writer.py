"""Files of several pictures are written completely and in order, and errors affect only their own picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from anonymisation.core.errors import ImageError, ShareUnavailableError
from anonymisation.core.settings import Settings, load_settings
from anonymisation.files import writer as writing
from anonymisation.files.folders import flush_folder
from anonymisation.files.writer import Writer, write_one_by_one, write_together


@pytest.fixture
def settings() -> Settings:
    overrides = {"file_access_timeout_seconds": 0, "file_access_retry_seconds": 0.01}
    return load_settings(overrides=overrides).settings


def files_of(folder: Path, stem: str, text: str = "new") -> list[tuple[Path, bytes]]:
    return [(folder / f"{stem}{suffix}", f"{text} {suffix}".encode()) for suffix in (".json", ".webp", ".jpg")]


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_all_files_of_all_pictures_are_complete(tmp_path: Path) -> None:
    pictures = [files_of(tmp_path / folder, stem) for folder in ("a", "b/c") for stem in ("one", "two")]
    assert write_together(pictures) == [None] * 4
    expected = {path.relative_to(tmp_path).as_posix(): data for files in pictures for path, data in files}
    assert contents(tmp_path) == expected


def test_the_last_file_appears_once_the_others_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[list[str]] = []

    def note(folder: Path) -> None:
        flush_folder(folder)
        there.append(sorted(contents(folder)))

    monkeypatch.setattr(writing, "flush_folder", note)
    assert write_together([files_of(tmp_path, "a"), files_of(tmp_path, "b")]) == [None, None]
    # One flush for the files of both; until the second, the last files have temporary names.
    assert [[name for name in names if name[0] != "."] for names in there] == [
        ["a.json", "a.webp", "b.json", "b.webp"],
        ["a.jpg", "a.json", "a.webp", "b.jpg", "b.json", "b.webp"],
    ]


@pytest.mark.parametrize("blocked", ["b.json", "b.webp", "b.jpg"])
def test_a_failed_picture_leaves_no_new_file_and_does_not_affect_others(tmp_path: Path, blocked: str) -> None:
    (tmp_path / blocked / "inside").mkdir(parents=True)  # a folder that no file can replace
    if blocked != "b.webp":
        (tmp_path / "b.webp").write_bytes(b"before")
    first, second, third = write_together([files_of(tmp_path, stem) for stem in "abc"])
    assert (first, third) == (None, None)
    assert isinstance(second, IsADirectoryError)
    found = contents(tmp_path)
    assert {name for name in found if name[0] in "ac"} == {f"{s}{e}" for s in "ac" for e in (".jpg", ".json", ".webp")}
    assert {name for name in found if name[0] not in "ac"} <= {"b.webp"}


def test_a_folder_that_cannot_be_created_fails_only_its_picture(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "file").write_bytes(b"")
    bad = files_of(tmp_path / "file" / "below", "a")
    errors = write_together([bad, files_of(tmp_path / "good", "a")])
    assert isinstance(errors[0], NotADirectoryError)
    assert errors[1] is None
    with pytest.raises(ImageError, match="cannot be written"):
        write_one_by_one(settings, bad)


@pytest.mark.parametrize("threaded", [True, False])
def test_each_picture_has_its_own_result(tmp_path: Path, settings: Settings, threaded: bool) -> None:
    (tmp_path / "b.jpg" / "inside").mkdir(parents=True)
    with Writer(settings, threaded=threaded) as writer:
        futures = {
            stem: writer.write(files, lambda last=files[-1][0]: last.read_bytes())  # type: ignore[misc]
            for stem in "abc"
            for files in [files_of(tmp_path, stem)]
        }
        assert futures["a"].result(60) == futures["c"].result(60) == b"new .jpg"
        with pytest.raises(ImageError, match=r"b\.jpg cannot be written: Is a directory"):
            futures["b"].result(60)
    assert sorted(contents(tmp_path)) == ["a.jpg", "a.json", "a.webp", "c.jpg", "c.json", "c.webp"]
    assert not [thread for thread in threading.enumerate() if thread.name == "writer"]


def test_waiting_pictures_are_written_together(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, groups = threading.Event(), threading.Event(), []

    def held(pictures: list[writing.PictureFiles], _: object) -> list[OSError | None]:
        groups.append(len(pictures))
        begun.set()
        go_on.wait(60)
        return write_together(pictures)

    monkeypatch.setattr(writing, "write_together", held)
    with Writer(settings, threaded=True) as writer:
        first = writer.write(files_of(tmp_path, "a"), lambda: None)
        assert begun.wait(60)
        rest = [writer.write(files_of(tmp_path, stem), lambda: None) for stem in "bcd"]
        go_on.set()
        for future in (first, *rest):
            future.result(60)
    assert groups == [1, 3]


def test_after_an_error_waiting_pictures_are_cancelled(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    writer = Writer(settings, threaded=True)

    def held(pictures: list[writing.PictureFiles], _: object) -> list[OSError | None]:
        begun.set()
        while not writer.given_up:
            time.sleep(0.01)
        return write_together(pictures)

    monkeypatch.setattr(writing, "write_together", held)
    futures = []

    def fail() -> None:
        futures.append(writer.write(files_of(tmp_path, "a"), lambda: None))
        assert begun.wait(60)
        futures.append(writer.write(files_of(tmp_path, "b"), lambda: None))
        raise RuntimeError

    with pytest.raises(RuntimeError), writer:
        fail()
    first, last = futures
    assert first.result(60) is None
    assert last.cancelled()
    assert sorted(contents(tmp_path)) == ["a.jpg", "a.json", "a.webp"]


def test_an_unreachable_share_is_its_own_error(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> Iterator[bytes]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("anonymisation.files.atomic.os.fsync", away)
    with Writer(settings, threaded=True) as writer:
        future = writer.write(files_of(tmp_path, "a"), lambda: None)
        with pytest.raises(ShareUnavailableError, match="not reachable"):
            future.result(60)
    assert contents(tmp_path) == {}


def test_an_unreachable_share_is_waited_for_only_once(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later pictures must not each wait for the timeout again before the step can end."""
    waits: list[writing.PictureFiles] = []
    begun, go_on = threading.Event(), threading.Event()

    def away(pictures: list[writing.PictureFiles], _: object) -> list[OSError | None]:
        begun.set()
        go_on.wait(60)
        return [OSError(5, "Input/output error") for _ in pictures]

    def wait_in_vain(_: Settings, files: writing.PictureFiles, __: object) -> None:
        waits.append(files)
        raise ShareUnavailableError("not reachable for 60 s")

    monkeypatch.setattr(writing, "write_together", away)
    monkeypatch.setattr(writing, "write_one_by_one", wait_in_vain)
    with Writer(settings, threaded=True) as writer:
        futures = [writer.write(files_of(tmp_path, "a"), lambda: None)]
        assert begun.wait(60)
        futures += [writer.write(files_of(tmp_path, stem), lambda: None) for stem in "bcd"]
        go_on.set()
        for future in futures:
            with pytest.raises(ShareUnavailableError):
                future.result(60)
    assert len(waits) == 1
