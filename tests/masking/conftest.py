"""Fixtures for the tests of masking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anonymisation.core.settings import Settings, load_settings


@pytest.fixture
def settings_with() -> Callable[..., Settings]:
    """The default settings with some changes."""

    def make(**changes: Any) -> Settings:
        return load_settings(overrides=changes).settings

    return make


@pytest.fixture(scope="session")
def tf1_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel of the TF1 form that detects coloured squares as persons, cars and trucks."""
    from tests.masking.scripted_models import save_tf1

    return save_tf1(tmp_path_factory.mktemp("models") / "tf1")


@pytest.fixture(scope="session")
def tf2_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model in the TF2 form: a batch of one, more outputs."""
    from tests.masking.scripted_models import save_tf2

    return save_tf2(tmp_path_factory.mktemp("models") / "tf2")
