"""Concurrent shards of one folder do not damage each other's state, and done pictures stay done."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.load import load_folder
from anonymisation.chain.mask import mask_folder
from anonymisation.chain.release import release_folder
from anonymisation.core.errors import FolderLockedError
from anonymisation.files.append_log import read_lines
from anonymisation.workspace.folder_state import open_state, read_detections, read_pictures, state_folder
from anonymisation.workspace.journal import GROWTH_BYTES, compact_overgrown
from anonymisation.workspace.shards import WHOLE, Shard
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, FULL, CountingDetector, Site, capture, files_below, names_below, require_whole_files
from tests.faults.chain_process import PROCESSES, mask_shard

PICTURES = 12
HALVES = (Shard(1, 2), Shard(2, 2))
THIRDS = tuple(Shard(number, 3) for number in (1, 2, 3))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(PICTURES)
    return site


def chain(workspace: Workspace, shard: Shard, detector: CountingDetector | None = None) -> dict[str, Any]:
    """Run every step for one shard."""
    return {
        "mask": mask_folder(workspace, FOLDER, detector or CountingDetector(), shard=shard),
        "archive": archive_folder(workspace, FOLDER, shard),
        "load": load_folder(workspace, FOLDER, shard),
        "check": check_folder(workspace, FOLDER, shard),
        "release": release_folder(workspace, FOLDER, shard),
    }


def test_all_shards_together_give_the_same_files_as_the_whole_folder(tmp_path: Path) -> None:
    outputs = []
    for name, shards in (("whole", (WHOLE,)), ("split", THIRDS)):
        (tmp_path / name).mkdir()
        site = Site(tmp_path / name)
        site.fill(PICTURES)
        site.put("ready", b"")
        workspace = site.workspace(archive=True, **FULL)
        reports = [chain(workspace, shard) for shard in shards]
        assert sum(report["mask"].masked for report in reports) == PICTURES
        assert sum(report["archive"].archived for report in reports) == PICTURES
        assert sum(report["load"].inserted for report in reports) == PICTURES
        assert sum(report["release"].released for report in reports) == PICTURES
        assert [report["release"].folder_removed for report in reports] == [False] * (len(shards) - 1) + [True]
        assert not any(report["check"].missing for report in reports)
        assert not (site.input / FOLDER).exists()
        require_whole_files(site.output, site.archive)
        assert len(site.rows()) == PICTURES
        outputs.append({path.name: path.read_bytes() for path in files_below(site.output) if path.suffix == ".webp"})
        left = {path.name for path in files_below(site.state / "folders")} - {"timing.json"}
        assert left == {"folder.json", "gate", "lock", "pictures.jsonl", "records.jsonl", "detections.jsonl"} - (
            {"lock"} if shards is THIRDS else set()
        )
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((WHOLE,), HALVES),
        (HALVES, (WHOLE,)),
        (HALVES, THIRDS),
        (THIRDS, HALVES),
        (THIRDS, (Shard(1, 6), Shard(4, 6))),
    ],
)
def test_another_number_of_shards_masks_nothing_again(
    site: Site, before: tuple[Shard, ...], after: tuple[Shard, ...]
) -> None:
    workspace = site.workspace(archive=True, remote_json=True, write_exif_to_db=True)
    for shard in before:
        chain(workspace, shard)
    detector = CountingDetector()
    reports = [chain(workspace, shard, detector) for shard in after]
    assert detector.calls == 0
    expected = sum(shard.holds(f"p{n:03d}.jpg") for n in range(PICTURES) for shard in after)
    assert sum(report["mask"].already_done for report in reports) == expected > 0
    assert sum(report["load"].already_loaded for report in reports) == expected
    assert len(read_detections(site.state, FOLDER)) == PICTURES


def test_a_late_picture_is_masked_only_by_its_shard(site: Site) -> None:
    workspace = site.workspace()
    for shard in THIRDS:
        mask_folder(workspace, FOLDER, CountingDetector(), shard=shard)
    site.put("late.jpg", capture(99))
    masked = [mask_folder(workspace, FOLDER, CountingDetector(), shard=shard).masked for shard in THIRDS]
    assert masked == [int(shard.holds("late.jpg")) for shard in THIRDS]


def test_shards_that_can_hold_the_same_picture_exclude_each_other(tmp_path: Path) -> None:
    def refused(shard: Shard) -> bool:
        try:
            with open_state(tmp_path, FOLDER, shard):
                return False
        except FolderLockedError:
            return True

    with open_state(tmp_path, FOLDER, THIRDS[0]):
        assert refused(THIRDS[0])
        assert refused(WHOLE)
        assert refused(HALVES[0])
        assert refused(Shard(4, 6))  # has every second picture of shard 1/3
        assert not refused(Shard(2, 6))
        assert not refused(THIRDS[1])
        with open_state(tmp_path, FOLDER, THIRDS[2]):
            assert refused(THIRDS[2])
    with open_state(tmp_path, FOLDER):
        assert refused(THIRDS[0])
    assert not refused(WHOLE)


def test_processes_on_all_shards_at_once_lose_nothing(site: Site) -> None:
    shards = [Shard(number, 4) for number in range(1, 5)]
    processes = [
        PROCESSES.Process(target=mask_shard, args=(site.root, {"remote_json": True}, shard)) for shard in shards
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert set(read_pictures(site.state, FOLDER)) == {f"p{number:03d}.jpg" for number in range(PICTURES)}
    place = state_folder(site.state, FOLDER)
    for journal in ("pictures", "records", "detections"):
        assert len([*read_lines(place / f"{journal}.jsonl")]) == PICTURES
    assert check_folder(site.workspace(remote_json=True), FOLDER).missing == 0


def test_the_state_of_a_killed_shard_is_visible_and_kept(site: Site) -> None:
    site.put(".0123456789abcdef.part", b"half")
    process = PROCESSES.Process(target=mask_shard, args=(site.root, {}, THIRDS[0], 2))
    process.start()
    process.join(120)
    assert process.exitcode == -9
    known = read_pictures(site.state, FOLDER)
    assert 0 < len(known) < PICTURES
    assert all(THIRDS[0].holds(name) for name in known)
    detector = CountingDetector()
    report = mask_folder(site.workspace(), FOLDER, detector, shard=HALVES[0])  # with another number of shards
    assert report.already_done == sum(HALVES[0].holds(name) for name in known)
    assert report.masked == detector.calls
    assert not [path for path in state_folder(site.state, FOLDER).iterdir() if path.is_dir()]
    assert set(known) <= set(read_pictures(site.state, FOLDER))


def test_leftovers_are_removed_only_if_no_other_shard_is_running(site: Site) -> None:
    leftover = site.output / FOLDER / ".0123456789abcdef.part"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    workspace = site.workspace()
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: object) -> None:
        begun.set()
        assert go_on.wait(60)

    first = threading.Thread(
        target=mask_folder, args=(workspace, FOLDER, CountingDetector(before=wait)), kwargs={"shard": HALVES[0]}
    )
    first.start()
    assert begun.wait(60)
    leftover.write_bytes(b"half written by the first")
    mask_folder(workspace, FOLDER, CountingDetector(), shard=HALVES[1])
    assert leftover.exists()
    go_on.set()
    first.join(60)
    mask_folder(workspace, FOLDER, CountingDetector(), shard=HALVES[1])
    assert not leftover.exists()
    assert len(names_below(site.output)) == PICTURES


def test_a_merged_journal_is_compacted_once_it_has_doubled(tmp_path: Path) -> None:
    journal = tmp_path / "pictures.jsonl"
    line = b'{"name":"a.jpg","filling":"' + b"x" * 1000 + b'"}\n'
    journal.write_bytes(line * (GROWTH_BYTES // len(line) - 1))
    compact_overgrown(journal)
    assert journal.stat().st_size > GROWTH_BYTES / 2
    journal.write_bytes(line * (GROWTH_BYTES // len(line) + 2))
    compact_overgrown(journal)
    assert journal.read_bytes() == line
    journal.write_bytes(line * 3)
    compact_overgrown(journal)
    assert journal.read_bytes() == line * 3


def test_journals_that_cannot_be_merged_are_merged_by_the_next_run(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = site.workspace()
    place = state_folder(site.state, FOLDER)
    monkeypatch.setattr("anonymisation.workspace.locks.MUTEX_SECONDS", 0.1)
    gate = FileLock(place / "gate", thread_local=False)

    def hold_gate(_: object) -> None:
        if not gate.is_locked:
            gate.acquire()

    mask_folder(workspace, FOLDER, CountingDetector(before=hold_gate), shard=HALVES[0])
    assert "the next run merges its journals" in caplog.text
    known = set(read_pictures(site.state, FOLDER))
    assert known == {name for n in range(PICTURES) if HALVES[0].holds(name := f"p{n:03d}.jpg")}
    with pytest.raises(FolderLockedError, match="was held for"), open_state(site.state, FOLDER):
        raise AssertionError("the gate was held twice")
    gate.release()
    detector = CountingDetector()
    assert mask_folder(workspace, FOLDER, detector).already_done == len(known)
    assert not list(place.glob("shard-*"))
