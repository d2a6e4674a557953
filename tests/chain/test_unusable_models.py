"""The mask step with a failing model: earlier outcomes are kept, and the model is loaded once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.chain.mask import mask_folder
from anonymisation.core.errors import ImplausibleOutputError, ModelUnavailableError
from anonymisation.masking.detections import Detections
from anonymisation.masking.guard import GuardedDetector
from anonymisation.reporting.step_reports import ImageOutcome, Status
from anonymisation.workspace.folder_state import FAILED, MASKED, read_pictures
from tests.captures import CAR, FOLDER, Site, counts, names_below, shows
from tests.doubles import ScriptedDetector

NONSENSE = ImplausibleOutputError("the model in /m gives detection_classes 0 in row 0")
OTHER_KIND = ModelUnavailableError("the model in /m cannot be used: detection_boxes: expected 3 axes")


class Loader:
    """Returns a new guarded detector for every call, as the real loader does."""

    def __init__(self, errors: Mapping[int, Exception]) -> None:
        """`errors` maps numbers of captures to the error that is raised; in the others the car is found."""
        self.errors = errors
        self.loaded = 0

    def __call__(self) -> GuardedDetector:
        self.loaded += 1
        return GuardedDetector(ScriptedDetector(self._detect))

    def _detect(self, pixels: NDArray[np.uint8]) -> Detections:
        for number, error in self.errors.items():
            if shows(pixels, number):
                raise error
        return CAR


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(params=[True, False], ids=["overlapping", "one by one"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_pictures_that_failed_before_the_stop_are_kept(site: Site, asynchronous: bool) -> None:
    site.fill(30)
    reported: list[ImageOutcome] = []
    workspace = site.workspace(enable_async=asynchronous)
    with pytest.raises(ModelUnavailableError, match="is unusable: it failed on 3 pictures in a row"):
        mask_folder(workspace, FOLDER, Loader(dict.fromkeys(range(30), NONSENSE)), reported.append)
    assert [(outcome.picture, outcome.status) for outcome in reported] == [
        (f"{FOLDER}/p000.jpg", Status.FAILED),
        (f"{FOLDER}/p001.jpg", Status.FAILED),
    ]
    assert {name: known.status for name, known in read_pictures(site.state, FOLDER).items()} == {
        "p000.jpg": FAILED,
        "p001.jpg": FAILED,
    }
    assert names_below(site.output) == []
    report = mask_folder(workspace, FOLDER, Loader({}))  # pictures that failed because of the model are tried again
    assert counts(report) == (30, 30, 0, 0, 0)
    assert names_below(site.errors) == []


def test_pictures_done_before_the_model_turns_out_unusable_are_kept(site: Site, asynchronous: bool) -> None:
    site.fill(6)
    workspace = site.workspace(enable_async=asynchronous)
    with pytest.raises(ModelUnavailableError, match="expected 3 axes"):
        mask_folder(workspace, FOLDER, Loader({1: NONSENSE, 2: OTHER_KIND}))
    assert {name: known.status for name, known in read_pictures(site.state, FOLDER).items()} == {
        "p000.jpg": MASKED,
        "p001.jpg": FAILED,
    }
    assert names_below(site.output) == [f"{FOLDER}/p000.jpg"]


def test_single_failures_do_not_stop_the_folder(site: Site, asynchronous: bool) -> None:
    site.fill(7)
    loader = Loader(dict.fromkeys((0, 1, 3, 4, 5), NONSENSE))
    workspace = site.workspace(enable_async=asynchronous)
    assert counts(mask_folder(workspace, FOLDER, loader)) == (7, 2, 0, 5, 0)
    # These failures are not lasting, so they come first in this run and stop it.
    with pytest.raises(ModelUnavailableError, match="is unusable"):
        mask_folder(workspace, FOLDER, loader)
    assert names_below(site.output) == [f"{FOLDER}/p002.jpg", f"{FOLDER}/p006.jpg"]


def test_a_model_is_loaded_once_for_a_folder_and_only_for_pictures_to_mask(site: Site, asynchronous: bool) -> None:
    """A task of Airflow has nowhere else to keep the model."""
    site.fill(4)
    loader = Loader({})
    workspace = site.workspace(enable_async=asynchronous)
    mask_folder(workspace, FOLDER, loader)
    assert loader.loaded == 1
    mask_folder(workspace, FOLDER, loader)
    assert loader.loaded == 1
    site.fill(2, first=10)
    mask_folder(workspace, FOLDER, loader)
    assert loader.loaded == 2
