"""The model of a whole run: loaded once, and again when its files have changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from anonymisation.cli.model import ModelOnDemand
from anonymisation.core.settings import load_settings
from anonymisation.masking.models.factory import model_identity


def test_it_is_loaded_again_only_when_its_files_have_changed(car_model: Path, tmp_path: Path) -> None:
    """Otherwise the pictures of the next folder would be recorded as masked by a model that was never loaded."""
    folder = tmp_path / "cars"
    shutil.copytree(car_model, folder)
    settings = load_settings(overrides={"model_type": str(folder)}).settings
    model = ModelOnDemand(settings)
    first = model()
    assert model() is first
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / "assets.extra" / "notes.txt").write_text("version 2")
    second = model()
    assert second is not first
    assert second.identity == model_identity(settings) != first.identity
