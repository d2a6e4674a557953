"""Promises 2 and 3 under signals: a run that is killed at any moment leaves nothing that the next cannot finish."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import LONG, Tried
from tests.faults.harness import Nights, copy_of
from tests.faults.promises import Undisturbed, differences, leftovers, promises_hold, require_masked, undisturbed_night
from tests.faults.shim import Fault
from tests.faults.watcher import Watcher

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KILLS = 200 if LONG else 12
SEED = 14


@pytest.fixture(scope="module")
def undisturbed(nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return undisturbed_night(nights, tmp_path_factory.mktemp("undisturbed"))


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
        ended = nights.run(place)
    assert watcher.wrong == []
    assert ended.code in {0, 1}, ended.text
    promises_hold(place, ended.text)
    assert differences(undisturbed.state, place, "") == [], ended.text
    assert leftovers(place) == []
    tried(f"killed ({which.name})", "a random moment of a night", 1)


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
