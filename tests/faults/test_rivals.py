"""Promise 3 against rivals: whoever delivers, changes or archives at whatever moment, no picture is lost.

Python's audit events say when the program is about to touch a file. At each of these moments, one after the other,
another process renames a delivery onto the picture's name, or changes the picture.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import pytest

from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.mask import mask_folder
from anonymisation.chain.release import release_folder
from anonymisation.core.errors import AnonymisationError
from anonymisation.files.digests import sha256_of, sha256_of_file
from anonymisation.reporting.step_reports import ReleaseReport
from anonymisation.workspace.folder_state import read_pictures
from anonymisation.workspace.paths import RELEASING_FOLDER
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, FULL, CountingDetector, Site, capture, checksums, files_below, names_below

# Records and masks in every place; no database, which takes most of the time and holds no original.
SETTINGS: Final[dict[str, Any]] = {
    **FULL, "write_exif_to_db": False, "archive": True, "enable_async": False, "file_access_timeout_seconds": 0.0,
}  # fmt: skip
NAME: Final = "p000.jpg"
NEW: Final = capture(77)
FORK: Final = multiprocessing.get_context("fork")
TOUCHING: Final = frozenset(
    ("open", "os.link", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir", "os.utime")
)
_watching: list[tuple[str, Callable[[str, str], None]]] = []  # an audit hook stays for the life of the process


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in TOUCHING:
        root, call = _watching[-1]
        path = str(arguments[1] if event in ("os.link", "os.rename") else arguments[0])
        if path.startswith(root):
            call(event, path)


@pytest.fixture(scope="module", autouse=True)
def audited() -> None:
    sys.addaudithook(_hook)


@contextmanager
def at_each_touch(root: Path, call: Callable[[str, str], None]) -> Iterator[None]:
    """Call `call` with the event and the path whenever a file below `root` is about to be touched."""
    busy = False

    def once(event: str, path: str) -> None:
        nonlocal busy
        if not busy:
            busy = True
            try:
                call(event, path)
            finally:
                busy = False

    _watching.append((str(root), once))
    try:
        yield
    finally:
        _watching.pop()


class Rival:
    """Another process that does to a picture what it is asked to."""

    def __init__(self) -> None:
        self._mine, its = FORK.Pipe()
        self._process = FORK.Process(target=_serve, args=(its,), daemon=True)
        self._process.start()

    def __call__(self, action: Callable[[Path], None], path: Path) -> None:
        """Do `action` to `path` now."""
        self._mine.send((action, path))
        assert self._mine.poll(60)
        self._mine.recv()

    def end(self) -> None:
        self._mine.send(None)
        self._process.join(60)


def _serve(connection: Connection) -> None:
    while (asked := connection.recv()) is not None:
        action, path = asked
        action(path)
        connection.send("done")


@pytest.fixture(scope="module")
def rival(audited: None) -> Iterator[Rival]:
    rival = Rival()
    yield rival
    rival.end()


def deliver(path: Path) -> None:
    """As a careful delivery: a whole file is renamed onto the name."""
    part = path.parents[len(Path(FOLDER).parts)].with_name("delivery")
    part.write_bytes(NEW)
    path.parent.mkdir(parents=True, exist_ok=True)
    part.replace(path)


def deliver_again(path: Path) -> None:
    """The same picture once more."""
    part = path.parents[len(Path(FOLDER).parts)].with_name("delivery")
    part.write_bytes(capture(0, NAME))
    path.parent.mkdir(parents=True, exist_ok=True)
    part.replace(path)


def rewrite(path: Path) -> None:
    """As cp: the file is emptied, and filled in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(NEW)


def grow(path: Path) -> None:
    """As a copy that goes on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(b"more" * 100)


CHANGES: Final = (deliver, deliver_again, rewrite, grow)
STEPS: Final[dict[str, Callable[[Workspace], object]]] = {
    "mask": lambda workspace: mask_folder(workspace, FOLDER, CountingDetector()),
    "archive": lambda workspace: archive_folder(workspace, FOLDER),
    "check": lambda workspace: check_folder(workspace, FOLDER),
    "release": lambda workspace: release_folder(workspace, FOLDER),
}


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{step: a site with one picture after the steps before it}."""
    found = {}
    place = tmp_path_factory.mktemp("stages")
    before = place / "start"
    before.mkdir()
    site = Site(before)
    site.fill(1)
    for step, run in STEPS.items():
        found[step] = before
        after = place / step
        shutil.copytree(before, after)
        run(Site(after).workspace(**SETTINGS))
        before = after
    return found


def copy_of(stage: Path, root: Path) -> Site:
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(stage, root)
    return Site(root)


def touches(stage: Path, root: Path, step: str) -> list[str]:
    """The paths of the files that the step touches, in order."""
    paths: list[str] = []
    site = copy_of(stage, root)
    workspace = site.workspace(**SETTINGS)
    with at_each_touch(site.root, lambda _, path: paths.append(path)):
        STEPS[step](workspace)
    assert len(paths) > 5
    return paths


def run_with_rival(site: Site, step: str, moment: int, act: Callable[[], None]) -> int:
    """Run the step; at the n-th touch of a file, `act` is called. Returns how many files the step touched."""
    count = 0

    def at(*_: str) -> None:
        nonlocal count
        count += 1
        if count == moment:
            act()

    workspace = site.workspace(**SETTINGS)
    with at_each_touch(site.root, at), suppress(AnonymisationError):  # a loud end is fine; a lost picture is not
        STEPS[step](workspace)
    return count


def require_kept(site: Site, contents: set[str], archived: set[str]) -> None:
    """All these pictures are somewhere, and what the archive held is still there."""
    assert contents <= checksums(site.input, site.archive)
    assert archived <= checksums(site.archive)


def tried(total: int, most: int, config: pytest.Config) -> range:
    """So many of the moments from 1 to `total`; all of them with --run-slow."""
    return range(1, total + 1, 1 if config.getoption("--run-slow") else max(1, -(-total // most)))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", STEPS)
def test_a_picture_that_changes_at_any_moment_is_not_lost(
    stages: dict[str, Path],
    rival: Rival,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    step: str,
    change: Callable[[Path], None],
) -> None:
    root = tmp_path / "site"
    total = len(touches(stages[step], root, step))
    most = 16 if (step, change) == ("release", deliver) else 3 if step == "release" else 1
    for moment in tried(total, most, pytestconfig):
        site = copy_of(stages[step], root)
        path = site.input / FOLDER / NAME
        archived = checksums(site.archive)
        seen: set[str] = set()

        def act(path: Path = path, seen: set[str] = seen) -> None:
            rival(change, path)
            seen.add(sha256_of_file(path))

        touched = run_with_rival(site, step, moment, act)
        if moment > max(touched, 1):  # threads wait for each other less often than when the touches were counted
            break
        assert seen
        require_kept(site, seen, archived)
    site.run(site.workspace(**SETTINGS))
    require_kept(site, seen, archived)
    assert not (site.input / FOLDER / RELEASING_FOLDER).exists()


def release_while_delivered(site: Site, rival: Rival, opened: Path) -> ReleaseReport:
    """Release the folder; the picture is delivered again at the moment at which the file `opened` is opened first."""
    done: list[str] = []

    def at(event: str, touched: str) -> None:
        if not done and event == "open" and touched == str(opened):
            done.append(touched)
            rival(deliver, site.input / FOLDER / NAME)

    with at_each_touch(site.root, at):
        report = release_folder(site.workspace(**SETTINGS), FOLDER)
    assert done
    return report


def test_a_delivery_at_the_moment_the_archive_copy_is_read_stays(
    stages: dict[str, Path], rival: Rival, tmp_path: Path
) -> None:
    """The report says what was released: the picture that was verified, or nothing."""
    site = copy_of(stages["release"], tmp_path / "site")
    path = site.input / FOLDER / NAME
    report = release_while_delivered(site, rival, site.archive / FOLDER / NAME)
    assert (report.released, report.kept, report.failed) == (0, 1, 1)
    assert "the original differs from the original that was masked" in report.failures[0].reason
    assert path.read_bytes() == NEW


def test_a_delivery_after_the_original_was_set_aside_stays_next_to_it(
    stages: dict[str, Path], rival: Rival, tmp_path: Path
) -> None:
    site = copy_of(stages["release"], tmp_path / "site")
    path = site.input / FOLDER / NAME
    report = release_while_delivered(site, rival, path.parent / RELEASING_FOLDER / NAME)
    assert (report.released, report.failed) == (1, 0)  # the verified one
    assert path.read_bytes() == NEW


def kill_at(root: Path, moment: int) -> None:
    """In a process of its own: release, and die at the n-th touch of a file."""
    site = Site(root)
    run_with_rival(site, "release", moment, lambda: os.kill(os.getpid(), signal.SIGKILL))


def killed(root: Path, moment: int) -> bool:
    process = FORK.Process(target=kill_at, args=(root, moment), daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize("and_then", [None, deliver])
def test_a_release_that_is_killed_at_any_moment_loses_nothing(
    stages: dict[str, Path], tmp_path: Path, pytestconfig: pytest.Config, and_then: Callable[[Path], None] | None
) -> None:
    root = tmp_path / "site"
    original = sha256_of(capture(0, NAME))
    set_aside = 0
    paths = touches(stages["release"], root, "release")
    near = {moment for moment, path in enumerate(paths, 1) if f"/{RELEASING_FOLDER}/{NAME}" in path}
    for moment in sorted({*tried(len(paths), 1, pytestconfig), *near}):
        site = copy_of(stages["release"], root)
        assert killed(root, moment)
        aside = site.input / FOLDER / RELEASING_FOLDER / NAME
        set_aside += aside.exists()
        kept = {original}
        archived = checksums(site.archive)
        require_kept(site, kept, archived)
        if and_then is not None:
            and_then(site.input / FOLDER / NAME)
            kept.add(sha256_of(NEW))
        report = site.run(site.workspace(**SETTINGS))
        require_kept(site, kept, archived)
        if and_then is not None:
            # The archive has this name, so a person must rename the delivery; until then every run fails.
            assert not report.succeeded
            (site.input / FOLDER / NAME).rename(site.input / FOLDER / "p001.jpg")
            report = site.run(site.workspace(**SETTINGS))
            require_kept(site, kept, archived)
        assert report.succeeded
        assert [path for path in files_below(site.input) if path.suffix == ".jpg"] == []
    assert set_aside


def archive_at_once(root: Path, archive: Path, barrier: Any, answers: Connection) -> None:
    """In a process of its own: archive, and wait for the other process just before the copy gets its name."""
    site = Site(root)
    site.archive = archive
    waited = False

    def at(event: str, path: str) -> None:
        nonlocal waited
        if not waited and event in ("os.link", "os.rename") and Path(path).name == NAME:
            waited = True
            barrier.wait(60)

    workspace = site.workspace(archive=True)
    with at_each_touch(archive, at):
        report = archive_folder(workspace, FOLDER)
    answers.send((report.archived, report.already_archived, report.failed, [f.reason for f in report.failures]))


@pytest.mark.parametrize("same", [False, True])
def test_of_two_archivers_with_one_name_neither_overwrites_the_other(tmp_path: Path, same: bool) -> None:
    archive = tmp_path / "archive"
    sites = []
    for number, root in enumerate((tmp_path / "first", tmp_path / "second")):
        root.mkdir()
        site = Site(root)
        site.put(NAME, capture(0 if same else number, NAME))
        site.archive = archive
        mask_folder(site.workspace(), FOLDER, CountingDetector())
        site.workspace(archive=True).require_shares()
        sites.append(site)
    barrier, mine, its = FORK.Barrier(2), *FORK.Pipe(duplex=False)
    processes = [
        FORK.Process(target=archive_at_once, args=(site.root, archive, barrier, its), daemon=True) for site in sites
    ]
    for process in processes:
        process.start()
    answers: list[Any] = []
    while len(answers) < len(processes):
        assert mine.poll(60)
        answers.append(mine.recv())
    for process in processes:
        process.join(60)
    assert names_below(archive) == [f"{FOLDER}/{NAME}"]
    (stored,) = checksums(archive)
    archived = [bool(known.archived) for site in sites for known in read_pictures(site.state, FOLDER).values()]
    if same:
        assert archived == [True, True]
        assert sorted(answer[:3] for answer in answers) == [(0, 1, 0), (1, 0, 0)]
    else:
        assert sorted(answer[:3] for answer in answers) == [(0, 0, 1), (1, 0, 0)]
        assert any("the archive holds a different picture" in reason for answer in answers for reason in answer[3])
        (winner,) = [site for site, won in zip(sites, archived, strict=True) if won]
        assert stored == sha256_of_file(winner.input / FOLDER / NAME)
