"""Every file of a real state folder, damaged in every way, one at a time: the night of the other folders is done."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from anonymisation.core.errors import UnavailableError
from anonymisation.reporting.mail import build_finished
from anonymisation.reporting.mail_context import MailContext
from anonymisation.reporting.progress import ProgressNote, read_progress
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.summary import render_summary
from anonymisation.review.apply import finish_outstanding, remask_folder
from anonymisation.review.audit import newest_looks, note_look
from anonymisation.review.index import IndexCache
from anonymisation.review.model import Box
from anonymisation.review.store import add_box, known_folders, latest_folders, mark_ok, withdraw_box
from anonymisation.workspace.folder_state import state_folder
from anonymisation.workspace.shards import Shard
from anonymisation.workspace.timing import seconds_per_picture
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, Site, capture, files_below, require_whole_files
from tests.faults.chain_process import PROCESSES, hold_folder, mask_shard
from tests.faults.file_errors import failing

OTHER: Final = "TilSladding/2021/EV6/S1D1/F2_2021_05_01"
SETTINGS: Final[dict[str, Any]] = {"remote_json": True, "write_exif_to_db": True, "enable_async": False}
PICTURES: Final = ("a000", "p000", "p001", "p002")
RUN: Final = "night 1"
# The rows of every folder go through these, so their damage is no single folder's; see the tests of the database.
SHARED: Final = ("pictures.gpkg", "identifiers/", "spool/")
# Without these the work on a folder is not known, or cannot be kept, so the folder fails; it can do without the others.
NEEDED: Final = ("pictures.jsonl", "records.jsonl", "detections.jsonl", "reviews.jsonl", "lock", "gate")


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders after a night with a failed picture, reviews, a look at an original, a killed run and a killed shard;
    a new picture in each waits for the next night."""
    root = tmp_path_factory.mktemp("state") / "site"
    root.mkdir()
    site = Site(root)
    workspace = site.workspace(archive=True, **SETTINGS)
    site.fill(2)
    site.put("torn.jpg", capture(7)[:700])
    site.fill(1, OTHER, first=4)
    site.run(workspace)
    add_box(site.state, FOLDER, "p000.jpg", Box(0.0, 0.0, 0.2, 0.2), "kari")
    assert remask_folder(workspace, FOLDER) == ["p000.jpg"]
    add_box(site.state, FOLDER, "p001.jpg", Box(0.0, 0.0, 0.2, 0.2), "kari")
    withdraw_box(site.state, FOLDER, "p001.jpg", 0, "kari", "a sign")
    mark_ok(site.state, FOLDER, "p001.jpg", "this", "kari")
    note_look(site.state, "kari", "looked at the original", f"{FOLDER}/p000.jpg")
    ProgressNote(site.state, RUN, FOLDER).close()
    _kill_two(site)
    site.fill(1, first=2)
    site.fill(1, OTHER, first=5)
    names = {path.name for path in files_below(site.state)}
    assert {*NEEDED, "folder.json", "timing.json", "holder.json", "reviews.lock", "originals.jsonl"} <= names
    shutil.copytree(site.root, site.root.with_name("copy"))
    return site.root


def _kill_two(site: Site) -> None:
    """Kill one process that holds the folder, and one after the first picture of its shard."""
    mine, its = PROCESSES.Pipe(duplex=False)
    holder = PROCESSES.Process(target=hold_folder, args=(site.state, FOLDER, its), daemon=True)
    holder.start()
    mine.recv()
    holder.kill()
    holder.join(60)
    site.put("a000.jpg", capture(3, "a000.jpg"))
    (shard,) = [Shard(number, 2) for number in (1, 2) if Shard(number, 2).holds("a000.jpg")]
    settings = {"archive": True, **SETTINGS}
    worker = PROCESSES.Process(target=mask_shard, args=(site.root, settings, shard, 1), daemon=True)
    worker.start()
    worker.join(60)
    assert (state_folder(site.state, FOLDER) / f"shard-{shard.number}-of-2" / "pictures.jsonl").stat().st_size


# --- The damages: each takes a file and a copy of its lines --------------------------------------------------------

Lines = list[dict[str, Any]]
WRONG: Final[dict[type, Any]] = {str: [1], int: "x", float: {"a": None}, list: {"a": 1}, dict: 5, bool: "no"}


def _mistyped(value: Any) -> Any:
    return WRONG.get(type(value), [[]])


def _numbers(value: Any, number: float) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(item, number) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item, number) for item in value]
    return number if isinstance(value, int | float) and not isinstance(value, bool) else value


def _extended(value: Any) -> Any:
    return {**{key: _extended(item) for key, item in value.items()}, "new": [1]} if isinstance(value, dict) else value


OF_LINES: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "keys missing": lambda line: {key: value for key, value in line.items() if key == "name"},
    "nothing in it": lambda line: {},
    "more keys": _extended,
    "wrong types": lambda line: {key: _mistyped(value) for key, value in line.items()},
    "wrong types but for the name": lambda line: {
        key: value if key == "name" else _mistyped(value) for key, value in line.items()
    },
    "no number that there is": lambda line: _numbers(line, float("nan")),
    "endless numbers": lambda line: _numbers(line, 10**400),
    "a newer version": lambda line: {"version": 99, "kind": "new", "status": "withheld", "name": line.get("name", "x")},
    "a list": lambda line: [line],
}
OF_BYTES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "half a line": lambda data: data[: -max(1, len(data.splitlines(keepends=True)[-1]) // 2)],
    "empty": lambda data: b"",
    "garbage": lambda data: random.Random(1).randbytes(3000),
    "zeros": lambda data: bytes(4096),
    "nested without end": lambda data: b'{"name":' + b"[" * 100_000 + b"\n",
}
OF_ACCESS: Final = {"EIO": errno.EIO, "ESTALE": errno.ESTALE, "EACCES": errno.EACCES}
IN_THE_WAY: Final = ("directory", "fifo", *OF_ACCESS)
OF_CONTENT: Final = (*OF_BYTES, *OF_LINES)


def damaged_lines(data: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes | None:
    """The changed lines of a JSON Lines file or a note; None for other files."""
    try:
        lines = [json.loads(line) for line in data.splitlines()]
    except ValueError:
        return None
    return b"".join(json.dumps(change(line)).encode() + b"\n" for line in lines) if lines else None


@contextmanager
def damage(path: Path, kind: str) -> Iterator[bool]:
    """Damage the file inside the block, and repair it afterwards; False where it cannot be damaged so."""
    if kind in OF_ACCESS:
        with failing(path, OF_ACCESS[kind]):
            yield True
        return
    data = path.read_bytes()
    wrong: bytes | None = b""
    if kind in OF_LINES:
        wrong = damaged_lines(data, OF_LINES[kind])
    elif kind in OF_BYTES:
        wrong = OF_BYTES[kind](data) if data else None
    if wrong is None:
        yield False
        return
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(wrong)
    yield True
    if kind == "directory" and path.is_dir():
        shutil.rmtree(path)
    repaired = kind in IN_THE_WAY or path.suffix == ".gpkg"  # lines need no repair
    if repaired and path.parent.is_dir():  # the folder of a shard is gone once its journals are merged
        path.unlink(missing_ok=True)
        path.write_bytes(data)


# --- The nights ------------------------------------------------------------------------------------------------------


def files_of(root: Path) -> list[str]:
    """The state folder's files of all folders and of one of the two capture folders, below `root`."""
    copy = root.with_name("copy")
    names = sorted(path.relative_to(copy).as_posix() for path in files_below(copy / "out_state"))
    other = state_folder(Path("out_state"), OTHER).as_posix()
    return [name for name in names if not name.startswith(other)]


@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_a_file_that_cannot_be_read_costs_its_folder_at_most(
    before: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each file in one of the ways; --run-slow tries all."""
    names = files_of(before)[IN_THE_WAY.index(kind) :: len(IN_THE_WAY)]
    assert len(names) >= 2
    for name in names:
        spend_a_night(before, [name], kind, caplog)


@pytest.mark.parametrize("kind", OF_CONTENT)
def test_lines_that_cannot_be_read_cost_what_they_say(
    before: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All files at once; --run-slow tries one at a time."""
    names = [name for name in files_of(before) if not belongs_to_all(name)]
    assert spend_a_night(before, names, kind, caplog) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*IN_THE_WAY, *OF_CONTENT])
def test_each_file_damaged_in_each_way(before: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    assert sum(spend_a_night(before, [name], kind, caplog) for name in files_of(before)) >= 8


def spend_a_night(root: Path, names: list[str], kind: str, caplog: pytest.LogCaptureFixture) -> int:
    """Damage these files, spend a night, repair them and spend another; the number of files that were damaged."""
    shutil.rmtree(root)  # the same place each time: a model is known by its path
    site = Site(Path(shutil.copytree(root.with_name("copy"), root)))
    caplog.clear()
    rows = any(belongs_to_all(name) or name.endswith("records.jsonl") for name in names)
    workspace = site.workspace(archive=True, **{**SETTINGS, "write_exif_to_db": rows})
    with ExitStack() as damages:
        damaged = [name for name in names if damages.enter_context(damage(root / name, kind))]
        if not damaged:
            return 0
        require_pages(site, workspace)
        report = site.run(workspace)
        require_others_done(site, report, damaged)
        require_fair(site, report, damaged, kind)
    assert not [record for record in caplog.records if record.exc_info], (damaged, caplog.text)
    require_whole_after_repair(site, workspace, damaged)
    return len(damaged)


def require_pages(site: Site, workspace: Workspace) -> None:
    """What the operations page reads is there, or is refused with an error of our own tree."""
    cache = IndexCache(site.state)
    for read in (
        lambda: newest_looks(site.state, 5),
        lambda: read_progress(site.state, RUN),
        lambda: cache.index(FOLDER),
        lambda: cache.reviews(FOLDER),
        lambda: latest_folders(site.state, 5),
        lambda: list(known_folders(site.state)),
        lambda: seconds_per_picture(site.state, workspace.model_identity()),
    ):
        with suppress(UnavailableError):
            read()
    finish_outstanding(workspace)


def require_others_done(site: Site, report: RunReport, damaged: list[str]) -> None:
    """The other folder is masked and archived, whatever file of the state is damaged."""
    other = of(report, OTHER)
    assert (site.output / OTHER / "p005.jpg").exists(), (damaged, other)
    assert (site.archive / OTHER / "p005.jpg").exists(), (damaged, other)
    assert other.succeeded or any(belongs_to_all(name) for name in damaged), (damaged, other)


def require_fair(site: Site, report: RunReport, damaged: list[str], kind: str) -> None:
    """The folder is done, or it fails alone and the file is named with the reason."""
    hit = of(report, FOLDER)
    assert hit.mask is not None
    assert hit.mask.found == 5, (damaged, hit.mask)
    if any(belongs_to_all(name) for name in damaged):
        assert hit.mask.masked == 1, (damaged, hit)
        return
    paths = [site.root / name for name in damaged]
    if hit.error is None:
        assert (site.output / FOLDER / "p002.jpg").exists()
        needed = {*NEEDED} - ({"lock", "gate"} if kind == "fifo" else set())  # which can be locked like a file
        assert kind not in IN_THE_WAY or not any(path.name in needed for path in paths), (damaged, hit)
        # A lost list of known failures makes the torn picture fail once more, and nothing else.
        assert {failure.picture for failure in hit.failures} <= {f"{FOLDER}/torn.jpg"}, (damaged, hit.failures)
        assert report.exit_code == 0 or any(path.name == "pictures.jsonl" for path in paths), (damaged, hit)
        return
    assert kind in IN_THE_WAY, (damaged, hit.error)
    assert any(str(path) in hit.error for path in paths), (damaged, hit.error)
    assert (hit.error_exit_code, report.exit_code) == (3, 3), (damaged, hit.error)
    mail = build_finished(report, MailContext("host", "now")).get_body(("plain",))
    assert mail is not None
    for text in (render_summary(report), mail.get_content()):
        assert hit.error in text


def require_whole_after_repair(site: Site, workspace: Workspace, damaged: list[str]) -> None:
    """Nothing is lost: the night after the repair finishes everything."""
    report = site.run(workspace)
    assert {f.picture for folder in report.folders for f in folder.failures} <= {f"{FOLDER}/torn.jpg"}, damaged
    assert all(folder.error is None for folder in report.folders), (damaged, report.folders)
    require_whole_files(site.output, site.archive)
    for folder, pictures in ((FOLDER, PICTURES), (OTHER, ("p004", "p005"))):
        assert sorted(path.stem for path in (site.output / folder).glob("*.jpg")) == list(pictures), damaged
    if workspace.settings.write_exif_to_db and not any(name.endswith(".gpkg") for name in damaged):
        assert [row[0] for row in site.rows()] == [f"{stem}.jpg" for stem in (*PICTURES, "p004", "p005")], damaged


def belongs_to_all(name: str) -> bool:
    return name.removeprefix("out_state/").startswith(SHARED)


def of(report: RunReport, folder: str) -> FolderReport:
    (found,) = [item for item in report.folders if item.folder == folder]
    return found
