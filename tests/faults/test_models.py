"""Models that misbehave: whatever they do, pictures are masked by a model that is known, or fail with a reason.

Models that end or hang the process: `test_deadly_pictures`. Models that raise or return nonsense:
`tests/chain/test_unusable_models`. Archives and downloads: `tests/masking/models`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.chain.mask import mask_folder
from anonymisation.core.errors import ModelUnavailableError
from anonymisation.imaging.exif.read import read_provenance
from anonymisation.masking.detector import Detector
from anonymisation.workspace.folder_state import read_pictures
from tests.captures import FOLDER, CountingDetector, Site, counts, names_below, shows

SETTINGS: list[dict[str, Any]] = [{"enable_async": True}, {"enable_async": False}]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(params=SETTINGS, ids=["overlapping", "one by one"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def replace_model(site: Site, content: bytes) -> None:
    (site.model / "saved_model.pb").write_bytes(content)


def on_picture(number: int, action: Callable[[], object]) -> CountingDetector:
    """A detector that does something else when it sees that picture."""

    def before(pixels: NDArray[np.uint8]) -> None:
        if shows(pixels, number):
            action()

    return CountingDetector(before=before)


def identities(site: Site) -> dict[str, str]:
    """The model of each picture as its state says, which must be that in its masked picture."""
    found = {name: known.model for name, known in read_pictures(site.state, FOLDER).items()}
    for name, model in found.items():
        provenance = read_provenance((site.output / FOLDER / name).read_bytes())
        assert provenance is not None
        assert provenance.model == model
    return found


def test_a_model_that_runs_out_of_memory_fails_only_its_picture(site: Site, settings: dict[str, Any]) -> None:
    site.fill(4)
    hungry = on_picture(2, lambda: np.ones(1 << 50))
    workspace = site.workspace(**settings)
    report = mask_folder(workspace, FOLDER, hungry)
    assert counts(report) == (4, 3, 0, 1, 0)
    assert "MemoryError" in report.failures[0].reason
    assert names_below(site.output) == [f"{FOLDER}/p00{number}.jpg" for number in (0, 1, 3)]
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (4, 1, 3, 0, 0)  # it is tried again


def test_a_model_that_is_replaced_while_it_works_is_recorded_as_it_was_loaded(
    site: Site, settings: dict[str, Any]
) -> None:
    site.fill(6)
    workspace = site.workspace(**settings)
    loaded = workspace.model_identity()
    assert counts(mask_folder(workspace, FOLDER, on_picture(2, lambda: replace_model(site, b"newer")))) == (
        6,
        6,
        0,
        0,
        0,
    )
    assert set(identities(site).values()) == {loaded}
    site.fill(1, first=6)
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (7, 1, 6, 0, 0)
    assert identities(site)["p006.jpg"] == workspace.model_identity() != loaded


def test_a_model_that_is_replaced_while_it_is_loaded_masks_nothing(site: Site, settings: dict[str, Any]) -> None:
    """No one knows which of its files were read."""
    site.fill(3)
    workspace = site.workspace(**settings)

    def load() -> Detector:
        replace_model(site, b"newer")
        return CountingDetector()()

    with pytest.raises(ModelUnavailableError, match="changed while it was loaded"):
        mask_folder(workspace, FOLDER, load)
    assert names_below(site.output) == names_below(site.errors) == []
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (3, 3, 0, 0, 0)
    assert set(identities(site).values()) == {workspace.model_identity()}


def test_a_model_that_vanishes_stops_its_folder_and_fails_no_picture(site: Site, settings: dict[str, Any]) -> None:
    site.fill(3)
    workspace = site.workspace(**settings)
    (site.model / "saved_model.pb").rename(site.model / "gone")
    with pytest.raises(ModelUnavailableError, match="is not installed"):
        mask_folder(workspace, FOLDER, CountingDetector())
    (site.model / "gone").rename(site.model / "saved_model.pb")
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (3, 3, 0, 0, 0)
