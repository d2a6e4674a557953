from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymisation.core.errors import ModelUnavailableError
from anonymisation.core.settings import Settings
from anonymisation.masking.models import factory
from anonymisation.masking.models.factory import load_detector, model_identity
from anonymisation.masking.models.zoo import ZOO
from anonymisation.masking.tiling import TilingDetector
from tests.masking.scripted_models import BLUE, RED

MakeSettings = Callable[..., Settings]


def test_a_model_of_ones_own_goes_through_threshold_tiles_and_limit(
    settings_with: MakeSettings, tf1_model: Path
) -> None:
    pixels = np.full((2000, 3000, 3), 120, np.uint8)
    pixels[1510:1526, 1000:1016] = RED
    pixels[100:400, 100:400] = BLUE
    model = {"model_type": str(tf1_model), "tile_pixels": 320, "score_threshold": 0.15}
    assert load_detector(settings_with(**model)).detect(pixels).counts() == {"person": 1}
    assert load_detector(settings_with(**model | {"tiles": False})).detect(pixels).counts() == {}
    low = load_detector(settings_with(**model | {"tiles": False, "score_threshold": 0.1})).detect(pixels)
    assert low.counts() == {"truck": 1}
    small = load_detector(settings_with(**model | {"max_num_pixels": 60_000})).detect(pixels)
    assert small.counts() == {}


def test_names_of_the_zoo_are_looked_for_in_the_models_folder(
    settings_with: MakeSettings, tf1_model: Path, tmp_path: Path
) -> None:
    settings = settings_with(model_type="Fast", model_dir=str(tmp_path))
    with pytest.raises(ModelUnavailableError, match="fetch it with: anonymise models pull Fast"):
        load_detector(settings)
    shutil.copytree(tf1_model, tmp_path / ZOO["Fast"].archive_name / "saved_model")
    assert load_detector(settings).identity == model_identity(settings)
    assert model_identity(settings).startswith("Fast@")


def test_a_relative_path_and_a_wrong_name(
    settings_with: MakeSettings, tf2_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tf2_model.parent)
    assert isinstance(load_detector(settings_with(model_type="tf2"), threads=1).inner, TilingDetector)
    with pytest.raises(ModelUnavailableError, match="must be one of Built-in, Slow, Medium, Fast"):
        model_identity(settings_with(model_type="Slowest"))


def test_the_built_in_model_works_with_default_settings(settings_with: MakeSettings) -> None:
    settings = settings_with()
    detector = load_detector(settings)
    assert detector.identity == model_identity(settings)
    assert detector.identity.startswith("Built-in@")
    pixels = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    one, other = detector.detect(pixels), detector.detect(pixels)
    assert np.array_equal(one.boxes, other.boxes)
    assert np.array_equal(one.masks, other.masks)


def test_tensorflow_without_the_switch_for_equal_results_is_named(
    settings_with: MakeSettings, tf1_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A program that imports TensorFlow first has its default, which is off on processors without AVX-512."""
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow", pytest.importorskip("tensorflow"))
    for warnings in (1, 0):  # whoever loads a second model knows
        caplog.clear()
        load_detector(settings_with(model_type=str(tf1_model)))
        assert sum("TF_ENABLE_ONEDNN_OPTS=1" in record.message for record in caplog.records) == warnings


def test_a_model_with_an_input_size_gets_that_size(settings_with: MakeSettings, tmp_path: Path) -> None:
    """At the scripted model's 64 pixels, the square has half a pixel in the whole picture, and far more in a part."""
    from tests.masking.scripted_models import save_tf2

    folder = save_tf2(tmp_path / "sees", batch=None)
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "view.json").write_text('{"side": 64, "multiple": 32, "most_pixels": 65536}')
    pixels = np.full((1000, 2000, 3), 120, np.uint8)
    pixels[610:626, 1200:1216] = RED
    settings = {"model_type": str(folder), "tile_pixels": 64}
    assert set(load_detector(settings_with(**settings)).detect(pixels).counts()) == {"person"}
    assert load_detector(settings_with(**settings | {"tiles": False})).detect(pixels).counts() == {}
    assert load_detector(settings_with(**settings | {"tile_pixels": 2000})).detect(pixels).counts() == {}


@pytest.fixture
def optimiser() -> Iterator[Callable[[], tuple[bool, str]]]:
    """Return TensorFlow's settings for mixed precision and compilation; restore both afterwards."""
    import tensorflow as tf

    yield lambda: (
        tf.config.optimizer.get_experimental_options().get("auto_mixed_precision", False),
        tf.config.optimizer.get_jit(),
    )
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision": False})
    tf.config.optimizer.set_jit(False)


def test_mixed_precision_and_xla_are_asked_for_as_configured(
    settings_with: MakeSettings, tf1_model: Path, optimiser: Callable[[], tuple[bool, str]]
) -> None:
    pixels = np.full((400, 600, 3), 120, np.uint8)
    pixels[100:180, 200:280] = RED
    found = []
    for precision, xla in ((False, False), (True, False), (False, True), (True, True), (False, False)):
        settings = settings_with(model_type=str(tf1_model), gpu_mixed_precision=precision, gpu_xla=xla)
        detector = load_detector(settings)
        assert optimiser() == (precision, "autoclustering" if xla else "")
        found.append(detector.detect(pixels))
    assert len(found[0]) > 0
    for other in found[1:]:
        assert np.array_equal(other.boxes, found[0].boxes)
        assert np.array_equal(other.masks, found[0].masks)


@pytest.mark.parametrize("growth", [True, False])
def test_memory_of_every_gpu_is_taken_as_configured(
    settings_with: MakeSettings, tf1_model: Path, monkeypatch: pytest.MonkeyPatch, growth: bool
) -> None:
    """With simulated GPUs: the use of real ones is up to TensorFlow."""
    import tensorflow as tf

    calls: dict[str, bool] = {}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", calls.__setitem__)
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: calls.update(repeatable=True))
    load_detector(settings_with(model_type=str(tf1_model), gpu_memory_growth=growth))
    assert calls == {"GPU:0": growth, "GPU:1": growth, "repeatable": True}


def test_the_next_views_are_brought_to_the_device_ahead(
    settings_with: MakeSettings, tf2_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anonymisation.masking.saved_model import SavedModel

    pixels = np.full((700, 900, 3), 120, np.uint8)
    pixels[100:180, 200:280] = RED
    model = {"model_type": str(tf2_model), "tile_pixels": 320}
    one = load_detector(settings_with(**model)).detect(pixels)
    events: list[str] = []
    second_placed = threading.Event()
    place, predict = SavedModel.place, SavedModel.predict

    def placed(self: SavedModel, batch: Any) -> Any:
        events.append("place")
        if events.count("place") == 2:
            second_placed.set()
        return place(self, batch)

    def predicted(self: SavedModel, batch: Any) -> Any:
        assert second_placed.wait(60)  # while the first is processed, the second is copied
        events.append("predict")
        return predict(self, batch)

    monkeypatch.setattr(SavedModel, "place", placed)
    monkeypatch.setattr(SavedModel, "predict", predicted)
    other = load_detector(settings_with(**model, gpu_prefetch=True)).detect(pixels)
    assert events.count("place") == events.count("predict") > 2
    assert np.array_equal(one.boxes, other.boxes)


SAME = """
import hashlib, sys
from pathlib import Path
import cv2
import numpy as np
import skimage
from PIL import Image
from anonymisation.masking.models.factory import load_detector
from anonymisation.core.settings import load_settings
detector = load_detector(load_settings(overrides={"score_threshold": 0.05}).settings, threads=int(sys.argv[1]))
model = detector.inner.model
astronaut = np.asarray(Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png"))[..., :3]
batch = np.stack([astronaut, astronaut[:, ::-1]])
together = model.predict(batch)
alone = [model.predict(picture[None])[0] for picture in batch]
found = detector.detect(np.concatenate(batch, axis=1))
digests = [
    hashlib.sha256(b"".join(array.tobytes() for part in parts for array in (part.boxes, part.scores, part.masks)))
    for parts in (together, alone, [found])
]
for sides in ((529, 705), (385, 977), (609, 609)):
    odds = model.segment(cv2.resize(astronaut, sides[::-1]))
    digests.append(hashlib.sha256(odds.tobytes()))
print(sum(map(len, together)) > 0, len(found) > 0, *(digest.hexdigest() for digest in digests))
"""


# Each process takes twenty seconds: most of them go into TensorFlow and the model's graph.
@pytest.mark.parametrize("threads", [(1, 3), pytest.param((1, 2, 4, 8), marks=pytest.mark.slow)])
def test_results_do_not_depend_on_threads_or_batch(threads: tuple[int, ...]) -> None:
    runs = [
        subprocess.Popen([sys.executable, "-c", SAME, str(number)], stdout=subprocess.PIPE, text=True)
        for number in threads
    ]
    lines = {run.communicate()[0] for run in runs}
    assert [run.returncode for run in runs] == [0] * len(threads)
    assert len(lines) == 1
    some, any_found, together, alone, _, *segmented = lines.pop().split()
    assert (some, any_found) == ("True", "True")
    assert together == alone
    assert len(set(segmented)) == 3


def test_identity_depends_on_the_files_and_not_on_their_folder(
    settings_with: MakeSettings, tf2_model: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "tf2"
    shutil.copytree(tf2_model, copy)
    before = model_identity(settings_with(model_type=str(copy)))
    assert before == model_identity(settings_with(model_type=str(tf2_model)))
    name, _, digest = before.partition("@")
    assert name == "tf2"
    assert len(bytes.fromhex(digest)) == 6
    with (copy / "saved_model.pb").open("ab") as stream:
        stream.write(b"\0")
    assert model_identity(settings_with(model_type=str(copy))) != before


def test_the_digest_is_computed_once_if_the_files_do_not_change(settings_with: MakeSettings, tf2_model: Path) -> None:
    settings = settings_with(model_type=str(tf2_model))
    model_identity(settings)
    before = factory._digest.cache_info()
    model_identity(settings)
    after = factory._digest.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)


def test_identity_and_downloads_need_no_tensorflow(tf2_model: Path) -> None:
    program = (
        "import sys\n"
        "import anonymisation.masking, anonymisation.masking.models.weights\n"
        "from anonymisation.cli.models import models_group\n"
        "from anonymisation.masking.models.factory import model_identity\n"
        "from anonymisation.core.settings import load_settings\n"
        "print(model_identity(load_settings(overrides={'model_type': sys.argv[1]}).settings))\n"
        "sys.exit('tensorflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tf2_model)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tf2@")
