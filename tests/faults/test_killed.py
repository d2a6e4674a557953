"""Promises 2 and 3 under signals: a run that is killed at any moment leaves nothing that the next cannot finish."""

from __future__ import annotations

import random
import re
import signal
from pathlib import Path

import pytest

from anonymisation.chain.mask import mask_folder
from tests.captures import FOLDER, FULL, CountingDetector, Site, capture, files_below
from tests.faults.conftest import LONG, Tried
from tests.faults.harness import Ended, Nights, Place, copy_of
from tests.faults.promises import Undisturbed, differences, leftovers, promises_hold, require_masked, undisturbed_night
from tests.faults.shim import Fault
from tests.faults.watcher import Watcher

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KILLS = 200 if LONG else 12
SEED = 14


@pytest.fixture(scope="module")
def undisturbed(nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return undisturbed_night(nights, tmp_path_factory.mktemp("undisturbed"), (1, 1))


def moments() -> list[tuple[signal.Signals, float]]:
    """Signals with the share of a night's operations after which each comes: random, and spread over all steps."""
    choice = random.Random(SEED)
    return [(SIGNALS[n % len(SIGNALS)], (n + choice.random()) / KILLS) for n in range(KILLS)]


@pytest.mark.parametrize(("which", "share"), moments(), ids=lambda value: f"{value:.3f}" if value < 1 else value.name)
def test_a_killed_night_is_finished_by_the_next(
    which: signal.Signals, share: float, undisturbed: Undisturbed, nights: Nights, quick_disk: Path, tried: Tried
) -> None:
    place = copy_of(undisturbed.delivery, quick_disk / "night")
    moment = 1 + int(share * len(undisturbed.operations))
    with Watcher(place.site.output, require_masked) as watcher:
        killed = nights.run(place, Fault(at=moment, signal=which))
        # With threads a night has a few operations more or less, so that the last moments may not come.
        assert killed.hit or killed.code == 1, killed.text
        promises_hold(place)
        require_ended_by(which, killed.code, killed.text)
        before = masked_pictures(place)
        ended = nights.run(place)
    assert watcher.wrong == []
    require_finished(place, undisturbed, ended)
    # Nothing is masked twice: what stands on the output share is taken as it is, even where its state was not kept.
    now = re.search(r"^masked +(\d+)$", ended.text, re.MULTILINE)
    assert before + int(now[1] if now else 0) == masked_pictures(place), ended.text
    tried(f"killed ({which.name})", "a random moment of a night", 1)


def test_a_night_killed_again_and_again_gets_through(
    undisturbed: Undisturbed, nights: Nights, quick_disk: Path, tried: Tried
) -> None:
    place = copy_of(undisturbed.delivery, quick_disk / "night")
    operations = len(undisturbed.operations)
    with Watcher(place.site.output, require_masked) as watcher:
        for kills in range(20):  # each later, as every night looks first at what is done
            moment = operations // 8 + kills * operations // 16
            ended = nights.run(place, Fault(at=moment, signal=signal.SIGKILL))
            promises_hold(place)
            if ended.code != -signal.SIGKILL:
                break
    assert watcher.wrong == []
    assert kills > 3
    require_finished(place, undisturbed, ended)
    tried("killed (SIGKILL)", "again and again, until the night is done", kills)


def masked_pictures(place: Place) -> int:
    return len([path for path in files_below(place.site.output) if path.suffix == ".jpg"])


def require_finished(place: Place, undisturbed: Undisturbed, ended: Ended) -> None:
    """All stands as after an undisturbed night, and no trace of a kill is left."""
    assert ended.code in {0, 1}, ended.text
    promises_hold(place, ended.text)
    assert differences(undisturbed.state, place, "") == [], ended.text
    assert leftovers(place) == []


def require_ended_by(which: signal.Signals, code: int, text: str) -> None:
    """SIGINT ends the program with 130 and a message; the others end it as they do by default, or with 128 + number."""
    assert "Unexpected error" not in text
    if code == 1 and "torn.jpg" in text:
        return  # the night was over
    if which == signal.SIGINT:
        assert code == 130, text
        assert "Interrupted" in text
    else:
        assert code in {-which, 128 + which}, text


def test_force_remask_goes_on_where_the_same_run_was_killed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fill(3)
    workspace = site.workspace(force_remask=True)
    mask_folder(workspace, FOLDER, CountingDetector(), run="night 1")
    site.put("p003.jpg", capture(3))
    detector = CountingDetector()
    report = mask_folder(workspace, FOLDER, detector, run="night 1")
    assert (report.masked, report.already_done, detector.calls) == (4, 0, 1)
    report = mask_folder(workspace, FOLDER, detector, run="night 2")
    assert (report.masked, report.already_done) == (4, 0)


def test_a_release_killed_before_it_removed_the_folder_is_ended_later(tmp_path: Path) -> None:
    """What the kills above may or may not hit: the last picture is gone, its neighbours are still there."""
    site = Site(tmp_path)
    site.fill(3)
    site.put("ready", b"")
    keep = {**FULL, "delete_input": False}
    assert site.run(site.workspace(archive=True, **keep)).succeeded
    neighbours = {path.name: path.read_bytes() for path in (site.input / FOLDER).iterdir() if path.suffix != ".jpg"}
    workspace = site.workspace(archive=True, **FULL)
    assert site.run(workspace).succeeded
    assert not (site.input / FOLDER).exists()
    for name, data in neighbours.items():
        site.put(name, data)
    report = site.run(workspace)
    assert [folder.folder for folder in report.folders] == [FOLDER]
    assert report.succeeded
    assert not (site.input / FOLDER).exists()
    site.put("notes.txt", b"of the driver")
    assert site.run(workspace).folders == ()  # nothing of ours is left: not taken again every night
    assert (site.input / FOLDER / "notes.txt").exists()
