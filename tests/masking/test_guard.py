"""A model that fails on its first pictures is rejected; one that has succeeded is not."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.core.errors import ImageError, ImplausibleOutputError, ModelFailedError, ModelUnavailableError
from anonymisation.masking.detections import Detections
from anonymisation.masking.guard import FIRST_PICTURES, GuardedDetector
from tests.captures import CAR
from tests.doubles import ScriptedDetector

PIXELS = np.zeros((4, 6, 3), np.uint8)
NONSENSE = ImplausibleOutputError("the model in /m gives detection_classes 0 in row 0")
BROKEN = ModelFailedError("the model in /m fails on this picture: no kernel")
NO_MEMORY = ImageError("too little memory for the model")
UNUSABLE = f"^the model Scripted@000000000000 is unusable: it failed on {FIRST_PICTURES} pictures in a row, last: "


class Script:
    """Returns or raises the next step."""

    def __init__(self, steps: Sequence[Detections | Exception]) -> None:
        self.steps = list(steps)
        self.calls = 0

    def __call__(self, _: NDArray[np.uint8]) -> Detections:
        step = self.steps[self.calls]
        self.calls += 1
        if isinstance(step, Exception):
            raise step
        return step


def guarded(*steps: Detections | Exception) -> tuple[GuardedDetector, Script]:
    script = Script(steps)
    return GuardedDetector(ScriptedDetector(script)), script


def outcomes(detector: GuardedDetector, number: int) -> list[str]:
    kinds = []
    for _ in range(number):
        try:
            detector.detect(PIXELS)
            kinds.append("found")
        except (ImageError, ModelUnavailableError) as error:
            kinds.append(type(error).__name__)
    return kinds


FAILED, STOPPED = "ImplausibleOutputError", "ModelUnavailableError"


def test_a_model_that_fails_on_its_first_pictures_is_rejected_for_good() -> None:
    detector, script = guarded(NONSENSE, NONSENSE, NONSENSE, CAR, CAR)
    assert outcomes(detector, 2) == [FAILED, FAILED]
    for _ in range(3):
        with pytest.raises(
            ModelUnavailableError, match=f"{UNUSABLE}the model in /m gives detection_classes 0 in row 0$"
        ):
            detector.detect(PIXELS)
    assert script.calls == 3  # it is not called any more
    assert detector.identity == "Scripted@000000000000"


@pytest.mark.parametrize("before", range(FIRST_PICTURES))
def test_a_model_is_trusted_after_its_first_detection(before: int) -> None:
    steps: list[Detections | Exception] = [*[NONSENSE] * before, CAR, *[NONSENSE] * 5, CAR]
    detector, _ = guarded(*steps)
    assert outcomes(detector, len(steps)) == [*[FAILED] * before, "found", *[FAILED] * 5, "found"]


def test_pictures_without_detections_only_reset_the_count() -> None:
    """A model with implausible detections succeeds on pictures without any."""
    empty = Detections.empty()
    detector, _ = guarded(empty, NONSENSE, NONSENSE, empty, NONSENSE, NONSENSE, NONSENSE, CAR)
    assert outcomes(detector, 8) == ["found", FAILED, FAILED, "found", FAILED, FAILED, STOPPED, STOPPED]


def test_operations_that_raise_count_and_too_little_memory_does_not() -> None:
    detector, _ = guarded(BROKEN, NO_MEMORY, NO_MEMORY, RuntimeError(), NONSENSE, NO_MEMORY, BROKEN)
    assert outcomes(detector, 3) == ["ModelFailedError", "ImageError", "ImageError"]
    with pytest.raises(RuntimeError):
        detector.detect(PIXELS)
    assert outcomes(detector, 3) == [FAILED, "ImageError", STOPPED]


def test_a_model_of_another_kind_is_not_called_twice() -> None:
    detector, script = guarded(CAR, ModelUnavailableError("expected 3 axes"), CAR)
    assert outcomes(detector, 3) == ["found", STOPPED, STOPPED]
    assert script.calls == 2


def test_the_guard_is_thread_safe() -> None:
    together = Barrier(8)

    def fail(_: NDArray[np.uint8]) -> Detections:
        together.wait(60)
        raise NONSENSE

    detector = GuardedDetector(ScriptedDetector(fail))
    with ThreadPoolExecutor(8) as pool:
        kinds = sorted(kind for part in pool.map(lambda _: outcomes(detector, 1), range(8)) for kind in part)
    assert kinds == [*[FAILED] * (FIRST_PICTURES - 1), *[STOPPED] * (9 - FIRST_PICTURES)]


def test_doubtful_detections_pass_the_guard_too() -> None:
    class Doubtful(ScriptedDetector):
        def detect_at(self, pixels: NDArray[np.uint8], levels: Sequence[float]) -> tuple[Detections, ...]:
            return self.detect(pixels), *([CAR] * len(levels))

    assert GuardedDetector(Doubtful(CAR)).detect_at(PIXELS, [0.1]) == (CAR, CAR)
    guarded = GuardedDetector(Doubtful(Script([NONSENSE] * FIRST_PICTURES)))
    for _ in range(FIRST_PICTURES - 1):
        with pytest.raises(ImplausibleOutputError):
            guarded.detect_at(PIXELS, [0.1])
    with pytest.raises(ModelUnavailableError, match=UNUSABLE):
        guarded.detect_at(PIXELS, [0.1])
    with pytest.raises(TypeError, match="got ScriptedDetector"):
        GuardedDetector(ScriptedDetector(CAR)).detect_at(PIXELS, [0.1])
