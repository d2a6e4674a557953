from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.evaluation.coco import open_coco
from anonymisation.evaluation.curve import LOWEST, Curve, CurveTally, Hides, Point, thresholds_around
from anonymisation.evaluation.curve_picture import curve_svg
from anonymisation.evaluation.measure import RegionsOf, evaluate
from anonymisation.evaluation.tally import Figures, Tally, count
from anonymisation.evaluation.truth import Mask, Region, Rle, Truth
from anonymisation.masking.detections import Detections
from anonymisation.masking.fixed_regions import FixedRegions, polygons
from anonymisation.masking.geometry import union
from anonymisation.masking.labels import BY_ID
from anonymisation.masking.panoramas.sphere import Sphere
from anonymisation.masking.thresholds import Thresholds
from anonymisation.masking.tiling import TilingDetector
from tests.doubles import ScriptedDetector
from tests.evaluation.conftest import CAR, HEIGHT, PERSON, TRUCK, WIDTH, annotation, box, coco, put_json, put_picture

SCORES = [0.03, 0.15, 0.150001, 0.29, 0.3, 0.5, 0.75, 1.0]


def random_truth(random: np.random.Generator) -> Truth:
    def mask() -> Rle:
        top, left = random.integers(0, 80), random.integers(0, 150)
        pixels = np.zeros((HEIGHT, WIDTH), np.bool_)
        pixels[top : top + 40, left : left + 60] = True
        return Rle.of(pixels)

    regions = tuple(Region(label, mask(), 2400) for label in ("person", "person", "car", "truck", "bicycle"))
    return Truth(HEIGHT, WIDTH, regions, ((None, mask()), ("person", mask())))


def random_finds(random: np.random.Generator, number: int = 30) -> Detections:
    corners = random.uniform(0, 0.8, (number, 2))
    boxes = np.concatenate([corners, np.minimum(corners + random.uniform(0.02, 0.4, (number, 2)), 1)], axis=1)
    return Detections.of(
        boxes, random.choice(SCORES, number), random.choice([*BY_ID], number), random.uniform(0, 1, (number, 5, 5))
    )


def hiding(labelled_ids: Iterable[int], dilation: int = 0) -> Hides:
    def hides(found: Detections) -> tuple[Mask, Mask]:
        known = found.rows(np.isin(found.classes, [*labelled_ids]))
        return union(found, HEIGHT, WIDTH, dilation), union(known, HEIGHT, WIDTH, dilation)

    return hides


def at_all(found: Detections, thresholds: Iterable[float]) -> list[Detections]:
    return [found.rows(found.scores >= np.float32(threshold)) for threshold in thresholds]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("labels", [("person", "bicycle", "car", "motorcycle", "bus", "truck"), ("person", "car")])
def test_every_point_is_what_a_run_at_this_threshold_counts(seed: int, labels: tuple[str, ...]) -> None:
    random = np.random.default_rng(seed)
    thresholds = thresholds_around(0.15)
    tally, known = CurveTally(thresholds), [number for number, kind in BY_ID.items() if kind.label in labels]
    expected = {threshold: Figures() for threshold in thresholds}
    for _ in range(2):
        truth, finds = random_truth(random), random_finds(random)
        tally.add(truth, at_all(finds, thresholds), hiding(known, 2))
        for threshold, figures in expected.items():
            sure = finds.rows(finds.scores >= np.float32(threshold))
            hidden = [union(part, HEIGHT, WIDTH, 2) for part in (sure, sure.rows(np.isin(sure.classes, known)))]
            figures.add(count(truth, *hidden))
    curve = tally.result(0.15, expected[0.15])
    assert [point.threshold for point in curve.points] == [value for value in thresholds if value >= 0.03]
    for point in (*curve.points, curve.in_force):
        own = expected[point.threshold]
        assert point.person == own.pixels["person", "all"]
        assert point.vehicle == own.pixels["vehicle", "all"]
        assert point.clean == own.clean


def test_the_curve_ends_where_the_model_itself_leaves_out_detections() -> None:
    thresholds = thresholds_around(0.15)
    tally = CurveTally(thresholds)
    tally.add(Truth(HEIGHT, WIDTH), at_all(Detections.of([[0, 0, 1, 1]], [0.31], [CAR]), thresholds), hiding([CAR]))
    curve = tally.result(0.15, Figures(clean=Tally(HEIGHT * WIDTH, HEIGHT * WIDTH)))
    assert [point.threshold for point in curve.points] == [0.15, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert [point.clean.share for point in curve.points][:3] == [1, 1, 0]
    assert curve.cut
    tally.add(Truth(HEIGHT, WIDTH), at_all(Detections.of([[0, 0, 1, 1]], [LOWEST], [CAR]), thresholds), hiding([CAR]))
    assert not tally.result(0.15, Figures()).cut


def test_pictures_without_detections_give_a_curve_too() -> None:
    thresholds = thresholds_around(0.5)
    tally = CurveTally(thresholds)
    tally.add(Truth(HEIGHT, WIDTH), [Detections.empty()] * len(thresholds), hiding([CAR]))
    with pytest.raises(ValueError, match="found_at: expected detections at 17 thresholds, got 1"):
        tally.add(Truth(HEIGHT, WIDTH), [Detections.empty()], hiding([CAR]))
    curve = tally.result(0.5, Figures(clean=Tally(HEIGHT * WIDTH)))
    assert (curve.lowest_score, curve.cut) == (None, False)
    assert {point.clean.share for point in curve.points} == {0}
    assert ET.fromstring(curve_svg(curve, "nothing")).tag.endswith("svg")


class Halves:
    """A batch model that finds a car of 0.9 in the left half, and doubtful persons in the right half."""

    max_batch = 4
    max_detections: int | None = None

    def __init__(self) -> None:
        self.calls = 0

    def predict(self, batch: NDArray[np.uint8]) -> list[Detections]:
        self.calls += 1
        boxes = [[0, 0, 1, 0.25], [0, 0.5, 1, 0.75], [0, 0.5, 1, 1.0]]
        return [Detections.of(boxes, [0.9, 0.1, 0.04], [CAR, PERSON, TRUCK]) for _ in batch]


def test_one_pass_gives_the_figures_in_force_and_the_curve(tmp_path: Path) -> None:
    """Only persons are wanted from 0.05 on; the curve is of one threshold for all."""
    put_picture(tmp_path / "1.jpg")
    annotations = [annotation(1, 1, CAR, box(0, 0, 64, HEIGHT)), annotation(2, 1, PERSON, box(128, 0, 64, HEIGHT))]
    source = open_coco(tmp_path, put_json(tmp_path / "a.json", coco(annotations)))
    model, thresholds = Halves(), Thresholds(0.15, {"person": 0.05})
    detector = TilingDetector(model, "x", 10**9, None, thresholds=thresholds)
    evaluation = evaluate(detector, source, dilation=0, accumulate=True, curve_around=0.15)
    assert model.calls == 1
    assert evaluation.figures.recall("person") == 1
    curve = evaluation.curve
    assert curve is not None
    assert {point.threshold: point.person.share for point in curve.points if point.threshold <= 0.15} == {
        0.03: 1, 0.05: 1, 0.07: 1, 0.1: 1, 0.12: 0, 0.15: 0,
    }  # fmt: skip
    assert [point.clean.share for point in curve.points[:2]] == [0.5, 0]
    assert (curve.in_force.person.share, curve.in_force.clean.share) == (1, 0)
    plain = evaluate(detector, source, dilation=0, accumulate=True)
    assert plain.curve is None
    assert plain.figures == evaluation.figures


def narrowed(pixels: NDArray[np.uint8]) -> Callable[[Detections], Detections]:
    """A second look that halves every box if there is more than one detection, as others change an outline."""

    def look(found: Detections) -> Detections:
        boxes = found.boxes.copy()
        boxes[:, 3] = (boxes[:, 1] + boxes[:, 3]) / 2 if len(found) > 1 else boxes[:, 3]
        return Detections(boxes, found.scores, found.classes, found.masks, found.objects)

    return look


def turned_away(folder: str, camera: str | None) -> FixedRegions:
    return FixedRegions(
        hidden=polygons([[(0.9, 0), (1, 0), (1, 0.5), (0.9, 0.5)]]),
        unsearched=polygons([[(0.5, 0), (0.9, 0), (0.9, 1), (0.5, 1)]]),
    )


@pytest.mark.parametrize(
    ("look", "hidden", "regions", "sphere"),
    [
        (None, None, None, None),
        (narrowed, None, None, None),
        (None, frozenset(["person", "truck"]), None, None),
        (None, None, turned_away, None),
        (narrowed, frozenset(["person", "car"]), turned_away, Sphere()),
    ],
)
def test_a_point_is_what_a_run_with_all_other_settings_counts(
    tmp_path: Path,
    look: Callable[[NDArray[np.uint8]], Callable[[Detections], Detections]] | None,
    hidden: frozenset[str] | None,
    regions: RegionsOf | None,
    sphere: Sphere | None,
) -> None:
    put_picture(tmp_path / "1.jpg")
    annotations = [annotation(1, 1, CAR, box(0, 0, 40, HEIGHT)), annotation(2, 1, PERSON, box(128, 0, 80, HEIGHT))]
    source = open_coco(tmp_path, put_json(tmp_path / "a.json", coco(annotations)))

    def detector(threshold: float, given: dict[str, float]) -> TilingDetector:
        thresholds = Thresholds(threshold, given, hidden)
        return TilingDetector(Halves(), "x", 10**9, None, second_look=look, thresholds=thresholds)

    more: Any = {"dilation": 2, "regions": regions, "sphere": lambda *_: sphere}
    curve = evaluate(detector(0.15, {"person": 0.05}), source, curve_around=0.15, **more).curve
    assert curve is not None
    assert curve.points[0].threshold <= 0.1
    for point in curve.points:
        figures = evaluate(detector(point.threshold, {}), source, **more).figures
        assert (point.person, point.vehicle, point.clean) == (
            figures.pixels["person", "all"], figures.pixels["vehicle", "all"], figures.clean,
        )  # fmt: skip
    figures = evaluate(detector(0.15, {"person": 0.05}), source, **more).figures
    assert (curve.in_force.person, curve.in_force.clean) == (figures.pixels["person", "all"], figures.clean)


def test_a_detector_without_doubtful_detections_is_refused(tmp_path: Path) -> None:
    put_picture(tmp_path / "1.jpg")
    source = open_coco(tmp_path, put_json(tmp_path / "a.json", coco()))
    with pytest.raises(TypeError, match="expected a detector with doubtful detections, got ScriptedDetector"):
        evaluate(ScriptedDetector(Detections.empty()), source, dilation=0, curve_around=0.15)


def test_the_picture_marks_the_settings_in_force() -> None:
    points = tuple(
        Point(threshold, Tally(1000, person), Tally(), Tally(1000, clean))
        for threshold, person, clean in ((0.05, 999, 90), (0.15, 990, 60), (0.3, 900, 20), (0.85, 100, 1))
    )
    curve = Curve(points, points[1], 0.05)
    picture = ET.fromstring(curve_svg(curve, "a <model> & more"))
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "a <model> & more" in texts
    assert {"0.05", "0.15", "0.3"} <= {*texts}
    assert "0.85" not in texts
    assert any(text is not None and "no score below 0.050" in text for text in texts)
    circles = [element.attrib for element in picture.iter("{http://www.w3.org/2000/svg}circle")]
    (ring,) = [circle for circle in circles if circle.get("class") == "ring" and circle["stroke"] != "#222"]
    assert any((dot["cx"], dot["cy"]) == (ring["cx"], ring["cy"]) for dot in circles if "class" not in dot)
