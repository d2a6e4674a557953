"""Figures of small made pictures, worked out by hand."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.core.errors import ImageError
from anonymisation.core.settings import load_settings
from anonymisation.evaluation.coco import open_coco
from anonymisation.evaluation.folders import open_empty
from anonymisation.evaluation.measure import Evaluation, evaluate
from anonymisation.evaluation.tally import Tally
from anonymisation.masking.detections import Detections
from anonymisation.masking.panoramas.sphere import Sphere, sphere_of
from tests.doubles import ScriptedDetector
from tests.evaluation.conftest import (
    BICYCLE,
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
from tests.imaging.builders import jpeg
from tests.imaging.test_panorama import GPANO, packet, with_xmp
from tests.masking.panoramas.drawing import GreenDetector

ALL = HEIGHT * WIDTH


def measured(
    folder: Path,
    detections: Detections,
    *annotations: dict[str, Any],
    dilation: int = 0,
    categories: list[dict[str, Any]] | None = None,
    unlabelled: tuple[str, ...] = (),
) -> Evaluation:
    """One picture with these annotations, and what the detector finds on it."""
    put_picture(folder / "1.jpg")
    file = put_json(folder / "a.json", coco(annotations, categories=categories))
    source = open_coco(folder, file, unlabelled=unlabelled)
    return evaluate(ScriptedDetector(detections), source, dilation=dilation, accumulate=True)


def test_half_of_a_person_hidden(tmp_path: Path) -> None:
    """The left half of a person of 40 × 20 pixels, and as many pixels below."""
    figures = measured(tmp_path, found(0, 0, 20, 40), annotation(7, 1, PERSON, box(0, 0, 40, 20))).figures
    assert figures.pixels == {("person", "all"): Tally(800, 400), ("person", "small"): Tally(800, 400)}
    assert figures.instances == {("person", "all"): Tally(1, 0), ("person", "small"): Tally(1, 0)}
    assert figures.sought == Tally(800, 400)
    assert figures.clean == Tally(ALL - 800, 400)
    assert figures.recall("person") == 0.5
    assert figures.recall("vehicle") is None
    assert figures.hidden_instances("person", "small") == 0


@pytest.mark.parametrize(("columns", "hidden"), [(30, 1), (29, 0)])
def test_an_instance_is_hidden_from_three_quarters_on(tmp_path: Path, columns: int, hidden: int) -> None:
    detections = found(0, 0, columns, 20, TRUCK)  # of another class: hidden is hidden
    result = measured(tmp_path, detections, annotation(7, 1, PERSON, box(0, 0, 40, 20)))
    assert result.figures.instances["person", "all"] == Tally(1, hidden)


def test_dilation_widens_what_is_hidden(tmp_path: Path) -> None:
    result = measured(tmp_path, found(10, 10, 4, 4), annotation(7, 1, PERSON, box(9, 9, 6, 6)), dilation=2)
    assert result.figures.sought == Tally(36, 36)
    assert result.figures.clean == Tally(ALL - 36, 8 * 8 - 36)


@pytest.mark.parametrize("mark", ["iscrowd", "ignore"])
def test_what_is_ignored_is_neither_missed_nor_clean(tmp_path: Path, mark: str) -> None:
    """A crowd of 100 × 20, of which the detector hides the left 50 columns, and a person of 10 × 10 inside it."""
    crowd = annotation(1, 1, PERSON, box(0, 0, 100, 20), **{mark: 1})
    result = measured(tmp_path, found(0, 0, 50, 20), crowd, annotation(2, 1, PERSON, box(60, 0, 10, 10)))
    assert result.figures.sought == Tally(100, 0)
    assert result.figures.instances["person", "all"] == Tally(1, 0)
    assert result.figures.clean == Tally(ALL - 2000, 0)


def test_other_declared_things_are_clean(tmp_path: Path) -> None:
    categories = [{"id": 1, "name": "Person"}, {"id": 3, "name": "car"}, {"id": 5, "name": "dog"}]
    dog = annotation(1, 1, 5, box(0, 0, 10, 10))
    result = measured(tmp_path, found(0, 0, 10, 10), dog, categories=categories)
    assert result.figures.sought == Tally(0, 0)
    assert result.figures.clean == Tally(ALL, 100)


def test_classes_that_are_not_declared_are_not_held_against_the_model(tmp_path: Path) -> None:
    """Persons alone are labelled: what is hidden as a car may be one; what is hidden as a person is none."""
    detections = together(found(0, 0, 10, 10, CAR), found(100, 0, 10, 10, PERSON))
    person = annotation(1, 1, PERSON, box(0, 0, 5, 10))
    result = measured(tmp_path, detections, person, categories=[{"id": 1, "name": "person"}])
    assert result.source.unlabelled == ("bicycle", "car", "motorcycle", "bus", "truck")
    assert result.figures.sought == Tally(50, 50)
    assert result.figures.clean == Tally(ALL - 100, 100)


def test_unlabelled_classes_are_left_out_even_where_some_are_annotated(tmp_path: Path) -> None:
    car, truck = annotation(1, 1, CAR, box(0, 0, 10, 10)), annotation(2, 1, TRUCK, box(20, 0, 10, 10))
    result = measured(tmp_path, found(0, 0, 30, 10, TRUCK), car, truck, unlabelled=("car",))
    assert result.figures.pixels["vehicle", "all"] == Tally(100, 100)
    assert ("car", "all") not in result.figures.pixels
    assert result.figures.clean == Tally(ALL - 200, 100)  # the truck's detection reaches 10 columns too far
    assert "car" not in (result.precision.per_class if result.precision else {"car": None})


def test_a_pixel_of_two_instances_counts_once_per_row(tmp_path: Path) -> None:
    cyclist, bicycle = annotation(1, 1, PERSON, box(0, 0, 10, 10)), annotation(2, 1, BICYCLE, box(0, 5, 10, 10))
    friend = annotation(3, 1, PERSON, box(5, 0, 10, 10))
    figures = measured(tmp_path, found(0, 0, 10, 10), cyclist, bicycle, friend).figures
    assert figures.pixels["person", "all"] == Tally(150, 100)
    assert figures.pixels["vehicle", "all"] == figures.pixels["bicycle", "all"] == Tally(100, 50)
    assert figures.sought == Tally(200, 100)
    assert figures.instances["person", "all"] == Tally(2, 1)


@pytest.mark.parametrize(
    ("area", "size"), [(1023.9, "small"), (1024, "medium"), (9216, "medium"), (9216.1, "large"), (None, "small")]
)
def test_sizes_go_by_the_annotated_area(tmp_path: Path, area: float | None, size: str) -> None:
    """Without an annotated area by the number of pixels, here 100."""
    figures = measured(tmp_path, Detections.empty(), annotation(1, 1, CAR, box(0, 0, 10, 10), area=area)).figures
    assert {row for row in figures.pixels if row[1] != "all"} == {("car", size), ("vehicle", size)}


def test_an_outline_without_a_pixel_is_no_instance(tmp_path: Path) -> None:
    line = annotation(1, 1, CAR, [[1, 1, 1.1, 1, 1.1, 1.1]])
    result = measured(tmp_path, Detections.empty(), line)
    assert not result.figures.instances
    assert result.figures.clean == Tally(ALL, 0)


def quarter_of_high_pictures(pixels: NDArray[np.uint8]) -> Detections:
    """The top left quarter of a picture that is higher than wide; nothing on others."""
    return Detections.of([[0, 0, 0.5, 0.5]], [0.9], [1]) if pixels.shape[0] > pixels.shape[1] else Detections.empty()


@pytest.mark.parametrize(("size", "corner"), [((HEIGHT, WIDTH), (0, 64)), ((WIDTH, HEIGHT), (0, 0))])
def test_annotations_of_the_stored_or_the_upright_picture(
    tmp_path: Path, size: tuple[int, int], corner: tuple[int, int]
) -> None:
    """Orientation 6: upright is the stored picture turned clockwise, so that upright's top left is stored's bottom
    left. The model always sees the upright picture, high and narrow."""
    put_picture(tmp_path / "1.jpg", orientation=6)
    quarter = box(*corner, size[1] // 2, size[0] // 2)
    source = open_coco(tmp_path, put_json(tmp_path / "a.json", coco([annotation(1, 1, 1, quarter)], [size])))
    result = evaluate(ScriptedDetector(quarter_of_high_pictures), source, dilation=0)
    assert result.figures.sought == Tally(ALL // 4, ALL // 4)
    assert result.figures.clean == Tally(ALL - ALL // 4, 0)


def test_pictures_that_cannot_be_measured_are_named_and_stop_nothing(tmp_path: Path) -> None:
    put_picture(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").write_bytes(b"no picture")
    put_picture(tmp_path / "3.jpg", 64, 64)
    put_picture(tmp_path / "5.jpg")
    wrong = annotation(1, 5, CAR, [[0, 0, 1, 1]])
    file = put_json(tmp_path / "a.json", coco([wrong], [(HEIGHT, WIDTH)] * 5))
    seen: list[object] = []
    detector = ScriptedDetector(Detections.empty())
    result = evaluate(detector, open_coco(tmp_path, file), dilation=0, on_picture=seen.append)
    assert [picture.name for picture in result.pictures] == ["1.jpg"]
    reasons = {failure.picture: failure.reason for failure in result.failures}
    assert sorted(reasons) == ["2.jpg", "3.jpg", "4.jpg", "5.jpg"]
    assert "JPEG" in reasons["2.jpg"]
    assert "64 × 64" in reasons["3.jpg"]
    assert "128 × 256" in reasons["3.jpg"]
    assert "is not in" in reasons["4.jpg"]
    assert "annotation 1" in reasons["5.jpg"]
    assert len(seen) == 4  # those that were tried


def test_a_picture_that_the_model_refuses_is_a_failure(tmp_path: Path) -> None:
    def refuse(pixels: NDArray[np.uint8]) -> Detections:
        raise ImageError("too large for the model")

    put_picture(tmp_path / "1.jpg")
    result = evaluate(ScriptedDetector(refuse), open_empty(tmp_path), dilation=0)
    assert [str(failure) for failure in result.failures] == ["1.jpg: too large for the model"]
    assert result.seconds is None


def test_empty_pictures_count_what_is_hidden(tmp_path: Path) -> None:
    put_picture(tmp_path / "a" / "1.jpg")
    put_picture(tmp_path / "b" / "2.jpg", 64, 64)
    result = evaluate(ScriptedDetector(found(0, 0, WIDTH // 2, HEIGHT)), open_empty(tmp_path), dilation=0)
    assert [picture.name for picture in result.pictures] == ["a/1.jpg", "b/2.jpg"]
    assert result.figures.clean == Tally(ALL + 64 * 64, (ALL + 64 * 64) // 2)
    assert result.precision is None
    vehicles_unknown = open_empty(tmp_path, ["person"])
    result = evaluate(ScriptedDetector(found(0, 0, WIDTH // 2, HEIGHT)), vehicles_unknown, dilation=0)
    assert result.figures.clean.hidden == 0


def test_the_worst_pictures_are_kept_worst_first(tmp_path: Path) -> None:
    """Persons of 1, 2, 3 and 4 columns are missed; the columns of the fifth are hidden."""
    widths = [2, 4, 1, 3]
    for number in range(1, 6):
        put_picture(tmp_path / f"{number}.jpg")
    people = [annotation(n, n, PERSON, box(50, 0, width, 10)) for n, width in enumerate(widths, 1)]
    people.append(annotation(5, 5, PERSON, box(0, 0, 8, HEIGHT)))
    file = put_json(tmp_path / "a.json", coco(people, [(HEIGHT, WIDTH)] * 5))
    detector = ScriptedDetector(found(0, 0, 8, HEIGHT))
    result = evaluate(detector, open_coco(tmp_path, file), dilation=0, worst=2)
    assert [example.picture.name for example in result.misses] == ["2.jpg", "4.jpg"]
    assert [example.picture.name for example in result.false_finds] == ["1.jpg", "2.jpg"]
    assert result.misses[0].figures.sought == Tally(40, 0)


def test_thinning_spreads_over_the_pictures(tmp_path: Path) -> None:
    for number in range(10):
        put_picture(tmp_path / f"{number}.jpg", 16, 16)
    thinned = open_empty(tmp_path).thinned(3)
    assert [picture.name for picture in thinned.pictures] == ["0.jpg", "3.jpg", "6.jpg"]
    assert thinned.notes == ("3 of 10 pictures, evenly chosen.",)
    assert open_empty(tmp_path).thinned(11).notes == ()


def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    """Per picture less is kept than a tenth of one mask."""
    side, count = 512, 24
    put_picture(tmp_path / "1.jpg", side, side)
    content = coco([], [])
    content["images"] = [{"id": n, "file_name": f"{n}.jpg", "height": side, "width": side} for n in range(1, count + 1)]
    content["annotations"] = [annotation(n, n, PERSON, box(8, 8, 200, 200)) for n in range(1, count + 1)]
    for number in range(2, count + 1):
        (tmp_path / f"{number}.jpg").hardlink_to(tmp_path / "1.jpg")
    source = open_coco(tmp_path, put_json(tmp_path / "a.json", content))
    kept: list[int] = []
    tracemalloc.start()
    try:
        detector = ScriptedDetector(found(0, 0, 100, 100))
        evaluate(
            detector,
            source,
            dilation=2,
            accumulate=True,
            worst=2,
            on_picture=lambda _: kept.append(tracemalloc.get_traced_memory()[0]),
        )
    finally:
        tracemalloc.stop()
    assert len(kept) == count
    assert (kept[-1] - kept[3]) / (count - 4) < side * side / 10


def test_a_panorama_is_searched_as_its_file_describes_it(tmp_path: Path) -> None:
    """As in the chain: GPano makes a picture a panorama that its aspect does not, and says which part it shows."""
    numbers = {
        "ProjectionType": "equirectangular",
        "FullPanoWidthPixels": "400",
        "FullPanoHeightPixels": "200",
        "CroppedAreaImageWidthPixels": "400",
        "CroppedAreaImageHeightPixels": "100",
        "CroppedAreaLeftPixels": "0",
        "CroppedAreaTopPixels": "100",
    }
    (tmp_path / "1.jpg").write_bytes(with_xmp(jpeg(np.zeros((100, 400, 3), np.uint8)), packet(GPANO, numbers)))
    asked: list[tuple[tuple[int, int], Sphere | None]] = []

    def sphere(size: tuple[int, int], gpano: Mapping[str, float | str] | None) -> Sphere | None:
        asked.append((size, sphere_of(size, gpano, load_settings().settings)))
        return asked[-1][1]

    detector = GreenDetector()
    evaluate(detector, open_empty(tmp_path), dilation=0, sphere=sphere)
    assert asked == [((100, 400), Sphere(top=0))]
    assert len(detector.seen) > 3
