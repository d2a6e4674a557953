"""`anonymise evaluate`: flags, tables, JSON and exit codes, with a model that finds the same car everywhere."""

from __future__ import annotations

import json
import math
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from anonymisation.cli.evaluate.options import _NAMES
from anonymisation.evaluation.classes import LABELS, ROWS
from tests.captures import HEIGHT, WIDTH, plain
from tests.cli.conftest import as_in_a_terminal, invoke
from tests.conftest import REPOSITORY
from tests.evaluation.conftest import CAR, annotation, box, coco, put_json, put_raster

CAR_PIXELS = box(WIDTH // 4, HEIGHT // 4, WIDTH // 2, HEIGHT // 2)  # where the model sees its car
HALF_OF_IT = box(WIDTH // 4, HEIGHT // 4, WIDTH // 4, HEIGHT // 2)
BOTH_AREAS = HEIGHT * WIDTH


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """Two pictures: one whose car is where the model finds it, one whose car is half as large."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"{number}.jpg").write_bytes(plain(number))
    cars = [annotation(1, 1, CAR, CAR_PIXELS), annotation(2, 2, CAR, HALF_OF_IT)]
    put_json(folder / "instances.json", coco(cars, [(HEIGHT, WIDTH)] * 2))
    return folder


def evaluate(folder: Path, model: Path, *more: str) -> Result:
    """The command on a folder of `annotated`, with the scripted model, untiled, without dilation."""
    plainly = ("-m", str(model), "-s", "tiles=False", "-s", "mask_dilation_pixels=0")
    return invoke("evaluate", "-i", str(folder), "-a", str(folder / "instances.json"), *plainly, *more)


def figures(result: Result) -> dict[str, Any]:
    """What --json - printed."""
    assert result.exit_code in {0, 1}, result.output
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def test_figures_as_json(annotated: Path, car_model: Path) -> None:
    content = figures(evaluate(annotated, car_model, "--accumulate", "--json", "-"))
    car = HEIGHT * WIDTH // 4
    assert set(content) == {
        "format", "version", "model", "settings", "images", "annotations", "kind", "unlabelled", "pictures",
        "seconds_per_picture", "recall", "instances", "clean", "coco", "per_picture", "curve", "failures", "notes",
    }  # fmt: skip
    assert content["format"] == 1
    assert content["curve"] is None
    assert content["model"].startswith("cars@")
    assert content["settings"]["mask_dilation_pixels"] == 0
    assert content["settings"]["model_type"] == str(car_model)
    assert "blur" not in content["settings"]
    assert content["pictures"] == {"measured": 2, "failed": 0, "with_anything_hidden": 2}
    hidden_exactly = {"pixels": car + car // 2, "hidden": car + car // 2, "share": 1.0}
    assert content["recall"]["vehicle"]["all"] == content["recall"]["car"]["all"] == hidden_exactly
    assert content["instances"]["vehicle"] == {
        "all": {"instances": 2, "hidden": 2, "share": 1.0},
        "medium": {"instances": 2, "hidden": 2, "share": 1.0},
    }
    clean = 2 * HEIGHT * WIDTH - car - car // 2
    assert content["clean"] == {"pixels": clean, "hidden": car // 2, "share": round(car / 2 / clean, 5)}
    # Of two finds of equal score one is right at every threshold, the other, of IoU .5, at the first alone.
    assert content["coco"]["AP50"] == 1.0
    assert content["coco"]["AP75"] == pytest.approx(51 / 101, abs=1e-5)
    assert content["coco"]["per_class"]["person"] is None
    assert [picture["picture"] for picture in content["per_picture"]] == ["1.jpg", "2.jpg"]
    assert content["per_picture"][1]["clean"]["hidden"] == car // 2
    assert content["per_picture"][1]["coco"] is None


def test_tables_for_each_picture_and_all(annotated: Path, car_model: Path) -> None:
    result = evaluate(annotated, car_model, "--json", str(annotated / "figures.json"))
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["1.jpg", "–", "1.000", "0", "0.000", "1.000", "1.000"] in rows
    assert ["car", "5184", "1.000", "1.000"] in rows
    assert ["car", "1.000", "of", "2", "1.000", "of", "2"] in rows
    assert "mask_dilation_pixels 0" in result.stdout
    assert "Clean pixels hidden by mistake: 0.077 (1728 of 22464)" in result.stdout
    assert json.loads((annotated / "figures.json").read_text())["per_picture"][0]["coco"]["AP"] == 1.0


def test_accumulated_tables(annotated: Path, car_model: Path) -> None:
    result = evaluate(annotated, car_model, "--accumulate")
    assert "1.jpg" not in result.stdout
    assert "AP per class: person –, bicycle –, car 0.5" in result.stdout


def test_a_dilation_of_the_configuration_is_in_force(annotated: Path, car_model: Path) -> None:
    plainly = figures(evaluate(annotated, car_model, "--accumulate", "--json", "-"))
    config = annotated / "config.yml"
    config.write_text("mask_dilation_pixels: 3\n")
    flags = ("-i", str(annotated), "-a", str(annotated / "instances.json"), "-m", str(car_model), "-k", str(config))
    dilated = figures(invoke("evaluate", *flags, "-s", "tiles=False", "--accumulate", "--json", "-"))
    assert dilated["clean"]["hidden"] > plainly["clean"]["hidden"]
    assert dilated["coco"] == plainly["coco"]


def test_camera_regions_of_the_configuration_are_in_force(annotated: Path, car_model: Path) -> None:
    """The car is never searched; a strip at the left edge, a tenth of each picture of one folder, is always hidden."""
    (annotated / "a").mkdir()
    (annotated / "1.jpg").rename(annotated / "a" / "1.jpg")
    content = coco([annotation(1, 1, CAR, CAR_PIXELS)], [(HEIGHT, WIDTH)] * 2)
    content["images"][0]["file_name"] = "a/1.jpg"
    put_json(annotated / "instances.json", content)
    config = annotated / "config.yml"
    config.write_text(
        "camera_regions:\n"
        "  - {folders: '*', camera: '', ignore: [[[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]]}\n"
        "  - {folders: a, camera: '', hide: [[[0, 0], [0.1, 0], [0.1, 1], [0, 1]]]}\n"
        "  - {folders: '*', camera: another, hide: [[[0, 0], [1, 0], [1, 1], [0, 1]]]}\n"
    )
    flags = ("-k", str(config), "--accumulate", "--json", "-")
    found = figures(evaluate(annotated, car_model, *flags, "--curve", str(annotated / "curve.svg")))
    assert found["recall"]["car"]["all"]["hidden"] == 0
    strip = HEIGHT * math.ceil(WIDTH / 10)
    assert [picture["clean"]["hidden"] for picture in found["per_picture"]] == [0, strip]
    assert {point["clean"]["hidden"] for point in found["curve"]["points"]} == {strip}


def test_the_curve_as_picture_table_and_json(annotated: Path, car_model: Path) -> None:
    picture, content = annotated / "curve.svg", annotated / "figures.json"
    flags = ("--accumulate", "--curve", str(picture), "--json", str(content), "-s", "score_thresholds={car: 0.95}")
    result = evaluate(annotated, car_model, *flags)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["0.9", "–", "1.000", "0.077"] in rows
    assert ["0.15,", "score_thresholds", "–", "0.000", "0.000", "in", "force"] in rows
    assert "The model gave no score below 0.900: the curve ends there." in result.stdout
    curve = json.loads(content.read_text())["curve"]
    assert [point["threshold"] for point in curve["points"]] == [0.15, 0.9]
    assert curve["in_force"]["vehicle"]["hidden"] == 0
    assert curve["lowest_score"] == pytest.approx(0.9)
    assert picture.read_text().startswith("<svg")


def test_the_contact_sheet_is_for_its_owner_alone(annotated: Path, car_model: Path) -> None:
    sheet = annotated / "worst.png"
    sheet.write_bytes(b"older, and open to all")
    result = evaluate(annotated, car_model, "--contact-sheet", str(sheet))
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(sheet.stat().st_mode) == 0o600
    assert "shows pictures without masks" in " ".join(result.stderr.split())
    with Image.open(sheet) as picture:
        assert picture.width > 1000


def test_no_sheet_where_nothing_is_wrong(annotated: Path, car_model: Path) -> None:
    put_json(annotated / "instances.json", coco([annotation(1, 1, CAR, CAR_PIXELS)], [(HEIGHT, WIDTH)]))
    result = evaluate(annotated, car_model, "--contact-sheet", str(annotated / "worst.jpg"))
    assert result.exit_code == 0, result.output
    assert not (annotated / "worst.jpg").exists()
    assert "no contact sheet is drawn" in result.stderr


def test_pictures_that_fail_are_told_and_end_with_1(annotated: Path, car_model: Path) -> None:
    (annotated / "2.jpg").write_bytes(b"broken")
    result = evaluate(annotated, car_model, "-l", str(annotated / "logs"))
    assert result.exit_code == 1
    assert "1 pictures or annotations could not be measured:\n  2.jpg: " in result.stdout
    (log,) = (annotated / "logs").iterdir()
    assert "not measured: 2.jpg" in log.read_text()
    content = figures(evaluate(annotated, car_model, "--json", "-"))
    assert [failure["picture"] for failure in content["failures"]] == ["2.jpg"]


def test_class_rasters_with_classes_of_their_own(annotated: Path, car_model: Path) -> None:
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[HEIGHT // 4 : HEIGHT // 2, WIDTH // 4 : 3 * WIDTH // 4] = 26
    rasters = annotated / "rasters"
    for number in (1, 2):
        put_raster(rasters / f"{number}.png", values)
    classes = annotated / "classes.yml"
    classes.write_text("26: vehicle\n24: person\n255: unknown\n")
    flags = ("-i", str(annotated), "-m", str(car_model), "-s", "tiles=False", "-s", "mask_dilation_pixels=0")
    more = ("-a", str(rasters), "--classes", str(classes), "--json", "-")
    content = figures(invoke("evaluate", *flags, *more))
    assert content["kind"] == "rasters"
    assert content["recall"] == {"vehicle": {"all": {"pixels": 3456, "hidden": 3456, "share": 1.0}}}
    assert content["instances"] == {}
    assert content["clean"]["hidden"] == 3456
    table = invoke("evaluate", *flags, *more[:-2])
    assert "no single instances" in table.stdout
    assert "AP" not in table.stdout


def test_empty_pictures(annotated: Path, car_model: Path) -> None:
    flags = ("-i", str(annotated), "-m", str(car_model), "-s", "tiles=False", "-s", "mask_dilation_pixels=0")
    content = figures(invoke("evaluate", *flags, "--empty", "--limit", "1", "--json", "-"))
    assert content["pictures"] == {"measured": 1, "failed": 0, "with_anything_hidden": 1}
    assert content["clean"]["share"] == 0.25
    assert content["notes"] == ["1 of 2 pictures, evenly chosen."]
    unknown = figures(invoke("evaluate", *flags, "--empty", "--unlabelled", "vehicle", "--json", "-"))
    assert unknown["clean"]["share"] == 0
    assert unknown["unlabelled"] == ["bicycle", "car", "motorcycle", "bus", "truck"]


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ((), 2, "Give either -a ANNOTATIONS, or --empty"),
        (("--empty", "-a", "instances.json"), 2, "Give either"),
        (("--empty", "--classes", "c.yml"), 2, "--classes describes annotations"),
        (("--empty", "--contact-sheet", "sheet.gif"), 2, "expected a name that ends with"),
        (("--empty", "--contact-sheet", "no/sheet.png"), 2, "its folder does not exist"),
        (("--empty", "--json", "no/figures.json"), 2, "its folder does not exist"),
        (("--empty", "-s", "tiles"), 2, "expected KEY=VALUE, got 'tiles'"),
        (("--empty", "-s", "tiles=["), 2, "is not valid YAML"),
        (("--empty", "-s", "tile=True"), 2, "tile: unknown key"),
        (("--empty", "-s", "score_threshold=2"), 2, "score_threshold: must be less than or equal to 1"),
        (("--empty", "--unlabelled", "person", "--unlabelled", "vehicle"), 2, "leaves no class to measure"),
        (("--empty", "-m", "no/such/model"), 3, "no/such/model"),
        (("-a", "no.json"), 3, "the annotations no.json do not exist"),
        (("--empty", "-i", "none"), 3, "the folder of pictures none does not exist"),
        (("-a", "instances.json"), 2, "none of its 1 pictures"),
    ],
)
def test_flags_and_files_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(plain(1))
    put_json(tmp_path / "instances.json", coco())
    result = invoke("evaluate", "-i", "pictures", *flags)
    assert result.exit_code == code, result.output
    assert message in " ".join(result.stderr.split())


def test_the_flags_know_all_classes() -> None:
    assert set(_NAMES) == {*LABELS, *ROWS}


def test_the_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom anonymisation.cli import cli\n"
        "cli(['evaluate', '--help'], standalone_mode=False)\n"
        "print({'numpy', 'cv2', 'PIL', 'pycocotools', 'pydantic', 'sqlalchemy', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_an_interrupt_ends_with_130_and_no_figures(tmp_path: Path, car_model: Path) -> None:
    """So many pictures that the run is interrupted long before it is through."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "0.jpg").write_bytes(plain(1))
    for number in range(1, 4000):
        os.link(folder / "0.jpg", folder / f"{number}.jpg")
    arguments = ("evaluate", "-i", str(folder), "--empty", "-m", str(car_model), "--json", str(tmp_path / "f.json"))
    process = subprocess.Popen(
        [sys.executable, "-m", "anonymisation", *arguments, "-s", "log_level=DEBUG"],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=as_in_a_terminal,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if ": measured" in line:
            break
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert "of 4000 pictures; no figures are printed" in " ".join(stderr.split())
    assert not (tmp_path / "f.json").exists()


def test_the_built_in_model_on_small_pictures(annotated: Path) -> None:
    """The real thing, end to end: pictures of nothing in particular."""
    flags = ("-i", str(annotated), "-a", str(annotated / "instances.json"))
    content = figures(invoke("evaluate", *flags, "--accumulate", "--json", "-"))
    assert content["model"].startswith("Built-in@")
    assert content["pictures"]["measured"] == 2
    assert content["recall"]["car"]["all"]["pixels"] == 5184
    assert content["settings"]["tiles"] is True
