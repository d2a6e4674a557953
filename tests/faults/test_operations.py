"""Every operation on a file fails once: the night says which, nothing is lost, and the next night does the rest."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest

from tests.faults.conftest import EVERY, LONG, Tried
from tests.faults.harness import Ended, Nights, Place, copy_of
from tests.faults.promises import Undisturbed, differences, leftovers, promises_hold, undisturbed_night
from tests.faults.shim import Fault, Operation

ERRORS = (errno.ENOSPC, errno.EIO, errno.ESTALE, errno.EACCES, errno.EDQUOT)
KINDS = ("open", "read", "write", "fsync", "rename", "link", "unlink", "stat", "listdir", "mkdir")
OFTEN = "stat"  # two in three operations; each of them fails with one of the errors, every other one with all
SAMPLE = 3  # positions per error in the ordinary run
SEED = 14
MOST_SHOWN = 3000  # characters of a problem


@pytest.fixture(scope="module")
def undisturbed(nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A small night whose operations come in the same order each time."""
    return undisturbed_night(nights, tmp_path_factory.mktemp("undisturbed"), (1,), enable_async=False)


def chosen(operations: Sequence[Operation], kind: str, error: int) -> list[Operation]:
    """All operations of the kind (see OFTEN and EVERY), or a sample of all kinds that changes with the error."""
    if kind:
        found = [operation for operation in operations if operation.what == kind]
        step = EVERY * (len(ERRORS) if kind == OFTEN else 1)
        return found[ERRORS.index(error) % step :: step]
    choice = random.Random(SEED * error)
    kinds = choice.sample(sorted({operation.what for operation in operations}), SAMPLE)
    return [choice.choice([operation for operation in operations if operation.what == kind]) for kind in kinds]


@pytest.mark.parametrize("kind", KINDS if LONG else [""])
@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
def test_an_operation_that_fails_once_costs_nothing(
    error: int, kind: str, undisturbed: Undisturbed, nights: Nights, quick_disk: Path, tried: Tried
) -> None:
    operations = chosen(undisturbed.operations, kind, error)
    if not operations:
        pytest.skip(f"no {kind} in one of {EVERY} positions")
    wrong = []
    for operation in operations:
        place = copy_of(undisturbed.delivery, quick_disk / str(operation.position))
        try:
            require_harmless(undisturbed, nights, place, Fault(at=operation.position, error=error))
        except AssertionError as problem:
            wrong.append(f"{operation}: {os.strerror(error)}: {str(problem)[-MOST_SHOWN:]}")
    assert wrong == [], "\n\n".join([f"{len(wrong)} of {len(operations)}", *wrong])
    for what in sorted({operation.what for operation in operations}):
        count = sum(operation.what == what for operation in operations)
        tried(f"{what} fails once", ", ".join(errno.errorcode[error] for error in ERRORS), count)


def require_harmless(undisturbed: Undisturbed, nights: Nights, place: Place, fault: Fault) -> None:
    """A night with the fault reports it and breaks no promise; a night without it reaches the undisturbed state."""
    disturbed = nights.run(place, fault)
    assert disturbed.code in {0, 1, 3}, f"exit code {disturbed.code}: {disturbed.text}"
    for word in ("Traceback", "nexpected error"):
        assert word not in disturbed.text, disturbed.text
    promises_hold(place, disturbed.text)
    if differences(undisturbed.state, place, ""):
        require_named(disturbed)
    ended = nights.run(place)
    assert ended.code in {0, 1}, f"exit code {ended.code} of the night after: {ended.text}"
    promises_hold(place, ended.text)
    both = f"{disturbed.text}\n{ended.text}"
    assert differences(undisturbed.state, place, both) == [], both
    assert leftovers(place) == []


def require_named(night: Ended) -> None:
    """What the night printed names the file of the operation that failed, or its folder where the file is temporary."""
    for operation in night.hit:
        path = PurePosixPath(operation.path)
        hidden = path.name.startswith(".")
        assert (path.parent.name if hidden else path.stem) in night.text, f"{path} is not named: {night.text}"
