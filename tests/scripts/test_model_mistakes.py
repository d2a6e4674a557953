from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonymisation.masking.detections import Detections
from scripts.model_mistakes import Box, write
from tests.doubles import ScriptedDetector

PERSON: Box = (300, 60, 420, 260)  # left, top, right, bottom


def reds(path: Path) -> int:
    """The number of pixels in the colour of a missed person."""
    pixels = np.asarray(Image.open(path)).astype(int)
    return int(np.count_nonzero((pixels[..., 0] > 180) & (pixels[..., 1] < 60) & (pixels[..., 2] < 110)))


@pytest.mark.parametrize(("found", "missed"), [(True, False), (False, True)])
def test_missed_people_are_marked(
    tmp_path: Path, found: bool, missed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.full((320, 700, 3), 120, np.uint8)
    box = [PERSON[1] / 320, PERSON[0] / 700, PERSON[3] / 320, PERSON[2] / 700]
    detections = Detections.of([box], [0.9], [1]) if found else Detections.empty()
    write(tmp_path / "a.jpg", pixels, ScriptedDetector(detections), [PERSON])
    assert (reds(tmp_path / "a.jpg") > 500) == missed
    assert f"a person 200 pixels high: {'0.00' if missed else '1.00'} hidden" in capsys.readouterr().out
