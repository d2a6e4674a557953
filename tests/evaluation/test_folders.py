"""Class rasters beside pictures."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonymisation.core.errors import AnnotationsError
from anonymisation.evaluation.folders import open_empty, open_rasters
from anonymisation.evaluation.measure import Evaluation, evaluate
from anonymisation.evaluation.tally import Tally
from tests.doubles import ScriptedDetector
from tests.evaluation.conftest import CAR, HEIGHT, WIDTH, found, put_picture, put_raster

ROAD, SKY = 3, 0


def raster() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Road, with a car, a pedestrian and a bicyclist of 10 × 10 side by side, and 20 × 10 unlabelled below them."""
    values = np.full((HEIGHT, WIDTH), ROAD, np.uint8)
    values[:10, :10], values[:10, 10:20], values[:10, 20:30], values[10:20, :20] = 8, 9, 10, 11
    return values


def measured(folder: Path, **more: object) -> Evaluation:
    """The picture of `raster`, on which the detector hides columns 5 to 24 of rows 0 to 19."""
    put_picture(folder / "1.jpg")
    put_raster(folder / "1.png", raster())
    source = open_rasters(folder, folder, **more)  # type: ignore[arg-type]
    return evaluate(ScriptedDetector(found(5, 0, 20, 20, CAR)), source, dilation=0)


def test_the_classes_of_camvid(tmp_path: Path) -> None:
    result = measured(tmp_path)
    assert result.figures.pixels == {("vehicle", "all"): Tally(100, 50), ("person", "all"): Tally(200, 150)}
    assert result.figures.instances == {}  # what is connected is no instance
    assert result.figures.clean == Tally(HEIGHT * WIDTH - 500, 50)
    assert "no single instances" in result.source.notes[0]


def test_other_numbers(tmp_path: Path) -> None:
    result = measured(tmp_path, names={8: "truck", 9: "clean", 10: "unknown"})
    assert result.source.unlabelled == ("person", "bicycle", "car", "motorcycle", "bus")
    assert result.figures.pixels == {("truck", "all"): Tally(100, 50), ("vehicle", "all"): Tally(100, 50)}
    assert result.figures.clean.hidden == 0  # hidden as cars, which these annotations do not know


def test_classes_that_count_neither_way(tmp_path: Path) -> None:
    result = measured(tmp_path, unlabelled=("person",))
    assert result.figures.sought == Tally(100, 50)
    assert result.figures.clean == Tally(HEIGHT * WIDTH - 500, 50)


def test_pictures_and_rasters_that_lack_the_other(tmp_path: Path) -> None:
    for name in ("1", "2"):
        put_picture(tmp_path / "pictures" / "a" / f"{name}.jpg")
    for name in ("1", "3"):
        put_raster(tmp_path / "rasters" / "a" / f"{name}.png", raster())
    source = open_rasters(tmp_path / "pictures", tmp_path / "rasters")
    assert [picture.name for picture in source.pictures] == ["a/1.jpg"]
    assert {failure.picture: failure.reason.split(" /")[0] for failure in source.failures} == {
        "a/2.jpg": "has no class raster",
        "a/3.png": "is a class raster without a picture in",
    }


def test_rasters_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    for name in ("colours", "none", "size"):
        put_picture(tmp_path / f"{name}.jpg")
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / "colours.png")
    (tmp_path / "none.png").write_bytes(b"nothing")
    put_raster(tmp_path / "size.png", raster()[:64])
    result = evaluate(ScriptedDetector(found(0, 0, 1, 1)), open_rasters(tmp_path, tmp_path), dilation=0)
    reasons = {failure.picture: failure.reason for failure in result.failures}
    assert "expected one number per pixel" in reasons["colours.jpg"]
    assert "none.png cannot be read" in reasons["none.jpg"]
    assert "its annotations 64 × 256" in reasons["size.jpg"]


def test_a_raster_cut_short_is_named(tmp_path: Path) -> None:
    put_picture(tmp_path / "1.jpg")
    data = put_raster(tmp_path / "1.png", np.random.default_rng(0).integers(0, 12, (HEIGHT, WIDTH), np.uint8))
    data.write_bytes(data.read_bytes()[:2000])
    result = evaluate(ScriptedDetector(found(0, 0, 1, 1)), open_rasters(tmp_path, tmp_path), dilation=0)
    assert "1.png cannot be read" in result.failures[0].reason


@pytest.mark.parametrize(("names", "message"), [({"car": "car"}, "got car"), ({8: "unknown"}, "none to hide")])
def test_names_that_do_not_fit(tmp_path: Path, names: dict[str | int, str], message: str) -> None:
    with pytest.raises(AnnotationsError, match=message):
        open_rasters(tmp_path, tmp_path, names)


def test_folders_without_anything_to_measure(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match=r"expected pictures \(\.jpg\), found none"):
        open_empty(tmp_path)
    put_picture(tmp_path / "1.jpg")
    with pytest.raises(AnnotationsError, match=r"expected class rasters .* name the \.json file"):
        open_rasters(tmp_path, tmp_path)


def test_a_place_that_is_no_file_is_named(tmp_path: Path) -> None:
    put_picture(tmp_path / "1.jpg")
    os.mkfifo(tmp_path / "2.jpg")
    assert [failure.picture for failure in open_empty(tmp_path).failures] == ["2.jpg"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    put_picture(tmp_path / "1.jpg")
    put_picture(tmp_path.parent / f"{tmp_path.name}.jpg")
    (tmp_path / "2.jpg").symlink_to(tmp_path.parent / f"{tmp_path.name}.jpg")
    source = open_empty(tmp_path)
    assert [picture.name for picture in source.pictures] == ["1.jpg"]
    assert [failure.picture for failure in source.failures] == ["2.jpg"]
    (tmp_path / "1.jpg").unlink()
    (tmp_path / "1.jpg").symlink_to(tmp_path / "2.jpg")  # between listing and reading
    (failure,) = evaluate(ScriptedDetector(found(0, 0, 9, 9)), source, dilation=0).failures[1:]
    assert str(failure) == "1.jpg: cannot be read: is a link and is not followed"
