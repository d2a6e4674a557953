"""Disks that fill, are read-only, or go and come back, and clocks that jump: a night reports it, the next ends it."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import LONG, Tried
from tests.faults.harness import Ended, Night, Nights, Place, copy_of
from tests.faults.memory_disk import MemoryDisks
from tests.faults.promises import Undisturbed, differences, leftovers, promises_hold, undisturbed_night
from tests.faults.shim import Fault

ROLES = ("output", "archive", "state", "errors", "input")
SOME_ROLES = ROLES if LONG else ("output", "state")
SIZES = range(8, 129, 8) if LONG else (24,)  # kB; a whole night needs 4 to 150 of them in each folder
MOMENTS = [step / 20 for step in range(1, 20)] if LONG else [0.4]
YEARS = 366 * 24 * 3600
JUMPS = (-30 * YEARS, -3600, 3600, 15 * YEARS) if LONG else (-30 * YEARS,)
PAGE_KB = 4


@pytest.fixture(scope="module")
def undisturbed(nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return undisturbed_night(nights, tmp_path_factory.mktemp("undisturbed"), (1, 1))


@pytest.fixture
def place(undisturbed: Undisturbed, tmp_path: Path) -> Place:
    return copy_of(undisturbed.delivery, tmp_path)


def folder_of(place: Place, role: str) -> Path:
    folder: Path = getattr(place.site, role)
    return folder


def require_ended_properly(ended: Ended, *codes: int) -> None:
    assert ended.code in codes, ended.text
    for word in ("Traceback", "nexpected error"):
        assert word not in ended.text, ended.text


def require_finished_by_the_next(nights: Nights, place: Place, undisturbed: Undisturbed, before: str = "") -> None:
    """A night without a fault reaches the undisturbed state; `before` is what the night before printed."""
    ended = nights.run(place)
    require_ended_properly(ended, 0, 1)
    promises_hold(place, ended.text)
    assert differences(undisturbed.state, place, before + ended.text) == [], ended.text
    assert leftovers(place) == []


@pytest.mark.parametrize("kilobytes", SIZES)
@pytest.mark.parametrize("role", ROLES)
def test_a_disk_that_fills_is_reported_and_nothing_is_lost(
    role: str,
    kilobytes: int,
    undisturbed: Undisturbed,
    nights: Nights,
    place: Place,
    disks: MemoryDisks,
    tried: Tried,
) -> None:
    folder = folder_of(place, role)
    used = sum(-(-path.stat().st_size // (PAGE_KB * 1024)) * PAGE_KB for path in folder.rglob("*") if path.is_file())
    disks.mount(folder, f"size={kilobytes + used}k")
    ended = nights.run(place)
    require_ended_properly(ended, 1, 3)
    promises_hold(place, ended.text)
    if differences(undisturbed.state, place, ""):
        assert re.search("No space left on device|database or disk is full|disk I/O error", ended.text), ended.text
        assert str(folder) in ended.text
    disks.mount(folder, "size=16m")
    require_finished_by_the_next(nights, place, undisturbed, ended.text)
    tried("disk full", f"the {role} folder on a tmpfs of its own")


@pytest.mark.parametrize("role", SOME_ROLES)
def test_a_read_only_disk_is_reported_and_nothing_is_lost(
    role: str, undisturbed: Undisturbed, nights: Nights, place: Place, disks: MemoryDisks, tried: Tried
) -> None:
    folder = folder_of(place, role)
    disks.mount(folder, "size=16m")
    disks.mount(folder, "ro")
    ended = nights.run(place)
    require_ended_properly(ended, 1, 3)
    promises_hold(place, ended.text)
    assert "Read-only file system" in ended.text
    assert str(folder) in ended.text
    disks.mount(folder, "rw")
    require_finished_by_the_next(nights, place, undisturbed, ended.text)
    tried("read-only disk", f"the {role} folder")


def stopped(nights: Nights, place: Place, undisturbed: Undisturbed, share: float, **order: Any) -> Night:
    """A night that stands still after this share of its operations."""
    moment = 1 + int(share * len(undisturbed.operations))
    night = nights.start(place, Fault(at=moment, signal=signal.SIGSTOP), **order)
    assert night.wait_until_stopped()
    return night


@pytest.mark.parametrize("share", MOMENTS)
@pytest.mark.parametrize("role", SOME_ROLES)
def test_permissions_taken_away_in_the_middle_cost_nothing(
    role: str, share: float, undisturbed: Undisturbed, nights: Nights, place: Place, tried: Tried
) -> None:
    folder = folder_of(place, role)
    night = stopped(nights, place, undisturbed, share, unprivileged=True)
    there = folder.exists()
    folder.mkdir(exist_ok=True)
    before = folder.stat().st_mode & 0o777
    folder.chmod(0)
    night.signal(signal.SIGCONT)
    ended = night.ended()
    folder.chmod(before if there else 0o755)
    require_ended_properly(ended, 1, 3)
    promises_hold(place, ended.text)
    if differences(undisturbed.state, place, ""):
        assert folder.name in ended.text
        assert "Permission denied" in ended.text
    require_finished_by_the_next(nights, place, undisturbed, ended.text)
    tried("permissions taken away in mid-night", f"the {role} folder")


@pytest.mark.parametrize("share", MOMENTS)
@pytest.mark.parametrize("leaves", ["nothing", "an empty folder"])
def test_an_input_that_goes_for_good_is_reported_and_nothing_is_made_in_its_place(
    leaves: str, share: float, undisturbed: Undisturbed, nights: Nights, place: Place, tmp_path: Path, tried: Tried
) -> None:
    night = stopped(nights, place, undisturbed, share)
    site = place.site
    site.input.rename(tmp_path / "away")
    if leaves != "nothing":
        site.input.mkdir()
    night.signal(signal.SIGCONT)
    ended = night.ended()
    made = list(site.input.rglob("*")) if site.input.exists() else []
    assert made == [], f"made below the mount point: {ended.text}"
    if leaves != "nothing":
        site.input.rmdir()
    (tmp_path / "away").rename(site.input)
    if leaves == "nothing":
        require_ended_properly(ended, 1, 3)
        assert str(site.input) in ended.text
    else:  # a folder that is empty now looks as one that a rival has released
        require_ended_properly(ended, 0, 1, 3)
    promises_hold(place, ended.text)
    require_finished_by_the_next(nights, place, undisturbed, ended.text)
    tried("input vanishes in mid-night", f"for longer than the timeout, leaving {leaves}")


@pytest.mark.parametrize("share", sorted({*MOMENTS, 0.9}))
def test_an_input_that_comes_back_in_time_is_waited_for(
    share: float, undisturbed: Undisturbed, nights: Nights, place: Place, tmp_path: Path, tried: Tried
) -> None:
    place.configure(file_access_timeout_seconds=60)
    night = stopped(nights, place, undisturbed, share)
    place.site.input.rename(tmp_path / "away")
    night.signal(signal.SIGCONT)
    waits = night.wait_until_printed("waiting up to")
    (tmp_path / "away").rename(place.site.input)
    ended = night.ended()
    require_ended_properly(ended, 1)
    promises_hold(place, ended.text)
    if waits:
        tried("input vanishes in mid-night", "and comes back while it is waited for")
    require_finished_by_the_next(nights, place, undisturbed)


@pytest.mark.parametrize("share", MOMENTS)
@pytest.mark.parametrize("seconds", JUMPS)
def test_a_clock_that_jumps_changes_nothing(
    seconds: int, share: float, undisturbed: Undisturbed, nights: Nights, place: Place, tried: Tried
) -> None:
    moment = 1 + int(share * len(undisturbed.operations))
    ended = nights.run(place, Fault(at=moment, times=0, seconds=seconds))
    assert ended.hit
    require_ended_properly(ended, 1)
    promises_hold(place, ended.text)
    assert differences(undisturbed.state, place, "") == []
    require_finished_by_the_next(nights, place, undisturbed)
    tried("clock jumps in mid-night", "an hour or years, forwards or backwards")
