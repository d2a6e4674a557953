"""The masking model for the verbs: loaded at the first picture, without output of native libraries."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from anonymisation.core.settings import Settings
from anonymisation.masking.detector import Detector
from anonymisation.masking.models.factory import load_detector, model_identity

_STDERR: Final = 2


class ModelOnDemand:
    """Returns the configured model; the first call loads it, and the first after its files have changed."""

    def __init__(self, settings: Settings, *, doubtful_from: float | None = None) -> None:
        """`doubtful_from` is passed to `load_detector`."""
        self._settings = settings
        self._doubtful_from = doubtful_from
        self._detector: Detector | None = None

    def __call__(self) -> Detector:
        """The loaded model.

        Raises:
            ModelUnavailableError: the model is missing or unusable.
        """
        if self._detector is None or self._detector.identity != model_identity(self._settings):
            logging.getLogger(__name__).info("loading the model %s", self._settings.model_type)
            with _native_noise_aside():
                self._detector = self._loaded()
        return self._detector

    def _loaded(self) -> Detector:
        if self._doubtful_from is None:
            return load_detector(self._settings)
        return load_detector(self._settings, doubtful_from=self._doubtful_from)


@contextmanager
def _native_noise_aside() -> Iterator[None]:
    """Send output of native code to file descriptor 2 to the log (level DEBUG) instead of the terminal.

    TensorFlow prints there before its own settings can silence it.
    """
    with tempfile.TemporaryFile() as aside:
        saved = os.dup(_STDERR)
        os.dup2(aside.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(saved, _STDERR)
            os.close(saved)
            aside.seek(0)
            noise = aside.read().decode("utf-8", "replace").strip()
            if noise:
                logging.getLogger(__name__).debug("while loading the model:\n%s", noise)
