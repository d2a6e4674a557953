"""Annotations that are refused, each with what is wrong and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anonymisation.core.errors import AnnotationsError
from anonymisation.evaluation.classes import read_class_names
from anonymisation.evaluation.coco import open_coco
from tests.evaluation.conftest import CAR, annotation, box, coco, put_json, put_picture

Change = Callable[[dict[str, Any]], object]


def test_what_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"images": [')
    with pytest.raises(AnnotationsError, match=r"a\.json: expected COCO annotations .*truncated"):
        open_coco(tmp_path, tmp_path / "a.json")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="cannot be read: No such file"):
        open_coco(tmp_path, tmp_path / "no.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("categories"), "missing required field `categories`"),
        (lambda c: c["annotations"][0].pop("segmentation"), r"`segmentation` - at `\$.annotations\[0\]`"),
        (lambda c: c["annotations"][0].update(image_id=9), "annotation 7 is of unknown picture 9"),
        (lambda c: c["annotations"][0].update(category_id=9), "annotation 7 is of unknown category 9"),
        (lambda c: c["images"].append(dict(c["images"][0])), "images: id: 1 of 2 are there more than once"),
        (lambda c: c["images"].append({**c["images"][0], "id": 2}), "file_name: 1 of 2"),
        (lambda c: c["images"][0].update(file_name="../1.jpg"), "expected a path below the folder"),
        (lambda c: c["images"][0].update(file_name="/1.jpg"), "expected a path below the folder"),
        (lambda c: c["images"][0].update(file_name="other.jpg"), "none of its 1 pictures is in .*their folder"),
        (lambda c: c["images"].clear() or c["annotations"].clear(), "none of its 0 pictures"),
        (lambda c: c.update(categories=[{"id": CAR, "name": "auto"}]), "expected categories such as .* got auto"),
    ],
)
def test_contradictions(tmp_path: Path, change: Change, message: str) -> None:
    put_picture(tmp_path / "1.jpg")
    content = coco([annotation(7, 1, CAR, box(0, 0, 9, 9))])
    change(content)
    with pytest.raises(AnnotationsError, match=message):
        open_coco(tmp_path, put_json(tmp_path / "a.json", content))


def test_categories_by_other_names(tmp_path: Path) -> None:
    put_picture(tmp_path / "sub" / "1.jpg")
    categories = [{"id": 1, "name": "auto"}, {"id": 2, "name": "CAR"}, {"id": 3, "name": "tram"}]
    content = coco([annotation(n, 1, n, box(0, 10 * n, 9, 9)) for n in (1, 2, 3)], categories=categories)
    content["images"][0]["file_name"] = "sub/1.jpg"
    names = read_class_names(put_json(tmp_path / "classes.json", {"auto": "truck", "tram": "unknown"}))
    source = open_coco(tmp_path, put_json(tmp_path / "a.json", content), names)
    truth = source.pictures[0].truth(128, 256)
    assert [region.label for region in truth.regions] == ["truck", "car"]
    assert [label for label, _ in truth.ignored] == [None]
    assert source.labels == {"truck", "car"}


@pytest.mark.parametrize(("area", "counted"), [(None, 81), (0, 81), (-1, 81), (70.5, 70.5)])
def test_an_area_that_is_none_is_that_of_the_outline(tmp_path: Path, area: float | None, counted: float) -> None:
    put_picture(tmp_path / "1.jpg")
    content = coco([annotation(1, 1, CAR, box(0, 0, 9, 9), area=area)])
    (picture,) = open_coco(tmp_path, put_json(tmp_path / "a.json", content)).pictures
    assert [region.area for region in picture.truth(128, 256).regions] == [counted]


@pytest.mark.parametrize(
    ("names", "message"),
    [({"lorry": "truck"}, "has no category lorry"), ({"car": "vehicle"}, "car: COCO instances need one of person")],
)
def test_names_that_do_not_fit(tmp_path: Path, names: dict[str | int, str], message: str) -> None:
    put_picture(tmp_path / "1.jpg")
    with pytest.raises(AnnotationsError, match=message):
        open_coco(tmp_path, put_json(tmp_path / "a.json", coco()), names)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("8: [", "cannot be read as YAML"),
        ("", "expected classes and their meaning"),
        ("8: bike", "8: expected one of person, bicycle"),
        ("true: car", "expected the name of a class or its number"),
    ],
)
def test_class_names_that_are_none(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "classes.yml").write_text(content)
    with pytest.raises(AnnotationsError, match=message):
        read_class_names(tmp_path / "classes.yml")


def test_class_names_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="No such file"):
        read_class_names(tmp_path / "no.yml")
