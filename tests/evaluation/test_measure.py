"""Figures of small made pictures, worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anonymisation.evaluation.coco import open_coco
from anonymisation.evaluation.measure import Evaluation, evaluate
from anonymisation.evaluation.tally import Tally
from anonymisation.masking.detections import Detections
from tests.doubles import ScriptedDetector
from tests.evaluation.conftest import annotation, box, put_coco, put_picture

PERSON, CAR, TRUCK = 1, 3, 8
HEIGHT, WIDTH = 128, 256  # powers of two, so that shares of them are exact


def found(left: int, top: int, width: int, height: int, kind: int = PERSON, score: float = 0.75) -> Detections:
    """One detection of exactly those pixels."""
    shares = [top / HEIGHT, left / WIDTH, (top + height) / HEIGHT, (left + width) / WIDTH]
    return Detections.of([shares], [score], [kind])


def measured(tmp_path: Path, detections: Detections, *annotations: dict[str, Any], dilation: int = 0) -> Evaluation:
    """One picture with these annotations, and what the detector finds on it."""
    put_picture(tmp_path / "1.jpg", HEIGHT, WIDTH)
    source = open_coco(tmp_path, put_coco(tmp_path / "a.json", [(HEIGHT, WIDTH)], annotations))
    return evaluate(ScriptedDetector(detections), source, dilation=dilation, accumulate=True)


def test_half_of_a_person_hidden(tmp_path: Path) -> None:
    """The left half of a person of 40 × 20 pixels, and as many pixels below."""
    result = measured(tmp_path, found(0, 0, 20, 40), annotation(7, 1, PERSON, box(0, 0, 40, 20)))
    figures = result.figures
    assert figures.pixels["person", "all"] == Tally(800, 400)
    assert figures.pixels["person", "small"] == Tally(800, 400)
    assert figures.instances["person", "small"] == Tally(1, 0)
    assert figures.clean == Tally(HEIGHT * WIDTH - 800, 400)
    assert figures.recall("person") == 0.5
    assert figures.recall("vehicle") is None


@pytest.mark.parametrize(("columns", "hidden"), [(30, 1), (29, 0)])
def test_an_instance_is_hidden_from_three_quarters_on(tmp_path: Path, columns: int, hidden: int) -> None:
    detections = found(0, 0, columns, 20, TRUCK)  # of another class: hidden is hidden
    result = measured(tmp_path, detections, annotation(7, 1, PERSON, box(0, 0, 40, 20)))
    assert result.figures.instances["person", "all"] == Tally(1, hidden)
