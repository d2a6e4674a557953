"""A model whose output cannot be true publishes nothing, is named, and costs no original: `anonymise run`."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from anonymisation.workspace.folder_state import FAILED, read_pictures
from tests.captures import FOLDER, FULL, names_below
from tests.cli.conftest import Program
from tests.cli.test_run import counts
from tests.masking.nonsense_models import NONSENSE, car_outputs, save_nonsense

CHAIN = {key: value for key, value in FULL.items() if key != "capture_marker_file"}

SaveModel = Callable[[str], Path]


@pytest.fixture(scope="session")
def nonsense(tmp_path_factory: pytest.TempPathFactory) -> SaveModel:
    """Each model is saved once."""
    root = tmp_path_factory.mktemp("nonsense")

    def saved(name: str) -> Path:
        folder = root / name.replace(" ", "_")
        return folder if folder.exists() else save_nonsense(folder, name)

    return saved


@pytest.fixture
def chain(program: Program) -> Program:
    """Everything that a run can write, and the originals would go."""
    program.configure(**CHAIN)
    return program


def originals(program: Program) -> dict[str, bytes]:
    return {name: (program.site.input / name).read_bytes() for name in names_below(program.site.input)}


def require_nothing_came_out(program: Program, before: dict[str, bytes]) -> None:
    assert names_below(program.site.output) == []
    assert names_below(program.site.archive) == []
    assert originals(program) == before
    assert program.site.rows() == []


def run(program: Program) -> Result:
    return program("run", archive=True)


# One of each kind; `masking.test_plausibility` has the others, too.
ALWAYS = (
    "boxes in pixels", "boxes left of the picture", "boxes with swapped corners", "boxes that are no numbers",
    "class 91", "scores in percent", "masks as logits", "two and a half detections", "an operation that raises",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow) for name in NONSENSE]
)
def test_a_model_of_nonsense_stops_the_folder_and_nothing_comes_out(
    chain: Program, nonsense: SaveModel, name: str
) -> None:
    model = nonsense(name)
    chain.configure(model_type=str(model))
    chain.site.fill(4)
    before = originals(chain)
    result = run(chain)
    assert result.exit_code == 3, result.output
    require_nothing_came_out(chain, before)
    assert result.stdout.startswith("\nNot everything succeeded")
    stopped = f"the model {model.name}@"
    assert f"{FOLDER}: {stopped}" in result.stdout
    assert f" is unusable: it failed on 3 pictures in a row, last: the model in {model} " in result.stdout
    assert NONSENSE[name].told in result.stdout
    failed = [f"{FOLDER}/p00{n}{end}" for n in range(2) for end in (".jpg", "_error.txt")]
    assert names_below(chain.site.errors) == failed
    note = (chain.site.errors / FOLDER / "p000_error.txt").read_text()
    assert f"the model in {model} " in note
    assert NONSENSE[name].told in note
    assert {state.status for state in read_pictures(chain.site.state, FOLDER).values()} == {FAILED}


def test_every_night_with_such_a_model_is_red_and_a_good_one_mends_it(chain: Program, nonsense: SaveModel) -> None:
    good = chain.config.read_text()
    chain.configure(model_type=str(nonsense("boxes in pixels")))
    chain.site.fill(4)
    before = originals(chain)
    for _ in range(2):
        assert run(chain).exit_code == 3
        require_nothing_came_out(chain, before)
    chain.config.write_text(good)
    result = run(chain)
    assert result.exit_code == 0, result.output
    assert counts(result.stdout)["masked"] == counts(result.stdout)["originals released"] == "4"
    assert names_below(chain.site.errors) == []


def test_two_pictures_are_too_few_to_condemn_a_model_and_every_night_is_red(
    chain: Program, nonsense: SaveModel
) -> None:
    chain.configure(model_type=str(nonsense("class 1e12")))
    chain.site.fill(2)
    before = originals(chain)
    for _ in range(2):
        result = run(chain)
        assert result.exit_code == 1, result.output
        assert (counts(result.stdout)["failed"], counts(result.stdout)["known to fail"]) == ("2", "0")
        assert "detection_classes 1e+12 in row 0" in result.stdout
        require_nothing_came_out(chain, before)


def test_a_model_is_given_up_for_all_folders(chain: Program, nonsense: SaveModel) -> None:
    chain.configure(model_type=str(nonsense("scores in percent")))
    chain.site.fill(2)
    chain.site.fill(2, "other")
    before = originals(chain)
    result = run(chain)
    assert result.exit_code == 1, result.output  # in the first folder two pictures failed, the other was stopped
    require_nothing_came_out(chain, before)
    assert result.stdout.count("is unusable: it failed on 3 pictures in a row") == 1


def test_one_picture_that_a_good_model_fails_on_costs_itself_alone(chain: Program, tmp_path: Path) -> None:
    from tests.masking.scripted_models import save_nan_on_dark

    chain.configure(model_type=str(save_nan_on_dark(tmp_path / "dark", car_outputs())))
    chain.site.fill(6)
    dark = io.BytesIO()
    Image.fromarray(np.zeros((96, 144, 3), np.uint8)).save(dark, "JPEG")
    kept = [chain.site.put(name, dark.getvalue()) for name in ("p0005.jpg", "p0025.jpg", "p0035.jpg", "p0045.jpg")]
    result = run(chain)
    assert result.exit_code == 1, result.output
    told = counts(result.stdout)
    assert (told["masked"], told["failed"], told["originals released"]) == ("6", "4", "6")
    assert "p0025.jpg: the model in" in result.stdout
    assert "detection_boxes [nan, nan, nan, nan] in row 0, expected finite numbers" in result.stdout
    assert not [name for name in names_below(chain.site.output) for path in kept if path.stem in name]
    assert [name for name in names_below(chain.site.input) if name.endswith(".jpg")] == [
        path.relative_to(chain.site.input).as_posix() for path in kept
    ]
