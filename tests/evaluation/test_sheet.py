"""What the contact sheet shows, by its pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonymisation.evaluation.coco import open_coco
from anonymisation.evaluation.measure import Evaluation, evaluate
from anonymisation.evaluation.sheet import MISSED, RIGHTLY, WRONGLY, contact_sheet, encode_sheet
from tests.doubles import ScriptedDetector
from tests.evaluation.conftest import HEIGHT, PERSON, WIDTH, annotation, box, coco, found, put_json


def measured(folder: Path, first: int, columns: int) -> Evaluation:
    """A gray picture with a person in columns 0 to 63, and so many columns hidden from the first on."""
    Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128)).save(folder / "1.jpg", quality=95)
    person = annotation(1, 1, PERSON, box(0, 0, 64, HEIGHT))
    source = open_coco(folder, put_json(folder / "a.json", coco([person])))
    return evaluate(ScriptedDetector(found(first, 0, columns, HEIGHT)), source, dilation=0, worst=3)


def share(sheet: np.ndarray, colour: tuple[int, int, int]) -> float:
    """The share of the sheet that is gray tinted with a colour."""
    tinted = np.round(np.full(3, 128) * 0.45 + np.array(colour) * 0.55)
    return float((np.abs(sheet.astype(int) - tinted).max(axis=2) <= 3).mean())


def test_missed_red_mistaken_blue_right_green(tmp_path: Path) -> None:
    """A quarter of the person is hidden, and as much beside it."""
    sheet = contact_sheet(measured(tmp_path, 48, 32))
    assert sheet is not None
    missed, wrongly, rightly = (share(sheet, colour) for colour in (MISSED, WRONGLY, RIGHTLY))
    assert missed == pytest.approx(3 * rightly, rel=0.25)
    assert wrongly == pytest.approx(rightly, rel=0.25)
    assert rightly > 0.01


def test_one_missed_pixel_does_not_vanish(tmp_path: Path) -> None:
    """One column of 4096 is missed; the overview shows a fifth of the columns."""
    Image.new("RGB", (4096, 512), (128, 128, 128)).save(tmp_path / "1.jpg")
    person = annotation(1, 1, PERSON, box(2048, 256, 1, 1))
    source = open_coco(tmp_path, put_json(tmp_path / "a.json", coco([person], [(512, 4096)])))
    sheet = contact_sheet(evaluate(ScriptedDetector(found(0, 0, 1, 1)), source, dilation=0, worst=1))
    assert sheet is not None
    assert share(sheet[:, :800], MISSED) > 0


def test_nothing_to_show(tmp_path: Path) -> None:
    assert contact_sheet(measured(tmp_path, 0, 64)) is None


def test_a_picture_that_is_gone_is_told(tmp_path: Path) -> None:
    result = measured(tmp_path, 48, 32)
    (tmp_path / "1.jpg").unlink()
    sheet = contact_sheet(result)
    assert sheet is not None
    assert len(sheet) < 300  # lines of text only


@pytest.mark.parametrize(("suffix", "form"), [(".png", "PNG"), (".jpg", "JPEG")])
def test_the_file_is_of_its_kind(tmp_path: Path, suffix: str, form: str) -> None:
    sheet = contact_sheet(measured(tmp_path, 48, 32))
    assert sheet is not None
    with Image.open(io.BytesIO(encode_sheet(sheet, suffix))) as picture:
        assert picture.format == form
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - sheet).mean() < 3
