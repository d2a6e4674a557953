"""COCO's numbers: cases worked out by hand, and the same as pycocotools gives by itself."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from anonymisation.evaluation.coco import open_coco
from anonymisation.evaluation.measure import Evaluation, evaluate
from anonymisation.evaluation.precision import PRECISION_KEYS, Precision, PrecisionTally
from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from tests.doubles import ScriptedDetector
from tests.evaluation.conftest import (
    CAR,
    HEIGHT,
    PERSON,
    TRUCK,
    WIDTH,
    annotation,
    box,
    coco,
    found,
    put_json,
    put_picture,
    together,
)


def precision_of(folder: Path, detections: Detections, *annotations: dict[str, Any], **more: Any) -> Precision:
    """COCO's numbers on one picture."""
    put_picture(folder / "1.jpg")
    source = open_coco(folder, put_json(folder / "a.json", coco(annotations, **more)))
    # The dilation must not change them: they judge the model's masks.
    result = evaluate(ScriptedDetector(detections), source, dilation=5, accumulate=True)
    assert result.precision is not None
    return result.precision


def test_a_perfect_model(tmp_path: Path) -> None:
    """A person of 100 pixels (small) and a car of 100 × 100 (large), each found exactly."""
    detections = together(found(0, 0, 10, 10), found(50, 0, 100, 100, CAR))
    truth = (annotation(0, 1, PERSON, box(0, 0, 10, 10)), annotation(1, 1, CAR, box(50, 0, 100, 100)))
    result = precision_of(tmp_path, detections, *truth)
    absent = {"AP_medium", "AR_medium"}
    assert result.values == {key: None if key in absent else pytest.approx(1) for key in PRECISION_KEYS}
    assert result.per_class["person"] == pytest.approx(1)  # its annotation has number 0, which pycocotools stumbles on
    assert result.per_class["truck"] is None


def test_a_model_that_finds_nothing(tmp_path: Path) -> None:
    result = precision_of(tmp_path, Detections.empty(), annotation(1, 1, PERSON, box(0, 0, 10, 10)))
    assert (result.values["AP"], result.values["AR100"], result.per_class["car"]) == (0, 0, None)


def test_nothing_annotated_and_nothing_found(tmp_path: Path) -> None:
    assert set(precision_of(tmp_path, Detections.empty()).values.values()) == {None}


def test_half_of_a_person_found(tmp_path: Path) -> None:
    """IoU exactly .5: right at the first of the ten thresholds alone."""
    result = precision_of(tmp_path, found(0, 0, 5, 10), annotation(1, 1, PERSON, box(0, 0, 10, 10)))
    assert result.values["AP50"] == pytest.approx(1)
    assert result.values["AP75"] == 0
    assert result.values["AP"] == pytest.approx(0.1)
    assert result.values["AR1"] == pytest.approx(0.1)


@pytest.mark.parametrize(("score", "expected"), [(0.5, 1), (0.9, 0.5)])
def test_a_false_find_costs_by_its_score(tmp_path: Path, score: float, expected: float) -> None:
    """Ranked after the right one it costs nothing; before it, precision is one half wherever recall is reached."""
    detections = together(found(0, 0, 10, 10), found(100, 50, 20, 20, score=score))
    result = precision_of(tmp_path, detections, annotation(1, 1, PERSON, box(0, 0, 10, 10)))
    assert result.values["AP"] == pytest.approx(expected)


def test_finds_in_a_crowd_cost_nothing(tmp_path: Path) -> None:
    crowd = annotation(1, 1, PERSON, box(100, 0, 100, 100), iscrowd=1)
    finds = [found(100 + 20 * n, 0, 20, 20, score=0.9) for n in range(5)]
    detections = together(found(0, 0, 10, 10), *finds)
    result = precision_of(tmp_path, detections, crowd, annotation(2, 1, PERSON, box(0, 0, 10, 10)))
    assert result.values["AP"] == pytest.approx(1)


def test_the_wrong_class_is_not_right(tmp_path: Path) -> None:
    result = precision_of(tmp_path, found(0, 0, 10, 10, TRUCK), annotation(1, 1, CAR, box(0, 0, 10, 10)))
    assert result.values["AP"] == 0


def test_classes_that_are_not_annotated_are_left_out(tmp_path: Path) -> None:
    detections = together(found(0, 0, 10, 10), found(50, 0, 10, 10, CAR, score=0.9))
    truth = annotation(1, 1, 17, box(0, 0, 10, 10))
    result = precision_of(tmp_path, detections, truth, categories=[{"id": 17, "name": "person"}])
    assert result.values["AP"] == pytest.approx(1)
    assert result.per_class == {"person": pytest.approx(1)}


def test_instances_of_one_object_are_one_detection(tmp_path: Path) -> None:
    """A lorry seen in two tiles, half in each."""
    halves = together(found(0, 0, 10, 10, TRUCK), found(10, 0, 10, 10, TRUCK))
    one = halves.with_objects(np.zeros(2, np.int32))
    truth = annotation(1, 1, TRUCK, box(0, 0, 20, 10))
    assert precision_of(tmp_path, one, truth).values["AP"] == pytest.approx(1)
    assert precision_of(tmp_path, halves, truth).values["AP75"] == 0


def test_an_object_seen_again_has_the_outline_of_its_best_instance(tmp_path: Path) -> None:
    """A second view saw the car less surely, and too wide; its mirror stands out a little. Both count as the car."""
    best, wide, mirror = found(40, 40, 40, 20, CAR, 0.9), found(36, 36, 52, 28, CAR, 0.4), found(76, 44, 8, 4, CAR, 0.3)
    truth = annotation(1, 1, CAR, box(40, 40, 40, 20))
    for others in ((wide,), (mirror,), (wide, mirror)):
        one = together(best, *others).with_objects(np.zeros(1 + len(others), np.int32))
        assert precision_of(tmp_path, one, truth).values["AP"] == pytest.approx(1)


def two_pictures(folder: Path, *, accumulate: bool) -> Evaluation:
    """The same find, right on the first picture and wrong on the second, which shows a person elsewhere."""
    for number in (1, 2):
        put_picture(folder / f"{number}.jpg")
    people = [annotation(1, 1, PERSON, box(0, 0, 10, 10)), annotation(2, 2, PERSON, box(50, 0, 10, 10))]
    source = open_coco(folder, put_json(folder / "a.json", coco(people, [(HEIGHT, WIDTH)] * 2)))
    return evaluate(ScriptedDetector(found(0, 0, 10, 10)), source, dilation=0, accumulate=accumulate)


def test_each_picture_by_itself(tmp_path: Path) -> None:
    result = two_pictures(tmp_path, accumulate=False)
    assert result.precision is None
    values = [picture.precision.values["AP"] for picture in result.pictures if picture.precision is not None]
    assert values == [pytest.approx(1), 0]


def test_all_pictures_together(tmp_path: Path) -> None:
    """Recall goes to .5, with precision 1 up to there: 51 of the 101 recalls that COCO samples."""
    result = two_pictures(tmp_path, accumulate=True)
    assert [picture.precision for picture in result.pictures] == [None, None]
    assert result.precision is not None
    assert result.precision.values["AP"] == pytest.approx(51 / 101)


def test_without_pictures_nothing_is_known() -> None:
    result = PrecisionTally(["person"]).result()
    assert set(result.values.values()) == {None}
    assert result.per_class == {"person": None}


def test_the_same_numbers_as_pycocotools_alone(tmp_path: Path) -> None:
    """Three pictures of random boxes, annotated and found, all six classes, crowds too: read from files by itself."""
    random = np.random.default_rng(5)
    kinds = [1, 2, 3, 4, 6, 8]
    annotations: list[dict[str, Any]] = []
    by_seed, results = {}, []
    for image in (1, 2, 3):
        put_picture(tmp_path / f"{image}.jpg", seed=image)
        parts = []
        for _ in range(12):
            kind = int(random.choice(kinds))
            left, top = int(random.integers(0, 50)), int(random.integers(0, 20))
            width, height = int(random.integers(4, 200)), int(random.integers(4, 100))
            crowd = int(random.random() < 0.15)
            annotations.append(
                annotation(len(annotations) + 1, image, kind, box(left, top, width, height), iscrowd=crowd)
                | {"area": width * height, "bbox": [left, top, width, height]}
            )
            moved = [max(0, value + int(random.integers(-3, 4))) for value in (left, top, width, height)]
            parts.append(found(moved[0], moved[1], max(1, moved[2]), max(1, moved[3]), kind, float(random.random())))
        by_seed[image] = together(*parts)
    content = coco(annotations, [(HEIGHT, WIDTH)] * 3)
    file = put_json(tmp_path / "a.json", content)
    order = iter((1, 2, 3))
    detector = ScriptedDetector(lambda pixels: by_seed[next(order)])
    ours = evaluate(detector, open_coco(tmp_path, file), dilation=0, accumulate=True).precision
    for image, detections in by_seed.items():
        for index in range(len(detections)):
            one = Detections.of(detections.boxes[[index]], detections.scores[[index]], detections.classes[[index]])
            rle = rle_codec.encode(np.asfortranarray(union(one, HEIGHT, WIDTH).astype(np.uint8)))
            score, kind = float(detections.scores[index]), int(detections.classes[index])
            results.append({"image_id": image, "category_id": kind, "segmentation": rle, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(file))
        theirs = COCOeval(truth, truth.loadRes(results), "segm")
        theirs.evaluate()
        theirs.accumulate()
        theirs.summarize()
    assert ours is not None
    assert [ours.values[key] for key in PRECISION_KEYS] == pytest.approx(list(theirs.stats), abs=1e-12)
    assert 0.1 < theirs.stats[0] < 0.9
